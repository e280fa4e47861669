/* SPDX-License-Identifier: Apache-2.0 */
/* An AMQP 0-9-1 connection: socket, handshake, channels, orderly end. */
#ifndef TOKKI_AMQP091_CONN_H
#define TOKKI_AMQP091_CONN_H

#include "broker/session.h"
#include "core/refusal.h"
#include "io/input.h"
#include "io/listener.h"
#include "proto/amqp091/codec.h"

struct amqp_channel;

/*  accept                  header        start-ok         tune-ok        open
 *    |                       |              |                |             |
 *    v                       v              v                v             v
 *  CONN_HEADER ----------> CONN_STARTING -> CONN_TUNING --> CONN_OPENING -> CONN_OPEN
 *
 *  any of these --(conn_refuse: connection.close sent)--> CONN_CLOSING --(close-ok, time)--> CONN_DONE
 *  CONN_OPEN --(client's close)--> CONN_ENDING --(close-ok sent)--> CONN_DONE
 *  any --(socket lost)--> CONN_DONE
 *
 * CONN_CLOSING, CONN_ENDING and CONN_DONE take the channels down (conn_end_channels); the memory goes
 * when the state is CONN_DONE, the last channel is gone, and the exclusive queues are deleted. */
enum conn_state {
    CONN_HEADER,
    CONN_STARTING,
    CONN_TUNING,
    CONN_OPENING,
    CONN_OPEN,
    CONN_CLOSING,
    CONN_ENDING,
    CONN_DONE,
};

#define AMQP_FRAME_MAX 131072U
#define AMQP_FRAME_MIN 4096U
#define AMQP_CHANNEL_MAX 2047U
#define AMQP_HEARTBEAT_S 60U
/* Up to connection.open-ok (RabbitMQ: handshake_timeout). */
#define AMQP_HANDSHAKE_MS 10000U
/* Largest body (RabbitMQ 3.x: max_message_size). */
#define AMQP_MESSAGE_MAX (128ULL * 1024 * 1024)
/* Largest body size that is not a broken frame (RabbitMQ: 512 MiB). */
#define AMQP_CONTENT_MAX 536870912ULL

/* Output of one connection above which its consumers wait, and below which they go on. The kernel's
 * own buffer comes on top. */
#define CONN_OUTPUT_HIGH (1024U * 1024U)
#define CONN_OUTPUT_LOW (256U * 1024U)
/* Output above which the connection is not read: a client that asks for replies (basic.get, returns)
 * and does not take them. Deliveries alone stay below. */
#define CONN_OUTPUT_STOP (4U * 1024U * 1024U)

enum conn_stop {
    STOP_ALARM = 1 << 0,      /* it published while a resource alarm is on */
    STOP_CONGESTION = 1 << 1, /* a way to another shard, or a channel's parking, is full */
    STOP_OUTPUT = 1 << 2,     /* it does not take what it asked for */
    STOP_WORK = 1 << 3,       /* others get a turn */
};

/* Numbers up to 65535 may be used, few are: pages keep a look-up at two loads and a lone high number
 * at a few KiB. */
#define CHANNELS_PER_PAGE 64U
struct channel_page {
    struct amqp_channel *channels[CHANNELS_PER_PAGE];
};

/* Owner: itself; the broker and timers refer to it. Thread: its shard's. Freed by: conn_maybe_free, at
 * the end of a turn. */
