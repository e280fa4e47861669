/* SPDX-License-Identifier: Apache-2.0 */
/* Handles that may cross threads: a queue by (shard, slot, incarnation), never by pointer. */
#ifndef TOKKI_CORE_REF_H
#define TOKKI_CORE_REF_H

#include <stdbool.h>
#include <stdint.h>

/* The shared name of a queue's run-time object. The object itself is touched by its shard only; a
 * stale handle is harmless since the slot's present incarnation differs (architecture 4 and 5). */
struct queue_ref {
    uint64_t incarnation; /* unique for the life of the data directory; 0 = no queue */
    uint32_t slot;        /* in the owning shard's queue table */
    uint16_t shard;
    bool is_durable; /* persistent messages in it are kept */
};

static inline bool queue_ref_equals(struct queue_ref a, struct queue_ref b)
{
    return a.incarnation == b.incarnation; /* never given twice */
}

#endif
