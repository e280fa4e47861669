/* SPDX-License-Identifier: Apache-2.0 */
/* An AMQP 0-9-1 channel: a session plus what the protocol adds to it. */
#ifndef TOKKI_AMQP091_CHANNEL_H
#define TOKKI_AMQP091_CHANNEL_H

#include "broker/operation.h"
#include "proto/amqp091/conn.h"

/*  channel.open
 *      |            channel_refuse: channel.close sent
 *      v          .------------------------------------> CHANNEL_CLOSING --(close-ok)--.
 *  CHANNEL_OPEN --|                                                                    v
 *                 '--(client's close, or the connection ends)--> CHANNEL_ENDING --> gone
 *
 * CLOSING and ENDING: the session is on its way out; the channel is freed when that is over and the
 * client's close-ok (CLOSING) is in. Frames that come for a CLOSING channel are dropped. */
enum channel_state { CHANNEL_OPEN, CHANNEL_CLOSING, CHANNEL_ENDING };

enum channel_mode { CHANNEL_PLAIN, CHANNEL_CONFIRM, CHANNEL_TX };

struct publish_template;
struct assembly;
struct transaction;

/* Owner: its connection. Thread: that of the shard. Freed by: channel_maybe_free. */
struct amqp_channel {
    struct session session;
    struct amqp_conn *conn;
    struct list link; /* on conn->channels */
    uint16_t number;
    enum channel_state state;
    enum channel_mode mode;
    bool has_session;          /* the session has not ended yet */
    bool session_ending;       /* session_close was called */
    bool awaits_close_ok;      /* the client owes it */
    bool owes_close_ok;        /* we do, once the session has ended */
    uint32_t busy;             /* operations under way: later frames are parked */
    uint32_t promised;         /* those of them that only wait for the log */
    struct assembly *assembly; /* a content that is not complete */
    struct publish_template *template;
    struct transaction *transaction;
    struct str last_queue; /* heap: last declared */
    uint8_t *parked;       /* whole frames, in order */
    bool is_unparking;
    size_t parked_start;
    size_t parked_len; /* from the buffer's beginning */
    size_t parked_capacity;
};

#define CHANNEL_OF(session_ptr) CONTAINER_OF(session_ptr, struct amqp_channel, session)

/* Parked bytes above which the connection is not read. */
#define CHANNEL_PARKED_HIGH (256U * 1024U)

extern const struct session_events amqp_session_events;

/* A frame on a number that has no channel: channel.open, or an error. */
void channel_first_frame(struct amqp_conn *conn, const struct amqp_frame *frame);
/* A whole frame for this channel. */
void channel_frame(struct amqp_channel *channel, const struct amqp_frame *frame);

/* A channel exception, or a connection exception when the code is a hard one. */
void channel_refuse(struct amqp_channel *channel, const struct refusal *refusal, uint32_t method);
PRINTF_LIKE(4, 5)
COLD void channel_fail(struct amqp_channel *channel, enum refusal_code code, uint32_t method,
                       const char *fmt, ...);

/* Take the channel down without a word (the connection ends, or the client asked). */
void channel_end(struct amqp_channel *channel);

/* Start `operation`: frames that follow are parked until channel_operation_done. */
void channel_begin_operation(struct amqp_channel *channel);
void channel_operation_done(struct amqp_channel *channel);
/* `operation` is a declaration that others of its kind need not wait for, once it is promised: a pipeline of
 * them shares its syncs. */
void channel_look_ahead(struct amqp_channel *channel, struct operation *operation);

static inline void channel_send(struct amqp_channel *channel, uint32_t method, const void *args)
{
    conn_send(channel->conn, channel->number, method, args);
}

/* A method that may be handled on an open channel. */
typedef void (*channel_method_fn)(struct amqp_channel *channel, union amqp_args *args, uint32_t id);

/* methods_*.c */
void channel_exchange_declare(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_exchange_delete(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_exchange_bind(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_exchange_unbind(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_queue_declare(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_queue_bind(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_queue_unbind(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_queue_purge(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_queue_delete(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_basic_qos(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_basic_consume(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_basic_cancel(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_basic_get(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_basic_ack(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_basic_nack(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_basic_reject(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_basic_recover(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_confirm_select(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_tx_select(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_tx_commit(struct amqp_channel *channel, union amqp_args *args, uint32_t id);
void channel_tx_rollback(struct amqp_channel *channel, union amqp_args *args, uint32_t id);

/* Names from the wire: RabbitMQ strips CR and LF from queue and exchange names. Fills `buffer` when
 * something had to go. */
struct str channel_clean_name(struct str name, char buffer[256]);
/* An empty queue name means the last declared one; without one the channel is refused (404, for
 * method `id`) and the result false. */
MUST_CHECK bool channel_queue_name(struct amqp_channel *channel, struct str *name, uint32_t id);

/* transaction.c */
void transaction_free(struct amqp_channel *channel);
/* Keep a publish (takes the message's reference) or a settle until tx.commit. */
void transaction_publish(struct amqp_channel *channel, const struct message *message,
                         bool mandatory);
MUST_CHECK int transaction_settle(struct amqp_channel *channel, uint64_t tag, bool multiple,
                                  enum queue_settle_how how);

#endif
