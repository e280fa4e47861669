/* SPDX-License-Identifier: Apache-2.0 */
/* Messages whose bytes follow from their number: small, larger than a record, and in many blocks. */
#include "torture.h"

#include "base/cursor.h"
#include "base/mem.h"
#include "core/record.h"

#include <string.h>

#define NAMES "\1x\3key"
#define NAMES_LEN 6U
#define HEADER_LEN 26U
#define FRAME_AT (NAMES_LEN + MESSAGE_NAMES_TAIL + HEADER_LEN)
#define CHUNKS_MAX 4U
#define CHUNK_MAX 30000U
#define MIDDLE_MAX 2000U

static uint32_t mix(uint32_t number, uint32_t i)
{
    struct chance chance = {((uint64_t)number << 32) + i};
    return (uint32_t)chance_next(&chance);
}

/* Octets of body in the image, and of each block of the chain. */
static uint32_t inline_bytes(uint32_t number)
{
    if (number & NUMBER_SMALL)
        return mix(number, 2) % 40;
    if (number & NUMBER_MIDDLE)
        return mix(number, 2) % MIDDLE_MAX;
    switch (mix(number, 1) % 8) {
    case 0:
        return mix(number, 2) % 12000;
    case 1:
        return mix(number, 2) % 2000;
    default:
        return mix(number, 2) % 120;
    }
}

static uint32_t chunk_count(uint32_t number)
{
    return !(number & NUMBER_BITS) && mix(number, 3) % 24 == 0 ? 1 + mix(number, 4) % CHUNKS_MAX
                                                               : 0;
}

static uint32_t chunk_bytes(uint32_t number, uint32_t i)
{
    return 1 + mix(number, 10 + i) % CHUNK_MAX;
}

static uint64_t chain_bytes(uint32_t number)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < chunk_count(number); i++)
        sum += chunk_bytes(number, i);
    return sum;
}

uint32_t body_bytes(uint32_t number)
{
    return chunk_count(number) > 0 ? (uint32_t)chain_bytes(number) : inline_bytes(number);
}

uint64_t body_log_bytes(uint32_t number)
{
    uint32_t chunks = chunk_count(number);
    uint32_t image = FRAME_AT + (chunks > 0 ? 0 : MESSAGE_FRAME_OVERHEAD + inline_bytes(number));
    uint32_t record = RECORD_HEADER_BYTES + RECORD_COMMAND_BYTES + 16 + RECORD_BODY_FIXED + image;

    return format_round_up(record, RECORD_ALIGN) + chain_bytes(number) +
           (uint64_t)chunks * (8 + RECORD_HEADER_BYTES + RECORD_CHUNK_FIXED);
}

uint64_t body_large_bytes(uint32_t number, uint64_t record)
{
    uint64_t sum =
        chunk_count(number) == 0 && inline_bytes(number) >= record ? inline_bytes(number) : 0;

    for (uint32_t i = 0; i < chunk_count(number); i++)
        sum += chunk_bytes(number, i) >= record ? chunk_bytes(number, i) : 0;
    return sum;
}

static uint8_t octet(uint32_t number, uint64_t i)
{
    return (uint8_t)((number * 2654435761U + (uint32_t)i * 40503U) >> 11);
}

/* The number stands in the message id's place: the type of the names' flag octets is of no matter here. */
static uint32_t write_image(uint8_t *at, uint32_t number)
{
    bool is_chain = chunk_count(number) > 0;
    uint32_t body = is_chain ? 0 : inline_bytes(number);
    uint64_t whole = is_chain ? chain_bytes(number) : body;
    struct writer w = writer_of(at, FRAME_AT + MESSAGE_FRAME_OVERHEAD + body + 4);

    writer_bytes(&w, NAMES "\0\xCE", NAMES_LEN + MESSAGE_NAMES_TAIL);
    writer_bytes(&w, "\2\0\1", 3);
    writer_u32(&w, 18);
    writer_bytes(&w, "\0\74\0\0", 4);
    writer_u64(&w, whole);
    writer_bytes(&w, "\0\0", 2);
    writer_u32(&w, number);
    writer_u8(&w, 0xCE);
    if (is_chain)
        return (uint32_t)writer_len(&w);
    writer_bytes(&w, "\3\0\1", 3);
    writer_u32(&w, body);
    for (uint32_t i = 0; i < body; i++)
        writer_u8(&w, octet(number, i));
    writer_u8(&w, 0xCE);
    return (uint32_t)writer_len(&w);
}

