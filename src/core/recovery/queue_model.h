/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of one queue while its commands are replayed. */
#ifndef TOKKI_CORE_RECOVERY_QUEUE_MODEL_H
#define TOKKI_CORE_RECOVERY_QUEUE_MODEL_H

#include "core/recovery/recovery.h"

/* No queue gets as far: positions above are damage, and they can be counted on from. */
#define QUEUE_POSITION_MAX (UINT64_C(1) << 62)
/* The positions that a queue can span at run time: its ring has up to 2^31 chunks. */
#define QUEUE_SPAN_MAX ((UINT64_C(1) << 38) - 4 * (uint64_t)ENTRIES_PER_CHUNK)

/* Append; ERR_CORRUPT when the position is not behind all others. */
MUST_CHECK int queue_model_add(struct recovered_queue *queue, const struct recovered_entry *entry);
/* Append a page; ERR_CORRUPT when it is not behind all others. */
MUST_CHECK int queue_model_add_page(struct recovered_queue *queue,
                                    const struct recovered_page *page);
/* Put entries back that were taken, in any order. */
void queue_model_restore_all(struct recovered_queue *queue, const struct recovered_entry *entries,
                             size_t count);
/* Where the queue ends: its tail, or what it can span. */
uint64_t queue_model_end(const struct recovered_queue *queue);
/* Take what is there of [first, first + count); each is shown to `taken` (may be NULL) before. */
void queue_model_take(struct recovered_queue *queue, uint64_t first, uint64_t count,
                      void (*taken)(void *context, const struct recovered_entry *entry),
                      void *context);

#endif
