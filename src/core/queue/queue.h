/* SPDX-License-Identifier: Apache-2.0 */
/* A queue at run time: ready and unacknowledged messages, consumers, life. One shard touches it. */
#ifndef TOKKI_CORE_QUEUE_QUEUE_H
#define TOKKI_CORE_QUEUE_QUEUE_H

#include "core/queue/entries.h"
#include "core/queue/host.h"
#include "core/queue/returned.h"
#include "core/stage.h"
#include "io/timer.h"

#define QUEUE_NO_TTL UINT64_MAX

/* What a declaration fixes; immutable for the life of the incarnation. */
struct queue_settings {
    bool durable;
    bool auto_delete;
    bool exclusive;
    uint64_t owner;      /* connection of an exclusive queue; else 0 */
    uint64_t ttl_ms;     /* x-message-ttl, QUEUE_NO_TTL when absent */
    uint64_t expires_ms; /* x-expires, QUEUE_NO_TTL when absent */
};

/*            queue_new            queue_begin_delete             queue_free
 *  (catalog) ---------> QUEUE_LIVE ----------------> QUEUE_DELETING ----------> gone
 *
 * LIVE: everything goes. DELETING: the end is decided here and waits for the catalog's commit;
 * publishes are dropped (as to a missing queue), declares wait, other operations see no queue. */
enum queue_state { QUEUE_LIVE, QUEUE_DELETING };

enum queue_settle_how {
    QUEUE_SETTLE_ACK,     /* gone */
    QUEUE_SETTLE_REJECT,  /* gone by reject or nack without requeue */
    QUEUE_SETTLE_REQUEUE, /* ready again, marked redelivered */
    QUEUE_SETTLE_RETURN,  /* never reached the client: ready again, mark unchanged */
};

enum queue_got {
    QUEUE_GOT_NONE,
    QUEUE_GOT_MESSAGE,
    QUEUE_GOT_LATER, /* it is read back from the log: ask again when host->events->loaded tells */
};

/* Counters since creation; admin reads them (architecture section 8). */
struct queue_stats {
    uint64_t published;
    uint64_t delivered_ack;
    uint64_t delivered_no_ack;
    uint64_t got;
    uint64_t redelivered;
    uint64_t acked;
    uint64_t expired;
};

struct queue_ops;

/* Owner: its shard (made by the catalog's writer, which lets go when the table shows it).
 * Thread: its shard. Freed by: queue_free on that shard, after the catalog has forgotten it. */
struct queue {
    const struct queue_ops *ops;
    struct queue_host *host;
    struct queue_ref ref;
    struct queue_settings settings;
    enum queue_state state;
    struct str name;  /* heap */
    struct str vhost; /* heap */
    struct entries entries;
    uint64_t next; /* positions from here on were not delivered: ready, or gone (has_gaps) */
    struct returned returned; /* ready positions below `next` */
    uint64_t ready;
    uint64_t unacked;
    uint64_t unmoved_from; /* entries before it are not in receive blocks */
    uint64_t ready_bytes;  /* body bytes of ready messages */
    struct list consumers; /* ready ones, highest priority first, next in turn first */
    struct list blocked;   /* consumers that cannot take a message now */
    uint32_t consumer_count;
    bool has_gaps;             /* some position behind `next` may be gone */
    uint64_t ahead_from;       /* chunks from here ... */
    uint64_t ahead_to;         /* ... to below this were asked for (loader.h); 0: none */
    uint64_t epoch;            /* of a replicated queue; 0 */
    uint64_t sequence;         /* of its last command in the log */
    uint64_t marked;           /* the log knows that positions below may have been delivered */
    uint64_t to_mark;          /* kept positions below have been delivered */
    uint64_t delivered_before; /* stats.delivered_ack at the last mark */
    struct consumer *exclusive_consumer;
    struct list dirty;       /* on host->dirty */
    struct list unmoved;     /* on host->unmoved */
    struct list exclusive;   /* among the exclusive queues of its connection */
    struct timer idle_timer; /* x-expires */
    struct queue_stats stats;
    void *getters; /* the broker's: operations that got QUEUE_GOT_LATER */
    void *waiters; /* the broker's: operations that wait for the end of this incarnation */
};

/* A walk over what the queues of a host hold that goes on in later turns. Between two turns everything may change: a
 * queue that was left in the middle may go, or get a successor in its slot. {0}: at the beginning. */
