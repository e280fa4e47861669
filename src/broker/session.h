/* SPDX-License-Identifier: Apache-2.0 */
/* Session: what a client does on one channel, whatever its protocol: publish, consume, settle, get. */
#ifndef TOKKI_BROKER_SESSION_H
#define TOKKI_BROKER_SESSION_H

#include "auth/identity.h"
#include "broker/confirms.h"
#include "broker/ledger.h"
#include "broker/node.h"
#include "core/refusal.h"

struct session;
struct subscription;

/* What the protocol does for its sessions; all set, called on the session's shard. */
struct session_events {
    /* Write a delivery. `message` is borrowed; who keeps its bytes takes a message_hold. */
    void (*deliver)(struct subscription *subscription, struct message *message, uint64_t tag);
    /* Publishes up to `tag` (multiple) or `tag` alone are safe. */
    void (*confirm)(struct session *session, uint64_t tag, bool multiple);
    /* The queue went away and took the consumer with it. The subscription is freed after this. */
    void (*cancelled)(struct subscription *subscription);
};

/* One consumer, as its session sees it.
 * Owner: the session. Thread: its shard. Freed by: cancel, the queue's end, the session's end. */
struct subscription {
    struct list link;
    struct session *session;
    struct str tag; /* heap */
    uint32_t id;
    struct queue_ref queue;
    struct consumer_ref consumer;
    struct consumer *local; /* the queue's consumer, when on this shard and not cancelled */
    bool no_ack;
    bool is_cancelling;
    bool is_reply;        /* direct reply-to: no queue behind it */
    bool is_returning;    /* deliveries go back until the queue's shard has seen that (deliver.c) */
    uint32_t window_used; /* deliveries from another shard since the last grant */
    void *context;        /* the protocol's */
};

/* Where one publish goes, kept from the last one: valid as long as nothing that it was computed from
 * has changed. Holds the permission verdict too: only permitted routes are kept. */
struct route_cache {
    bool is_valid;
    uint32_t serial; /* another one with each new route: what was derived from one knows it */
    bool is_checked_by_version; /* exchanges behind exchanges: any commit may change it */
    uint64_t version;           /* of the vhost view that last confirmed it */
    uint64_t generation;        /* of the exchange; of the default one: the queue's incarnation */
    uint64_t incarnation;       /* of the exchange */
    uint8_t exchange_len;
    uint8_t key_len;
    uint32_t count;
    uint32_t capacity;
    struct queue_ref *targets; /* heap, or &single */
    struct queue_ref single;
    char names[2 * 256];
};

/* Owner: the protocol's channel, which embeds it. Thread: its shard. Freed by: session_close's end. */
struct session {
    struct session_ref ref;
    struct broker_shard *broker;
    const struct session_events *events;
    struct vhost *vhost;
    const struct identity *identity;
    struct connection *connection;
    uint8_t gate; /* enum consumer_gate bits */
    bool is_confirming;
    bool is_closing;
    uint32_t next_subscription;
    uint32_t prefetch;         /* of new consumers */
    uint32_t session_prefetch; /* of all together; 0 = no limit */
    uint64_t next_tag;         /* delivery tags given out so far */
    uint64_t touched;          /* bit i: this session has sent work to shard i */
    struct ledger ledger;
    struct confirms confirms;
    struct list subscriptions;
    struct list confirming;     /* on broker->confirming */
    struct subscription *reply; /* direct reply-to consumer */
    uint64_t reply_token;
    struct route_cache *route; /* heap; NULL until the first publish */
};

/* Begin a session in the caller's storage. */
void session_open(struct session *session, struct broker_shard *broker,
                  struct connection *connection, struct vhost *vhost,
                  const struct identity *identity, const struct session_events *events);
/* Leave the shard's table for a move / enter that of the new one. Nothing but settings may be set. */
void session_detach(struct session *session);
void session_attach(struct session *session, struct broker_shard *broker);
/* The open session of `ref` on its shard; NULL when it has ended. */
struct session *session_find(struct broker_shard *broker, uint32_t slot, uint32_t generation);

/* End the session: consumers are cancelled, unacknowledged messages return to their places; when all
 * shards have seen that, `done(context)` is called (perhaps at once), and the storage is free. */
void session_close(struct session *session, void (*done)(struct broker_shard *, void *context),
                   void *context);

/* ---- publishing (publish.c) ---- */

struct publication {
    struct str exchange;
    struct str routing_key;
    struct str headers; /* table of the message; for headers exchanges, CC and BCC */
    bool mandatory;
    bool has_copies; /* the headers hold CC or BCC */
};

struct publish_result {
    bool is_unroutable; /* mandatory and no queue: the caller returns the message */
    uint32_t targets;
    uint16_t only_shard; /* with exactly one target: the shard it is on */
};

/* Find the targets. They stay in the session's cache (or scratch) until the next call. ERR_REFUSED:
 * no such exchange, no permission, internal exchange, bad CC header. */
MUST_CHECK int session_route(struct session *session, const struct publication *publication,
                             struct publish_result *result, struct refusal *refusal);
/* Is the route of the last publish (same exchange, same key) still right? The hot path. */
bool session_route_is_current(struct session *session);
/* Send `message` (takes its reference) to the targets that session_route found, and count it for
 * confirms. */
void session_publish(struct session *session, struct message *message);
/* Is the way to another shard, which this session publishes to, full? */
bool session_is_congested(const struct session *session);

/* Count a publish that no queue needs to confirm. */
void session_confirm_nothing(struct session *session);

/* ---- settling (settle.c) ---- */

/* ERR_NOT_FOUND: unknown tag (multiple with 0 never is). */
MUST_CHECK int session_settle(struct session *session, uint64_t tag, bool multiple,
                              enum queue_settle_how how);
/* All that is unacknowledged goes back (basic.recover). */
void session_recover(struct session *session);
/* A limit for all consumers of the session together. */
void session_set_limit(struct session *session, uint32_t limit);
/* Open or close the gate for one reason; on opening the consumers' queues look again. */
void session_set_gate(struct session *session, enum consumer_gate reason, bool closed);
/* A run of deliveries is settled at its queue, wherever that is. */
void session_settle_run(struct session *session, const struct ledger_run *run,
                        enum queue_settle_how how);

/* ---- consuming (deliver.c, session.c) ---- */

/* Note and hand over one delivery. Thread: the session's shard. */
void session_deliver(struct subscription *subscription, struct message *message, uint64_t position);
struct subscription *session_find_subscription(struct session *session, struct str tag);
/* The queue's consumer is made; what follows is deliveries. */
struct subscription *session_add_subscription(struct session *session, struct str tag, bool no_ack);
void session_free_subscription(struct subscription *subscription);

#endif
