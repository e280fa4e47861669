/* SPDX-License-Identifier: Apache-2.0 */
/* What --recover makes of catalog records when those before them were lost. */
#ifndef TOKKI_CORE_RECOVERY_MEND_H
#define TOKKI_CORE_RECOVERY_MEND_H

#include "core/recovery/recovery.h"

/* recovery.c: the model of this incarnation, made when it is missing. */
struct recovered_queue *recovery_queue(struct recovery *recovery, uint64_t incarnation);
/* recovery.c: ERR_CORRUPT, and why. */
__attribute__((format(printf, 2, 3))) int recovery_bad(struct recovery *recovery,
                                                       const char *format, ...);

/* Note whose declaration or deletion was seen, also of a record that the checkpoint has already. */
void mend_note_queues(struct recovery *recovery, const struct catalog_command *command);
/* The catalog was given `command`, with this result. What it did not apply and can be is applied. ERR_CORRUPT:
 * something is lost, `reason` says what. */
MUST_CHECK int mend_catalog(struct recovery *recovery, const struct catalog_command *command,
                            const struct catalog_result *result);
/* At the end: ERR_CORRUPT for a queue with messages and without a name, once for each. */
MUST_CHECK int mend_check(struct recovery *recovery);

#endif
