/* SPDX-License-Identifier: Apache-2.0 */
/* Queue host: what one shard needs to run its queues: table of slots, pools, work lists. */
#ifndef TOKKI_CORE_QUEUE_HOST_H
#define TOKKI_CORE_QUEUE_HOST_H

#include "base/list.h"
#include "core/queue/entries.h"
#include "core/ref.h"
#include "core/stage.h"
#include "io/shard.h"

struct consumer;
struct queue;
struct queue_host;

#define QUEUE_TABLE_PAGE 1024U
#define QUEUE_TABLE_PAGES 4096U

/* Slot to queue. The catalog's writer puts queues in and takes them out, the host's shard reads;
 * pages are never moved or freed while shards run. A queue is complete before its slot shows it:
 * store release, load acquire. */
struct queue_table {
    _Atomic(_Atomic(struct queue *) *) pages[QUEUE_TABLE_PAGES];
};

/* Up-calls to the broker, on the host's shard. */
struct queue_host_events {
    /* The queue should go: its last consumer left (auto-delete) or it was unused (x-expires). */
    void (*idle)(struct queue *queue);
    /* Ask again: a message that somebody got QUEUE_GOT_LATER for is there, or can never be. */
    void (*loaded)(struct queue *queue);
    /* Record `id`, which a message needs, cannot be read back: the disk is damaged, or fails. */
    void (*unreadable)(struct queue_host *host, const struct queue *queue, uint64_t id, int rc);
};

struct consumer_slot {
    struct consumer *consumer;
    uint32_t generation;
    uint32_t next_free;
};

/* Owner: the broker's per-shard state. Thread: its shard, except `table` (above). */
struct queue_host {
    struct shard *shard;
    struct stage *stage;
    struct stage *spill; /* for what need not survive a restart; NULL: it stays in memory */
    const struct queue_host_events *events;
    struct queue_table *table;
    struct entry_store store;
    struct pool descriptors; /* struct message_shared */
    struct pool consumers;   /* struct consumer */
    struct consumer_slot *consumer_slots;
    uint32_t consumer_capacity;
    uint32_t consumer_free; /* first free slot, UINT32_MAX when none */
    struct list dirty;      /* queues that may have something to dispatch */
    struct list unmoved;    /* queues with entries in receive blocks, longest waiting first */
    struct timer relocate_timer;
    uint64_t expiry_turn; /* in which chunks were last looked at for what has expired ... */
    uint32_t expiry_work; /* ... and what that took */
    uint64_t messages;    /* entries held by all queues here */
    uint32_t loads;       /* requests to the log under way */
    uint32_t page_pause;  /* turns without a look for what may leave memory: the last was in vain */
    /* The last turn in which messages waited for consumers that had used up their prefetch, and the
     * image length of one of them: publishers are read in smaller parts then. */
    uint64_t behind_turn;
    uint32_t behind_length;
};

void queue_host_init(struct queue_host *host, struct shard *shard, struct stage *stage,
                     const struct queue_host_events *events);
/* All queues are gone. */
void queue_host_fini(struct queue_host *host);

/* Show `queue` in `slot`, or NULL to clear it. Thread: the catalog's writer. */
void queue_table_set(struct queue_table *table, uint32_t slot, struct queue *queue);
/* The queue in `slot`, or NULL. Thread: the host's shard, and the writer. */
static inline struct queue *queue_table_get(const struct queue_table *table, uint32_t slot)
{
    _Atomic(struct queue *) *page =
        atomic_load_explicit(&table->pages[slot / QUEUE_TABLE_PAGE], memory_order_acquire);
    return page ? atomic_load_explicit(&page[slot % QUEUE_TABLE_PAGE], memory_order_acquire) : NULL;
}

/* Deliver what can be delivered from every dirty queue. */
void queue_host_dispatch(struct queue_host *host);

/* Copy waiting messages out of receive blocks while those take more than their share of memory. */
void queue_host_relocate(struct queue_host *host);

/* Take what the log's reader has brought (loader.h); the queues are dirty then. */
void queue_host_fetched(struct queue_host *host);
/* The same after the log has ended: it is dropped. */
void queue_host_drop_loads(struct queue_host *host);

/* Memory of entries, descriptors and consumers, bytes. */
uint64_t queue_host_bytes(const struct queue_host *host);
/* Of that, what is known of chunks that have left memory. */
uint64_t queue_host_page_bytes(const struct queue_host *host);

#endif
