/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers. Per message: three frame headers, one tag, one stamp; the body is not touched. */
#include "main/perf/consumer.h"

#include "main/perf/batch.h"
#include "main/perf/worker.h"

#include "base/mem.h"
#include "proto/amqp091/codec.h"

#define ACK_FRAME_BYTES 21
#define CONSUME_BYTES_MAX 600

enum consumer_expects { EXPECTS_METHOD, EXPECTS_HEADER, EXPECTS_BODY };

/* Owner: its consumer_conn. The message being received, and what is not acknowledged yet. */
struct consumer {
    enum consumer_expects expects;
    bool is_at_start; /* of the body */
    bool is_finished;
    uint16_t channel;
    uint64_t tag;
    uint64_t body_left;
    uint64_t body_size;
    uint64_t delivered;
    uint64_t unacked;
    uint64_t number; /* in the run: the consumer tag */
    char queue[256];
    size_t queue_len;
};

/* Frames to send: [0, out_end) of `outbox` minus what conn.out says has left. */
struct consumer_conn {
    struct conn conn;
    uint8_t *outbox;
    size_t outbox_len, outbox_cap;
    struct consumer consumers[];
};

static struct consumer_conn *consumer_conn_of(struct conn *conn)
{
    return CONTAINER_OF(conn, struct consumer_conn, conn);
}

/* --- Sending: appended during a read, one send() at its end --- */

static struct writer outbox_room(struct consumer_conn *cc, size_t bytes)
{
    if (cc->outbox_len + bytes > cc->outbox_cap) {
        const size_t sent = cc->conn.out_len ? (size_t)(cc->conn.out - cc->outbox) : 0;
        cc->outbox_cap = MAX(2 * cc->outbox_cap, cc->outbox_len + bytes + 4096);
        cc->outbox = mem_resize(cc->outbox, cc->outbox_cap);
        if (cc->conn.out_len)
            cc->conn.out = cc->outbox + sent;
    }
    return writer_of(cc->outbox + cc->outbox_len, bytes);
}

static int outbox_send(struct consumer_conn *cc)
{
    struct conn *conn = &cc->conn;
    if (cc->outbox_len == 0)
        return 0;
    if (conn->out_len == 0)
        conn->out = cc->outbox;
    conn->out_len = (size_t)(cc->outbox + cc->outbox_len - conn->out);
    return conn_flush(conn);
}

static void consumer_conn_sent(struct conn *conn)
{
    consumer_conn_of(conn)->outbox_len = 0;
}

static void ack_append(struct consumer_conn *cc, struct consumer *c, bool multiple)
{
    struct writer w = outbox_room(cc, ACK_FRAME_BYTES);
    const struct amqp_basic_ack ack = {c->tag, multiple};
    amqp_frame_method(&w, c->channel, AMQP_BASIC_ACK, &ack);
    cc->outbox_len += writer_len(&w);
    c->unacked = 0;
}

static struct str tag_text(const struct consumer *c, char *buf, size_t cap)
{
    const int len = snprintf(buf, cap, "c%llu", (unsigned long long)c->number);
    return str_of(buf, (size_t)len);
}

/* --- Receiving --- */

/* The consumer has its messages: settle them, and close the channel, which gives what it was sent
 * beyond them to the other consumers (a mere basic.cancel would keep it unacknowledged). */
static void consumer_finish(struct consumer_conn *cc, struct consumer *c)
{
    const struct amqp_channel_close done = {AMQP_REPLY_SUCCESS, STR("done"), 0, 0};
    if (c->unacked)
        ack_append(cc, c, true);
    struct writer w = outbox_room(cc, CONSUME_BYTES_MAX);
    amqp_frame_method(&w, c->channel, AMQP_CHANNEL_CLOSE, &done);
    cc->outbox_len += writer_len(&w);
    c->is_finished = true;
    worker_agent_finished(cc->conn.worker);
}

static inline void message_done(struct consumer_conn *cc, struct consumer *c)
{
    struct worker *w = cc->conn.worker;
    const struct options *o = w->options;
    c->expects = EXPECTS_METHOD;
    if (UNLIKELY(c->is_finished))
        return;
    c->delivered++;
    w->counters[COUNTER_CONSUMED]++;
    w->counters[COUNTER_BODY_BYTES] += c->body_size;
    if (!o->is_autoack && ++c->unacked >= o->ack_every)
        ack_append(cc, c, c->unacked > 1);
    if (o->consumer_messages && c->delivered == o->consumer_messages)
        consumer_finish(cc, c);
}

static COLD int order_broken(struct consumer_conn *cc, const struct consumer *c,
                             const uint8_t *frame)
{
    return failure_set(&cc->conn.worker->failure, ERR_CORRUPT,
                       "the broker sent a frame of type %u on channel %u, where another was due",
                       frame[0], c->channel);
}