struct queue_walk {
    uint32_t slot;
    uint64_t incarnation; /* of the queue in `slot` that was left in the middle; 0: it comes next */
    uint64_t position;    /* of that queue, where a chunk begins: what is before was walked over */
};

/* A queue type. All run on the queue's shard. The number returned by the changing ones is what a
 * reply must wait for (stage.h). The log is the host's stage. */
struct queue_ops {
    const char *name; /* as in x-queue-type */
    lsn_t (*enqueue)(struct queue *queue, const struct message *message);
    /* Put back what the log had, at its position >= all before: ready, with its flags; the message may be
     * MESSAGE_OUT. No record. */
    void (*restore)(struct queue *queue, uint64_t position, uint64_t body,
                    const struct message *message);
    lsn_t (*settle)(struct queue *queue, uint64_t first, uint64_t count, enum queue_settle_how how);
    void (*dispatch)(struct queue *queue);
    /* Take the first ready message. The entry stays (unacked) unless
     * `no_ack`, when the caller gets its reference. */
    enum queue_got (*get)(struct queue *queue, bool no_ack, struct message *message,
                          uint64_t *position);
    /* Drop all ready messages; returns how many. */
    uint64_t (*purge)(struct queue *queue, lsn_t *lsn);
    /* Drop everything, for queue_free. */
    void (*clear)(struct queue *queue);
};

extern const struct queue_ops classic_queue_ops;

/* Whose entries these are. */
static inline struct queue *queue_of(struct entries *entries)
{
    return CONTAINER_OF(entries, struct queue, entries);
}

/* The timers of chunks and pages (expiry.h) fire. */
void queue_chunk_due(struct timer *timer);
void queue_page_due(struct timer *timer);

/* A live queue for `host`'s shard. Strings and settings are copied. Thread: the catalog's writer. */
MUST_CHECK struct queue *queue_new(struct queue_host *host, struct queue_ref ref, struct str vhost,
                                   struct str name, const struct queue_settings *settings);
/* The shard takes note of a new queue: starts x-expires. */
void queue_attach(struct queue *queue);
/* No consumer, no waiter. Drops all messages. */
void queue_free(struct queue *queue);

/* The live queue of `ref` on this host; NULL when it is gone, going, or another incarnation. */
static inline struct queue *queue_find(const struct queue_host *host, struct queue_ref ref)
{
    struct queue *queue = queue_table_get(host->table, ref.slot);
    return queue && queue->ref.incarnation == ref.incarnation ? queue : NULL;
}

static inline uint64_t queue_ready_count(const struct queue *queue)
{
    return queue->ready;
}

/* Append; takes the message's reference. Delivered by the next queue_host_dispatch, so that a whole
 * read is enqueued before its first delivery: both loops stay in cache. */
static inline lsn_t queue_enqueue(struct queue *queue, const struct message *message)
{
    return queue->ops->enqueue(queue, message);
}

/* After a restart, on no shard's thread yet: the state that the log had. */
static inline void queue_restore(struct queue *queue, uint64_t position, uint64_t body,
                                 const struct message *message)
{
    queue->ops->restore(queue, position, body, message);
}
/* The same for a chunk that is a page. Its expiry is by the shard's clock. */
void queue_restore_page(struct queue *queue, uint64_t first, const struct entry_page *page);
/* Positions go on from here, commands behind `sequence`. After the last queue_restore. */
void queue_restore_end(struct queue *queue, uint64_t tail, uint64_t sequence);

/* Settle [first, first + count), of which those that are not unacknowledged (any more) are left
 * alone. `consumer` is who got them, NULL for basic.get. */
lsn_t queue_settle(struct queue *queue, uint64_t first, uint64_t count, enum queue_settle_how how,
                   struct consumer *consumer);

static inline enum queue_got queue_get(struct queue *queue, bool no_ack, struct message *message,
                                       uint64_t *position)
{
    return queue->ops->get(queue, no_ack, message, position);
}

/* `*lsn`: what the reply must wait for. */
static inline uint64_t queue_purge(struct queue *queue, lsn_t *lsn)
{
    return queue->ops->purge(queue, lsn);
}

/* Have the queue looked at by the next dispatch. */
static inline void queue_mark_dirty(struct queue *queue)
{
    if (!list_is_linked(&queue->dirty))
        list_push_back(&queue->host->dirty, &queue->dirty);
}

/* The queue was used: x-expires starts anew (get, declare, end of the last consumer). */
void queue_touch(struct queue *queue);

void queue_begin_delete(struct queue *queue);

#endif
