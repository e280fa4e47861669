/* SPDX-License-Identifier: Apache-2.0 */
/* Who a connection is, and what it may do. */
#ifndef TOKKI_AUTH_IDENTITY_H
#define TOKKI_AUTH_IDENTITY_H

#include "base/str.h"

#include <stdbool.h>

enum permission { PERMISSION_CONFIGURE, PERMISSION_WRITE, PERMISSION_READ };

/* A user who has proved who he is.
 * Owner: the connection, by value. Thread: its shard. */
struct identity {
    char name[256];
    bool is_impersonator; /* may set any user-id */
};

static inline struct str identity_name(const struct identity *identity)
{
    return str_from_c(identity->name);
}

/* Check a name and password for a peer that is (not) on the loopback interface. Fills `*out`.
 * ERR_REFUSED, without telling why: the reason is for the log only and stands in `*reason` (static
 * text). Source: RabbitMQ's internal backend and its loopback_users. */
MUST_CHECK int auth_login(struct str name, struct str password, bool is_loopback,
                          struct identity *out, const char **reason);

/* May the identity open `vhost`? */
bool auth_may_enter(const struct identity *identity, struct str vhost);

/* May it do `what` to the resource (queue or exchange) `name` of `vhost`? */
bool auth_may(const struct identity *identity, struct str vhost, enum permission what,
              struct str name);

#endif
