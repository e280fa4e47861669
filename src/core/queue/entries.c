/* SPDX-License-Identifier: Apache-2.0 */
/* Position-addressed chunks of queue entries, and pages in their place. */
#include "core/queue/entries.h"

#include "base/bug.h"
#include "base/mem.h"
#include "core/queue/expiry.h"

#include <string.h>

void entry_store_init(struct entry_store *store, struct timer_wheel *timers, timer_fn chunk_due,
                      timer_fn page_due)
{
    store->timers = timers;
    store->chunk_due = chunk_due;
    store->page_due = page_due;
    store->expiry_bytes = 0;
    pool_init(&store->chunks, sizeof(struct entry_chunk), 16);
    pool_init(&store->pages, sizeof(struct entry_page), 256);
    list_init(&store->resident);
}

void entry_store_fini(struct entry_store *store)
{
    pool_fini(&store->chunks);
    pool_fini(&store->pages);
}

static uint64_t chunk_number(uint64_t position)
{
    return position / ENTRIES_PER_CHUNK;
}

static struct entry_chunk **slot_of(const struct entries *entries, uint64_t number)
{
    return &entries->ring[number & (entries->ring_capacity - 1)];
}

static struct entry_page **page_slot(const struct entries *entries, uint64_t number)
{
    return &entries->pages[number & (entries->ring_capacity - 1)];
}

static bool is_there(const struct entries *entries, uint64_t number)
{
    return *slot_of(entries, number) || (entries->pages && *page_slot(entries, number));
}

/* Make the rings span the chunks from that of `head` to number `last`. */
static COLD void grow_ring(struct entries *entries, uint64_t last)
{
    uint64_t first = chunk_number(entries->head);
    uint32_t capacity = MAX(entries->ring_capacity * 2, 4U);
    struct entry_chunk **ring = mem_alloc_zero(capacity * sizeof(struct entry_chunk *));
    struct entry_page **pages = NULL;

    if (entries->pages)
        pages = mem_alloc_zero(capacity * sizeof(struct entry_page *));
    /* The old rings know no more than their own number of chunks; behind them there is none yet. */
    for (uint64_t n = first; n < MIN(last, first + entries->ring_capacity); n++) {
        ring[n & (capacity - 1)] = *slot_of(entries, n);
        if (pages)
            pages[n & (capacity - 1)] = *page_slot(entries, n);
    }
    mem_free(entries->ring);
    mem_free(entries->pages);
    entries->ring = ring;
    entries->pages = pages;
    entries->ring_capacity = capacity;
}

static struct entry_chunk *new_chunk(struct entries *entries, struct entry_store *store,
                                     uint64_t number)
{
    struct entry_chunk *chunk = pool_take(&store->chunks);

    list_init(&chunk->resident);
    list_push_back(&store->resident, &chunk->resident);
    timer_init(&chunk->expiry, store->chunk_due);
    chunk->owner = entries;
    chunk->number = number;
    chunk->page = 0;
    chunk->spilled_page = 0;
    chunk->out = 0;
    chunk->out_bytes = 0;
    chunk->expected = (struct entry_bits){0};
    chunk->live = 0;
    chunk->first = 0;
    chunk->bodies = NULL;
    *slot_of(entries, number) = chunk;
    return chunk;
}

COLD struct entry_chunk *entries_add_chunk(struct entries *entries, struct entry_store *store)
{
    uint64_t number = chunk_number(entries->tail);
    struct entry_chunk *chunk;

    if (entries->head == entries->tail)
        entries->head = number * ENTRIES_PER_CHUNK;
    if (number - chunk_number(entries->head) >= entries->ring_capacity)
        grow_ring(entries, number);
    chunk = new_chunk(entries, store, number);
    chunk->first = (uint32_t)(entries->tail % ENTRIES_PER_CHUNK);
    return chunk;
}

/* The first live index of a chunk or page >= `index`, or ENTRIES_PER_CHUNK. */
static uint32_t next_in_chunk(const struct entries *entries, uint64_t number, uint32_t index)
{
    const struct entry_chunk *chunk = *slot_of(entries, number);

    if (!chunk)
        return entries->pages && *page_slot(entries, number)
                   ? bits_next(&(*page_slot(entries, number))->live, index)
                   : ENTRIES_PER_CHUNK;
    for (index = MAX(index, chunk->first); index < ENTRIES_PER_CHUNK; index++)
        if (chunk->messages[index].state != MESSAGE_GONE)
            break;
    return index;
}

