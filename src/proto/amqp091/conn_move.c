/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a connection to the shard of its first queue, so that both work without mail. */
#include "base/mem.h"
#include "proto/amqp091/channel.h"
#include "proto/amqp091/conn_internal.h"

/* What travels with a connection from one shard to another. */
struct arrival {
    struct deferred deferred;
    struct amqp_conn *conn;
    int fd;
    uint8_t *carry;
    uint32_t carry_len;
};

/* Nothing of it may be under way: no output queued, one idle channel, and the frame in work can be
 * parsed again over there. */
static bool may_move(const struct amqp_conn *conn)
{
    const struct amqp_channel *channel;

    if (!conn->is_parsing || conn->state != CONN_OPEN || conn->stream.out_bytes > 0 ||
        conn->channel_count != 1)
        return false;
    channel = conn_channel_at(conn->channels.next);
    return channel->state == CHANNEL_OPEN && channel->busy == 0 && !channel->is_unparking &&
           channel->parked_len == 0 && !channel->assembly;
}

bool conn_move(struct amqp_conn *conn, uint16_t shard)
{
    bool is_first = !conn->is_settled;

    conn->is_settled = true;
    if (!is_first || shard == conn->stream.shard->id || !may_move(conn))
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

    (void)shard;
    mem_free(arrival);
    conn_take_leftover(conn);
}

static void reopen(struct amqp_conn *conn, struct arrival *arrival)
{
    struct stream old = conn->stream;
    struct shard *shard = conn->broker->shard;

    if (stream_open(&conn->stream, shard, arrival->fd, &amqp_stream_events) != 0) {
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
        session_attach(&conn_channel_at(link)->session, there);
    if (conn->heartbeat_s > 0)
        timer_start(&there->shard->timers, &conn->timer,
                    there->shard->now_ms + conn->heartbeat_s * 500U);
    broker_add_connection(there, &conn->base);
    reopen(conn, arrival);
}

void conn_move_now(struct amqp_conn *conn)
{
    struct arrival *arrival = mem_alloc_zero(sizeof *arrival);
    struct shard *shard = conn->stream.shard;

    conn->is_moving = false;
    arrival->conn = conn;
    arrival->carry = input_detach(&conn->input, shard, &arrival->carry_len);
    arrival->fd = stream_detach(&conn->stream);
    timer_stop(&shard->timers, &conn->timer);
    LIST_FOR_EACH (link, &conn->channels)
        session_detach(&conn_channel_at(link)->session);
    broker_lend_connection(conn->broker, &conn->base);
    broker_move(conn->broker, conn->move_to, arrival, arrive);
}
