/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a connection: reading, parsing into frames, flow control, and the orderly end. */
#include "proto/amqp091/conn.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/alarm.h"
#include "broker/operation.h"
#include "proto/amqp091/channel.h"
#include "proto/amqp091/publish.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* How long a client may take to answer connection.close. */
#define CLOSE_OK_MS 10000U
/* ... and to close the socket after close-ok, as RabbitMQ waits. */
#define CLIENT_CLOSE_MS 30000U
/* RabbitMQ waits about this before it drops a socket whose framing is broken. */
#define BROKEN_LINGER_MS 3000U
/* RabbitMQ tolerates this much above frame_max. */
#define FRAME_TOLERANCE 8U
/* Messages to read at a time while consumers are behind, and the least bytes of such a read. */
#define READ_WHEN_BEHIND 256U
#define READ_MIN (16U * 1024U)
/* While the node stops, clients get this long to answer. */
#define STOP_MS 2000U

static void conn_maybe_free(struct amqp_conn *conn);

static struct amqp_channel *channel_at(struct list *link)
{
    return CONTAINER_OF(link, struct amqp_channel, link);
}

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

static void set_state(struct amqp_conn *conn, enum conn_state state)
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
    set_state(conn, CONN_CLOSING);
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
    set_state(conn, CONN_CLOSING);
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
    set_state(conn, CONN_DONE);
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
        channel_end(channel_at(link));
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
    if (conn->is_blocked || stream->received_total != conn->received_seen) {
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

/* ---- flow control ---- */

void conn_note_output(struct amqp_conn *conn)
{
    if (conn->is_output_full)
        return;
    conn->is_output_full = true;
    LIST_FOR_EACH (link, &conn->channels)
        session_set_gate(&channel_at(link)->session, GATE_OUTPUT_FULL, true);
}

static void output_drained(struct amqp_conn *conn)
{
    conn->is_output_full = false;
    LIST_FOR_EACH (link, &conn->channels)
        session_set_gate(&channel_at(link)->session, GATE_OUTPUT_FULL, false);
}

/* Read, unless something holds the connection back. */
static void update_reading(struct amqp_conn *conn)
{
    if (conn->stream.fd == -1)
        return;
    if (conn->is_blocked || conn->is_held)
        stream_pause(&conn->stream);
    else
        stream_resume(&conn->stream);
}

static bool is_congested(const struct amqp_conn *conn)
{
    LIST_FOR_EACH (link, &conn->channels) {
        const struct amqp_channel *channel = channel_at(link);
        if (channel->parked_len - channel->parked_start > CHANNEL_PARKED_HIGH ||
            session_is_congested(&channel->session))
            return true;
    }
    return false;
}

static void tell_blocked(struct amqp_conn *conn, uint32_t alarms)
{
    struct amqp_connection_blocked args = {.reason = str_from_c(alarm_reason(alarms))};
    if (!conn->wants_blocked || conn->told_blocked)
        return;
    conn->told_blocked = true;
    conn_send(conn, 0, AMQP_CONNECTION_BLOCKED, &args);
}

/* It published: an alarm, or a full way to another shard, stops it. */
static void check_blocked(struct amqp_conn *conn)
{
    uint32_t alarms = node_alarms(conn->broker->node);

    conn->has_published = false;
    if (conn->state != CONN_OPEN || (alarms == 0 && LIKELY(!is_congested(conn))))
        return;
    conn->is_blocked = true;
    update_reading(conn);
    if (alarms != 0)
        tell_blocked(conn, alarms);
    broker_block(conn->broker, &conn->base);
}

static void on_unblock(struct connection *base)
{
    struct amqp_conn *conn = CONTAINER_OF(base, struct amqp_conn, base);

    if (node_alarms(conn->broker->node) != 0 || is_congested(conn)) {
        broker_block(conn->broker, base);
        return;
    }
    if (conn->told_blocked)
        conn_send(conn, 0, AMQP_CONNECTION_UNBLOCKED, NULL);
    conn->told_blocked = false;
    conn->is_blocked = false;
    update_reading(conn);
}

/* ---- reading ---- */

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7E)
            return false;
    return s.len > 0;
}

