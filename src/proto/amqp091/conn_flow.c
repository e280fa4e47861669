/* SPDX-License-Identifier: Apache-2.0 */
/* Flow control of a connection: when its consumers wait, and when it is not read. */
#include "broker/alarm.h"
#include "proto/amqp091/channel.h"
#include "proto/amqp091/conn_internal.h"

/* ---- consumers wait while the client does not read ---- */

static void set_output_full(struct amqp_conn *conn, bool full)
{
    conn->is_output_full = full;
    LIST_FOR_EACH (link, &conn->channels)
        session_set_gate(&conn_channel_at(link)->session, GATE_OUTPUT_FULL, full);
}

void conn_note_output(struct amqp_conn *conn)
{
    if (!conn->is_output_full)
        set_output_full(conn, true);
}

/* ---- reasons not to read ---- */

static void stop(struct amqp_conn *conn, enum conn_stop reason)
{
    conn->stops |= (uint8_t)reason;
    stream_pause(&conn->stream);
    /* An alarm can last, and a publisher that leaves takes its unfinished contents along. */
    if (conn->stops == STOP_ALARM)
        stream_watch_end(&conn->stream);
    if (conn->stops & (STOP_ALARM | STOP_CONGESTION))
        broker_block(conn->broker, &conn->base);
}

/* The reason is over; without another one, what was read already comes first, then reading. */
static void go_on(struct amqp_conn *conn, enum conn_stop reason)
{
    if (!(conn->stops & reason))
        return;
    conn->stops &= (uint8_t) ~(unsigned)reason;
    if (conn->stops != 0 || conn->stream.fd == -1)
        return;
    stream_resume(&conn->stream);
    conn_take_leftover(conn);
}

void conn_flow_forget(struct amqp_conn *conn)
{
    if (conn->stops != 0 && conn->stream.fd != -1)
        stream_resume(&conn->stream);
    conn->stops = 0;
    conn->told_blocked = false;
    list_remove(&conn->base.blocked);
}

static bool is_congested(const struct amqp_conn *conn)
{
    LIST_FOR_EACH (link, &conn->channels) {
        const struct amqp_channel *channel = conn_channel_at(link);
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

/* Others get a turn, then the rest of the input is taken. */
static void rest_over(struct deferred *work, struct shard *shard)
{
    struct amqp_conn *conn = CONTAINER_OF(work, struct amqp_conn, rest);

    (void)shard;
    conn->is_resting = false;
    go_on(conn, STOP_WORK);
}

static void rest(struct amqp_conn *conn)
{
    stop(conn, STOP_WORK);
    if (conn->is_resting)
        return;
    conn->is_resting = true;
    shard_defer(conn->stream.shard, &conn->rest, rest_over);
}

void conn_flow_check(struct amqp_conn *conn)
{
    uint32_t alarms = node_alarms(conn->broker->node);

    if (UNLIKELY(alarms != 0 && conn->has_published)) {
        stop(conn, STOP_ALARM);
        tell_blocked(conn, alarms);
    }
    if (conn->has_published || conn->has_parked) {
        conn->was_congested = is_congested(conn);
        if (UNLIKELY(conn->was_congested))
            stop(conn, STOP_CONGESTION);
    }
    conn->has_published = false;
    conn->has_parked = false;
    if (UNLIKELY(conn->stream.out_bytes > CONN_OUTPUT_STOP)) {
        conn_note_output(conn);
        stop(conn, STOP_OUTPUT);
    }
    if (UNLIKELY(conn->is_overworked))
        rest(conn);
}

void conn_flow_unblock(struct connection *base)
{
    struct amqp_conn *conn = CONTAINER_OF(base, struct amqp_conn, base);

    if ((conn->stops & STOP_ALARM) && node_alarms(conn->broker->node) == 0) {
        if (conn->told_blocked)
            conn_send(conn, 0, AMQP_CONNECTION_UNBLOCKED, NULL);
        conn->told_blocked = false;
        go_on(conn, STOP_ALARM);
    }
    if ((conn->stops & STOP_CONGESTION) && !is_congested(conn))
        go_on(conn, STOP_CONGESTION);
    if (conn->stops & (STOP_ALARM | STOP_CONGESTION))
        broker_block(conn->broker, base);
}

void conn_flow_sent(struct stream *stream)
{
    struct amqp_conn *conn = CONTAINER_OF(stream, struct amqp_conn, stream);

    if (stream->out_bytes >= CONN_OUTPUT_LOW)
        return;
    if (conn->is_output_full)
        set_output_full(conn, false);
    if (UNLIKELY(conn->stops & STOP_OUTPUT))
        go_on(conn, STOP_OUTPUT);
}
