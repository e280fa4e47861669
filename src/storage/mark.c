/* SPDX-License-Identifier: Apache-2.0 */
/* Marking: how much of each segment is live, and which records of some. */
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <math.h>
#include <stdlib.h>

/* A record has its bit among as many as its segment has units of this, ... */
#define BIT_OCTETS 64U
/* ... but all together take no more memory. */
#define BITS_BYTES_MAX (16U * 1024U * 1024U)
#define IDS_MIN 1024U

/* ---- life ---- */

static uint64_t bits_of_each(const struct log *log, uint32_t segments)
{
    uint64_t wanted = log->settings.segment_bytes / BIT_OCTETS;
    uint64_t most = (uint64_t)BITS_BYTES_MAX * 8 / MAX(segments, 1U);
    return (MIN(wanted, most) + 63) / 64 * 64;
}

void mark_begin(struct log_marker *marker, struct log *log, uint64_t keep_from)
{
    uint32_t count = 0;

    *marker = (struct log_marker){.log = log};
    pthread_mutex_lock(&log->mutex);
    marker->slot_count = log->slot_count;
    marker->segments = mem_alloc_zero(marker->slot_count * sizeof *marker->segments);
    for (const struct segment *segment = log->segments; segment; segment = segment->next) {
        struct marked_segment *marked = &marker->segments[segment->slot];
        if (!segment_is_before(log, segment, keep_from))
            continue;
        marked->number = segment->header.number;
        marked->octets = segment->header.octets;
        count++;
    }
    pthread_mutex_unlock(&log->mutex);
    marker->bit_count = bits_of_each(log, count);
    for (uint32_t i = 0; i < marker->slot_count; i++)
        if (marker->segments[i].number != 0)
            marker->segments[i].bits = mem_alloc_zero(marker->bit_count / 8);
}

void mark_free(struct log_marker *marker)
{
    log_fetch_release(&marker->fetch);
    mem_free(marker->fetch.records);
    for (uint32_t i = 0; i < marker->slot_count; i++)
        mem_free(marker->segments[i].bits);
    mem_free(marker->segments);
    mem_free(marker->ids);
    *marker = (struct log_marker){0};
}

struct marked_segment *mark_segment(const struct log_marker *marker, uint32_t slot)
{
    const struct segment *segment = slot < marker->slot_count ? marker->log->slots[slot] : NULL;

    if (!segment || marker->segments[slot].number != segment->header.number)
        return NULL;
    return &marker->segments[slot];
}

/* ---- counting ---- */

static void count_record(const struct log_marker *marker, struct marked_segment *segment,
                         const struct mark *mark)
{
    uint64_t hash = mark->id * 0x9E3779B97F4A7C15ULL;
    uint64_t bit;

    hash ^= hash >> 32;
    hash *= 0xD6E8FEB86659FD93ULL;
    bit = (uint64_t)(((unsigned __int128)hash * marker->bit_count) >> 64);
    if (segment->bits[bit / 64] >> (bit % 64) & 1)
        return;
    segment->bits[bit / 64] |= 1ULL << (bit % 64);
    segment->found += mark->octets;
    segment->records++;
}

/* Of n records in m bits about m * (1 - exp(-n/m)) were counted. */
static uint64_t live_of(const struct log_marker *marker, const struct marked_segment *segment)
{
    double counted = (double)segment->records;
    double bits = (double)marker->bit_count;
    double live;

    if (segment->records >= marker->bit_count)
        return segment->octets;
    if (segment->records == 0)
        return 0;
    live = -bits * log1p(-counted / bits) / counted * (double)segment->found;
    return (uint64_t)MIN(live, (double)segment->octets);
}

uint64_t mark_sum(struct log_marker *marker)
{
    uint64_t sum = 0;

    pthread_mutex_lock(&marker->log->mutex);
    for (uint32_t i = 0; i < marker->slot_count; i++) {
        struct marked_segment *segment = mark_segment(marker, i);
        if (!segment)
            continue;
        segment->live = live_of(marker, segment);
        sum += segment->live;
    }
    pthread_mutex_unlock(&marker->log->mutex);
    return sum;
}

/* ---- collecting ---- */

static int compare_ids(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;
    return (*a > *b) - (*a < *b);
}

void mark_sort(struct log_marker *marker)
{
    size_t kept = 0;

    if (marker->id_count == 0)
        return;
    qsort(marker->ids, marker->id_count, sizeof *marker->ids, compare_ids);
    for (size_t i = 0; i < marker->id_count; i++)
        if (kept == 0 || marker->ids[i] != marker->ids[kept - 1])
            marker->ids[kept++] = marker->ids[i];
    marker->id_count = kept;
}

/* A thousand queues may name the same body: the list grows only by what is new. */
static void collect_record(struct log_marker *marker, uint64_t id)
{
    if (marker->id_count > 0 && marker->ids[marker->id_count - 1] == id)
        return;
    if (marker->id_count == marker->id_capacity) {
        mark_sort(marker);
        if (marker->id_count >= marker->id_capacity / 2) {
            marker->id_capacity = MAX(marker->id_capacity * 2, (size_t)IDS_MIN);
            marker->ids = mem_resize(marker->ids, marker->id_capacity * sizeof *marker->ids);
        }
    }
    marker->ids[marker->id_count++] = id;
}

/* ---- marks ---- */

void mark_flush(struct log_marker *marker)
{
    struct log *log = marker->log;
    struct marked_segment *segments[MARKS_PENDING] = {NULL};
    struct part_place place = {0};

    pthread_mutex_lock(&log->mutex);
    for (uint32_t i = 0; i < marker->pending_count; i++) {
        uint64_t part = record_id_part(marker->pending[i].id);
        if (part != place.number && !places_find(&log->places, part, &place)) {
            place.number = 0;
            continue;
        }
        segments[i] = mark_segment(marker, place.segment);
    }
    pthread_mutex_unlock(&log->mutex);
    for (uint32_t i = 0; i < marker->pending_count; i++) {
        if (!segments[i])
            continue;
        if (!marker->collects)
            count_record(marker, segments[i], &marker->pending[i]);
        else if (segments[i]->is_chosen)
            collect_record(marker, marker->pending[i].id);
    }
    marker->pending_count = 0;
}

void log_mark(struct log_marker *marker, uint64_t id, uint32_t octets)
{
    uint32_t whole = format_round_up(RECORD_HEADER_BYTES + octets, RECORD_ALIGN);

    marker->pending[marker->pending_count++] = (struct mark){id, whole};
    if (marker->pending_count == MARKS_PENDING)
        mark_flush(marker);
}

uint64_t *log_mark_progress(struct log_marker *marker)
{
    return &marker->progress;
}

const struct log_fetched *log_mark_read(struct log_marker *marker, const uint64_t *ids,
                                        uint32_t count)
{
    struct log_fetch *fetch = &marker->fetch;

    log_fetch_release(fetch);
    fetch->records = mem_resize(fetch->records, count * sizeof *fetch->records);
    for (uint32_t i = 0; i < count; i++)
        fetch->records[i] = (struct log_fetched){.id = ids[i]};
    fetch->count = count;
    clean_fetch(marker->log, fetch);
    return fetch->records;
}
