/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries: a prebuilt prefix and the publisher's own frames, copied when small, referenced when
 * large, split anew when the consumer's frames are smaller. */
#include "proto/amqp091/deliver.h"

#include "base/mem.h"

/* Contents up to this are copied into the output in one run; larger ones are sent from where they
 * lie. At 1 KiB copying is cheaper, at 16 KiB referencing (physical-limits 2). */
#define COPY_MAX (8U * 1024U)

/* The most body frames that an image has (publish.c). */
#define BODY_FRAMES_IN_PLACE 64U

/* Frame header, class and method id, then the consumer tag as shortstr. */
struct deliver_prefix {
    uint32_t len;
    uint8_t bytes[AMQP_FRAME_HEADER_SIZE + 4 + 256];
};

void *deliver_prefix_new(uint16_t channel, struct str tag)
{
    struct deliver_prefix *prefix = mem_alloc(sizeof *prefix);
    struct writer w = writer_of(prefix->bytes, sizeof prefix->bytes);

    /* The size depends on the names and is patched per delivery. */
    amqp_frame_start(&w, AMQP_FRAME_METHOD, channel, 0);
    writer_u32(&w, AMQP_BASIC_DELIVER);
    writer_shortstr(&w, tag);
    prefix->len = (uint32_t)writer_len(&w);
    return prefix;
}

static bool fits_frames(const struct amqp_conn *conn, const struct message *message)
{
    return (message->flags & (MESSAGE_ONE_FRAME | MESSAGE_CHAINED)) == MESSAGE_ONE_FRAME &&
           message->body_bytes + AMQP_FRAME_OVERHEAD <= conn->frame_max;
}

/* Header frame and at most one body frame at `to`, with this channel's number. */
static inline void copy_content(uint8_t *to, const uint8_t *content, uint32_t len, uint16_t channel)
{
    uint32_t header_len = load_u32(content + 3) + AMQP_FRAME_OVERHEAD;

    memcpy(to, content, len);
    store_u16(to + 1, channel);
    if (header_len < len)
        store_u16(to + header_len + 1, channel);
}

/* ---- contents that do not go in one copy ---- */

static void write_frame_header(struct stream *stream, uint8_t type, uint16_t channel, uint32_t size)
{
    struct writer w =
        writer_of(stream_reserve(stream, AMQP_FRAME_HEADER_SIZE), AMQP_FRAME_HEADER_SIZE);
    amqp_frame_start(&w, type, channel, size);
    stream_commit(stream, AMQP_FRAME_HEADER_SIZE);
}

static void write_end(struct stream *stream)
{
    uint8_t end = AMQP_FRAME_END;
    stream_write(stream, &end, 1);
}

/* Body bytes that lie together in one block, as frames of the consumer's size. */
struct body_run {
    struct amqp_conn *conn;
    struct message *message;
    uint16_t channel;
    uint32_t frame_left; /* of the body frame that is open */
    uint64_t body_left;  /* not in an opened frame yet */
};

static void open_frame(struct body_run *run)
{
    uint32_t max = run->conn->frame_max - AMQP_FRAME_OVERHEAD;
    run->frame_left = (uint32_t)MIN(run->body_left, (uint64_t)max);
    run->body_left -= run->frame_left;
    write_frame_header(&run->conn->stream, AMQP_FRAME_BODY, run->channel, run->frame_left);
}

/* `chunk`: index in the chain, or -1 for the image. */
static void write_run(struct body_run *run, int chunk, const uint8_t *data, size_t len)
{
    struct stream *stream = &run->conn->stream;
    struct shard *shard = stream->shard;

    while (len > 0) {
        size_t part;
        if (run->frame_left == 0)
            open_frame(run);
        part = MIN(len, (size_t)run->frame_left);
        if (part <= COPY_MAX)
            stream_write(stream, data, part);
        else
            stream_write_block(stream,
                               chunk < 0 ? message_hold(shard, run->message)
                                         : message_hold_chunk(shard, run->message, (uint32_t)chunk),
                               data, part);
        run->frame_left -= (uint32_t)part;
        if (run->frame_left == 0)
            write_end(stream);
        data += part;
        len -= part;
    }
}

