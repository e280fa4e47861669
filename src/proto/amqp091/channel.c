/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a channel: frames in order, parked while an operation is under way, and its end. */
#include "proto/amqp091/channel.h"

#include "base/bug.h"
#include "base/mem.h"
#include "proto/amqp091/deliver.h"
#include "proto/amqp091/publish.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- what the session tells ---- */

static void on_confirm(struct session *session, uint64_t tag, bool multiple)
{
    struct amqp_channel *channel = CHANNEL_OF(session);
    struct amqp_basic_ack args = {tag, multiple};

    if (channel->state == CHANNEL_OPEN)
        channel_send(channel, AMQP_BASIC_ACK, &args);
}

static void on_cancelled(struct subscription *subscription)
{
    struct amqp_channel *channel = CHANNEL_OF(subscription->session);
    struct amqp_basic_cancel args = {subscription->tag, true};

    if (channel->state == CHANNEL_OPEN && channel->conn->wants_cancel_notify)
        channel_send(channel, AMQP_BASIC_CANCEL, &args);
}

const struct session_events amqp_session_events = {
    .deliver = amqp_deliver,
    .confirm = on_confirm,
    .cancelled = on_cancelled,
};

/* ---- the end ---- */

static void replay_orphans(struct amqp_conn *conn, uint8_t *frames, size_t len)
{
    struct amqp_frame frame;
    size_t used;

    for (size_t at = 0; at < len && conn->state == CONN_OPEN; at += used) {
        if (amqp_frame_parse(frames + at, len - at, UINT32_MAX, &frame, &used) != AMQP_FRAME_OK)
            break;
        conn_frame(conn, &frame);
    }
    mem_free(frames);
}

/* Everybody who had a claim on the channel has let go. */
static void channel_maybe_free(struct amqp_channel *channel)
{
    struct amqp_conn *conn = channel->conn;
    uint8_t *frames = channel->parked;
    size_t len = channel->parked_len;

    if (channel->has_session || channel->awaits_close_ok)
        return;
    conn->broker->other_bytes -= channel->parked_capacity;
    if (channel->owes_close_ok)
        channel_send(channel, AMQP_CHANNEL_CLOSE_OK, NULL);
    *conn_channel_slot(conn, channel->number) = NULL;
    list_remove(&channel->link);
    mem_free((void *)(uintptr_t)channel->last_queue.data);
    mem_free(channel);
    conn_channel_gone(conn);
    /* A client that had its close answered may have opened the number again already. */
    replay_orphans(conn, frames, len);
}

static void on_session_closed(struct broker_shard *broker, void *context)
{
    struct amqp_channel *channel = context;
    (void)broker;
    channel->has_session = false;
    channel_maybe_free(channel);
}

/* Begin the session's end, unless an operation of it is still under way: its end comes here again. */
static void end_session(struct amqp_channel *channel)
{
    if (channel->busy > 0 || channel->session_ending)
        return;
    channel->session_ending = true;
    publish_assembly_free(channel);
    publish_template_free(channel);
    transaction_free(channel);
    session_close(&channel->session, on_session_closed, channel);
}

static void drop_parked(struct amqp_channel *channel)
{
    channel->session.broker->other_bytes -= channel->parked_capacity;
    mem_free(channel->parked);
    channel->parked = NULL;
    channel->parked_start = 0;
    channel->parked_len = 0;
    channel->parked_capacity = 0;
}

void channel_end(struct amqp_channel *channel)
{
    channel->awaits_close_ok = false;
    channel->state = CHANNEL_ENDING;
    session_set_gate(&channel->session, GATE_CLOSING, true);
    drop_parked(channel);
    if (!channel->has_session)
        channel_maybe_free(channel);
    else
        end_session(channel);
}

void channel_refuse(struct amqp_channel *channel, const struct refusal *refusal, uint32_t method)
{
    char text[REFUSAL_TEXT_MAX + 64];
    struct amqp_channel_close args = {
        .reply_code = (uint16_t)refusal->code,
        .reply_text = refusal_format(refusal, text, sizeof text),
        .class_id = amqp_class_of(method),
        .method_id = amqp_method_of(method),
    };

    if (amqp_reply_is_hard(refusal->code)) {
        conn_refuse(channel->conn, refusal, method);
        return;
    }
    if (channel->state != CHANNEL_OPEN)
        return;
    channel_send(channel, AMQP_CHANNEL_CLOSE, &args);
    channel->state = CHANNEL_CLOSING;
    channel->awaits_close_ok = true;
    session_set_gate(&channel->session, GATE_CLOSING, true);
    drop_parked(channel);
    end_session(channel);
}