struct amqp_conn {
    struct connection base;
    struct stream stream;
    struct input input;
    struct broker_shard *broker;
    struct deferred deferred;
    enum conn_state state;
    uint32_t frame_max;
    uint16_t channel_max;
    uint16_t heartbeat_s;
    struct timer timer; /* handshake, then heartbeats, then the wait for close-ok */
    struct list channels;
    struct channel_page **pages; /* channels by number */
    uint32_t page_count;
    uint32_t channel_count;
    struct vhost *vhost;
    struct identity identity;
    struct sockaddr_storage peer;
    struct str client_properties; /* heap, table */
    uint64_t quiet_since_ms;      /* last time that the heartbeat check saw input */
    uint64_t received_seen;
    bool wants_cancel_notify; /* client capabilities */
    bool wants_blocked;
    bool wants_auth_close;
    bool is_settled;      /* a queue operation was done: it stays on this shard */
    bool is_moving;       /* leaves for another shard when this parse returns */
    bool told_blocked;    /* connection.blocked was sent */
    bool was_congested;   /* its last read filled the way to another shard: read less at a time */
    bool is_output_full;  /* consumers wait */
    bool has_queue_end;   /* deletion of the exclusive queues has begun */
    bool queues_are_gone; /* ... and ended */
    bool is_freeing;
    bool discards_input; /* the framing is broken: nothing can be understood any more */
    bool has_published;  /* since the last conn_flow_check */
    bool has_parked;     /* frames, since then */
    bool is_overworked;  /* the last parse ended for its work */
    bool is_resting;     /* `rest` is under way */
    uint8_t stops;       /* enum conn_stop: why it is not read */
    struct deferred rest;
    bool is_parsing;
    uint16_t move_to;
    struct refusal refusal; /* of the method in work */
};

/* listener's accept_fn; context is the node. */
void amqp_accept(struct shard *shard, int fd, const struct sockaddr_storage *peer, void *context);

/* Write a method frame on `channel`. */
void conn_send(struct amqp_conn *conn, uint16_t channel, uint32_t method, const void *args);

/* A connection exception: tell the client (text "NAME - detail"), take everything down. `method` is
 * the failing one, 0 when none. */
void conn_refuse(struct amqp_conn *conn, const struct refusal *refusal, uint32_t method);
PRINTF_LIKE(4, 5)
COLD void conn_fail(struct amqp_conn *conn, enum refusal_code code, uint32_t method,
                    const char *fmt, ...);

/* The channel of this number, NULL when there is none. */
static inline struct amqp_channel *conn_channel(const struct amqp_conn *conn, uint16_t number)
{
    struct channel_page *page = number / CHANNELS_PER_PAGE < conn->page_count
                                    ? conn->pages[number / CHANNELS_PER_PAGE]
                                    : NULL;
    return page ? page->channels[number % CHANNELS_PER_PAGE] : NULL;
}

/* The place for channel `number`. */
struct amqp_channel **conn_channel_slot(struct amqp_conn *conn, uint16_t number);

/* A channel has ended and freed itself. */
void conn_channel_gone(struct amqp_conn *conn);

/* Handle one whole frame. */
void conn_frame(struct amqp_conn *conn, const struct amqp_frame *frame);

/* End without a word: input is ignored, and the socket closed after a few seconds, as RabbitMQ treats
 * handshakes that go wrong. */
void conn_cut(struct amqp_conn *conn);
/* Decode a method's arguments; on failure the connection has been refused and the result is false. */
MUST_CHECK bool conn_decode(struct amqp_conn *conn, const struct amqp_method *method,
                            struct cursor *in, union amqp_args *args);
/* Close the socket for good; the rest follows. */
void conn_drop(struct amqp_conn *conn);
/* Take all channels down, then the exclusive queues; calls conn_ended when done. */
void conn_end_channels(struct amqp_conn *conn);

/* The output has passed the high mark: consumers wait. */
void conn_note_output(struct amqp_conn *conn);
/* Leave for `shard` once the current frame is given up; only before the first queue operation. Returns
 * false when the connection must stay. */
bool conn_move(struct amqp_conn *conn, uint16_t shard);

/* handshake.c: methods of class connection. */
void conn_on_header(struct amqp_conn *conn, const uint8_t *header);
void conn_on_method(struct amqp_conn *conn, const struct amqp_method *method,
                    union amqp_args *args);
/* The first octets of `payload` as Erlang prints them: <<"abc">> or <<1,2,3>>. */
void octets_format(struct str payload, size_t max, char *out, size_t cap);
/* A frame that has no business here: 501 or 505 with its type and first octets, and `what`. */
void conn_fail_frame(struct amqp_conn *conn, enum refusal_code code, const struct amqp_frame *frame,
                     const char *what);
/* "NAME - detail" of a refusal, for close methods, cut to 255 octets. */
struct str refusal_format(const struct refusal *refusal, char *text, size_t cap);

#endif
