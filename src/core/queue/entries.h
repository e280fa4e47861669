/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of one queue by position: small chunks, in memory or as pages in the log. */
#ifndef TOKKI_CORE_QUEUE_ENTRIES_H
#define TOKKI_CORE_QUEUE_ENTRIES_H

#include "base/bug.h"
#include "base/list.h"
#include "core/message.h"
#include "core/queue/page.h"
#include "io/timer.h"

/* A chunk in memory. */
struct entry_chunk {
    struct list resident;       /* the host's: chunks in memory, oldest first (pager.h) */
    struct timer expiry;        /* when to look for what has expired (expiry.h) */
    struct entries *owner;      /* of a struct queue */
    uint64_t number;            /* position / ENTRIES_PER_CHUNK */
    uint64_t page;              /* the record that has its identities already; 0: none */
    uint64_t spilled_page;      /* entry_page.spilled_id */
    uint64_t out_bytes;         /* about what its entries without bytes take when they come back */
    uint32_t out;               /* live entries that are MESSAGE_OUT */
    struct entry_bits expected; /* entries whose bytes are being read back */
    uint32_t live;              /* entries that are not MESSAGE_GONE */
    uint32_t first;   /* entries before this index are gone: the chunk was begun in the middle */
    uint64_t *bodies; /* heap: identities of the bodies in the log; NULL while none is kept there */
    struct message messages[ENTRIES_PER_CHUNK];
};

/* Positions [head, tail) may be live. Position p is in chunk p / ENTRIES_PER_CHUNK, which is in memory,
 * or a page in the log with a small descriptor here; both are found through rings of pointers. A chunk
 * or page whose entries are all gone is given back even between live ones, so an old unacknowledged
 * message holds 4 KiB, not everything that came after it.
 *
 * Invariants: head <= tail; head == tail, or head begins a chunk that is there (in memory or as a page); every
 * chunk and page has live > 0; a number is in one ring at most.
 * Owner: the queue. Thread: its shard. Freed by: entries_fini, when all are gone. */
struct entries {
    uint64_t head;
    uint64_t tail;
    struct entry_chunk **ring;
    struct entry_page **pages; /* of the same capacity; NULL while there was never a page */
    uint32_t ring_capacity;    /* power of two, 0 when never used */
    uint32_t page_count;
};

/* Where chunks come from, and who keeps track of them. Owner: the host. */
struct entry_store {
    struct pool chunks;   /* struct entry_chunk */
    struct pool pages;    /* struct entry_page */
    struct list resident; /* chunks in memory, oldest first */
    struct timer_wheel *timers;
    timer_fn chunk_due;    /* fires of a chunk's `expiry` ... */
    timer_fn page_due;     /* ... and of a page's */
    uint64_t expiry_bytes; /* that page_expiry take */
};

/* `timers`, borrowed, is the shard's. */
void entry_store_init(struct entry_store *store, struct timer_wheel *timers, timer_fn chunk_due,
                      timer_fn page_due);
void entry_store_fini(struct entry_store *store);

/* entries_push's way when the tail has no chunk. */
struct entry_chunk *entries_add_chunk(struct entries *entries, struct entry_store *store);
/* entries_drop's way when a chunk has no live entry left. */
void entries_free_chunk(struct entries *entries, struct entry_store *store, uint64_t position);

static inline struct entry_chunk **entries_slot(const struct entries *entries, uint64_t position)
{
    return &entries->ring[(position / ENTRIES_PER_CHUNK) & (entries->ring_capacity - 1)];
}

/* Append an entry (copied). Returns its position. Inline, as entries_drop: both run per message. */
static inline uint64_t entries_push(struct entries *entries, struct entry_store *store,
                                    const struct message *message)
{
    struct entry_chunk *chunk = NULL;
    uint32_t index = (uint32_t)(entries->tail % ENTRIES_PER_CHUNK);

    if (entries->ring_capacity && index != 0)
        chunk = *entries_slot(entries, entries->tail);
    if (UNLIKELY(!chunk))
        chunk = entries_add_chunk(entries, store);
    chunk->messages[index] = *message;
    chunk->live++;
    return entries->tail++;
}

