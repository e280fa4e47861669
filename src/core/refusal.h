/* SPDX-License-Identifier: Apache-2.0 */
/* A refusal: what the client did wrong, as code and text; the protocol maps it to its close. */
#ifndef TOKKI_CORE_REFUSAL_H
#define TOKKI_CORE_REFUSAL_H

#include "base/attr.h"

#include <stdbool.h>

/* Numbers and names are AMQP 0-9-1's reply codes, since RabbitMQ shows them in every protocol. */
enum refusal_code {
    REFUSAL_NONE = 0,
    REFUSAL_CONNECTION_FORCED = 320,
    REFUSAL_ACCESS_REFUSED = 403,
    REFUSAL_NOT_FOUND = 404,
    REFUSAL_RESOURCE_LOCKED = 405,
    REFUSAL_PRECONDITION_FAILED = 406,
    REFUSAL_FRAME_ERROR = 501,
    REFUSAL_SYNTAX_ERROR = 502,
    REFUSAL_COMMAND_INVALID = 503,
    REFUSAL_CHANNEL_ERROR = 504,
    REFUSAL_UNEXPECTED_FRAME = 505,
    REFUSAL_RESOURCE_ERROR = 506,
    REFUSAL_NOT_ALLOWED = 530,
    REFUSAL_NOT_IMPLEMENTED = 540,
    REFUSAL_INTERNAL_ERROR = 541,
};

/* A text above this is cut, as RabbitMQ cuts it to fit a short string with the code's name. */
#define REFUSAL_TEXT_MAX 480

struct refusal {
    int code; /* enum refusal_code */
    char text[REFUSAL_TEXT_MAX];
};

/* Fill `refusal`. Returns ERR_REFUSED, so that a check can end with `return refuse(...)`. */
PRINTF_LIKE(3, 4)
COLD int refuse(struct refusal *refusal, enum refusal_code code, const char *fmt, ...);

#endif
