/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the broker makes up: amq.gen-..., amq.ctag-..., and unguessable numbers. */
#ifndef TOKKI_BROKER_NAMES_H
#define TOKKI_BROKER_NAMES_H

#include "base/str.h"

#define GENERATED_NAME_MAX 64

/* `prefix` and 22 base64url characters of 128 random bits, as RabbitMQ's names have. Fills `text`. */
struct str name_generate(struct str prefix, char text[GENERATED_NAME_MAX]);

uint64_t token_generate(void);

#endif