/* The entry at `position`, NULL when it is gone, or never was, or is in a page. Valid until it is dropped. */
static inline struct message *entries_at(const struct entries *entries, uint64_t position)
{
    struct entry_chunk *chunk;
    struct message *message;
    if (position < entries->head || position >= entries->tail)
        return NULL;
    chunk = *entries_slot(entries, position);
    if (!chunk || position % ENTRIES_PER_CHUNK < chunk->first)
        return NULL;
    message = &chunk->messages[position % ENTRIES_PER_CHUNK];
    return message->state == MESSAGE_GONE ? NULL : message;
}

/* Forget the live entry at `position`; its bytes have been released by the caller. */
static inline void entries_drop(struct entries *entries, struct entry_store *store,
                                uint64_t position)
{
    struct entry_chunk *chunk = *entries_slot(entries, position);

    DEBUG_BUG_ON(!chunk || chunk->live == 0, "entry %llu dropped twice",
                 (unsigned long long)position);
    chunk->messages[position % ENTRIES_PER_CHUNK].state = MESSAGE_GONE;
    if (UNLIKELY(--chunk->live == 0))
        entries_free_chunk(entries, store, position);
}

/* The identity of the body in the log of the entry at `position`, which is there; 0: it is not kept. */
static inline uint64_t entries_body(const struct entries *entries, uint64_t position)
{
    const struct entry_chunk *chunk = *entries_slot(entries, position);
    return chunk->bodies ? chunk->bodies[position % ENTRIES_PER_CHUNK] : 0;
}

/* entries_set_body's way for the first one of a chunk. */
uint64_t *entries_add_bodies(struct entry_chunk *chunk);

static inline void entries_set_body(const struct entries *entries, uint64_t position, uint64_t id)
{
    struct entry_chunk *chunk = *entries_slot(entries, position);
    uint64_t *bodies = LIKELY(chunk->bodies) ? chunk->bodies : entries_add_bodies(chunk);
    bodies[position % ENTRIES_PER_CHUNK] = id;
}

/* Go on at `position` >= tail: the positions between are gone. For a queue that comes back from the log. */
void entries_skip_to(struct entries *entries, uint64_t position);

/* The first live position >= `from`, or `tail`. */
uint64_t entries_next_live(const struct entries *entries, uint64_t from);

/* The same, passing over pages. */
uint64_t entries_next_resident(const struct entries *entries, uint64_t from);

/* ---- pages ---- */

/* The page that stands for the chunk of `position`, NULL when there is none. */
static inline struct entry_page *entries_page(const struct entries *entries, uint64_t position)
{
    if (LIKELY(entries->page_count == 0) || position < entries->head || position >= entries->tail)
        return NULL;
    return entries->pages[(position / ENTRIES_PER_CHUNK) & (entries->ring_capacity - 1)];
}

/* The chunk in memory of `position`, NULL when there is none. */
static inline struct entry_chunk *entries_chunk(const struct entries *entries, uint64_t position)
{
    if (position < entries->head || position >= entries->tail)
        return NULL;
    return *entries_slot(entries, position);
}

/* Put `page` (copied, with its expiry) where a chunk was or nothing is; its entries hold nothing any more. */
void entries_set_page(struct entries *entries, struct entry_store *store, uint64_t number,
                      const struct entry_page *page);
/* Append a page at `first`, the beginning of a chunk at or behind the tail, which moves behind it. */
void entries_push_page(struct entries *entries, struct entry_store *store, uint64_t first,
                       const struct entry_page *page);
/* Put a chunk where a page is: all entries MESSAGE_GONE, live 0. The caller fills it. */
struct entry_chunk *entries_unset_page(struct entries *entries, struct entry_store *store,
                                       uint64_t number);
/* A page has no live entry left. */
void entries_free_page(struct entries *entries, struct entry_store *store, uint64_t number);

/* Give back all chunks, pages and the rings. Returns how many live entries were in pages. */
uint64_t entries_fini(struct entries *entries, struct entry_store *store);

#endif