void channel_fail(struct amqp_channel *channel, enum refusal_code code, uint32_t method,
                  const char *fmt, ...)
{
    struct refusal refusal = {.code = (int)code};
    va_list args;

    va_start(args, fmt);
    vsnprintf(refusal.text, sizeof refusal.text, fmt, args);
    va_end(args);
    channel_refuse(channel, &refusal, method);
}

/* ---- parking ---- */

static void park(struct amqp_channel *channel, const struct amqp_frame *frame)
{
    size_t size = frame->payload.len + AMQP_FRAME_OVERHEAD;
    struct writer w;

    if (channel->parked_start > 0) {
        channel->parked_len -= channel->parked_start;
        memmove(channel->parked, channel->parked + channel->parked_start, channel->parked_len);
        channel->parked_start = 0;
    }
    if (channel->parked_len + size > channel->parked_capacity) {
        size_t capacity = MAX(channel->parked_capacity * 2, channel->parked_len + size);
        channel->session.broker->other_bytes += capacity - channel->parked_capacity;
        channel->parked = mem_resize(channel->parked, capacity);
        channel->parked_capacity = capacity;
    }
    w = writer_of(channel->parked + channel->parked_len, size);
    amqp_frame_start(&w, frame->type, frame->channel, (uint32_t)frame->payload.len);
    writer_str(&w, frame->payload);
    writer_u8(&w, AMQP_FRAME_END);
    channel->parked_len += size;
    channel->conn->has_parked = true;
}

/* Declarations that may wait for the log together. */
#define PROMISED_MAX 1024U

#define DECLARE_PASSIVE 1U
#define DECLARE_DURABLE 2U
#define DECLARE_EXCLUSIVE 4U

/* Does this frame declare a durable queue by its name? Its answer then waits behind those before it, and
 * nothing in between depends on it. */
static bool is_plain_declare(const struct amqp_frame *frame)
{
    struct cursor in = cursor_of(frame->payload.data, frame->payload.len);
    uint8_t bits;

    if (frame->type != AMQP_FRAME_METHOD || cursor_u32(&in) != AMQP_QUEUE_DECLARE)
        return false;
    (void)cursor_u16(&in);
    if (cursor_shortstr(&in).len == 0)
        return false;
    bits = cursor_u8(&in);
    return !in.failed &&
           (bits & (DECLARE_PASSIVE | DECLARE_DURABLE | DECLARE_EXCLUSIVE)) == DECLARE_DURABLE;
}

/* All operations under way have worked and wait for the log, and `frame` may join them. */
static bool may_join(const struct amqp_channel *channel, const struct amqp_frame *frame)
{
    return channel->busy == channel->promised && channel->promised < PROMISED_MAX &&
           channel->state == CHANNEL_OPEN && is_plain_declare(frame);
}

static void on_promised(struct operation *operation, struct session *session);

void channel_look_ahead(struct amqp_channel *channel, struct operation *operation)
{
    operation->promised = on_promised;
    operation->is_behind = channel->promised > 0;
}

/* Handle what was parked, up to the next operation that does not end at once. */
static void unpark(struct amqp_channel *channel)
{
    channel->is_unparking = true;
    while (channel->parked_start < channel->parked_len) {
        struct amqp_conn *conn = channel->conn;
        uint16_t number = channel->number;
        struct amqp_frame frame;
        size_t used;
        enum amqp_frame_status status = amqp_frame_parse(
            channel->parked + channel->parked_start, channel->parked_len - channel->parked_start,
            UINT32_MAX, &frame, &used);
        BUG_ON(status != AMQP_FRAME_OK, "a parked frame is broken");
        if (channel->busy > 0 && !may_join(channel, &frame))
            break;
        channel->parked_start += used;
        channel_frame(channel, &frame);
        if (conn_channel(conn, number) != channel)
            return; /* it has ended */
    }
    channel->is_unparking = false;
    if (channel->parked_capacity > 0 && channel->parked_start == channel->parked_len)
        drop_parked(channel);
}

void channel_begin_operation(struct amqp_channel *channel)
{
    channel->busy++;
    channel->conn->is_settled = true;
}

static void go_on(struct amqp_channel *channel)
{
    if (channel->state == CHANNEL_OPEN && !channel->is_unparking &&
        channel->parked_start < channel->parked_len)
        unpark(channel);
}

