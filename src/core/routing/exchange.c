/* SPDX-License-Identifier: Apache-2.0 */
/* The table of exchange types. */
#include "core/routing/exchange.h"

#include "core/routing/headers.h"

#include "base/err.h"

static const struct exchange_ops *const types[EXCHANGE_TYPE_COUNT] = {
    [EXCHANGE_DIRECT] = &direct_exchange_ops,
    [EXCHANGE_FANOUT] = &fanout_exchange_ops,
    [EXCHANGE_TOPIC] = &topic_exchange_ops,
    [EXCHANGE_HEADERS] = &headers_exchange_ops,
};

const struct exchange_ops *exchange_ops_of(enum exchange_type type)
{
    return types[type];
}

const char *exchange_type_name(enum exchange_type type)
{
    return types[type]->name;
}

bool exchange_type_find(struct str name, enum exchange_type *type)
{
    for (unsigned i = 0; i < EXCHANGE_TYPE_COUNT; i++)
        if (str_equals(name, str_from_c(types[i]->name))) {
            *type = (enum exchange_type)i;
            return true;
        }
    return false;
}

int exchange_check_binding(enum exchange_type type, struct str arguments, char *text, size_t cap)
{
    return type == EXCHANGE_HEADERS ? headers_check_binding(arguments, text, cap) : 0;
}
