/* SPDX-License-Identifier: Apache-2.0 */
/* Relocation: waiting messages move out of receive blocks, so that one cannot pin a megabyte. */
#ifndef TOKKI_CORE_QUEUE_RELOCATE_H
#define TOKKI_CORE_QUEUE_RELOCATE_H

#include "core/queue/queue.h"

/* Messages arrive in 1 MiB blocks shared by all publishers. Most leave at once and copying them
 * would be waste; one that stays would keep its whole block. So nothing is copied while receive
 * blocks in use stay below a budget; beyond it the queues that have waited longest copy their
 * entries into dense blocks, batch by batch, until it is met again.
 * Copying costs 12 ns per KiB while the bytes are still in cache (physical-limits 4). */

/* An entry at `position` lies in a receive block. */
static inline void queue_note_unmoved(struct queue *queue, uint64_t position)
{
    if (!list_is_linked(&queue->unmoved)) {
        list_push_back(&queue->host->unmoved, &queue->unmoved);
        queue->unmoved_from = position;
    }
}

/* Periodic look on shards that hold entries in blocks of others. */
void queue_relocate_timer(struct timer *timer);

#endif
