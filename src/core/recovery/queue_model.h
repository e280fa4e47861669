/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of one queue while its commands are replayed. */
#ifndef TOKKI_CORE_RECOVERY_QUEUE_MODEL_H
#define TOKKI_CORE_RECOVERY_QUEUE_MODEL_H

#include "core/recovery/recovery.h"

/* Append; ERR_CORRUPT when the position is not behind all others. */
MUST_CHECK int queue_model_add(struct recovered_queue *queue, const struct recovered_entry *entry);
/* Append a page; ERR_CORRUPT when it is not behind all others. */
MUST_CHECK int queue_model_add_page(struct recovered_queue *queue,
                                    const struct recovered_page *page);
/* Put an entry back that was taken. */
void queue_model_restore(struct recovered_queue *queue, const struct recovered_entry *entry);
/* Take what is there of [first, first + count); each is shown to `taken` (may be NULL) before. */
void queue_model_take(struct recovered_queue *queue, uint64_t first, uint64_t count,
                      void (*taken)(void *context, const struct recovered_entry *entry),
                      void *context);

#endif
