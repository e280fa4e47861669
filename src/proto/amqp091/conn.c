/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a connection: coming, sending, timers, and the orderly end. */
#include "proto/amqp091/conn.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/operation.h"
#include "proto/amqp091/channel.h"
#include "proto/amqp091/conn_internal.h"

#include <stdarg.h>
#include <stdio.h>

/* How long a client may take to answer connection.close. */
#define CLOSE_OK_MS 10000U
/* ... and to close the socket after close-ok, as RabbitMQ waits. */
#define CLIENT_CLOSE_MS 30000U
/* RabbitMQ waits about this before it drops a socket whose framing is broken. */
#define BROKEN_LINGER_MS 3000U
/* While the node stops, clients get this long to answer. */
#define STOP_MS 2000U

static void conn_maybe_free(struct amqp_conn *conn);

/* ---- sending ---- */

void conn_send(struct amqp_conn *conn, uint16_t channel, uint32_t method, const void *args)
{
    struct stream *stream = &conn->stream;
    struct writer w;

    if (stream->fd == -1)
        return;
    w = writer_of(stream_reserve(stream, STREAM_RESERVE_MAX), STREAM_RESERVE_MAX);
    amqp_frame_method(&w, channel, method, args);
    BUG_ON(w.failed, "method %08x does not fit", method);
    stream_commit(stream, writer_len(&w));
}

struct str refusal_format(const struct refusal *refusal, char *text, size_t cap)
{
    const char *name = amqp_reply_name(refusal->code);
    int n = snprintf(text, cap, "%s - %s", name ? name : "INTERNAL_ERROR", refusal->text);
    size_t len = n < 0 ? 0 : MIN((size_t)n, cap - 1);
    /* A shortstr; a longer one is cut with an ellipsis, as RabbitMQ does. */
    if (len > 255) {
        memcpy(text + 252, "...", 3);
        len = 255;
    }
    return str_of(text, len);
}

static void log_refusal(const struct amqp_conn *conn, const struct refusal *refusal)
{
    char peer[ADDRESS_TEXT_MAX];
    address_format(&conn->peer, peer);
    log_warn("closing AMQP connection", "peer=%s code=%d reason='%s'", peer, refusal->code,
             refusal->text);
}

void conn_set_state(struct amqp_conn *conn, enum conn_state state)
{
    BUG_ON(conn->state == CONN_DONE && state != CONN_DONE, "state %d after the end", state);
    conn->state = state;
}

static void start_close_timer(struct amqp_conn *conn, uint64_t ms)
{
    timer_start(&conn->stream.shard->timers, &conn->timer, conn->stream.shard->now_ms + ms);
}

void conn_refuse(struct amqp_conn *conn, const struct refusal *refusal, uint32_t method)
{
    char text[REFUSAL_TEXT_MAX + 64];
    struct amqp_connection_close args = {
        .reply_code = (uint16_t)refusal->code,
        .reply_text = refusal_format(refusal, text, sizeof text),
        .class_id = amqp_class_of(method),
        .method_id = amqp_method_of(method),
    };

    if (conn->state >= CONN_CLOSING)
        return;
    if (refusal->code != REFUSAL_CONNECTION_FORCED)
        log_refusal(conn, refusal);
    conn_send(conn, 0, AMQP_CONNECTION_CLOSE, &args);
    conn_set_state(conn, CONN_CLOSING);
    conn_flow_forget(conn);
    start_close_timer(conn, conn->discards_input ? BROKEN_LINGER_MS : CLOSE_OK_MS);
    conn_end_channels(conn);
}

void conn_fail(struct amqp_conn *conn, enum refusal_code code, uint32_t method, const char *fmt,
               ...)
{
    struct refusal refusal = {.code = (int)code};
    va_list args;

    va_start(args, fmt);
    vsnprintf(refusal.text, sizeof refusal.text, fmt, args);
    va_end(args);
    conn_refuse(conn, &refusal, method);
}

/* ---- the end ---- */

static void free_conn(struct deferred *work, struct shard *shard)
{
    struct amqp_conn *conn = CONTAINER_OF(work, struct amqp_conn, deferred);

    (void)shard;
    for (uint32_t i = 0; i < conn->page_count; i++)
        mem_free(conn->pages[i]);
    mem_free(conn->pages);
    mem_free((void *)(uintptr_t)conn->client_properties.data);
    mem_free(conn);
}

void conn_cut(struct amqp_conn *conn)
{
    conn->discards_input = true;
    conn_set_state(conn, CONN_CLOSING);
    conn_flow_forget(conn);
    start_close_timer(conn, BROKEN_LINGER_MS);
    conn_end_channels(conn);
}

static void conn_maybe_free(struct amqp_conn *conn)
{
    struct shard *shard = conn->stream.shard;

    if (conn->state != CONN_DONE || conn->channel_count > 0 || !conn->queues_are_gone ||
        conn->is_freeing)
        return;
    conn->is_freeing = true;
    timer_stop(&shard->timers, &conn->timer);
    broker_remove_connection(conn->broker, &conn->base);
    shard_defer(shard, &conn->deferred, free_conn);
}

void conn_drop(struct amqp_conn *conn)
{
    if (conn->stream.fd != -1) {
        stream_close(&conn->stream);
        /* What is being parsed right now stays valid until the parse returns. */
        if (!conn->is_parsing)
            input_fini(&conn->input, conn->stream.shard);
    }
    conn_set_state(conn, CONN_DONE);
    conn_end_channels(conn);
    conn_maybe_free(conn);
}

