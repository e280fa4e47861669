/* SPDX-License-Identifier: Apache-2.0 */
/* Restore: what recovery found of a queue becomes the entries of one at run time. */
#ifndef TOKKI_CORE_RECOVERY_RESTORE_H
#define TOKKI_CORE_RECOVERY_RESTORE_H

#include "core/queue/queue.h"
#include "core/recovery/recovery.h"

/* Give `queue`, which is new and empty, its messages. Their bytes stay in the log until they are needed, so
 * a start takes as long as the checkpoint and the replay, whatever the queues hold. When the log recovers
 * from damage (log_recovers) every body is looked at, what cannot be read is left out and reported.
 * Before log_start. Errors as log_read. */
MUST_CHECK int restore_queue(struct queue *queue, const struct recovered_queue *model,
                             struct log *log, struct log_error *error);

#endif
