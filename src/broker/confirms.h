/* SPDX-License-Identifier: Apache-2.0 */
/* Publisher confirms of one session: which publishes are safe in all their queues. */
#ifndef TOKKI_BROKER_CONFIRMS_H
#define TOKKI_BROKER_CONFIRMS_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

/* Sequence numbers rise from 1. [low, next) are outstanding or confirmed beyond a hole; `waiting` has
 * for each the number of queues still to answer. As long as everything is confirmed at once, which
 * is the rule on one shard without storage, the ring is not touched.
 *
 * Confirms leave once a turn: multiple=true up to the first hole, singly beyond it, so that one slow
 * queue does not hold the channel (architecture section 3).
 * Owner: the session. Thread: its shard. Freed by: confirms_fini. */
struct confirms {
    uint64_t next; /* the next publish gets this number */
    uint64_t low;  /* everything below is confirmed */
    uint64_t sent; /* everything below has been told to the client */
    uint64_t last; /* the highest number below `low` that was not told singly */
    uint32_t *waiting;
    uint32_t capacity; /* power of two, or 0 */
    uint64_t *singles; /* confirmed beyond a hole, not told yet */
    uint32_t single_count;
    uint32_t single_capacity;
};

void confirms_init(struct confirms *confirms);
void confirms_fini(struct confirms *confirms);

/* A publish that `queues` queues must still answer for (0: confirmed now). Returns its number. */
uint64_t confirms_add(struct confirms *confirms, uint32_t queues);

/* One of the queues of each publish in [first, first + count) has it. */
void confirms_done(struct confirms *confirms, uint64_t first, uint64_t count);

/* Is there something to tell the client? */
static inline bool confirms_pending(const struct confirms *confirms)
{
    return confirms->low > confirms->sent || confirms->single_count > 0;
}

/* Tell it: `ack(tag, multiple)` for the run up to the first hole, then for each single. No tag is
 * named twice, though a multiple may span singles told before, as RabbitMQ's do. */
void confirms_flush(struct confirms *confirms,
                    void (*ack)(void *context, uint64_t tag, bool multiple), void *context);

#endif
