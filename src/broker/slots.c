/* SPDX-License-Identifier: Apache-2.0 */
/* Slots are reused last in, first out, so tables stay small. */
#include "broker/slots.h"

#include "base/mem.h"

uint32_t slot_take(struct node *node, uint16_t shard)
{
    struct slot_allocator *slots = &node->slots[shard];

    atomic_fetch_add_explicit(&node->queue_counts[shard], 1, memory_order_relaxed);
    return slots->free_count > 0 ? slots->free[--slots->free_count]
                                 : atomic_fetch_add(&slots->used, 1);
}

void slot_give(struct node *node, uint16_t shard, uint32_t slot)
{
    struct slot_allocator *slots = &node->slots[shard];

    queue_table_set(node->brokers[shard]->queues.table, slot, NULL);
    if (slots->free_count == slots->free_capacity) {
        slots->free_capacity = MAX(slots->free_capacity * 2, 64U);
        slots->free = mem_resize(slots->free, slots->free_capacity * sizeof *slots->free);
    }
    slots->free[slots->free_count++] = slot;
    atomic_fetch_sub_explicit(&node->queue_counts[shard], 1, memory_order_relaxed);
}