static void make_chain(struct sim_shard *at, struct message *message, uint32_t number)
{
    struct message_shared *shared;
    uint64_t done = 0;

    message_share(message, &at->host.descriptors);
    shared = message->shared;
    shared->body_bytes = chain_bytes(number);
    shared->chunk_count = chunk_count(number);
    shared->chunks = mem_alloc(shared->chunk_count * sizeof *shared->chunks);
    for (uint32_t i = 0; i < shared->chunk_count; i++) {
        struct message_chunk *chunk = &shared->chunks[i];
        chunk->length = chunk_bytes(number, i);
        chunk->block = block_new(at->shard, chunk->length);
        for (uint32_t j = 0; j < chunk->length; j++)
            chunk->block->data[j] = octet(number, done + j);
        done += chunk->length;
    }
}

struct message body_make(struct sim *sim, struct sim_shard *at, uint32_t number, bool is_persistent)
{
    struct message message = {.names_len = NAMES_LEN};
    uint32_t body = chunk_count(number) > 0 ? 0 : inline_bytes(number);

    (void)sim;
    message.block = block_new(at->shard, FRAME_AT + MESSAGE_FRAME_OVERHEAD + body + 4);
    message.length = write_image(message.block->data, number);
    message.body_bytes = body_bytes(number);
    message.flags = is_persistent ? MESSAGE_PERSISTENT : 0;
    if (chunk_count(number) > 0) {
        message.flags |= MESSAGE_CHAINED;
        make_chain(at, &message, number);
    } else {
        message.flags |= MESSAGE_ONE_FRAME;
    }
    return message;
}

uint32_t body_number(const struct sim *sim, const struct message *message)
{
    struct str properties = message_properties(message);

    CHECK(sim, properties.len == 6, "a message with %zu octets of properties", properties.len);
    return load_u32(properties.data + 2);
}

static void check_chain(const struct sim *sim, const struct message_shared *shared, uint32_t number)
{
    uint64_t done = 0;

    CHECK(sim, shared->body_bytes == chain_bytes(number), "message %u: body of %llu octets", number,
          (unsigned long long)shared->body_bytes);
    for (uint32_t i = 0; i < shared->chunk_count; i++)
        for (uint32_t j = 0; j < shared->chunks[i].length; j++, done++)
            CHECK(sim, shared->chunks[i].block->data[j] == octet(number, done),
                  "message %u: octet %llu of its chain differs", number, (unsigned long long)done);
    CHECK(sim, done == chain_bytes(number), "message %u: a chain of %llu octets", number,
          (unsigned long long)done);
}

void body_check(const struct sim *sim, const struct message *message, uint32_t number)
{
    static uint8_t image[FRAME_AT + 16 + 12000];
    uint32_t length = write_image(image, number);
    uint8_t flags = chunk_count(number) > 0 ? MESSAGE_CHAINED : MESSAGE_ONE_FRAME;

    CHECK(sim, message->length == length, "message %u: %u octets instead of %u", number,
          message->length, length);
    CHECK(sim, memcmp(message_image(message), image, length) == 0, "message %u: its octets differ",
          number);
    CHECK(sim, (message->flags & (MESSAGE_CHAINED | MESSAGE_ONE_FRAME)) == flags,
          "message %u: flags %x", number, message->flags);
    CHECK(sim, message->names_len == NAMES_LEN, "message %u: names of %u", number,
          message->names_len);
    if (flags == MESSAGE_CHAINED)
        check_chain(sim, message->shared, number);
}
