/* SPDX-License-Identifier: Apache-2.0 */
/* The spill: a second log, without syncs, for waiting messages that need not survive a restart. */
#ifndef TOKKI_CORE_QUEUE_SPILL_H
#define TOKKI_CORE_QUEUE_SPILL_H

#include "core/queue/queue.h"

/* Note in `gather` what of the spill the queues of `host` in slots [0, slots) still need: parts, and records from which
 * its cleaner knows bodies and pages one by one (marks_of_spill). Thread: the host's shard. */
void queue_host_gather_spilled(struct queue_host *host, uint32_t slots, struct log_gather *gather);

#endif
