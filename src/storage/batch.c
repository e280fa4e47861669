/* SPDX-License-Identifier: Apache-2.0 */
/* Parts to the octets of a batch. */
#include "storage/batch.h"

#include "base/clock.h"

#include <string.h>

static uint32_t part_room(const struct log_part *part)
{
    return PART_HEADER_BYTES + part->used;
}

struct batch batch_choose(struct log_part *first, uint64_t limit)
{
    struct batch batch = {.first = first, .end = first};

    while (batch.end && batch.octets + part_room(batch.end) <= limit) {
        batch.octets += part_room(batch.end);
        batch.parts++;
        batch.end = batch.end->next;
    }
    batch.whole = format_round_up(BATCH_HEADER_BYTES + batch.octets, FORMAT_BLOCK);
    return batch;
}

static struct part_header header_of(const struct log_part *part)
{
    return (struct part_header){
        .number = part->number,
        .octets = part->used,
        .stream = part->flags & PART_MOVED ? 0 : part->stream->id,
        .flags = part->flags,
    };
}

void batch_fill(const struct batch *batch, const struct segment *segment, uint64_t sequence,
                uint8_t *buffer)
{
    uint32_t at = BATCH_HEADER_BYTES;
    struct batch_header header = {
        .segment = segment->header.number,
        .sequence = sequence,
        .wall_ms = clock_read_ns(CLOCK_REALTIME) / 1000000U,
        .octets = batch->octets,
        .parts = batch->parts,
    };

    batch_header_write(&header, segment->seed, buffer);
    for (const struct log_part *part = batch->first; part != batch->end; part = part->next) {
        struct part_header part_header = header_of(part);
        memcpy(buffer + at + PART_HEADER_BYTES, part->data, part->used);
        part_header_write(&part_header, segment->seed, buffer + at);
        at += part_room(part);
    }
    memset(buffer + at, 0, batch->whole - at);
}

void batch_note_places(const struct batch *batch, struct log *log, struct segment *segment,
                       uint64_t offset)
{
    uint32_t at = (uint32_t)offset + BATCH_HEADER_BYTES;

    for (const struct log_part *part = batch->first; part != batch->end; part = part->next) {
        struct part_header header = header_of(part);
        segment_add_part(log, segment, &header, at);
        at += part_room(part);
    }
}
