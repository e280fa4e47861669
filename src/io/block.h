/* SPDX-License-Identifier: Apache-2.0 */
/* Reference-counted byte blocks: what sockets receive into and messages point into. */
#ifndef TOKKI_IO_BLOCK_H
#define TOKKI_IO_BLOCK_H

#include "base/bug.h"
#include "base/str.h"

#include <stdint.h>

struct shard;

/* Size of a receive block (slab). Larger gains nothing (physical-limits 2), smaller moves the
 * partial message at its end more often. */
#define BLOCK_RECEIVE_BYTES (1024U * 1024U)

/* Owner: the shard that made it. Thread: any may read the bytes it was handed; `refs`, `used`
 * and the links belong to the owner alone, so counting needs no atomics: other shards send
 * their releases home over the mailbox (block_unref does). Freed by: the last block_unref. */
struct block {
    struct block *next_free;
    uint32_t refs;
    uint32_t capacity; /* bytes behind the header */
    uint32_t used;     /* receive blocks: bytes filled so far */
    uint16_t shard;    /* immutable */
    bool is_receive;   /* 1 MiB, recycled by the shard instead of freed */
    uint8_t data[];
};

/* One shard's blocks. Freed receive blocks are recycled last in, first out. */
struct block_store {
    struct block *free_receive;
    uint32_t free_receive_count;
    uint32_t receive_in_use; /* receive blocks with references: what relocation keeps small */
    uint64_t bytes_in_use;   /* all blocks with references */
};

/* A block with one reference; `block_new` holds `capacity` bytes, the other 1 MiB. Thread: the
 * shard's own. */
MUST_CHECK __attribute__((returns_nonnull)) struct block *block_new(struct shard *shard,
                                                                    uint32_t capacity);
MUST_CHECK __attribute__((returns_nonnull)) struct block *block_new_receive(struct shard *shard);

/* Add `n` references. Thread: the block's owner. */
static inline void block_ref(struct block *block, uint32_t n)
{
    DEBUG_BUG_ON(block->refs == 0, "reference to a freed block");
    block->refs += n;
}

/* Drop `n` references that `shard` (the calling thread's) holds. Not the owner: the release is
 * collected and travels with this turn's mail. */
void block_unref(struct shard *shard, struct block *block, uint32_t n);

/* Owner's part of a release. */
void block_release(struct shard *owner, struct block *block, uint32_t n);

/* Free every recycled block. Thread: the owner, at the end of its life. */
void block_store_fini(struct block_store *store);

#endif
