/* SPDX-License-Identifier: Apache-2.0 */
/* Quiescent-state reclamation: memory that readers may still see is freed once all have passed. */
#ifndef TOKKI_BASE_RECLAIM_H
#define TOKKI_BASE_RECLAIM_H

#include "base/attr.h"

#include <stddef.h>
#include <stdint.h>

/* One writer thread publishes immutable values by an atomic pointer store; a fixed set of readers
 * (one slot per shard) loads that pointer without taking anything. What the writer unlinked is
 * *retired*: it is freed when every reader that was online has announced, after the unlinking, that
 * it holds no pointer (is quiescent) or went offline. A shard does so once per turn, so a reader
 * pays one load and one store to its own cache line a turn, and nothing per look-up.
 *
 * Owner: the node. Thread: as noted per function. Freed by: reclaim_free(). */
struct reclaim;

typedef void reclaim_free_fn(void *ptr);

/* `readers` slots, all offline. */
MUST_CHECK struct reclaim *reclaim_new(unsigned readers);

/* Frees everything still retired. Every reader is offline and stays so. NULL is fine. */
void reclaim_free(struct reclaim *reclaim);

/* From here on this reader may load published pointers. Thread: the slot's own. */
void reclaim_reader_online(struct reclaim *reclaim, unsigned slot);

/* The reader holds no published pointer any more and loads none until it is online again: a shard
 * about to sleep, a thread about to end. Thread: the slot's own. */
void reclaim_reader_offline(struct reclaim *reclaim, unsigned slot);

/* The reader holds no published pointer at this moment; once per turn. It is and stays online.
 * Thread: the slot's own. */
void reclaim_reader_quiescent(struct reclaim *reclaim, unsigned slot);

/* Free `ptr` with `free_fn` once no reader can hold it. The caller has already unlinked it from what
 * it will have published at the next reclaim_advance(). Takes `ptr`. Thread: the writer. */
void reclaim_retire(struct reclaim *reclaim, void *ptr, reclaim_free_fn *free_fn);

/* Close the present batch of retired pointers and free the batches which all readers have passed.
 * Call it after each publication, and now and then while reclaim_pending() is not 0, so that the last
 * batch goes too; but never between retiring a pointer and publishing what it is gone from. Returns
 * the number of pointers freed. Thread: the writer. */
size_t reclaim_advance(struct reclaim *reclaim);

/* Pointers retired and not yet freed. Thread: the writer. */
size_t reclaim_pending(const struct reclaim *reclaim);

/* One change to a persistent structure, from the last publication to the next. A node whose stamp is
 * the edit's was made by this change: no reader has seen it, so it is altered in place and freed at
 * once. All others are replaced by copies and retired. Stamps are never 0 and never used twice.
 *
 * Owner: the structure's writer. Thread: the writer. Freed by: nothing to free. */
struct edit {
    struct reclaim *reclaim;
    uint64_t stamp;
};

/* Free a block from mem_alloc() that left the structure; `stamp` is the one it was made with. */
void edit_dispose(const struct edit *edit, void *block, uint64_t stamp);

/* For the small objects that a structure has most of, and that readers go through: memory from the slab that all
 * structures of one `reclaim` share, uninitialised, and its way back. `bytes` is what was taken; a
 * multiple of 64 begins on a cache line. */
MUST_CHECK __attribute__((returns_nonnull)) void *edit_take(const struct edit *edit, size_t bytes);
void edit_give(const struct edit *edit, void *object, size_t bytes, uint64_t stamp);

#endif
