/* SPDX-License-Identifier: Apache-2.0 */
/* Positions that came back to a queue: runs in a heap, merged at the head lowest first. */
#ifndef TOKKI_CORE_QUEUE_RETURNED_H
#define TOKKI_CORE_QUEUE_RETURNED_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

struct position_run {
    uint64_t first;
    uint64_t count;
};

/* A binary min-heap of disjoint runs. Taking the lowest position only shortens the top run, which
 * keeps the heap in order because runs are disjoint.
 * Owner: the queue. Thread: its shard. Freed by: returned_fini. */
struct returned {
    struct position_run *runs;
    uint32_t run_count;
    uint32_t capacity;
    uint64_t count; /* positions in all runs */
};

/* Add positions [first, first + count), none of which is in the set. */
void returned_add(struct returned *set, uint64_t first, uint64_t count);
/* The lowest position; the set is not empty. */
static inline uint64_t returned_lowest(const struct returned *set)
{
    return set->runs[0].first;
}
/* Take the lowest position out. */
void returned_take_lowest(struct returned *set);
void returned_fini(struct returned *set);

#endif
