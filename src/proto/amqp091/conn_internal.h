/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a connection share: conn.c, conn_input.c, conn_flow.c, conn_move.c. */
#ifndef TOKKI_AMQP091_CONN_INTERNAL_H
#define TOKKI_AMQP091_CONN_INTERNAL_H

#include "proto/amqp091/channel.h"

/* Messages, counted once per queue, that one parse may enqueue before others get a turn. */
#define CONN_WORK_MAX 65536U

static inline struct amqp_channel *conn_channel_at(struct list *link)
{
    return CONTAINER_OF(link, struct amqp_channel, link);
}

/* conn.c: change the state; nothing follows CONN_DONE. */
void conn_set_state(struct amqp_conn *conn, enum conn_state state);

/* conn_input.c: what the socket's events do. */
extern const struct stream_events amqp_stream_events;
/* Parse what lies in the input, and what follows from it. */
void conn_take_input(struct amqp_conn *conn);
/* The same for bytes that an earlier parse left. */
void conn_take_leftover(struct amqp_conn *conn);

/* conn_flow.c: after a parse, find out what must stop. */
void conn_flow_check(struct amqp_conn *conn);
/* Nothing holds the connection any more: it ends, and its close-ok must be read. */
void conn_flow_forget(struct amqp_conn *conn);
/* connection.unblock: an alarm may be over, a mailbox may have room. */
void conn_flow_unblock(struct connection *base);
/* stream_events.sent */
void conn_flow_sent(struct stream *stream);

/* conn_move.c: leave for the shard that conn_move chose. */
void conn_move_now(struct amqp_conn *conn);

#endif
