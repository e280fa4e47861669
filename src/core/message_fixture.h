/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: messages with a small image whose body tells which one it is. */
#ifndef TOKKI_CORE_MESSAGE_FIXTURE_H
#define TOKKI_CORE_MESSAGE_FIXTURE_H

#include "core/message.h"
#include "io/shard_fixture.h"

#include <string.h>

/* exchange "x", key "key", flag octet, end; then a header frame without properties. */
#define FIXTURE_NAMES "\1x\3key"
#define FIXTURE_NAMES_LEN 6U
#define FIXTURE_HEADER_LEN 22U
#define FIXTURE_BODY_OFFSET (FIXTURE_NAMES_LEN + MESSAGE_NAMES_TAIL + FIXTURE_HEADER_LEN)

static inline uint8_t fixture_byte(uint32_t number, uint32_t i)
{
    return (uint8_t)((number * 131 + i * 7) >> (i % 3));
}

/* The image of message `number` at `at`; returns its length: header and one body frame. */
static inline uint32_t image_write(uint8_t *at, uint32_t number, uint32_t body)
{
    uint8_t *frame = at + FIXTURE_BODY_OFFSET;

    memcpy(at, FIXTURE_NAMES "\0\xCE", 8);
    memcpy(at + 8, "\2\0\1\0\0\0\016\0\74\0\0\0\0\0\0", 15);
    store_u32(at + 23, body);
    memcpy(at + 27, "\0\0\xCE", 3);
    memcpy(frame, "\3\0\1", 3);
    store_u32(frame + 3, body);
    for (uint32_t i = 0; i < body; i++)
        frame[7 + i] = fixture_byte(number, i);
    frame[7 + body] = 0xCE;
    return FIXTURE_BODY_OFFSET + MESSAGE_FRAME_OVERHEAD + body;
}

/* Put the image at the end of `block`; the message holds a reference of its own. */
static inline struct message message_into(struct block *block, uint32_t number, uint32_t body)
{
    struct message message = {.block = block, .offset = block->used, .body_bytes = body};

    message.names_len = FIXTURE_NAMES_LEN;
    message.length = image_write(block->data + block->used, number, body);
    message.flags = MESSAGE_ONE_FRAME;
    if (block->is_receive)
        message.flags |= MESSAGE_IN_RECEIVE;
    block->used += message.length;
    block_ref(block, 1);
    return message;
}

/* Message `number` with a block to itself. Its body size depends on the number. */
static inline struct message message_make(struct shard *shard, uint32_t number)
{
    struct block *block = block_new(shard, 200);
    struct message message = message_into(block, number, number % 100);
    block_unref(shard, block, 1);
    return message;
}

static inline void assert_image(const struct message *message, uint32_t number)
{
    const uint8_t *frame = message_image(message) + FIXTURE_BODY_OFFSET;
    assert_true(str_equals(message_exchange(message), STR("x")));
    assert_true(str_equals(message_routing_key(message), STR("key")));
    assert_int_equal(message_header_payload(message).len, 14);
    assert_int_equal(message_properties(message).len, 2);
    assert_int_equal(load_u32(frame + 3), message->body_bytes);
    for (uint32_t i = 0; i < message->body_bytes; i++)
        assert_int_equal(frame[7 + i], fixture_byte(number, i));
    assert_int_equal(frame[7 + message->body_bytes], 0xCE);
}

#endif
