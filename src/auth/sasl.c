/* SPDX-License-Identifier: Apache-2.0 */
/* Reading SASL responses. */
#include "auth/sasl.h"

#include "base/err.h"
#include "core/table.h"

enum sasl_mechanism sasl_mechanism_find(struct str name)
{
    if (str_equals(name, STR("PLAIN")))
        return SASL_PLAIN;
    if (str_equals(name, STR("AMQPLAIN")))
        return SASL_AMQPLAIN;
    return SASL_UNKNOWN;
}

static int plain(struct str response, struct str *name, struct str *password)
{
    const char *end = response.data + response.len;
    const char *first = response.len ? memchr(response.data, '\0', response.len) : NULL;
    const char *second =
        first && first + 1 < end ? memchr(first + 1, '\0', (size_t)(end - first - 1)) : NULL;

    if (!second)
        return ERR_CORRUPT;
    *name = str_of(first + 1, (size_t)(second - first - 1));
    *password = str_of(second + 1, (size_t)(end - second - 1));
    return memchr(password->data, '\0', password->len) ? ERR_CORRUPT : 0;
}

static int amqplain(struct str response, struct str *name, struct str *password)
{
    if (table_validate(response) != 0 || !table_find_longstr(response, STR("LOGIN"), name) ||
        !table_find_longstr(response, STR("PASSWORD"), password))
        return ERR_CORRUPT;
    return 0;
}

int sasl_credentials(enum sasl_mechanism mechanism, struct str response, struct str *name,
                     struct str *password)
{
    return mechanism == SASL_PLAIN ? plain(response, name, password)
                                   : amqplain(response, name, password);
}
