/* SPDX-License-Identifier: Apache-2.0 */
/* Contents that arrive frame by frame: gathered in chunks, as large as has really arrived. */
#include "base/bug.h"
#include "base/mem.h"
#include "io/shard.h"
#include "proto/amqp091/publish.h"

/* A chunk is as large as what has arrived before it, within these: announcing a large body costs
 * nothing, sending it costs at most twice its size. */
#define CHUNK_MIN (16U * 1024U)
#define CHUNK_MAX (1024U * 1024U)

/* Owner: the channel. Thread: its shard's. Freed by: publish_assembly_free, or handed over complete. */
struct assembly {
    bool mandatory;
    bool has_header;
    uint16_t names_len;
    uint64_t body_size;
    uint64_t received;
    uint32_t header_len; /* header frame in `image` */
    struct block *image; /* names, and the header frame once it is here */
    struct message_chunk *chunks;
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    uint8_t names[2 * 256 + MESSAGE_NAMES_TAIL];
};

void publish_assembly_free(struct amqp_channel *channel)
{
    struct assembly *assembly = channel->assembly;
    struct shard *shard = channel->conn->stream.shard;

    if (!assembly)
        return;
    if (assembly->image)
        block_unref(shard, assembly->image, 1);
    for (uint32_t i = 0; i < assembly->chunk_count; i++)
        block_unref(shard, assembly->chunks[i].block, 1);
    mem_free(assembly->chunks);
    mem_free(assembly);
    channel->assembly = NULL;
}

void publish_begin(struct amqp_channel *channel, const struct amqp_basic_publish *args)
{
    struct assembly *assembly = mem_alloc_zero(sizeof *assembly);
    struct writer w = writer_of(assembly->names, sizeof assembly->names);

    writer_shortstr(&w, args->exchange);
    writer_shortstr(&w, args->routing_key);
    assembly->names_len = (uint16_t)writer_len(&w);
    writer_u8(&w, args->mandatory);
    writer_u8(&w, AMQP_FRAME_END);
    assembly->mandatory = args->mandatory;
    channel->assembly = assembly;
}

static void complete(struct amqp_channel *channel)
{
    struct assembly *assembly = channel->assembly;
    struct broker_shard *broker = channel->session.broker;
    struct message message = {
        .length = (uint32_t)assembly->names_len + MESSAGE_NAMES_TAIL + assembly->header_len,
        .names_len = assembly->names_len,
        .body_bytes = (uint32_t)assembly->body_size,
    };
    bool mandatory = assembly->mandatory;

    message.block = assembly->image;
    assembly->image = NULL;
    if (assembly->chunk_count > 0) {
        message_share(&message, &broker->queues.descriptors);
        message.shared->chunks = assembly->chunks;
        message.shared->chunk_count = assembly->chunk_count;
        message.flags |= MESSAGE_CHAINED;
        assembly->chunks = NULL;
        assembly->chunk_count = 0;
    } else {
        message.flags |= MESSAGE_ONE_FRAME;
    }
    publish_assembly_free(channel);
    publish_message(channel, &message, mandatory, false);
}

static bool check_header(struct amqp_channel *channel, const struct amqp_content_header *header)
{
    if (header->class_id != AMQP_CLASS_BASIC) {
        conn_fail(channel->conn, REFUSAL_UNEXPECTED_FRAME, AMQP_BASIC_PUBLISH,
                  "expected content header for class 60, got one for class %u instead",
                  header->class_id);
        return false;
    }
    if (header->body_size > AMQP_CONTENT_MAX) {
        conn_fail(channel->conn, REFUSAL_FRAME_ERROR, AMQP_BASIC_PUBLISH,
                  "content body size %llu exceeds maximum allowed size %llu",
                  (unsigned long long)header->body_size, (unsigned long long)AMQP_CONTENT_MAX);
        return false;
    }
    if (header->body_size > AMQP_MESSAGE_MAX) {
        channel_fail(channel, REFUSAL_PRECONDITION_FAILED, AMQP_BASIC_PUBLISH,
                     "message size %llu is larger than configured max size %llu",
                     (unsigned long long)header->body_size, (unsigned long long)AMQP_MESSAGE_MAX);
        return false;
    }
    return true;
}

void publish_header(struct amqp_channel *channel, struct str payload)
{
    struct assembly *assembly = channel->assembly;
    struct amqp_content_header header;
    struct writer w;
    uint32_t names = assembly->names_len + MESSAGE_NAMES_TAIL;

    if (amqp_content_header_decode(payload, &header) != 0) {
        conn_fail(channel->conn, REFUSAL_SYNTAX_ERROR, AMQP_BASIC_PUBLISH,
                  "malformed content header");
        return;
    }
    if (!check_header(channel, &header))
        return;
    channel->conn->has_published = true;
    assembly->has_header = true;
    assembly->body_size = header.body_size;
    assembly->header_len = (uint32_t)payload.len + AMQP_FRAME_OVERHEAD;
    assembly->image = block_new(channel->conn->stream.shard, names + assembly->header_len);
    w = writer_of(assembly->image->data, assembly->image->capacity);
    writer_bytes(&w, assembly->names, names);
    amqp_frame_start(&w, AMQP_FRAME_HEADER, channel->number, (uint32_t)payload.len);
    writer_str(&w, payload);
    writer_u8(&w, AMQP_FRAME_END);
    BUG_ON(w.failed, "content header of %zu bytes", payload.len);
    if (assembly->body_size == 0)
        complete(channel);
}

static struct message_chunk *last_chunk(struct amqp_channel *channel, size_t wanted)
{
    struct assembly *assembly = channel->assembly;
    struct message_chunk *chunk;
    uint64_t size;

    if (assembly->chunk_count > 0) {
        chunk = &assembly->chunks[assembly->chunk_count - 1];
        if (chunk->length < chunk->block->capacity)
            return chunk;
    }
    if (assembly->chunk_count == assembly->chunk_capacity) {
        assembly->chunk_capacity = MAX(assembly->chunk_capacity * 2, 4U);
        assembly->chunks =
            mem_resize(assembly->chunks, assembly->chunk_capacity * sizeof *assembly->chunks);
    }
    size = MAX(MAX((uint64_t)wanted, assembly->received), (uint64_t)CHUNK_MIN);
    size = MIN(MIN(size, (uint64_t)CHUNK_MAX), assembly->body_size - assembly->received);
    chunk = &assembly->chunks[assembly->chunk_count++];
    chunk->block = block_new(channel->conn->stream.shard, (uint32_t)size);
    chunk->length = 0;
    return chunk;
}

void publish_body(struct amqp_channel *channel, struct str payload)
{
    struct assembly *assembly = channel->assembly;

    channel->conn->has_published = true;
    if (payload.len > assembly->body_size - assembly->received) {
        conn_fail(channel->conn, REFUSAL_UNEXPECTED_FRAME, AMQP_BASIC_PUBLISH,
                  "content body larger than announced: %llu of %llu octets",
                  (unsigned long long)(assembly->received + payload.len),
                  (unsigned long long)assembly->body_size);
        return;
    }
    while (payload.len > 0) {
        struct message_chunk *chunk = last_chunk(channel, payload.len);
        size_t part = MIN(payload.len, (size_t)(chunk->block->capacity - chunk->length));
        memcpy(chunk->block->data + chunk->length, payload.data, part);
        chunk->length += (uint32_t)part;
        assembly->received += part;
        payload = str_of(payload.data + part, payload.len - part);
    }
    if (assembly->received == assembly->body_size)
        complete(channel);
}

bool publish_wants_header(const struct amqp_channel *channel)
{
    return !channel->assembly->has_header;
}
