/* SPDX-License-Identifier: Apache-2.0 */
/* The headers exchange: checking the arguments of its bindings. */
#ifndef TOKKI_CORE_ROUTING_HEADERS_H
#define TOKKI_CORE_ROUTING_HEADERS_H

#include "base/str.h"

/* Is x-match, if there, one of all, any, all-with-x, any-with-x? 0, or ERR_USAGE with RabbitMQ's text
 * in `text` (cut at `cap` - 1 bytes, NUL at the end). `arguments` is a valid table without its u32
 * length. Source: rabbit_exchange_type_headers, validate_binding. */
MUST_CHECK int headers_check_binding(struct str arguments, char *text, size_t cap);

#endif
