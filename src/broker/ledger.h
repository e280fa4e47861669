/* SPDX-License-Identifier: Apache-2.0 */
/* Ledger: a session's unacknowledged deliveries, as runs of tags over runs of positions. */
#ifndef TOKKI_BROKER_LEDGER_H
#define TOKKI_BROKER_LEDGER_H

#include "core/queue/consumer.h"
#include "core/ref.h"

/* Tags [tag, tag + count) are positions [position, position + count) of one queue. */
struct ledger_run {
    uint64_t tag;
    uint64_t position;
    struct queue_ref queue;
    struct consumer_ref consumer; /* generation 0: got by basic.get */
    uint32_t count;
};

/* Runs in tag order in a ring. A consumer that keeps up with one queue is one run, however many
 * messages are on their way.
 * Owner: the session. Thread: its shard. Freed by: ledger_fini. */
struct ledger {
    struct ledger_run *runs;
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* power of two, or 0 */
    uint64_t total;    /* deliveries in all runs */
};

/* Note a delivery; tags rise. */
void ledger_add(struct ledger *ledger, uint64_t tag, struct queue_ref queue,
                struct consumer_ref consumer, uint64_t position);

/* Called with each run (part) that is taken out. */
typedef void (*ledger_fn)(const struct ledger_run *run, void *context);

/* Take out `tag`, or with `multiple` everything up to it (0: all), lowest first. Returns the number
 * of deliveries; 0 means that the tag is unknown (or, with tag 0, that there were none). */
uint64_t ledger_take(struct ledger *ledger, uint64_t tag, bool multiple, ledger_fn fn,
                     void *context);

/* Put a run back that ledger_take took out (tx.rollback). */
void ledger_restore(struct ledger *ledger, const struct ledger_run *run);

/* Is this tag in the ledger? */
bool ledger_has(const struct ledger *ledger, uint64_t tag);

void ledger_fini(struct ledger *ledger);

#endif