/* <<1,2,3>> of the first `max` octets. */
static void octets_format_numbers(struct str payload, size_t max, char *out, size_t cap)
{
    size_t n = MIN(payload.len, max);
    size_t at = (size_t)snprintf(out, cap, "<<");

    for (size_t i = 0; i < n && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%u", i ? "," : "", (uint8_t)payload.data[i]);
    if (at < cap)
        snprintf(out + at, cap - at, ">>");
}

void octets_format(struct str payload, size_t max, char *out, size_t cap)
{
    struct str shown = str_of(payload.data, MIN(payload.len, max));

    if (is_printable(shown))
        snprintf(out, cap, "<<\"%.*s\">>", STR_ARG(shown));
    else
        octets_format_numbers(payload, max, out, cap);
}

void conn_fail_frame(struct amqp_conn *conn, enum refusal_code code, const struct amqp_frame *frame,
                     const char *what)
{
    char octets[128];

    octets_format(frame->payload, 16, octets, sizeof octets);
    conn_fail(conn, code, 0, "type %u, %s octets = %s%s%s", frame->type,
              frame->payload.len > 16 ? "first 16" : "all", octets, what[0] ? ": " : "", what);
}

static void frame_error(struct amqp_conn *conn, struct amqp_frame *frame,
                        enum amqp_frame_status status, size_t size)
{
    char what[64];

    conn->discards_input = true;
    if (status == AMQP_FRAME_TOO_LARGE) {
        frame->payload = STR(""); /* RabbitMQ has not read it */
        snprintf(what, sizeof what, "{frame_too_large,%zu,%u}", size,
                 conn->frame_max - AMQP_FRAME_OVERHEAD);
    } else {
        snprintf(what, sizeof what, "{invalid_frame_end_marker,%u}",
                 (uint8_t)frame->payload.data[frame->payload.len]);
    }
    conn_fail_frame(conn, REFUSAL_FRAME_ERROR, frame, what);
}

/* Frames that no decoder knows (RabbitMQ: unknown_frame). */
static bool is_unknown(const struct amqp_frame *frame)
{
    switch (frame->type) {
    case AMQP_FRAME_METHOD:
        return frame->payload.len < 4;
    case AMQP_FRAME_HEADER:
        return frame->payload.len < MESSAGE_HEADER_FIXED + 2;
    case AMQP_FRAME_BODY:
        return false;
    case AMQP_FRAME_HEARTBEAT:
        return frame->payload.len > 0;
    default:
        return true;
    }
}

static void channel_0_frame(struct amqp_conn *conn, const struct amqp_frame *frame)
{
    const struct amqp_method *method;
    union amqp_args args;
    struct cursor in = cursor_of_str(frame->payload);
    uint32_t id;

    if (frame->type == AMQP_FRAME_HEARTBEAT)
        return;
    if (frame->type != AMQP_FRAME_METHOD) {
        conn_fail_frame(conn, REFUSAL_UNEXPECTED_FRAME, frame, "");
        return;
    }
    id = cursor_u32(&in);
    method = amqp_method_find(id);
    if (!method)
        conn_fail(conn, REFUSAL_COMMAND_INVALID, id, "unimplemented method");
    else if (conn_decode(conn, method, &in, &args))
        conn_on_method(conn, method, &args);
}

bool conn_decode(struct amqp_conn *conn, const struct amqp_method *method, struct cursor *in,
                 union amqp_args *args)
{
    struct str octets = str_of(in->pos, cursor_left(in));
    char text[REFUSAL_TEXT_MAX];
    int rc = amqp_method_decode(method, in, args);

    if (rc == 0)
        return true;
    if (rc == -EILSEQ) {
        conn_fail(conn, REFUSAL_FRAME_ERROR, 0, "Malformed UTF-8 in shortstr");
        return false;
    }
    octets_format_numbers(octets, 100, text, sizeof text);
    conn_fail(conn, REFUSAL_FRAME_ERROR, method->id, "cannot decode %s", text);
    return false;
}

void conn_frame(struct amqp_conn *conn, const struct amqp_frame *frame)
{
    struct amqp_channel *channel;

    if (UNLIKELY(is_unknown(frame))) {
        conn_fail_frame(conn, REFUSAL_FRAME_ERROR, frame, "unknown_frame");
        return;
    }
    if (frame->channel == 0) {
        channel_0_frame(conn, frame);
        return;
    }
    if (conn->state >= CONN_CLOSING)
        return;
    if (conn->state != CONN_OPEN || frame->type == AMQP_FRAME_HEARTBEAT) {
        conn_fail_frame(conn, REFUSAL_UNEXPECTED_FRAME, frame, "");
        return;
    }
    channel = conn_channel(conn, frame->channel);
    if (channel)
        channel_frame(channel, frame);
    else
        channel_first_frame(conn, frame);
}

/* One frame at the head of the input. Returns the bytes consumed, 0 when more must come. */
static size_t parse_frame(struct amqp_conn *conn, const uint8_t *p, size_t n)
{
    uint32_t max = conn->frame_max - AMQP_FRAME_OVERHEAD + FRAME_TOLERANCE;
    struct amqp_frame frame = {0};
    size_t used = 0;
    enum amqp_frame_status status = amqp_frame_parse(p, n, max, &frame, &used);

    if (status == AMQP_FRAME_INCOMPLETE)
        return 0;
    if (status != AMQP_FRAME_OK) {
        frame_error(conn, &frame, status, used);
        return n;
    }
    conn_frame(conn, &frame);
    return conn->is_moving ? 0 : used;
}

/* The next thing in the input. Returns the bytes consumed, 0 to wait. */
static HOT size_t parse_next(struct amqp_conn *conn, const uint8_t *p, size_t n)
{
    size_t used = 0;

    if (conn->discards_input)
        return n;
    if (LIKELY(conn->state == CONN_OPEN)) {
        switch (publish_in_place(conn, p, n, &used)) {
        case PUBLISH_DONE:
            return used;
        case PUBLISH_NEED_MORE:
            return 0;
        case PUBLISH_NOT:
            break;
        }
    }
    if (conn->state != CONN_HEADER)
        return parse_frame(conn, p, n);
    if (n < 8)
        return 0;
    conn_on_header(conn, p);
    return 8;
}

HOT void conn_parse(struct amqp_conn *conn)
{
    struct input *input = &conn->input;

    conn->is_parsing = true;
    while (input->start < input->end && conn->stream.fd != -1 && !conn->is_moving &&
           conn->stream.out_bytes <= CONN_OUTPUT_STOP) {
        size_t used =
            parse_next(conn, input->block->data + input->start, input->end - input->start);
        if (used == 0)
            break;
        input->start += (uint32_t)used;
    }
    conn->is_parsing = false;
}

static void move_now(struct amqp_conn *conn);

/* Parse what input_fill brought, and what follows from it. */
static void take_input(struct amqp_conn *conn)
{
    struct shard *shard = conn->stream.shard;

    conn_parse(conn);
    if (conn->stream.fd == -1) {
        input_fini(&conn->input, shard);
        return;
    }
    if (conn->is_moving) {
        move_now(conn);
        return;
    }
    input_settle(&conn->input, shard);
    queue_host_dispatch(&conn->broker->queues);
    if (conn->has_published)
        check_blocked(conn);
    if (UNLIKELY(conn->stream.out_bytes > CONN_OUTPUT_STOP)) {
        conn->is_held = true;
        conn_note_output(conn);
        update_reading(conn);
    }
}

/* The output has drained: go on with what was read, then with reading. */
static void release_hold(struct amqp_conn *conn)
{
    conn->is_held = false;
    update_reading(conn);
    input_resume(&conn->input, conn->stream.shard);
    take_input(conn);
}

/* Consumers that wait for nothing but their own acks (prefetch) get a turn for every part of a
 * publisher's input: with whole reads a window of 4,096 publishes outruns a prefetch of 1,000 four to
 * one, and the backlog that grows costs more than the smaller reads (docs/performance.md). */
static uint32_t read_limit(const struct amqp_conn *conn)
{
    bool is_behind = conn->stream.shard->turns - conn->broker->queues.behind_turn <= 1;
    uint64_t part = (uint64_t)conn->broker->queues.behind_length * READ_WHEN_BEHIND;
    return is_behind ? (uint32_t)MIN(MAX(part, (uint64_t)READ_MIN), (uint64_t)INPUT_READ_MAX)
                     : INPUT_READ_MAX;
}

static void on_readable(struct stream *stream)
{
    struct amqp_conn *conn = CONTAINER_OF(stream, struct amqp_conn, stream);
    long n = input_fill(&conn->input, stream, read_limit(conn));

    if (n == ERR_AGAIN) {
        input_settle(&conn->input, stream->shard);
        return;
    }
    if (n < 0) {
        if (conn->state == CONN_OPEN)
            log_info("AMQP connection closed by the client without connection.close", "id=%llu",
                     (unsigned long long)conn->base.id);
        conn_drop(conn);
        return;
    }
    /* What another connection was told before these bytes were sent must hold here. */
    shard_read_mail(stream->shard);
    take_input(conn);
}

static void on_sent(struct stream *stream)
{
    struct amqp_conn *conn = CONTAINER_OF(stream, struct amqp_conn, stream);

    if (conn->is_output_full && stream->out_bytes < CONN_OUTPUT_LOW)
        output_drained(conn);
    if (UNLIKELY(conn->is_held && stream->out_bytes < CONN_OUTPUT_LOW))
        release_hold(conn);
}

static void on_failed(struct stream *stream, int error)
{
    struct amqp_conn *conn = CONTAINER_OF(stream, struct amqp_conn, stream);
    log_debug("AMQP connection lost", "id=%llu error='%s'", (unsigned long long)conn->base.id,
              err_text(error));
    conn_drop(conn);
}

static const struct stream_events conn_events = {
    .readable = on_readable,
    .sent = on_sent,
    .failed = on_failed,
};

/* ---- coming, moving, stopping ---- */

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
    conn->base.unblock = on_unblock;
    list_init(&conn->channels);
    list_init(&conn->base.link);
    list_init(&conn->base.blocked);
    list_init(&conn->base.exclusive_queues);
    timer_init(&conn->timer, on_timer);
    rc = stream_open(&conn->stream, shard, fd, &conn_events);
    if (rc != 0) {
        log_warn("cannot watch a new connection", "error='%s'", err_text(rc));
        mem_free(conn);
        return;
    }
    timer_start(&shard->timers, &conn->timer, shard->now_ms + AMQP_HANDSHAKE_MS);
    broker_add_connection(conn->broker, &conn->base);
}

