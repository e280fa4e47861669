/* SPDX-License-Identifier: Apache-2.0 */
/* Marks: which records of the log the records of a checkpoint need, one by one, for the log's cleaner. */
#ifndef TOKKI_CORE_RECOVERY_MARKS_H
#define TOKKI_CORE_RECOVERY_MARKS_H

#include "storage/log.h"

/* A log_mark_fn. Bodies, their chunks, and pages, which are read for it. ERR_CORRUPT, -errno: one that is
 * needed to know more cannot be read. */
int marks_of_record(struct log_marker *marker, const struct record_header *header,
                    const uint8_t *payload);
/* The same for the spill, which has SPILL_STATE records. ERR_NOT_FOUND: what they name may still be on its way. */
int marks_of_spill(struct log_marker *marker, const struct record_header *header,
                   const uint8_t *payload);

#endif
