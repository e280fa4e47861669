/* SPDX-License-Identifier: Apache-2.0 */
/* Moving: live records of the chosen segments are read and go to the writer as moved parts. */
#include "storage/clean_internal.h"
#include "storage/cold.h"
#include "storage/moved.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* Octets of records that are moved at once. How far they lie apart does not matter: steps by what is read took 3 s for
 * a gigabyte that was dead but for 2 %. */
#define STEP_BYTES (256U * 1024U)
#define STEP_RECORDS 4096U
/* A pause behind each step, so that no more than this is moved per second. */
#define MOVE_RATE (32U * 1024U * 1024U)

void clean_answered(struct log *log)
{
    pthread_mutex_lock(&log->mutex);
    log->cleaner.is_answered = true;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
}

void clean_fetch(struct log *log, struct log_fetch *fetch)
{
    struct cleaner *cleaner = &log->cleaner;

    if (fetch->count == 0)
        return;
    fetch->stream = &cleaner->stream;
    cleaner->is_answered = false;
    log_fetch_submit(log, fetch);
    if (!log->has_threads)
        fetch_step(log);
    pthread_mutex_lock(&log->mutex);
    while (!cleaner->is_answered)
        pthread_cond_wait(&log->changed, &log->mutex);
    pthread_mutex_unlock(&log->mutex);
}

/* ---- a step ---- */

/* Octets that a live record of this segment takes, by the average. */
static uint64_t usual_octets(const struct marked_segment *segment)
{
    return segment && segment->records > 0 ? segment->found / segment->records : 0;
}

/* The identities of whole parts, as many as one step moves. Returns how many. */
static size_t choose_ids(struct log *log)
{
    const struct log_marker *marker = &log->cleaner.marker;
    const uint64_t *ids = marker->ids + log->cleaner.next_id;
    size_t left = marker->id_count - log->cleaner.next_id;
    uint64_t octets = 0;
    uint64_t each = 0;
    uint64_t part = 0;
    size_t n;

    pthread_mutex_lock(&log->mutex);
    for (n = 0; n < left; n++) {
        struct part_place place;
        if (record_id_part(ids[n]) != part) {
            if (octets >= STEP_BYTES || n >= STEP_RECORDS)
                break;
            part = record_id_part(ids[n]);
            each = places_find(&log->places, part, &place)
                       ? usual_octets(mark_segment(marker, place.segment))
                       : 0;
        }
        octets += each;
    }
    pthread_mutex_unlock(&log->mutex);
    return n;
}

/* What cannot be read, or is too large for segments that became smaller, stays where it is, and its segment is
 * left alone from now on. A checkpoint may have found meanwhile that the whole part is not needed. */
static void keep_segment(struct log *log, uint64_t part, int rc)
{
    struct part_place place;

    if (rc == ERR_NOT_FOUND)
        return;
    pthread_mutex_lock(&log->mutex);
    if (places_find(&log->places, part, &place))
        log->slots[place.segment]->is_stuck = true;
    pthread_mutex_unlock(&log->mutex);
    log_warn("the cleaner cannot move a part of the log: its segment is kept",
             "part=%llu error='%s'", (unsigned long long)part, err_text(rc));
}

/* The records are all of one part. NULL: it stays where it is. */
static struct log_part *build_part(struct log *log, const struct log_fetched *records,
                                   uint32_t count)
{
    struct log_part *part = NULL;
    int rc = 0;

    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = records[i].rc;
    if (rc == 0)
        part = moved_part(records, count, log->part_bytes);
    if (!part)
        keep_segment(log, record_id_part(records[0].id), rc == 0 ? ERR_REFUSED : rc);
    return part;
}

/* What was read, as moved parts in a list. Returns their octets. */
static uint64_t build_parts(struct log *log, const struct log_fetch *fetch, struct log_part **first)
{
    struct log_part **end = first;
    uint64_t octets = 0;
    uint32_t at = 0;

    while (at < fetch->count) {
        uint64_t number = record_id_part(fetch->records[at].id);
        uint32_t next = at + 1;
        while (next < fetch->count && record_id_part(fetch->records[next].id) == number)
            next++;
        *end = build_part(log, &fetch->records[at], next - at);
        if (*end) {
            octets += PART_HEADER_BYTES + (*end)->used;
            end = &(*end)->next;
        }
        at = next;
    }
    return octets;
}

static void free_parts(struct log_part *part)
{
    while (part) {
        struct log_part *next = part->next;
        mem_free(part);
        part = next;
    }
}

/* Returns 0, or what kept it from being written. */
static int move_all(struct log *log, const struct log_fetch *fetch, uint64_t *octets)
{
    struct log_part *parts = NULL;
    int rc;

    *octets = build_parts(log, fetch, &parts);
    rc = cold_write(log, parts);
    free_parts(parts);
    return rc;
}

void clean_move(struct log *log)
{
    struct cleaner *cleaner = &log->cleaner;
    size_t count = choose_ids(log);
    const struct log_fetched *records;
    uint64_t octets;
    int rc;

    if (count == 0) {
        clean_end_moves(log);
        return;
    }
    records =
        log_mark_read(&cleaner->marker, cleaner->marker.ids + cleaner->next_id, (uint32_t)count);
    (void)records;
    rc = move_all(log, &cleaner->marker.fetch, &octets);
    log_fetch_release(&cleaner->marker.fetch);
    if (rc != 0) {
        log_warn("the cleaner cannot write: what is left stays where it is", "error='%s'",
                 err_text(rc));
        clean_give_up(log);
        return;
    }
    cleaner->next_id += count;
    cleaner->moved += octets;
    atomic_fetch_add_explicit(&cleaner->octets_moved, octets, memory_order_relaxed);
    if (!cleaner->is_urgent)
        cleaner->next_ns = clock_mono_ns() + octets * 1000000000U / MOVE_RATE;
}

/* ---- the end of a round ---- */

static bool is_live(const struct log_marker *marker, uint64_t part)
{
    uint64_t first = record_id(part, 0);
    size_t low = 0;
    size_t high = marker->id_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (marker->ids[middle] < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < marker->id_count && record_id_part(marker->ids[low]) == part;
}

/* Segments of this round by their numbers: a slot may have another since. */
static bool keep_live(void *context, const struct part_place *place)
{
    struct log *log = context;
    const struct log_marker *marker = &log->cleaner.marker;
    struct segment *segment = log->slots[place->segment];
    const struct marked_segment *marked = mark_segment(marker, place->segment);

    if (!marked || !marked->is_chosen || is_live(marker, place->number))
        return true;
    segment->parts--;
    return false;
}

void clean_end_moves(struct log *log)
{
    if (log->cleaner.chosen > 0)
        log_forget_parts(log, keep_live, log);
    clean_over(log);
}
