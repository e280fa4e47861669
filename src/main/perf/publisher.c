/* SPDX-License-Identifier: Apache-2.0 */
/* Publishers. A message is rendered once (batch.c); per send only stamps and keys are written. */
#include "main/perf/publisher.h"

#include "main/perf/worker.h"

#include "base/clock.h"
#include "base/mem.h"
#include "proto/amqp091/codec.h"

#define ACK_FRAME_PAYLOAD 13 /* class, method, tag, bits */
#define NACK_MULTIPLE_BIT 1

struct publisher {
    struct batch batch;
    struct confirms confirms; /* window 0: off */
    uint32_t position;        /* next message of the batch */
    uint32_t sending;         /* messages in conn.out */
    uint64_t sent;
    uint64_t body_bytes; /* of the messages in conn.out */
    uint64_t phase_ns;   /* its share of a tick, so that many publishers do not fire at once */
    bool is_finished;
};

struct publisher_conn {
    struct conn conn;
    uint16_t turn;            /* the channel that comes next */
    struct publisher *active; /* whose batch is in conn.out */
    struct publisher publishers[];
};

static struct publisher_conn *publisher_conn_of(struct conn *conn)
{
    return CONTAINER_OF(conn, struct publisher_conn, conn);
}

/* --- What may be sent --- */

/* Messages that --rate allows to have been sent by now. */
static uint64_t rate_allows(const struct publisher *p, const struct worker *w)
{
    const uint64_t since = w->start_ns + p->phase_ns;
    if (w->now_ns < since)
        return 0;
    return (uint64_t)((double)(w->now_ns - since) * 1e-9 * (double)w->options->rate) + 1;
}

static uint64_t rate_due_ns(const struct publisher *p, const struct worker *w)
{
    const double tick_ns = 1e9 / (double)w->options->rate;
    return w->start_ns + p->phase_ns + (uint64_t)((double)p->sent * tick_ns) + 1;
}

/* How many messages may leave now; when 0, `*due_ns` lowers to when to look again. */
static uint64_t allowance(const struct publisher *p, const struct worker *w, uint64_t *due_ns)
{
    uint64_t n = p->batch.count - p->position;
    const uint64_t limit = w->options->producer_messages;
    if (limit)
        n = MIN(n, limit - p->sent);
    if (p->confirms.window)
        n = MIN(n, confirms_room(&p->confirms));
    if (n == 0 || w->options->rate == 0)
        return n;
    const uint64_t allowed = rate_allows(p, w);
    if (allowed <= p->sent) {
        *due_ns = MIN(*due_ns, rate_due_ns(p, w));
        return 0;
    }
    return MIN(n, allowed - p->sent);
}

static void finish_when_done(struct publisher *p, struct worker *w)
{
    if (p->is_finished || w->options->producer_messages == 0)
        return;
    if (p->sent < w->options->producer_messages || p->sending)
        return;
    if (p->confirms.window && p->confirms.open)
        return;
    p->is_finished = true;
    worker_agent_finished(w);
}

/* --- Sending --- */

static uint64_t body_bytes_of(const struct options *o, uint32_t first, uint64_t n)
{
    if (o->size_count == 1)
        return n * o->sizes[0];
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += o->sizes[(first + i) % o->size_count];
    return sum;
}

static int publisher_send(struct publisher_conn *pc, struct publisher *p, uint32_t n)
{
    struct worker *w = pc->conn.worker;
    const uint32_t first = p->position;
    batch_patch(&p->batch, first, n, w->now_ns, (uint32_t)p->sent);
    if (p->confirms.window)
        confirms_sent(&p->confirms, n, w->now_ns);
    p->sent += n;
    p->sending = n;
    p->body_bytes = body_bytes_of(w->options, first, n);
    p->position = first + n == p->batch.count ? 0 : first + n;
    pc->active = p;
    return conn_send(&pc->conn, batch_run(&p->batch, first, n));
}

static void publisher_conn_sent(struct conn *conn)
{
    struct publisher_conn *pc = publisher_conn_of(conn);
    struct publisher *p = pc->active;
    if (!p)
        return;
    conn->worker->counters[COUNTER_PUBLISHED] += p->sending;
    conn->worker->counters[COUNTER_BODY_BYTES] += p->body_bytes;
    p->sending = 0;
    pc->active = NULL;
    finish_when_done(p, conn->worker);
}