/* Entries of the last chunk at and behind the tail were never written. */
static uint64_t next_position(const struct entries *entries, uint64_t from, bool passes_pages)
{
    uint64_t position = MAX(from, entries->head);

    while (position < entries->tail) {
        uint64_t number = chunk_number(position);
        uint32_t index = ENTRIES_PER_CHUNK;
        if (!passes_pages || *slot_of(entries, number))
            index = next_in_chunk(entries, number, (uint32_t)(position % ENTRIES_PER_CHUNK));
        position = number * ENTRIES_PER_CHUNK + index;
        if (index < ENTRIES_PER_CHUNK)
            break;
    }
    return MIN(position, entries->tail);
}

uint64_t entries_next_live(const struct entries *entries, uint64_t from)
{
    return next_position(entries, from, false);
}

uint64_t entries_next_resident(const struct entries *entries, uint64_t from)
{
    return next_position(entries, from, true);
}

/* Move `head` to the first chunk that is still there. */
static void advance_head(struct entries *entries)
{
    uint64_t number = chunk_number(entries->head);
    uint64_t last = chunk_number(entries->tail);
    while (number < last && !is_there(entries, number))
        number++;
    if (number != chunk_number(entries->head))
        entries->head = number * ENTRIES_PER_CHUNK;
    if (number == last && (entries->tail % ENTRIES_PER_CHUNK == 0 || !is_there(entries, number)))
        entries->head = entries->tail;
}

static void free_chunk(struct entry_store *store, struct entry_chunk *chunk)
{
    list_remove(&chunk->resident);
    timer_stop(store->timers, &chunk->expiry);
    mem_free(chunk->bodies);
    pool_give(&store->chunks, chunk);
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
void entries_free_chunk(struct entries *entries, struct entry_store *store, uint64_t position)
{
    struct entry_chunk **slot = entries_slot(entries, position);

    free_chunk(store, *slot);
    *slot = NULL;
    advance_head(entries);
}

/* ---- pages ---- */

void entries_set_page(struct entries *entries, struct entry_store *store, uint64_t number,
                      const struct entry_page *page)
{
    struct entry_page *copy = pool_take(&store->pages);

    *copy = *page;
    if (!entries->pages)
        entries->pages = mem_alloc_zero(entries->ring_capacity * sizeof(struct entry_page *));
    BUG_ON(*page_slot(entries, number), "a second page for chunk %llu", (unsigned long long)number);
    if (*slot_of(entries, number))
        free_chunk(store, *slot_of(entries, number));
    *slot_of(entries, number) = NULL;
    *page_slot(entries, number) = copy;
    entries->page_count++;
}

void entries_push_page(struct entries *entries, struct entry_store *store, uint64_t first,
                       const struct entry_page *page)
{
    uint64_t number = chunk_number(first);

    BUG_ON(first % ENTRIES_PER_CHUNK != 0, "a page at %llu", (unsigned long long)first);
    entries_skip_to(entries, first);
    while (number - chunk_number(entries->head) >= entries->ring_capacity)
        grow_ring(entries, number);
    entries->tail = first + ENTRIES_PER_CHUNK;
    entries_set_page(entries, store, number, page);
}

static void drop_page(struct entries *entries, struct entry_store *store, uint64_t number)
{
    page_expiry_free((*page_slot(entries, number))->expiry, store);
    pool_give(&store->pages, *page_slot(entries, number));
    *page_slot(entries, number) = NULL;
    entries->page_count--;
}

struct entry_chunk *entries_unset_page(struct entries *entries, struct entry_store *store,
                                       uint64_t number)
{
    struct entry_chunk *chunk = new_chunk(entries, store, number);

    drop_page(entries, store, number);
    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK; i++)
        chunk->messages[i].state = MESSAGE_GONE;
    return chunk;
}

void entries_free_page(struct entries *entries, struct entry_store *store, uint64_t number)
{
    drop_page(entries, store, number);
    advance_head(entries);
}

uint64_t entries_fini(struct entries *entries, struct entry_store *store)
{
    uint64_t paged = 0;

    if (entries->head < entries->tail) {
        for (uint64_t n = chunk_number(entries->head); n <= chunk_number(entries->tail - 1); n++) {
            if (*slot_of(entries, n))
                free_chunk(store, *slot_of(entries, n));
            if (!entries->pages || !*page_slot(entries, n))
                continue;
            paged += bits_count(&(*page_slot(entries, n))->live);
            drop_page(entries, store, n);
        }
    }
    mem_free(entries->ring);
    mem_free(entries->pages);
    *entries = (struct entries){0};
    return paged;
}