/* Channels and exclusive queues are gone: say so to a client that asked for the end. */
static void conn_ended(struct amqp_conn *conn)
{
    if (conn->state == CONN_ENDING) {
        conn_send(conn, 0, AMQP_CONNECTION_CLOSE_OK, NULL);
        /* The client closes the socket; a second later than never. */
        conn->discards_input = true;
        start_close_timer(conn, CLIENT_CLOSE_MS);
    }
    conn_maybe_free(conn);
}

static void on_queues_gone(struct operation *operation, struct session *session)
{
    struct amqp_conn *conn = operation->context;
    (void)session;
    conn->queues_are_gone = true;
    conn_ended(conn);
}

static void end_queues(struct amqp_conn *conn)
{
    if (conn->has_queue_end)
        return;
    conn->has_queue_end = true;
    if (conn->vhost) {
        operation_delete_exclusive(conn->broker, &conn->base, conn->vhost, on_queues_gone, conn);
        return;
    }
    conn->queues_are_gone = true;
    conn_ended(conn);
}

void conn_end_channels(struct amqp_conn *conn)
{
    conn->channel_count++; /* holds the end back until all have been asked */
    LIST_FOR_EACH_SAFE (link, &conn->channels)
        channel_end(conn_channel_at(link));
    conn_channel_gone(conn);
}

void conn_channel_gone(struct amqp_conn *conn)
{
    BUG_ON(conn->channel_count == 0, "more channels gone than came");
    conn->channel_count--;
    if (conn->channel_count == 0 && conn->state >= CONN_CLOSING)
        end_queues(conn);
}

struct amqp_channel **conn_channel_slot(struct amqp_conn *conn, uint16_t number)
{
    uint32_t page = number / CHANNELS_PER_PAGE;

    if (page >= conn->page_count) {
        conn->pages = mem_resize(conn->pages, (page + 1) * sizeof *conn->pages);
        memset(conn->pages + conn->page_count, 0,
               (page + 1 - conn->page_count) * sizeof *conn->pages);
        conn->page_count = page + 1;
    }
    if (!conn->pages[page])
        conn->pages[page] = mem_alloc_zero(sizeof *conn->pages[page]);
    return &conn->pages[page]->channels[number % CHANNELS_PER_PAGE];
}

/* ---- timers ---- */

static void send_heartbeat(struct amqp_conn *conn)
{
    struct writer w =
        writer_of(stream_reserve(&conn->stream, AMQP_FRAME_OVERHEAD), AMQP_FRAME_OVERHEAD);
    amqp_frame_heartbeat(&w);
    stream_commit(&conn->stream, writer_len(&w));
}

/* Every half heartbeat: send one when nothing went out; give the client up when nothing came in for
 * two whole ones. */
static void check_heartbeat(struct amqp_conn *conn)
{
    struct stream *stream = &conn->stream;
    uint64_t now = stream->shard->now_ms;
    uint64_t period = conn->heartbeat_s * 1000ULL;
    char peer[ADDRESS_TEXT_MAX];

    /* A blocked connection is not read, so its silence proves nothing. */
    if (conn->stops != 0 || stream->received_total != conn->received_seen) {
        conn->received_seen = stream->received_total;
        conn->quiet_since_ms = now;
    } else if (now - conn->quiet_since_ms >= 2 * period) {
        address_format(&conn->peer, peer);
        log_warn("closing AMQP connection: missed heartbeats from client", "peer=%s timeout_s=%u",
                 peer, conn->heartbeat_s);
        conn_drop(conn);
        return;
    }
    if (now - stream->last_sent_ms >= period / 2 && stream->out_bytes == 0)
        send_heartbeat(conn);
    timer_start(&stream->shard->timers, &conn->timer, now + period / 2);
}

static void on_timer(struct timer *timer)
{
    struct amqp_conn *conn = CONTAINER_OF(timer, struct amqp_conn, timer);
    char peer[ADDRESS_TEXT_MAX];

    if (conn->state == CONN_OPEN) {
        check_heartbeat(conn);
        return;
    }
    if (conn->state < CONN_OPEN) {
        address_format(&conn->peer, peer);
        log_warn("closing AMQP connection: handshake timeout", "peer=%s", peer);
    }
    conn_drop(conn);
}

/* ---- coming, stopping ---- */

static void on_stop(struct connection *base)
{
    struct amqp_conn *conn = CONTAINER_OF(base, struct amqp_conn, base);

    if (conn->state == CONN_OPEN) {
        conn_fail(conn, REFUSAL_CONNECTION_FORCED, 0,
                  "broker forced connection closure with reason 'shutdown'");
        start_close_timer(conn, STOP_MS);
    } else if (conn->state < CONN_OPEN) {
        conn_drop(conn);
    } else if (conn->state != CONN_DONE) {
        start_close_timer(conn, STOP_MS);
    }
}

void amqp_accept(struct shard *shard, int fd, const struct sockaddr_storage *peer, void *context)
{
    struct amqp_conn *conn = mem_alloc_zero(sizeof *conn);
    int rc;

    (void)context;
    conn->broker = broker_of(shard);
    conn->peer = *peer;
    conn->frame_max = AMQP_FRAME_MIN;
    conn->base.stop = on_stop;
    conn->base.unblock = conn_flow_unblock;
    list_init(&conn->channels);
    list_init(&conn->base.link);
    list_init(&conn->base.blocked);
    list_init(&conn->base.exclusive_queues);
    timer_init(&conn->timer, on_timer);
    rc = stream_open(&conn->stream, shard, fd, &amqp_stream_events);
    if (rc != 0) {
        log_warn("cannot watch a new connection", "error='%s'", err_text(rc));
        mem_free(conn);
        return;
    }
    timer_start(&shard->timers, &conn->timer, shard->now_ms + AMQP_HANDSHAKE_MS);
    broker_add_connection(conn->broker, &conn->base);
}
