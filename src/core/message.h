/* SPDX-License-Identifier: Apache-2.0 */
/* A message as queues hold it: a 32-byte entry that points at the publisher's own bytes. */
#ifndef TOKKI_CORE_MESSAGE_H
#define TOKKI_CORE_MESSAGE_H

#include "base/cursor.h"
#include "base/pool.h"
#include "io/block.h"

#include <stdbool.h>
#include <stdint.h>

/* The image: one contiguous run of bytes in the origin's encoding, which a delivery copies or
 * references verbatim. For AMQP 0-9-1 it is what the publisher sent, from the middle of its
 * basic.publish frame on:
 *
 *     exchange shortstr | routing key shortstr | flag octet | 0xCE      the names
 *     02 channel:16 size:32 | 60:16 0:16 body-size:64 flags properties | 0xCE   the header frame
 *     03 channel:16 size:32 | bytes | 0xCE                              body frames, 0 or more
 *
 * `names_len` spans the two short strings. A body too large for one image (MESSAGE_CHAINED) is a
 * chain of blocks beside it and the image ends with the header frame. */
#define MESSAGE_NAMES_TAIL 2     /* flag octet and frame end behind the names */
#define MESSAGE_FRAME_HEADER 7   /* type, channel, size */
#define MESSAGE_FRAME_OVERHEAD 8 /* ... and the end octet */
#define MESSAGE_HEADER_FIXED 12  /* class, weight, body size: what precedes flags and properties */

enum message_flag {
    MESSAGE_PERSISTENT = 1 << 0,  /* delivery-mode 2 */
    MESSAGE_REDELIVERED = 1 << 1, /* was delivered before */
    MESSAGE_SHARED = 1 << 2,      /* bytes are reached through a descriptor */
    MESSAGE_IN_RECEIVE = 1 << 3,  /* bytes lie in a receive block: moved when they wait */
    MESSAGE_ONE_FRAME = 1 << 4,   /* the image has at most one body frame */
    MESSAGE_CHAINED = 1 << 5,     /* the body is in the descriptor's chain */
    MESSAGE_OUT = 1 << 6,         /* holds no bytes: they are in the log only; block is NULL */
};

enum message_state { MESSAGE_READY, MESSAGE_UNACKED, MESSAGE_GONE };

/* Where an image lies. */
struct message_place {
    struct block *block; /* one reference per holder of the place */
    uint32_t offset;
    uint32_t length;
};

/* Part of a large body. */
struct message_chunk {
    struct block *block;
    uint32_t length; /* from the block's beginning */
};

/* One shared descriptor for a message in several queues of a shard, so that moving its bytes patches
 * one place. It never leaves its shard: others get references to the blocks and make their own.
 *
 * Owner: the entries that point to it. Thread: its shard. Freed by: the last message_unref. */
struct message_shared {
    struct message_place place;
    uint32_t refs;
    uint32_t chunk_count;
    struct message_chunk *chunks; /* heap, or NULL */
    uint64_t body_bytes;
    uint64_t body_id;        /* of its body in the log, when queues refer to it; else 0 */
    uint64_t *logged_chunks; /* heap, or NULL: identities of a chained body's parts in the log */
    uint32_t logged_chunk_count;
};

/* An entry. 32 bytes: two fit a cache line, and a queue's backlog is read in order. */
struct message {
    union {
        struct block *block;           /* one reference is held */
        struct message_shared *shared; /* MESSAGE_SHARED: one reference is held */
    };
    uint32_t offset; /* of the image in `block`; not used when shared. MESSAGE_OUT: the span of
                      * a chained body (record.h), else 0 */
    uint32_t length; /* of the image */
    uint16_t names_len;
    uint8_t flags;       /* enum message_flag */
    uint8_t state : 2;   /* enum message_state; the queue's */
    uint8_t spare : 6;   /* references to `block` held beyond the first, when not shared */
    uint32_t body_bytes; /* of the body; saturated at UINT32_MAX (limit is 512 MiB) */
    uint64_t expires_ms; /* shard clock (monotonic); 0 = never */
};
static_assert(sizeof(struct message) == 32, "two entries per cache line");

static inline const uint8_t *message_image(const struct message *message)
{
    if (message->flags & MESSAGE_SHARED)
        return message->shared->place.block->data + message->shared->place.offset;
    return message->block->data + message->offset;
}

/* The exchange's and the routing key's name, borrowed. */
static inline struct str message_exchange(const struct message *message)
{
    const uint8_t *image = message_image(message);
    return str_of(image + 1, image[0]);
}

static inline struct str message_routing_key(const struct message *message)
{
    const uint8_t *image = message_image(message);
    const uint8_t *key = image + 1 + image[0];
    return str_of(key + 1, key[0]);
}

/* The image from its header frame on, and that frame's payload. */
static inline const uint8_t *message_content(const struct message *message)
{
    return message_image(message) + message->names_len + MESSAGE_NAMES_TAIL;
}

static inline struct str message_header_payload(const struct message *message)
{
    const uint8_t *frame = message_content(message);
    return str_of(frame + MESSAGE_FRAME_HEADER, load_u32(frame + 3));
}

/* Content bytes in the image, frames included. */
static inline uint32_t message_content_len(const struct message *message)
{
    return message->length - message->names_len - MESSAGE_NAMES_TAIL;
}

/* Property flags and values of the header. */
static inline struct str message_properties(const struct message *message)
{
    struct str payload = message_header_payload(message);
    return str_of(payload.data + MESSAGE_HEADER_FIXED, payload.len - MESSAGE_HEADER_FIXED);
}

/* References that travel with a message to another shard in one mail, besides the first: one is used
 * up by each delivery that must keep the block. */
#define MESSAGE_SPARE_EXPORTED 3

/* A copy of the entry with one reference of its own. */
struct message message_reference(struct shard *shard, struct message *message);

/* Turn an entry that holds a block into one with a descriptor from `pool`, with one reference. */
void message_share(struct message *message, struct pool *pool);

/* Add `n` references to what `message` holds. Thread: the shard that owns the block or descriptor. */
void message_ref(const struct message *message, uint32_t n);

/* One more reference to the block of the image, for somebody who keeps it longer than `message`
 * (output, another shard). Blocks are counted by their owner only, so for a block of another shard
 * a spare reference is used up; without one the bytes move to a block of this shard. */
struct block *message_hold(struct shard *shard, struct message *message);
/* Make sure that the next `n` message_hold calls do not move the bytes: pointers into the image that are
 * taken after this stay good. */
void message_prepare_hold(struct shard *shard, struct message *message, uint32_t n);
/* The same for part `i` of a chained body. */
struct block *message_hold_chunk(struct shard *shard, struct message *message, uint32_t i);

/* Drop the reference that `message` holds. */
void message_unref(struct shard *shard, struct pool *pool, const struct message *message);

/* Prepare `message` to leave this shard: afterwards it holds blocks only, no descriptor. For a chained
 * one, and one whose body is in the log, a heap copy of the descriptor goes along. Takes the reference of `*message`. */
void message_export(struct shard *shard, struct pool *pool, struct message *message);
/* The receiving side of message_export. */
void message_import(struct pool *pool, struct message *message);

#endif
