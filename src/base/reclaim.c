/* SPDX-License-Identifier: Apache-2.0 */
/* Quiescent-state reclamation by epochs: the memory orders are argued below. */
#include "base/reclaim.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/slab.h"

#include <stdatomic.h>
#include <string.h>

/* How it works
 *
 * The writer counts epochs. A batch of retired pointers is closed by raising the epoch to E; it may
 * be freed when each reader's slot shows 0 (offline) or a number >= E. A reader at its quiescent
 * point copies the present epoch into its slot.
 *
 * Why that is safe. Write P for "publish the new root" and U for a reader's use of an old node.
 *
 * (1) A slot shows s >= E. The reader loaded the epoch (acquire) after the writer stored E (release),
 *     which is after P: all its later root loads see the new root. All its earlier uses U come
 *     before the store of s (release), which the writer read (acquire): U happens before the free.
 * (2) A slot shows 0. Either the reader went offline: as (1), U is before the release store of 0.
 *     Or it is about to come online: it stores s, fences (seq_cst), loads the root; the writer has
 *     stored the root, fences (seq_cst) and loads the slot. One of the two fences is first in the
 *     total order: the reader's, then the writer sees s (an old epoch) and waits; or the writer's,
 *     then the reader sees the new root. Both missing each other is impossible.
 *
 * A reader that is online never needs the fence: by (1) an acquire load and a release store do. */

struct reader_slot {
    _Atomic uint64_t seen; /* newest epoch the reader has passed; 0: offline */
} CACHE_ALIGNED;

struct retired {
    void *ptr;
    reclaim_free_fn *free_fn; /* NULL: `bytes` of the slab */
    size_t bytes;
};

/* Retired pointers are kept in blocks, in order; a closed block carries its epoch. */
#define BLOCK_ENTRIES 340

struct block {
    struct block *next;
    uint32_t count;
    uint64_t epoch; /* 0: open */
    struct retired entries[BLOCK_ENTRIES];
};

struct reclaim {
    _Atomic uint64_t epoch CACHE_ALIGNED; /* written by the writer, read once a turn by readers */

    /* The writer's. */
    struct block *oldest CACHE_ALIGNED;
    struct block *newest;
    struct block *spare; /* one empty block, so that small commits allocate nothing */
    size_t pending;
    unsigned readers;
    struct slab slab;

    struct reader_slot slots[];
};

struct reclaim *reclaim_new(unsigned readers)
{
    size_t size = sizeof(struct reclaim) + readers * sizeof(struct reader_slot);
    struct reclaim *reclaim = mem_alloc_aligned(CACHE_LINE_BYTES, size);
    memset(reclaim, 0, size);
    reclaim->readers = readers;
    slab_init(&reclaim->slab);
    atomic_init(&reclaim->epoch, 1);
    for (unsigned i = 0; i < readers; i++)
        atomic_init(&reclaim->slots[i].seen, 0);
    return reclaim;
}

static struct reader_slot *slot_at(struct reclaim *reclaim, unsigned slot)
{
    BUG_ON(slot >= reclaim->readers, "reader slot %u of %u", slot, reclaim->readers);
    return &reclaim->slots[slot];
}

void reclaim_reader_online(struct reclaim *reclaim, unsigned slot)
{
    struct reader_slot *self = slot_at(reclaim, slot);
    uint64_t now = atomic_load_explicit(&reclaim->epoch, memory_order_acquire);
    atomic_store_explicit(&self->seen, now, memory_order_relaxed);
    /* Case (2): the slot is set before any root is loaded. */
    atomic_thread_fence(memory_order_seq_cst);
}

void reclaim_reader_offline(struct reclaim *reclaim, unsigned slot)
{
    atomic_store_explicit(&slot_at(reclaim, slot)->seen, 0, memory_order_release);
}

void reclaim_reader_quiescent(struct reclaim *reclaim, unsigned slot)
{
    struct reader_slot *self = slot_at(reclaim, slot);
    uint64_t now = atomic_load_explicit(&reclaim->epoch, memory_order_acquire);
    uint64_t seen = atomic_load_explicit(&self->seen, memory_order_relaxed);
    DEBUG_BUG_ON(seen == 0, "reader %u is quiescent while offline", slot);
    /* Most turns find nothing new: then the line stays clean, which the writer likes. */
    if (seen != now)
        atomic_store_explicit(&self->seen, now, memory_order_release);
}

static struct block *block_new(struct reclaim *reclaim)
{
    struct block *block = reclaim->spare;
    if (block)
        reclaim->spare = NULL;
    else
        block = mem_alloc(sizeof *block);
    block->next = NULL;
    block->count = 0;
    block->epoch = 0;
    return block;
}

