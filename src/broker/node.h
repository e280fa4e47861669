/* SPDX-License-Identifier: Apache-2.0 */
/* The node: shards, catalog, alarms; and what the broker keeps per shard. */
#ifndef TOKKI_BROKER_NODE_H
#define TOKKI_BROKER_NODE_H

#include "base/reclaim.h"
#include "core/catalog/catalog.h"
#include "core/queue/host.h"
#include "core/routing/route.h"
#include "io/listener.h"
#include "io/shard.h"

struct broker_shard;
struct checkpoint_run;
struct durable_wait;
struct operation;
struct session;
struct spill_sweep;

/* The shard that applies catalog commands. */
#define CATALOG_SHARD 0

enum alarm {
    ALARM_MEMORY = 1 << 0,
    ALARM_DISK = 1 << 1,      /* no room for the log's next segment */
    ALARM_SPILL = 1 << 2,     /* the same of the spill */
    ALARM_DISK_FREE = 1 << 3, /* less free than the limit */
};
#define ALARM_COUNT 4U

struct node_settings {
    uint16_t shards;
    uint32_t spin_us;
    uint64_t memory_limit_bytes; /* messages and buffers above it raise ALARM_MEMORY */
    uint64_t queue_memory_bytes; /* waiting messages above it leave memory (core/queue/pager.h) */
    struct log *log;   /* opened, not replayed; NULL: nothing is kept. The node's from then on */
    struct log *spill; /* likewise, empty; NULL: what is not kept stays in memory */
    struct str name;   /* rabbit@host */
    struct str cluster_name;
};

/* Free slots of one shard's queue table. Thread: the catalog's writer. */
struct slot_allocator {
    uint32_t *free;
    uint32_t free_count;
    uint32_t free_capacity;
    _Atomic uint32_t used; /* slots ever handed out; read by all shards */
};

/* Owner: main. Thread: immutable once shards run, but for the atomics and the writer's fields.
 * Freed by: node_free. */
struct node {
    struct node_settings settings;
    struct shard_set *shards;
    struct broker_shard *brokers[SHARDS_MAX];
    struct reclaim *reclaim;
    struct catalog *catalog;
    struct log *log;   /* NULL: nothing is kept */
    struct log *spill; /* core/queue/spill.h; or NULL */
    bool is_new;       /* nothing was ever declared, or --recover found no vhost */
    struct listener *listeners[8];
    uint32_t listener_count;
    uint64_t token_secret;                      /* makes direct reply-to addresses hard to guess */
    struct slot_allocator slots[SHARDS_MAX];    /* the writer's */
    _Atomic uint32_t queue_counts[SHARDS_MAX];  /* queues placed per shard */
    _Atomic uint32_t alarms;                    /* enum alarm bits */
    _Atomic uint64_t alarm_counts[ALARM_COUNT]; /* how often each was set */
    _Atomic uint64_t catalog_lsn; /* of the newest catalog record, on CATALOG_SHARD's stream */
    _Atomic uint64_t last_transaction;
    _Atomic bool has_failed; /* the log: nothing is promised any more */
    _Atomic bool wants_checkpoint;
    pthread_mutex_t spill_mutex; /* of spill_retry_ms and the start */
    uint64_t spill_retry_ms;
    _Atomic bool has_spill; /* it was started */
    _Atomic bool wants_spill_sweep;
    _Atomic(struct spill_sweep *) spill_sweep;   /* under way between the shards */
    _Atomic(struct checkpoint_run *) checkpoint; /* under way between the shards */
    _Atomic uint64_t next_connection;
    _Atomic uint64_t open_connections;
};

/* A connection of any protocol, as the broker sees it. Owner: the protocol. Thread: its shard. */
struct connection {
    struct list link;    /* on broker_shard->connections */
    struct list blocked; /* on broker_shard->blocked while an alarm or a full mailbox stops it */
    struct list exclusive_queues;
    uint64_t id; /* owner of exclusive queues */
    /* The node stops: tell the client and end. */
    void (*stop)(struct connection *connection);
    /* The alarms may have changed, or a mailbox has room: look whether to go on. */
    void (*unblock)(struct connection *connection);
};

struct session_slot {
    struct session *session;
    uint32_t generation;
    uint32_t next_free;
};

/* A session's handle across shards. */
struct session_ref {
    uint16_t shard;
    uint32_t slot;
    uint32_t generation;
};

