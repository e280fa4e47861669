/* SPDX-License-Identifier: Apache-2.0 */
/* The one user that a blank node has: guest/guest, loopback only, all permissions.
 *
 * This is RabbitMQ's state before any user was added; the user database replaces this file's
 * decisions behind the same three calls. */
#include "auth/identity.h"

#include "base/err.h"

#include <stdio.h>

static const struct str default_user = {"guest", 5};
static const struct str default_password = {"guest", 5};

/* Takes the same time wherever the first difference is. */
static bool equals_constant_time(struct str a, struct str b)
{
    unsigned char differs = (unsigned char)(a.len != b.len);
    for (size_t i = 0; i < a.len; i++)
        differs |= (unsigned char)(a.data[i] ^ b.data[b.len ? i % b.len : 0]);
    return differs == 0;
}

int auth_login(struct str name, struct str password, bool is_loopback, struct identity *out,
               const char **reason)
{
    *out = (struct identity){0};
    if (!str_equals(name, default_user) || !equals_constant_time(password, default_password)) {
        *reason = "invalid credentials";
        return ERR_REFUSED;
    }
    if (!is_loopback) {
        *reason = "user can only connect via localhost";
        return ERR_REFUSED;
    }
    snprintf(out->name, sizeof out->name, "%.*s", STR_ARG(name));
    return 0;
}

bool auth_may_enter(const struct identity *identity, struct str vhost)
{
    (void)vhost;
    return identity->name[0] != '\0';
}

bool auth_may(const struct identity *identity, struct str vhost, enum permission what,
              struct str name)
{
    (void)vhost;
    (void)what;
    (void)name;
    return identity->name[0] != '\0';
}
