/* SPDX-License-Identifier: Apache-2.0 */
/* Moved parts: what survives of a part, written anew under the same number. */
#ifndef TOKKI_STORAGE_MOVED_H
#define TOKKI_STORAGE_MOVED_H

#include "storage/log_internal.h"

/* The octets of a packed part (PART_PACKED), in place of records:
 *
 *     count:32 0:32 | count times: offset:32 at:32 | record | record | ...
 *
 * `offset`: where the record was in the part at first, rising: what its identity says. `at`: where it is now,
 * from the beginning of these octets. When that would take more room than it saves, the records stand where
 * they were, with zeros between, and there is no directory. */
#define MOVED_HEAD_BYTES 8U
#define MOVED_ENTRY_BYTES 8U

/* The record that was at `offset` of a packed part. ERR_CORRUPT: there is none. */
MUST_CHECK int moved_find(const uint8_t *octets, uint32_t size, uint32_t offset,
                          struct record_header *header, const uint8_t **payload);

/* A part of these records, all of one part, by rising identity, each read well. NULL: it would be larger than
 * `max`. The caller owns it. */
struct log_part *moved_part(const struct log_fetched *records, uint32_t count, uint32_t max);

#endif
