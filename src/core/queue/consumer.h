/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers of a queue: turn, priority, prefetch, and the gate that a slow reader closes. */
#ifndef TOKKI_CORE_QUEUE_CONSUMER_H
#define TOKKI_CORE_QUEUE_CONSUMER_H

#include "core/queue/queue.h"

/* Reasons why a session takes no delivery now; its consumers point at the byte. */
enum consumer_gate {
    GATE_OUTPUT_FULL = 1 << 0,   /* the client does not read */
    GATE_FLOW_STOPPED = 1 << 1,  /* channel.flow(false) */
    GATE_SESSION_LIMIT = 1 << 2, /* prefetch of the whole channel used up */
    GATE_CLOSING = 1 << 3,
};

/* A consumer's handle on its shard; generation 0 is nobody (basic.get). */
struct consumer_ref {
    uint32_t slot;
    uint32_t generation;
};

/* Who consumes, for the broker: opaque here. */
struct consumer_owner {
    void *context; /* the subscription: only `shard` touches it */
    uint16_t shard;
    uint32_t session_slot;
    uint32_t session_generation;
    uint32_t subscription_id;
};

/* What a queue does with a consumer; run on the queue's shard. */
struct consumer_events {
    /* Hand `message` (borrowed) over; with no_ack the entry is dropped right after. Who keeps its
     * bytes takes a message_hold. */
    void (*deliver)(struct consumer *consumer, struct message *message, uint64_t position);
    /* The queue is going away; the consumer is off its lists already. */
    void (*cancelled)(struct consumer *consumer);
};

#define CONSUMER_NO_WINDOW UINT32_MAX

/* Owner: its queue's host. Thread: that shard. Freed by: the host, when it is cancelled and its last
 * delivery settled, so that a settle always finds whom to count for. */
struct consumer {
    struct list link;    /* in queue->consumers or queue->blocked */
    struct queue *queue; /* NULL once cancelled */
    struct consumer_ref ref;
    int32_t priority;  /* x-priority */
    uint32_t prefetch; /* 0 = unlimited */
    uint32_t unacked;
    uint32_t window; /* deliveries that may be on their way to another shard */
    bool no_ack;
    bool is_exclusive;
    bool is_blocked;
    const uint8_t *gate; /* closed while not 0; the session's, or a constant 0 for remote ones */
    const struct consumer_events *events;
    struct consumer_owner owner;
};

struct consumer_settings {
    bool no_ack;
    bool exclusive;
    int32_t priority;
    uint32_t prefetch;
    uint32_t window; /* CONSUMER_NO_WINDOW when it is on this shard */
    const uint8_t *gate;
    const struct consumer_events *events;
    struct consumer_owner owner;
};

/* Add a consumer. ERR_REFUSED: exclusive use by another, or asked for while others consume. */
MUST_CHECK int consumer_add(struct queue *queue, const struct consumer_settings *settings,
                            struct consumer **out);
/* Take it off its queue; unacknowledged messages stay with their session. May end the queue
 * (auto-delete). */
void consumer_cancel(struct consumer *consumer);
/* The consumer of `ref`, cancelled or not; NULL when it is gone. */
struct consumer *consumer_find(const struct queue_host *host, struct consumer_ref ref);

static inline bool consumer_is_ready(const struct consumer *consumer)
{
    return *consumer->gate == 0 && consumer->window > 0 &&
           (consumer->prefetch == 0 || consumer->unacked < consumer->prefetch);
}

/* The consumer that is next in turn, NULL when none can take a message. */
struct consumer *consumer_next(struct queue *queue);
/* It got a message: its peers of the same priority come first now. */
void consumer_rotate(struct consumer *consumer);
/* Something changed in its favour (gate, window, prefetch): let the queue look again. */
void consumer_wake(struct consumer *consumer);
/* `n` of its deliveries were settled. May free a cancelled consumer. */
void consumer_settled(struct queue_host *host, struct consumer *consumer, uint32_t n);
/* Cancel all consumers of a queue that goes away. */
void consumer_cancel_all(struct queue *queue);

#endif
