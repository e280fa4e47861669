/* SPDX-License-Identifier: Apache-2.0 */
/* Basic properties of a message (AMQP 0-9-1 content header): a borrowed view, read and written. */
#ifndef TOKKI_CORE_CONTENT_H
#define TOKKI_CORE_CONTENT_H

#include "base/cursor.h"

/* Property flags of class basic, in wire order (AMQP 0-9-1, 1.8.1). */
enum content_has {
    CONTENT_HAS_CONTENT_TYPE = 1 << 15,
    CONTENT_HAS_CONTENT_ENCODING = 1 << 14,
    CONTENT_HAS_HEADERS = 1 << 13,
    CONTENT_HAS_DELIVERY_MODE = 1 << 12,
    CONTENT_HAS_PRIORITY = 1 << 11,
    CONTENT_HAS_CORRELATION_ID = 1 << 10,
    CONTENT_HAS_REPLY_TO = 1 << 9,
    CONTENT_HAS_EXPIRATION = 1 << 8,
    CONTENT_HAS_MESSAGE_ID = 1 << 7,
    CONTENT_HAS_TIMESTAMP = 1 << 6,
    CONTENT_HAS_TYPE = 1 << 5,
    CONTENT_HAS_USER_ID = 1 << 4,
    CONTENT_HAS_APP_ID = 1 << 3,
    CONTENT_HAS_CLUSTER_ID = 1 << 2,
};
#define CONTENT_HAS_ALL 0xFFFC

#define CONTENT_TRANSIENT 1
#define CONTENT_PERSISTENT 2

/* Owner: the caller, on its stack. The strs borrow from the parsed bytes.
 * A field whose CONTENT_HAS_* bit is not in `flags` is empty or 0. */
struct content_props {
    uint16_t flags;
    uint8_t delivery_mode;
    uint8_t priority;
    uint64_t timestamp; /* seconds since 1970 */
    struct str content_type;
    struct str content_encoding;
    struct str headers; /* table entries, without their u32 length */
    struct str correlation_id;
    struct str reply_to;
    struct str expiration; /* decimal milliseconds as text, not checked here */
    struct str message_id;
    struct str type;
    struct str user_id;
    struct str app_id;
    struct str cluster_id;
};

/* Read a content header's bytes from the property flags on: one pass, no allocation, headers checked
 * by table_validate(). Fills `*out`; on error its content means nothing.
 * ERR_CORRUPT: cut values, bytes behind the last value, a bad table. As in RabbitMQ the two unused
 * low flag bits are ignored (so no second flag word) and the short strings may hold any octets. */
MUST_CHECK int content_props_parse(struct str flags_and_values, struct content_props *out);

/* Write flags and the values whose bit is set. Latches w->failed when there is no room, when a short
 * string is above 255 bytes. */
void content_props_write(struct writer *w, const struct content_props *props);

static inline bool content_is_persistent(const struct content_props *props)
{
    return props->delivery_mode == CONTENT_PERSISTENT;
}

#endif