static uint64_t body_size_of(const struct message *message)
{
    return load_u64(message_header_payload(message).data + 4);
}

static void write_chain(struct body_run *run)
{
    struct shard *shard = run->conn->stream.shard;
    const struct message_shared *shared = run->message->shared;

    for (uint32_t i = 0; i < shared->chunk_count; i++) {
        /* Holding may move the bytes here: ask for them afterwards. */
        struct block *held = message_hold_chunk(shard, run->message, i);
        write_run(run, (int)i, held->data, shared->chunks[i].length);
        block_unref(shard, held, 1);
    }
}

static void write_image_body(struct body_run *run, uint32_t header_len)
{
    /* A part is cut by the publisher's frames and by the consumer's. */
    uint32_t parts = run->message->length / (run->conn->frame_max - AMQP_FRAME_OVERHEAD) +
                     BODY_FRAMES_IN_PLACE + 1;
    const uint8_t *content;
    uint32_t len = message_content_len(run->message);

    message_prepare_hold(run->conn->stream.shard, run->message,
                         fits_frames(run->conn, run->message) ? 1 : parts);
    content = message_content(run->message);

    for (uint32_t at = header_len; at < len;) {
        uint32_t size = load_u32(content + at + 3);
        write_run(run, -1, content + at + AMQP_FRAME_HEADER_SIZE, size);
        at += size + AMQP_FRAME_OVERHEAD;
    }
}

static COLD void write_pieces(struct amqp_conn *conn, uint16_t channel, struct message *message)
{
    struct str header = message_header_payload(message);
    struct body_run run = {.conn = conn, .message = message, .channel = channel};

    run.body_left = body_size_of(message);
    write_frame_header(&conn->stream, AMQP_FRAME_HEADER, channel, (uint32_t)header.len);
    stream_write(&conn->stream, header.data, header.len);
    write_end(&conn->stream);
    if (message->flags & MESSAGE_CHAINED)
        write_chain(&run);
    else
        write_image_body(&run, (uint32_t)header.len + AMQP_FRAME_OVERHEAD);
}

void content_write(struct amqp_conn *conn, uint16_t channel, struct message *message)
{
    uint32_t len = message_content_len(message);

    if (fits_frames(conn, message) && len <= COPY_MAX) {
        copy_content(stream_reserve(&conn->stream, len), message_content(message), len, channel);
        stream_commit(&conn->stream, len);
    } else {
        write_pieces(conn, channel, message);
    }
}

/* ---- basic.deliver ---- */

/* The method frame at `out`; returns its length. */
static inline size_t put_method(uint8_t *out, const struct deliver_prefix *prefix,
                                const struct message *message, uint64_t tag)
{
    uint8_t *at = out + prefix->len;

    memcpy(out, prefix->bytes, prefix->len);
    store_u32(out + 3, prefix->len - AMQP_FRAME_HEADER_SIZE + 9 + message->names_len);
    store_u64(at, tag);
    at[8] = (message->flags & MESSAGE_REDELIVERED) != 0;
    memcpy(at + 9, message_image(message), message->names_len);
    at[9 + message->names_len] = AMQP_FRAME_END;
    return prefix->len + 10U + message->names_len;
}

HOT void amqp_deliver(struct subscription *subscription, struct message *message, uint64_t tag)
{
    struct amqp_channel *channel = CHANNEL_OF(subscription->session);
    struct amqp_conn *conn = channel->conn;
    const struct deliver_prefix *prefix = subscription->context;
    struct stream *stream = &conn->stream;
    uint32_t content_len = message_content_len(message);
    size_t method_len = prefix->len + 10U + message->names_len;

    if (LIKELY(fits_frames(conn, message) && content_len <= COPY_MAX)) {
        uint8_t *out = stream_reserve(stream, method_len + content_len);
        put_method(out, prefix, message, tag);
        copy_content(out + method_len, message_content(message), content_len, channel->number);
        stream_commit(stream, method_len + content_len);
    } else {
        put_method(stream_reserve(stream, method_len), prefix, message, tag);
        stream_commit(stream, method_len);
        write_pieces(conn, channel->number, message);
    }
    if (UNLIKELY(stream->out_bytes > CONN_OUTPUT_HIGH))
        conn_note_output(conn);
}