/* A run of publishes of one session that this shard's queues have taken, to be told to its shard. */
struct confirm_run {
    uint16_t shard;
    uint32_t slot;
    uint32_t generation;
    uint64_t first;
    uint64_t count; /* 0: nothing gathered */
};

/* Waits in the order of their records (durable.c). */
struct durable_waits {
    struct durable_wait *ring;
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* power of two, or 0 */
};

/* Transactions begun on this shard that have no commit record yet. */
struct open_transactions {
    uint64_t *ids;
    uint32_t count;
    uint32_t capacity;
};

/* Owner: the node. Thread: its shard. Freed by: node_free. */
struct broker_shard {
    struct shard *shard;
    struct node *node;
    struct stage stage;
    struct stage spill;
    struct durable_waits waits;
    struct timer settle_timer;
    bool settles_due;
    uint64_t touching; /* bit i: shard i was told of the transaction that works here now */
    uint64_t far_transaction[SHARDS_MAX]; /* that the mail of shard i belongs to; 0: none */
    struct open_transactions transactions;
    struct checkpoint_run *draining; /* waits for transactions to end */
    struct queue_host queues;
    struct list connections;
    struct list blocked; /* connections that wait for an alarm to end */
    struct timer block_timer;
    struct session_slot *session_slots;
    uint32_t session_capacity;
    uint32_t session_free;
    struct route_result route; /* scratch of the publish path */
    struct list confirming;    /* sessions with confirms to send this turn */
    struct confirm_run confirm_run;
    struct operation *after_commit; /* the catalog shard's: steps that follow the commit */
    bool catalog_changed;
    bool is_reading; /* this shard is online as a reader of the catalog */
    uint64_t connection_count;
    uint64_t channel_count;
    uint64_t work; /* messages enqueued, over all their queues: bounds what one parse may do */
    uint64_t other_bytes; /* unfinished contents and parked frames */
};

static inline struct broker_shard *broker_of(struct shard *shard)
{
    return (struct broker_shard *)shard->upper;
}

/* A node; no thread runs yet. Without a log it has the default vhost. Errors: -errno. */
MUST_CHECK int node_new(const struct node_settings *settings, struct node **out);
/* Listen for connections that `accept` takes (its context is the node). Before node_start. */
MUST_CHECK int node_listen(struct node *node, const char *address, uint16_t port, accept_fn accept);
/* After node_recover, when there is a log. */
MUST_CHECK int node_start(struct node *node);
/* Close every connection in good order and end the threads; write what is left to the log. Returns the
 * log's failure, or 0. */
int node_stop(struct node *node);
/* The node can not keep its promises any more: nothing is confirmed from now on, and it stops. Any thread. */
void node_fail(struct node *node, int error);
void node_free(struct node *node);

/* From now on changes of the catalog are logged. */
void node_begin_journal(struct node *node);
/* "/", which every new node has. */
void node_add_default_vhost(struct node *node);

/* The events of the node's log (log.h); `context` of each is the node. */
void node_log_events(struct node *node, struct log_events *events);

/* The vhost's view for this shard: what is committed, and on the catalog shard what is applied. Valid
 * until the turn ends or (there) the next command is applied. */
const struct vhost_view *broker_view(struct broker_shard *broker, const struct vhost *vhost);

/* The committed view, for routing (caches compare its version). The catalog shard commits first. */
const struct vhost_view *broker_route_view(struct broker_shard *broker, const struct vhost *vhost);

/* A connection comes and goes. Thread: the shard's. */
void broker_add_connection(struct broker_shard *broker, struct connection *connection);
void broker_remove_connection(struct broker_shard *broker, struct connection *connection);

/* It leaves this shard to be added on another. */
void broker_lend_connection(struct broker_shard *broker, struct connection *connection);

/* `connection` published while an alarm is on, or towards a full mailbox: it is not read until
 * `unblock` says so. */
void broker_block(struct broker_shard *broker, struct connection *connection);

/* Move a connection to another shard: `run` gets `moving` on that shard's thread. */
void broker_move(struct broker_shard *from, uint16_t to, void *moving,
                 void (*run)(struct broker_shard *there, void *moving));

static inline bool node_has_failed(const struct node *node)
{
    return atomic_load_explicit(&node->has_failed, memory_order_relaxed);
}

static inline uint32_t node_alarms(const struct node *node)
{
    return atomic_load_explicit(&node->alarms, memory_order_relaxed);
}

/* The shard for a new named queue: the least loaded, the name's hash among equals. */
uint16_t node_place_queue(struct node *node, struct str name);

#endif