/* basic.deliver: class, method, consumer tag, delivery tag... */
static inline int deliver_handle(struct consumer_conn *cc, struct consumer *c, const uint8_t *frame,
                                 size_t len)
{
    const size_t at = 12U + frame[11];
    if (UNLIKELY(c->expects != EXPECTS_METHOD || at + 9 > len - 1))
        return order_broken(cc, c, frame);
    c->tag = load_u64(frame + at);
    c->expects = EXPECTS_HEADER;
    return 0;
}

static inline int header_handle(struct consumer_conn *cc, struct consumer *c, const uint8_t *frame,
                                size_t len)
{
    if (UNLIKELY(c->expects != EXPECTS_HEADER || len < AMQP_FRAME_OVERHEAD + 14))
        return order_broken(cc, c, frame);
    c->body_size = c->body_left = load_u64(frame + 11);
    c->is_at_start = true;
    c->expects = EXPECTS_BODY;
    if (c->body_size == 0)
        message_done(cc, c);
    return 0;
}

static inline int body_handle(struct consumer_conn *cc, struct consumer *c, const uint8_t *frame,
                              size_t len)
{
    const uint64_t part = len - AMQP_FRAME_OVERHEAD;
    if (UNLIKELY(c->expects != EXPECTS_BODY || part > c->body_left))
        return order_broken(cc, c, frame);
    if (c->is_at_start && part >= STAMP_BYTES)
        worker_latency(cc->conn.worker, load_u64(frame + AMQP_FRAME_HEADER_SIZE + 4));
    c->is_at_start = false;
    c->body_left -= part;
    if (c->body_left == 0)
        message_done(cc, c);
    return 0;
}

static inline int frame_handle(struct consumer_conn *cc, const uint8_t *frame, size_t len)
{
    const unsigned channel = load_u16(frame + 1);
    if (UNLIKELY(channel - 1U >= cc->conn.channel_count))
        return conn_control(&cc->conn, frame, len);
    struct consumer *c = &cc->consumers[channel - 1];
    switch (frame[0]) {
    case AMQP_FRAME_METHOD:
        if (LIKELY(len >= 24 && load_u32(frame + 7) == AMQP_BASIC_DELIVER))
            return deliver_handle(cc, c, frame, len);
        return conn_control(&cc->conn, frame, len);
    case AMQP_FRAME_HEADER:
        return header_handle(cc, c, frame, len);
    case AMQP_FRAME_BODY:
        return body_handle(cc, c, frame, len);
    default:
        return conn_control(&cc->conn, frame, len);
    }
}

static int64_t consumer_conn_input(struct conn *conn, const uint8_t *bytes, size_t len)
{
    struct consumer_conn *cc = consumer_conn_of(conn);
    size_t at = 0;
    int64_t frame;
    while ((frame = conn_frame_len(conn, bytes + at, len - at)) > 0) {
        const int rc = frame_handle(cc, bytes + at, (size_t)frame);
        if (UNLIKELY(rc != 0))
            return rc;
        at += (size_t)frame;
    }
    worker_flush_latency(conn->worker); /* the next read has another time */
    const int rc = outbox_send(cc);
    if (rc != 0)
        return rc;
    return frame < 0 ? frame : (int64_t)at;
}

/* --- Life --- */

static void consumer_conn_free(struct conn *conn)
{
    struct consumer_conn *cc = consumer_conn_of(conn);
    mem_free(cc->outbox);
    mem_free(cc);
}

static const struct conn_ops consumer_ops = {
    .input = consumer_conn_input,
    .sent = consumer_conn_sent,
    .free = consumer_conn_free,
};

struct conn *consumer_conn_new(struct worker *worker, int fd, uint32_t frame_max,
                               const struct str *queues, uint16_t channels, uint64_t first)
{
    struct consumer_conn *cc = mem_alloc_zero(sizeof *cc + channels * sizeof(struct consumer));
    conn_init(&cc->conn, &consumer_ops, worker, fd, frame_max, channels);
    for (uint16_t i = 0; i < channels; i++) {
        struct consumer *c = &cc->consumers[i];
        c->channel = (uint16_t)(i + 1);
        c->number = first + i;
        c->queue_len = (uint8_t)MIN(queues[i].len, (size_t)UINT8_MAX);
        memcpy(c->queue, queues[i].data, c->queue_len);
    }
    return &cc->conn;
}

int consumer_conn_begin(struct conn *conn)
{
    struct consumer_conn *cc = consumer_conn_of(conn);
    for (uint16_t i = 0; i < conn->channel_count; i++) {
        struct consumer *c = &cc->consumers[i];
        char text[32];
        /* nowait: the next thing on this channel may be a delivery, which only the worker reads. */
        const struct amqp_basic_consume consume = {
            .queue = str_of(c->queue, c->queue_len),
            .consumer_tag = tag_text(c, text, sizeof text),
            .no_ack = conn->worker->options->is_autoack,
            .nowait = true,
        };
        struct writer w = outbox_room(cc, CONSUME_BYTES_MAX);
        amqp_frame_method(&w, c->channel, AMQP_BASIC_CONSUME, &consume);
        cc->outbox_len += writer_len(&w);
    }
    return outbox_send(cc);
}