static void block_give(struct reclaim *reclaim, struct block *block)
{
    if (reclaim->spare)
        mem_free(block);
    else
        reclaim->spare = block;
}

/* The open block with room for one more. */
static struct block *block_open(struct reclaim *reclaim)
{
    struct block *block = reclaim->newest;
    if (block && block->epoch == 0 && block->count < BLOCK_ENTRIES)
        return block;
    struct block *fresh = block_new(reclaim);
    if (block)
        block->next = fresh;
    else
        reclaim->oldest = fresh;
    reclaim->newest = fresh;
    return fresh;
}

static void retire(struct reclaim *reclaim, const struct retired *retired)
{
    struct block *block = block_open(reclaim);
    block->entries[block->count++] = *retired;
    reclaim->pending++;
}

void reclaim_retire(struct reclaim *reclaim, void *ptr, reclaim_free_fn *free_fn)
{
    retire(reclaim, &(struct retired){ptr, free_fn, 0});
}

/* Give all open blocks the next epoch; they are the newest ones. */
static void close_batch(struct reclaim *reclaim)
{
    struct block *newest = reclaim->newest;
    if (!newest || newest->epoch != 0)
        return;
    uint64_t next = atomic_load_explicit(&reclaim->epoch, memory_order_relaxed) + 1;
    for (struct block *block = reclaim->oldest; block; block = block->next)
        if (block->epoch == 0)
            block->epoch = next;
    /* Case (1): who reads this epoch reads the roots stored before it. */
    atomic_store_explicit(&reclaim->epoch, next, memory_order_release);
}

/* The newest epoch that all readers have passed. */
static uint64_t epoch_passed(struct reclaim *reclaim)
{
    uint64_t passed = atomic_load_explicit(&reclaim->epoch, memory_order_relaxed);
    /* Case (2): the new root is stored before any slot is read. */
    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < reclaim->readers; i++) {
        uint64_t seen = atomic_load_explicit(&reclaim->slots[i].seen, memory_order_acquire);
        if (seen != 0 && seen < passed)
            passed = seen;
    }
    return passed;
}

static size_t free_entries(struct reclaim *reclaim, struct block *block)
{
    for (uint32_t i = 0; i < block->count; i++) {
        const struct retired *retired = &block->entries[i];
        if (retired->free_fn)
            retired->free_fn(retired->ptr);
        else
            slab_give(&reclaim->slab, retired->ptr, retired->bytes);
    }
    return block->count;
}

/* Free the blocks closed at `passed` or before. */
static size_t free_passed(struct reclaim *reclaim, uint64_t passed)
{
    size_t freed = 0;
    while (reclaim->oldest && reclaim->oldest->epoch != 0 && reclaim->oldest->epoch <= passed) {
        struct block *block = reclaim->oldest;
        reclaim->oldest = block->next;
        if (!reclaim->oldest)
            reclaim->newest = NULL;
        freed += free_entries(reclaim, block);
        block_give(reclaim, block);
    }
    reclaim->pending -= freed;
    return freed;
}

size_t reclaim_advance(struct reclaim *reclaim)
{
    if (!reclaim->oldest)
        return 0;
    close_batch(reclaim);
    return free_passed(reclaim, epoch_passed(reclaim));
}

size_t reclaim_pending(const struct reclaim *reclaim)
{
    return reclaim->pending;
}

void reclaim_free(struct reclaim *reclaim)
{
    if (!reclaim)
        return;
    for (unsigned i = 0; i < reclaim->readers; i++)
        BUG_ON(atomic_load(&reclaim->slots[i].seen) != 0, "reader %u is still online", i);
    reclaim_advance(reclaim);
    BUG_ON(reclaim->pending, "%zu pointers retired by a free function", reclaim->pending);
    mem_free(reclaim->spare);
    slab_fini(&reclaim->slab);
    mem_free(reclaim);
}

void edit_dispose(const struct edit *edit, void *block, uint64_t stamp)
{
    if (stamp == edit->stamp)
        mem_free(block);
    else
        reclaim_retire(edit->reclaim, block, mem_free);
}

void *edit_take(const struct edit *edit, size_t bytes)
{
    return slab_take(&edit->reclaim->slab, bytes);
}

void edit_give(const struct edit *edit, void *object, size_t bytes, uint64_t stamp)
{
    if (stamp == edit->stamp)
        slab_give(&edit->reclaim->slab, object, bytes);
    else
        retire(edit->reclaim, &(struct retired){object, NULL, bytes});
}