int publisher_turn(struct conn *conn, uint64_t *due_ns)
{
    struct publisher_conn *pc = publisher_conn_of(conn);
    *due_ns = UINT64_MAX;
    for (uint16_t i = 0; i < conn->channel_count && conn->out_len == 0; i++) {
        struct publisher *p = &pc->publishers[pc->turn];
        pc->turn = (uint16_t)((pc->turn + 1) % conn->channel_count);
        const uint64_t n = allowance(p, conn->worker, due_ns);
        if (n == 0)
            continue;
        const int rc = publisher_send(pc, p, (uint32_t)n);
        if (rc != 0)
            return rc;
        if (allowance(p, conn->worker, due_ns) > 0)
            *due_ns = 0;
    }
    if (conn->out_len)
        *due_ns = UINT64_MAX; /* EPOLLOUT will call */
    return 0;
}

/* --- What the broker sends --- */

static int settle(struct publisher_conn *pc, struct publisher *p, const uint8_t *frame, bool is_ack)
{
    struct worker *w = pc->conn.worker;
    const uint64_t tag = load_u64(frame + 11);
    const bool multiple = frame[19] & NACK_MULTIPLE_BIT;
    if (p->confirms.window == 0)
        return 0;
    const int64_t n = confirms_settle(&p->confirms, tag, multiple, w->now_ns, &w->latency);
    if (n < 0)
        return failure_set(&w->failure, ERR_CORRUPT,
                           "the broker confirmed message %llu, which was not open",
                           (unsigned long long)tag);
    w->counters[is_ack ? COUNTER_CONFIRMED : COUNTER_NACKED] += (uint64_t)n;
    finish_when_done(p, w);
    return 0;
}

static int frame_handle(struct publisher_conn *pc, const uint8_t *frame, size_t len)
{
    if (frame[0] != AMQP_FRAME_METHOD || len < AMQP_FRAME_OVERHEAD + 4)
        return 0;
    const uint16_t channel = load_u16(frame + 1);
    const uint32_t id = load_u32(frame + 7);
    if ((id == AMQP_BASIC_ACK || id == AMQP_BASIC_NACK) &&
        len == ACK_FRAME_PAYLOAD + AMQP_FRAME_OVERHEAD && channel - 1 < pc->conn.channel_count)
        return settle(pc, &pc->publishers[channel - 1], frame, id == AMQP_BASIC_ACK);
    if (id == AMQP_BASIC_RETURN)
        pc->conn.worker->counters[COUNTER_RETURNED]++;
    return conn_control(&pc->conn, frame, len);
}

static int64_t publisher_conn_input(struct conn *conn, const uint8_t *bytes, size_t len)
{
    struct publisher_conn *pc = publisher_conn_of(conn);
    size_t at = 0;
    int64_t frame;
    while ((frame = conn_frame_len(conn, bytes + at, len - at)) > 0) {
        const int rc = frame_handle(pc, bytes + at, (size_t)frame);
        if (rc != 0)
            return rc;
        at += (size_t)frame;
    }
    return frame < 0 ? frame : (int64_t)at;
}

/* --- Life --- */

static void publisher_conn_free(struct conn *conn)
{
    struct publisher_conn *pc = publisher_conn_of(conn);
    for (uint16_t i = 0; i < conn->channel_count; i++) {
        batch_fini(&pc->publishers[i].batch);
        confirms_fini(&pc->publishers[i].confirms);
    }
    mem_free(pc);
}

static const struct conn_ops publisher_ops = {
    .input = publisher_conn_input,
    .sent = publisher_conn_sent,
    .free = publisher_conn_free,
};

struct conn *publisher_conn_new(struct worker *worker, int fd, uint32_t frame_max,
                                const struct batch_template *templates, uint16_t channels,
                                uint64_t first)
{
    struct publisher_conn *pc = mem_alloc_zero(sizeof *pc + channels * sizeof(struct publisher));
    const struct options *o = worker->options;
    conn_init(&pc->conn, &publisher_ops, worker, fd, frame_max, channels);
    for (uint16_t i = 0; i < channels; i++) {
        struct publisher *p = &pc->publishers[i];
        const uint64_t number = first + i, all = o->producers * o->producer_channels;
        batch_render(&p->batch, &templates[i], (number + 1) * 0x9E3779B97F4A7C15ULL);
        if (o->confirm_window)
            confirms_init(&p->confirms, o->confirm_window);
        if (o->rate)
            p->phase_ns = (uint64_t)(1e9 / (double)o->rate * (double)number / (double)all);
    }
    return &pc->conn;
}
