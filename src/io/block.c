/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks: owner-only counting, releases from other shards by mail. */
#include "io/block.h"

#include "base/bug.h"
#include "base/mem.h"
#include "io/shard.h"

/* Recycled blocks kept per shard; what is beyond goes back to the heap. Fresh pages cost as much
 * as the network path (physical-limits 8.10), so a busy shard keeps 16 MiB at hand. */
#define FREE_RECEIVE_MAX 16

static struct block *block_init(struct shard *shard, struct block *block, uint32_t capacity)
{
    *block = (struct block){.refs = 1, .capacity = capacity, .shard = shard->id};
    shard->blocks.bytes_in_use += capacity;
    return block;
}

struct block *block_new(struct shard *shard, uint32_t capacity)
{
    assert_on_shard(shard);
    return block_init(shard, mem_alloc(sizeof(struct block) + capacity), capacity);
}

struct block *block_new_receive(struct shard *shard)
{
    struct block_store *store = &shard->blocks;
    struct block *block = store->free_receive;

    assert_on_shard(shard);
    if (block) {
        store->free_receive = block->next_free;
        store->free_receive_count--;
    } else {
        block = mem_alloc(sizeof *block + BLOCK_RECEIVE_BYTES);
    }
    block_init(shard, block, BLOCK_RECEIVE_BYTES);
    block->is_receive = true;
    store->receive_in_use++;
    return block;
}

static void block_free(struct shard *owner, struct block *block)
{
    struct block_store *store = &owner->blocks;

    store->bytes_in_use -= block->capacity;
    if (block->is_receive) {
        store->receive_in_use--;
        if (store->free_receive_count < FREE_RECEIVE_MAX) {
            block->next_free = store->free_receive;
            store->free_receive = block;
            store->free_receive_count++;
            return;
        }
    }
    mem_free(block);
}

void block_release(struct shard *owner, struct block *block, uint32_t n)
{
    BUG_ON(block->refs < n, "block of shard %u: %u references released, %u held", block->shard, n,
           block->refs);
    block->refs -= n;
    if (block->refs == 0)
        block_free(owner, block);
}

void block_unref(struct shard *shard, struct block *block, uint32_t n)
{
    if (LIKELY(block->shard == shard->id))
        block_release(shard, block, n);
    else
        shard_release_remote(shard, block, n);
}

void block_store_fini(struct block_store *store)
{
    while (store->free_receive) {
        struct block *next = store->free_receive->next_free;
        mem_free(store->free_receive);
        store->free_receive = next;
    }
    store->free_receive_count = 0;
}