/* What travels with a connection from one shard to another. */
struct arrival {
    struct deferred deferred;
    struct amqp_conn *conn;
    int fd;
    uint8_t *carry;
    uint32_t carry_len;
};

bool conn_move(struct amqp_conn *conn, uint16_t shard)
{
    if (conn->is_settled || conn->state != CONN_OPEN || shard == conn->stream.shard->id)
        return false;
    conn->is_settled = true;
    /* Nothing queued, so that no output has to travel. */
    stream_send(&conn->stream);
    if (conn->stream.fd == -1 || conn->stream.out_bytes > 0 || conn->channel_count != 1)
        return false;
    conn->is_moving = true;
    conn->move_to = shard;
    return true;
}

/* At the end of the turn it arrived in: the shared receive block may be in use before. */
static void parse_arrival(struct deferred *work, struct shard *shard)
{
    struct arrival *arrival = CONTAINER_OF(work, struct arrival, deferred);
    struct amqp_conn *conn = arrival->conn;

    mem_free(arrival);
    if (conn->stream.fd == -1)
        return;
    input_resume(&conn->input, shard);
    take_input(conn);
}

static void reopen(struct amqp_conn *conn, struct arrival *arrival)
{
    struct stream old = conn->stream;
    struct shard *shard = conn->broker->shard;

    if (stream_open(&conn->stream, shard, arrival->fd, &conn_events) != 0) {
        mem_free(arrival->carry);
        mem_free(arrival);
        conn_drop(conn);
        return;
    }
    conn->stream.received_total = old.received_total;
    conn->stream.sent_total = old.sent_total;
    input_attach(&conn->input, shard, arrival->carry, arrival->carry_len);
    shard_defer(shard, &arrival->deferred, parse_arrival);
}

static void arrive(struct broker_shard *there, void *moving)
{
    struct arrival *arrival = moving;
    struct amqp_conn *conn = arrival->conn;

    conn->broker = there;
    conn->stream.shard = there->shard;
    LIST_FOR_EACH (link, &conn->channels)
        session_attach(&channel_at(link)->session, there);
    if (conn->heartbeat_s > 0)
        timer_start(&there->shard->timers, &conn->timer,
                    there->shard->now_ms + conn->heartbeat_s * 500U);
    broker_add_connection(there, &conn->base);
    reopen(conn, arrival);
}

static void move_now(struct amqp_conn *conn)
{
    struct arrival *arrival = mem_alloc_zero(sizeof *arrival);
    struct shard *shard = conn->stream.shard;

    conn->is_moving = false;
    arrival->conn = conn;
    arrival->carry = input_detach(&conn->input, shard, &arrival->carry_len);
    arrival->fd = stream_detach(&conn->stream);
    timer_stop(&shard->timers, &conn->timer);
    LIST_FOR_EACH (link, &conn->channels)
        session_detach(&channel_at(link)->session);
    broker_lend_connection(conn->broker, &conn->base);
    broker_move(conn->broker, conn->move_to, arrival, arrive);
}
