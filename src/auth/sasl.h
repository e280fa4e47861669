/* SPDX-License-Identifier: Apache-2.0 */
/* SASL mechanisms that carry a name and a password in one response: PLAIN and AMQPLAIN. */
#ifndef TOKKI_AUTH_SASL_H
#define TOKKI_AUTH_SASL_H

#include "base/str.h"

/* Offered to clients, separated by spaces; RabbitMQ's order and default. */
#define SASL_MECHANISMS "PLAIN AMQPLAIN"

enum sasl_mechanism { SASL_PLAIN, SASL_AMQPLAIN, SASL_UNKNOWN };

enum sasl_mechanism sasl_mechanism_find(struct str name);

/* Take the credentials (borrowed) out of a response. ERR_CORRUPT: malformed.
 * PLAIN: RFC 4616, the authorization identity is ignored. AMQPLAIN: a field table without its length,
 * keys LOGIN and PASSWORD. */
MUST_CHECK int sasl_credentials(enum sasl_mechanism mechanism, struct str response,
                                struct str *name, struct str *password);

#endif
