/* SPDX-License-Identifier: Apache-2.0 */
/* The spill: a second log, without syncs, for waiting messages that need not survive a restart. */
#ifndef TOKKI_CORE_QUEUE_SPILL_H
#define TOKKI_CORE_QUEUE_SPILL_H

#include "core/queue/queue.h"

/* Note in `gather` what of the spill the queues of `host` in slots below `slots` still need, from `walk` on: parts, and
 * records from which its cleaner knows bodies and pages one by one (marks_of_spill). Ends with about `max_items`
 * pages: false, and `walk` says where to go on; true at the end. What comes to the spill between two calls lies behind
 * where the sweep began. Thread: the host's shard. */
bool queue_host_gather_spilled(struct queue_host *host, struct queue_walk *walk, uint32_t slots,
                               struct log_gather *gather, uint64_t max_items);

#endif
