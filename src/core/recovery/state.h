/* SPDX-License-Identifier: Apache-2.0 */
/* State: what queues and the catalog are at one moment, as records of a checkpoint. */
#ifndef TOKKI_CORE_RECOVERY_STATE_H
#define TOKKI_CORE_RECOVERY_STATE_H

#include "core/catalog/catalog.h"
#include "core/queue/queue.h"

/* The states of the durable queues of `host` in slots below `slots`, and which bodies they need, from `walk` on. Ends
 * with about `max_items` entries and pages: returns false, and `walk` says where to go on; true at the end.
 * What a queue has is written in the order of positions; it may change between two calls, of which recovery.c takes
 * account. Thread: the host's shard. */
bool state_write_queues(struct log_gather *gather, const struct queue_host *host,
                        struct queue_walk *walk, uint32_t slots, uint64_t max_items);

/* All that is durable in the working view. `captured`: log_next_id of the stream that gets the catalog's
 * records. Thread: the catalog's writer. */
void state_write_catalog(struct log_gather *gather, const struct catalog *catalog,
                         uint64_t captured, uint64_t last_transaction);

#endif
