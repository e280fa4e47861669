/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a connection: bytes into frames, frames to channels, errors of framing. */
#include "base/bug.h"
#include "base/err.h"
#include "base/log.h"
#include "proto/amqp091/channel.h"
#include "proto/amqp091/conn_internal.h"
#include "proto/amqp091/publish.h"

#include <errno.h>
#include <stdio.h>

/* RabbitMQ tolerates this much above frame_max. */
#define FRAME_TOLERANCE 8U
/* Messages to read at a time while consumers are behind, and the least bytes of such a read. With
 * twice as many the bench's backlog came and went (95 % of the messages within 30 to 60 ms instead of
 * 2), with three times as many it came and stayed; the cost of a message was the same with 96 to 256
 * (docs/performance.md). */
#define READ_WHEN_BEHIND 128U
#define READ_MIN (4U * 1024U)

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

/* May the parse take another step? An open connection stops at too much output (a client that asks and
 * does not read) and at too much work (a fanout that multiplies each message). */
static inline bool may_go_on(const struct amqp_conn *conn, uint64_t work_limit)
{
    if (conn->stream.fd == -1 || conn->is_moving)
        return false;
    return conn->state != CONN_OPEN ||
           (conn->stream.out_bytes <= CONN_OUTPUT_STOP && conn->broker->work < work_limit);
}

static HOT void parse(struct amqp_conn *conn)
{
    struct input *input = &conn->input;
    uint64_t work_limit = conn->broker->work + CONN_WORK_MAX;

    conn->is_parsing = true;
    while (input->start < input->end && may_go_on(conn, work_limit)) {
        size_t used =
            parse_next(conn, input->block->data + input->start, input->end - input->start);
        if (used == 0)
            break;
        input->start += (uint32_t)used;
    }
    conn->is_parsing = false;
    conn->is_overworked = conn->broker->work >= work_limit;
}

void conn_take_input(struct amqp_conn *conn)
{
    struct shard *shard = conn->stream.shard;

    parse(conn);
    if (conn->stream.fd == -1) {
        input_fini(&conn->input, shard);
        return;
    }
    if (conn->is_moving) {
        conn_move_now(conn);
        return;
    }
    input_settle(&conn->input, shard);
    queue_host_dispatch(&conn->broker->queues);
    if (conn->state == CONN_OPEN)
        conn_flow_check(conn);
}

void conn_take_leftover(struct amqp_conn *conn)
{
    if (conn->stream.fd == -1)
        return;
    input_resume(&conn->input, conn->stream.shard);
    conn_take_input(conn);
}

/* Consumers that wait for nothing but their own acks (prefetch) get a turn for every part of a
 * publisher's input: with whole reads a window of 4,096 publishes outruns a prefetch of 1,000 four to
 * one, and the backlog that grows costs more than the smaller reads (docs/performance.md). */
static uint32_t read_limit(const struct amqp_conn *conn)
{
    bool is_behind =
        conn->stream.shard->turns - conn->broker->queues.behind_turn <= 1 || conn->was_congested;
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
    conn_take_input(conn);
}

static void on_failed(struct stream *stream, int error)
{
    struct amqp_conn *conn = CONTAINER_OF(stream, struct amqp_conn, stream);
    log_debug("AMQP connection lost", "id=%llu error='%s'", (unsigned long long)conn->base.id,
              err_text(error));
    conn_drop(conn);
}

const struct stream_events amqp_stream_events = {
    .readable = on_readable,
    .sent = conn_flow_sent,
    .failed = on_failed,
};