static void on_promised(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);

    (void)operation;
    channel->promised++;
    go_on(channel);
}

void channel_operation_done(struct amqp_channel *channel)
{
    BUG_ON(channel->busy == 0, "operation ended that never began");
    if (--channel->busy == 0 && channel->state != CHANNEL_OPEN)
        end_session(channel);
    else if (channel->busy == channel->promised)
        go_on(channel);
}

/* ---- frames ---- */

void channel_first_frame(struct amqp_conn *conn, const struct amqp_frame *frame)
{
    struct amqp_channel *channel;

    if (frame->type != AMQP_FRAME_METHOD || load_u32(frame->payload.data) != AMQP_CHANNEL_OPEN) {
        uint32_t id = frame->type == AMQP_FRAME_METHOD ? load_u32(frame->payload.data) : 0;
        conn_fail(conn, REFUSAL_CHANNEL_ERROR, id, "expected 'channel.open'");
        return;
    }
    if (conn->channel_count >= conn->channel_max) {
        conn_fail(conn, REFUSAL_NOT_ALLOWED, 0,
                  "number of channels opened (%u) has reached the negotiated channel_max (%u)",
                  conn->channel_count, conn->channel_max);
        return;
    }
    channel = mem_alloc_zero(sizeof *channel);
    channel->conn = conn;
    channel->number = frame->channel;
    channel->has_session = true;
    session_open(&channel->session, conn->broker, &conn->base, conn->vhost, &conn->identity,
                 &amqp_session_events);
    if (conn->is_output_full)
        channel->session.gate |= GATE_OUTPUT_FULL;
    *conn_channel_slot(conn, frame->channel) = channel;
    list_push_back(&conn->channels, &channel->link);
    conn->channel_count++;
    channel_send(channel, AMQP_CHANNEL_OPEN_OK, NULL);
}

static void closing_frame(struct amqp_channel *channel, const struct amqp_frame *frame)
{
    uint32_t id = frame->type == AMQP_FRAME_METHOD ? load_u32(frame->payload.data) : 0;

    if (channel->state == CHANNEL_CLOSING && channel->awaits_close_ok) {
        if (id == AMQP_CHANNEL_CLOSE)
            channel_send(channel, AMQP_CHANNEL_CLOSE_OK, NULL);
        if (id != AMQP_CHANNEL_CLOSE_OK)
            return;
        channel->awaits_close_ok = false;
        channel_maybe_free(channel);
    } else if (channel->state == CHANNEL_CLOSING) {
        park(channel, frame); /* the number's next life */
    }
}

static void content_frame(struct amqp_channel *channel, const struct amqp_frame *frame)
{
    struct amqp_conn *conn = channel->conn;

    if (publish_wants_header(channel)) {
        if (frame->type == AMQP_FRAME_HEADER && load_u16(frame->payload.data + 2) == 0)
            publish_header(channel, frame->payload);
        else
            conn_fail(conn, REFUSAL_UNEXPECTED_FRAME, AMQP_BASIC_PUBLISH,
                      "expected content header for class 60, got non content header frame instead");
    } else if (frame->type == AMQP_FRAME_BODY) {
        publish_body(channel, frame->payload);
    } else {
        conn_fail(conn, REFUSAL_UNEXPECTED_FRAME, AMQP_BASIC_PUBLISH,
                  "expected content body, got non content body frame instead");
    }
}

static void on_publish(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    if (args->basic_publish.immediate) {
        channel_fail(channel, REFUSAL_NOT_IMPLEMENTED, id, "immediate=true");
        return;
    }
    publish_begin(channel, &args->basic_publish);
}

static void on_close(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    (void)args;
    (void)id;
    channel->owes_close_ok = true;
    channel_end(channel);
}

static void on_flow(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct amqp_channel_flow_ok ok = {true};

    if (args->channel_flow.active)
        channel_send(channel, AMQP_CHANNEL_FLOW_OK, &ok);
    else
        channel_fail(channel, REFUSAL_NOT_IMPLEMENTED, id, "active=false");
}

static void on_second_open(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    (void)args;
    channel_fail(channel, REFUSAL_CHANNEL_ERROR, id, "second 'channel.open' seen");
}

static void on_access_request(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct amqp_access_request_ok ok = {1};
    (void)args;
    (void)id;
    channel_send(channel, AMQP_ACCESS_REQUEST_OK, &ok);
}

