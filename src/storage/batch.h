/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: parts that are written and synced together, of the log and of cold segments. */
#ifndef TOKKI_STORAGE_BATCH_H
#define TOKKI_STORAGE_BATCH_H

#include "storage/log_internal.h"

/* Parts [first, end) of a list; they are its owner's. */
struct batch {
    struct log_part *first;
    struct log_part *end; /* the first part that is not in it */
    uint32_t parts;
    uint32_t octets; /* behind the batch header */
    uint32_t whole;  /* with header and padding: multiple of FORMAT_BLOCK */
};

/* As many parts of the list as `limit` octets behind the batch header hold. */
struct batch batch_choose(struct log_part *first, uint64_t limit);
/* Its octets, for this segment, to `buffer` of `whole` octets. */
void batch_fill(const struct batch *batch, const struct segment *segment, uint64_t sequence,
                uint8_t *buffer);
/* It is durable at `offset` of the segment: its parts are there from now on. Thread: under log->mutex. */
void batch_note_places(const struct batch *batch, struct log *log, struct segment *segment,
                       uint64_t offset);

#endif
