/* SPDX-License-Identifier: Apache-2.0 */
/* State: what queues and the catalog are at one moment, as records of a checkpoint. */
#ifndef TOKKI_CORE_RECOVERY_STATE_H
#define TOKKI_CORE_RECOVERY_STATE_H

#include "core/catalog/catalog.h"
#include "core/queue/queue.h"

/* The states of the durable queues of `host` in slots [slot, slots), and which bodies they need. Ends after
 * the queue with which more than `max_entries` were written: returns the slot to go on from, 0 at the end.
 * Thread: the host's shard. */
uint32_t state_write_queues(struct log_gather *gather, const struct queue_host *host, uint32_t slot,
                            uint32_t slots, uint64_t max_entries);

/* All that is durable in the working view. `captured`: log_next_id of the stream that gets the catalog's
 * records. Thread: the catalog's writer. */
void state_write_catalog(struct log_gather *gather, const struct catalog *catalog,
                         uint64_t captured, uint64_t last_transaction);

#endif
