/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of one queue by position: a growing and shrinking run of small chunks. */
#ifndef TOKKI_CORE_QUEUE_ENTRIES_H
#define TOKKI_CORE_QUEUE_ENTRIES_H

#include "core/message.h"

/* 4 KiB of entries: 10,000 queues with a message each cost 40 MB, and a chunk is bought once per 128
 * messages. */
#define ENTRIES_PER_CHUNK 128U

struct entry_chunk {
    uint32_t live;  /* entries that are not MESSAGE_GONE */
    uint32_t first; /* entries before this index are gone: the chunk was begun in the middle */
    struct message messages[ENTRIES_PER_CHUNK];
};

/* Positions [head, tail) may be live. Position p is in chunk p / ENTRIES_PER_CHUNK, found through a
 * ring of pointers; a chunk whose entries are all gone is given back even between live ones, so an
 * old unacknowledged message holds 4 KiB, not everything that came after it.
 *
 * Invariants: head <= tail; the chunk of `head` is present or head == tail; every present chunk has
 * live > 0.
 * Owner: the queue. Thread: its shard. Freed by: entries_fini, when all are gone. */
struct entries {
    uint64_t head;
    uint64_t tail;
    struct entry_chunk **ring;
    uint32_t ring_capacity; /* power of two, 0 when never used */
};

/* Append an entry (copied). Returns its position. */
uint64_t entries_push(struct entries *entries, struct pool *pool, const struct message *message);

/* The entry at `position`, NULL when it is gone or never was. Valid until it is dropped. */
static inline struct message *entries_at(const struct entries *entries, uint64_t position)
{
    struct entry_chunk *chunk;
    struct message *message;
    if (position < entries->head || position >= entries->tail)
        return NULL;
    chunk = entries->ring[(position / ENTRIES_PER_CHUNK) & (entries->ring_capacity - 1)];
    if (!chunk || position % ENTRIES_PER_CHUNK < chunk->first)
        return NULL;
    message = &chunk->messages[position % ENTRIES_PER_CHUNK];
    return message->state == MESSAGE_GONE ? NULL : message;
}

/* Forget the live entry at `position`; its bytes have been released by the caller. */
void entries_drop(struct entries *entries, struct pool *pool, uint64_t position);

/* The first live position >= `from`, or `tail`. */
uint64_t entries_next_live(const struct entries *entries, uint64_t from);

/* Give back all chunks and the ring. */
void entries_fini(struct entries *entries, struct pool *pool);

#endif
