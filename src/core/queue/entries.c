/* SPDX-License-Identifier: Apache-2.0 */
/* Position-addressed chunks of queue entries. */
#include "core/queue/entries.h"

#include "base/bug.h"
#include "base/mem.h"

#include <string.h>

static uint64_t chunk_number(uint64_t position)
{
    return position / ENTRIES_PER_CHUNK;
}

static struct entry_chunk **slot_of(const struct entries *entries, uint64_t number)
{
    return &entries->ring[number & (entries->ring_capacity - 1)];
}

/* Make the ring span the chunks from that of `head` to number `last`. */
static COLD void grow_ring(struct entries *entries, uint64_t last)
{
    uint64_t first = chunk_number(entries->head);
    uint32_t capacity = MAX(entries->ring_capacity * 2, 4U);
    struct entry_chunk **ring = mem_alloc_zero(capacity * sizeof *ring);

    /* The old ring knows no more than its own number of chunks; behind them there is none yet. */
    for (uint64_t n = first; n < MIN(last, first + entries->ring_capacity); n++)
        ring[n & (capacity - 1)] = *slot_of(entries, n);
    mem_free(entries->ring);
    entries->ring = ring;
    entries->ring_capacity = capacity;
}

COLD struct entry_chunk *entries_add_chunk(struct entries *entries, struct pool *pool)
{
    uint64_t number = chunk_number(entries->tail);
    struct entry_chunk *chunk;

    if (number - chunk_number(entries->head) >= entries->ring_capacity)
        grow_ring(entries, number);
    chunk = pool_take(pool);
    chunk->live = 0;
    chunk->bodies = NULL;
    chunk->first = (uint32_t)(entries->tail % ENTRIES_PER_CHUNK);
    *slot_of(entries, number) = chunk;
    return chunk;
}

uint64_t entries_next_live(const struct entries *entries, uint64_t from)
{
    uint64_t position = MAX(from, entries->head);
    while (position < entries->tail) {
        const struct entry_chunk *chunk = *slot_of(entries, chunk_number(position));
        if (!chunk)
            position = (chunk_number(position) + 1) * ENTRIES_PER_CHUNK;
        else if (position % ENTRIES_PER_CHUNK < chunk->first ||
                 chunk->messages[position % ENTRIES_PER_CHUNK].state == MESSAGE_GONE)
            position++;
        else
            return position;
    }
    return entries->tail;
}

/* Move `head` to the first chunk that is still there. */
static void advance_head(struct entries *entries)
{
    uint64_t number = chunk_number(entries->head);
    uint64_t last = chunk_number(entries->tail);
    while (number < last && !*slot_of(entries, number))
        number++;
    if (number != chunk_number(entries->head))
        entries->head = number * ENTRIES_PER_CHUNK;
    if (number == last && (entries->tail % ENTRIES_PER_CHUNK == 0 || !*slot_of(entries, number)))
        entries->head = entries->tail;
}

static void free_chunk(struct pool *pool, struct entry_chunk *chunk)
{
    mem_free(chunk->bodies);
    pool_give(pool, chunk);
}

COLD uint64_t *entries_add_bodies(struct entry_chunk *chunk)
{
    chunk->bodies = mem_alloc_zero(ENTRIES_PER_CHUNK * sizeof *chunk->bodies);
    return chunk->bodies;
}

/* Within the last chunk what is passed over is marked; behind it a chunk begins in the middle. */
void entries_skip_to(struct entries *entries, uint64_t position)
{
    struct entry_chunk *chunk = NULL;

    BUG_ON(position < entries->tail, "entries go back");
    if (entries->head == entries->tail) {
        entries->head = position;
        entries->tail = position;
        return;
    }
    if (entries->tail % ENTRIES_PER_CHUNK != 0)
        chunk = *slot_of(entries, chunk_number(entries->tail));
    while (entries->tail < position && entries->tail % ENTRIES_PER_CHUNK != 0) {
        if (chunk)
            chunk->messages[entries->tail % ENTRIES_PER_CHUNK].state = MESSAGE_GONE;
        entries->tail++;
    }
    entries->tail = MAX(entries->tail, position);
    /* The ring spans up to the tail's chunk, so that no slot stands for two. */
    while (chunk_number(position) - chunk_number(entries->head) >= entries->ring_capacity)
        grow_ring(entries, chunk_number(position));
}

/* Even the one being filled: a queue that runs empty keeps no chunk, since idle queues are many, and
 * taking it again costs a few ns. */
void entries_free_chunk(struct entries *entries, struct pool *pool, uint64_t position)
{
    struct entry_chunk **slot = entries_slot(entries, position);

    free_chunk(pool, *slot);
    *slot = NULL;
    advance_head(entries);
}

void entries_fini(struct entries *entries, struct pool *pool)
{
    if (entries->head < entries->tail) {
        for (uint64_t n = chunk_number(entries->head); n <= chunk_number(entries->tail - 1); n++)
            if (*slot_of(entries, n))
                free_chunk(pool, *slot_of(entries, n));
    }
    mem_free(entries->ring);
    *entries = (struct entries){0};
}