static const struct {
    uint32_t id;
    channel_method_fn handle;
} handlers[] = {
    {AMQP_BASIC_PUBLISH, on_publish},
    {AMQP_BASIC_ACK, channel_basic_ack},
    {AMQP_BASIC_NACK, channel_basic_nack},
    {AMQP_BASIC_REJECT, channel_basic_reject},
    {AMQP_BASIC_GET, channel_basic_get},
    {AMQP_BASIC_CONSUME, channel_basic_consume},
    {AMQP_BASIC_CANCEL, channel_basic_cancel},
    {AMQP_BASIC_QOS, channel_basic_qos},
    {AMQP_BASIC_RECOVER, channel_basic_recover},
    {AMQP_BASIC_RECOVER_ASYNC, channel_basic_recover},
    {AMQP_QUEUE_DECLARE, channel_queue_declare},
    {AMQP_QUEUE_BIND, channel_queue_bind},
    {AMQP_QUEUE_UNBIND, channel_queue_unbind},
    {AMQP_QUEUE_PURGE, channel_queue_purge},
    {AMQP_QUEUE_DELETE, channel_queue_delete},
    {AMQP_EXCHANGE_DECLARE, channel_exchange_declare},
    {AMQP_EXCHANGE_DELETE, channel_exchange_delete},
    {AMQP_EXCHANGE_BIND, channel_exchange_bind},
    {AMQP_EXCHANGE_UNBIND, channel_exchange_unbind},
    {AMQP_CONFIRM_SELECT, channel_confirm_select},
    {AMQP_TX_SELECT, channel_tx_select},
    {AMQP_TX_COMMIT, channel_tx_commit},
    {AMQP_TX_ROLLBACK, channel_tx_rollback},
    {AMQP_CHANNEL_CLOSE, on_close},
    {AMQP_CHANNEL_FLOW, on_flow},
    {AMQP_CHANNEL_OPEN, on_second_open},
    {AMQP_ACCESS_REQUEST, on_access_request},
};

static channel_method_fn find_handler(uint32_t id)
{
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
        if (handlers[i].id == id)
            return handlers[i].handle;
    return NULL;
}

static void method_frame(struct amqp_channel *channel, const struct amqp_frame *frame)
{
    struct amqp_conn *conn = channel->conn;
    struct cursor in = cursor_of_str(frame->payload);
    union amqp_args args;
    uint32_t id = cursor_u32(&in);
    const struct amqp_method *method = amqp_method_find(id);
    channel_method_fn handle = find_handler(id);

    if (!method || !conn_decode(conn, method, &in, &args)) {
        if (!method)
            conn_fail(conn, REFUSAL_COMMAND_INVALID, id, "unimplemented method");
        return;
    }
    if (!handle) {
        conn_fail(conn, REFUSAL_COMMAND_INVALID, id, "unimplemented method");
        return;
    }
    handle(channel, &args, id);
}

/* What is parked already goes first. */
static bool joins(const struct amqp_channel *channel, const struct amqp_frame *frame)
{
    return (channel->is_unparking || channel->parked_start == channel->parked_len) &&
           may_join(channel, frame);
}

void channel_frame(struct amqp_channel *channel, const struct amqp_frame *frame)
{
    if (UNLIKELY(channel->state != CHANNEL_OPEN))
        closing_frame(channel, frame);
    else if (UNLIKELY(channel->busy > 0) && !joins(channel, frame))
        park(channel, frame);
    else if (channel->assembly)
        content_frame(channel, frame);
    else if (frame->type == AMQP_FRAME_METHOD)
        method_frame(channel, frame);
    else
        conn_fail(channel->conn, REFUSAL_UNEXPECTED_FRAME, 0,
                  "expected method frame, got non method frame instead");
}

/* ---- names ---- */

struct str channel_clean_name(struct str name, char buffer[256])
{
    size_t n = 0;

    if (name.len == 0 || (!memchr(name.data, '\r', name.len) && !memchr(name.data, '\n', name.len)))
        return name;
    for (size_t i = 0; i < name.len && n < 255; i++)
        if (name.data[i] != '\r' && name.data[i] != '\n')
            buffer[n++] = name.data[i];
    return str_of(buffer, n);
}

bool channel_queue_name(struct amqp_channel *channel, struct str *name, uint32_t id)
{
    if (name->len > 0)
        return true;
    *name = channel->last_queue;
    if (name->len == 0)
        channel_fail(channel, REFUSAL_NOT_FOUND, id, "no previously declared queue");
    return name->len > 0;
}
