/* SPDX-License-Identifier: Apache-2.0 */
/* When to clean, what, and when that is over. FORMAT.md, section 7, says what it keeps to. */
#include "storage/clean_internal.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/cold.h"

#include <stdlib.h>

/* A round moves no more than this, since what it moves lies on the disk twice until the next checkpoint. */
#define ROUND_SEGMENTS 2U
/* Identities in a round: 8 octets of memory each, twice that while they are collected. */
#define ROUND_RECORDS 2000000U
/* For what a sweep of the spill names and is still being written. */
#define WAIT_NS 10000000ULL
#define WAITS_MAX 300U
/* How often to look for what was settled; a checkpoint is worth it from this part of all messages on. */
#define LOOK_NS 5000000000ULL
#define LOOK_PART 8U
#define LOOK_MIN 64U

/* ---- life ---- */

void cleaner_init(struct log *log)
{
    stream_init(&log->cleaner.stream, log, 0);
    log->cleaner.share = 1;
    log->cleaner.cold.salt_state = ~log->settings.seed;
}

static void free_checkpoint(struct log_checkpoint **checkpoint)
{
    if (*checkpoint)
        checkpoint_free(*checkpoint);
    *checkpoint = NULL;
}

static void end_marking(struct cleaner *cleaner)
{
    free_checkpoint(&cleaner->checkpoint);
    cleaner->part = NULL;
}

static void end_round(struct cleaner *cleaner)
{
    end_marking(cleaner);
    mark_free(&cleaner->marker);
    cleaner->phase = CLEAN_IDLE;
}

void cleaner_fini(struct log *log)
{
    end_round(&log->cleaner);
    cold_fini(log);
    stream_fini(&log->cleaner.stream);
}

struct log_clean_counts log_clean_counts(struct log *log)
{
    struct log_clean_counts counts = {
        .segments = atomic_load_explicit(&log->cleaner.segments_cleaned, memory_order_relaxed),
        .moved = atomic_load_explicit(&log->cleaner.octets_moved, memory_order_relaxed),
    };

    pthread_mutex_lock(&log->mutex);
    for (const struct segment *segment = log->segments; segment; segment = segment->next)
        counts.total += segment->header.octets;
    pthread_mutex_unlock(&log->mutex);
    return counts;
}

/* ---- when ---- */

static uint64_t all_settled(const struct log *log)
{
    uint64_t sum = 0;

    for (uint16_t i = 0; i < log->settings.streams; i++)
        sum += atomic_load_explicit(&log->streams[i].settled, memory_order_relaxed);
    return sum;
}

void clean_note_begin(struct log *log)
{
    log->cleaner.written += log->since_checkpoint;
    log->cleaner.settled = all_settled(log);
}

/* Octets of the segments that may be cleaned. Thread: under log->mutex. */
static uint64_t octets_before(const struct log *log, uint64_t keep_from)
{
    uint64_t sum = 0;

    for (const struct segment *segment = log->segments; segment; segment = segment->next)
        if (segment_is_before(log, segment, keep_from))
            sum += segment->header.octets;
    return sum;
}

/* What the last round wrote takes as many segments as it has emptied, since records pack badly into them, and
 * nothing else has happened: another would do the same, and so for ever. */
static bool was_in_vain(const struct log *log, uint64_t written, uint64_t settled)
{
    const struct cleaner *cleaner = &log->cleaner;
    return settled == 0 && cleaner->old >= cleaner->begun_old &&
           written <= cleaner->moved + 2 * log->settings.segment_bytes;
}

/* The states count a body for each queue that has it. By how much that is wrong says the last count, which
 * grows old as the log is written and messages go, and which a start forgets. */
static bool wants_round(struct log *log, const struct log_checkpoint *checkpoint)
{
    struct cleaner *cleaner = &log->cleaner;
    uint64_t live = (uint64_t)((double)checkpoint->all.live_octets * cleaner->share);
    uint64_t written;
    uint64_t settled;

    pthread_mutex_lock(&log->mutex);
    cleaner->old = octets_before(log, checkpoint->replay.segment);
    written = cleaner->written;
    settled = cleaner->settled - cleaner->counted_settled;
    pthread_mutex_unlock(&log->mutex);
    if (cleaner->old <= log->settings.slack_bytes)
        return false;
    if (!cleaner->has_counted)
        return true;
    if (was_in_vain(log, written, settled))
        return false;
    if (cleaner->old - log->settings.slack_bytes > live + live / 2)
        return true;
    /* Nothing dies of being written: where next to nothing was settled there is nothing to be found. */
    return (written > cleaner->old / 2 && settled > cleaner->counted_messages / 16) ||
           settled > cleaner->counted_messages / 3;
}

/* True: it was taken. */
static bool begin(struct log *log, struct log_checkpoint *checkpoint)
{
    struct cleaner *cleaner = &log->cleaner;

    if (!log->settings.mark || checkpoint->is_clean || cleaner->phase != CLEAN_IDLE ||
        !wants_round(log, checkpoint))
        return false;
    pthread_mutex_lock(&log->mutex);
    cleaner->begun_old = cleaner->old;
    cleaner->begun_written = cleaner->written;
    cleaner->begun_settled = cleaner->settled;
    cleaner->begun_messages = cleaner->messages;
    pthread_mutex_unlock(&log->mutex);
    cleaner->checkpoint = checkpoint;
    cleaner->part = checkpoint->all.first;
    cleaner->offset = 0;
    cleaner->waited = 0;
    cleaner->chosen = 0;
    cleaner->was_passed = false;
    cleaner->moved = 0;
    cleaner->next_ns = 0;
    cleaner->phase = CLEAN_COUNT;
    mark_begin(&cleaner->marker, log, checkpoint->replay.segment);
    return true;
}

void clean_take(struct log *log, struct log_checkpoint *checkpoint)
{
    struct cleaner *cleaner = &log->cleaner;

    cleaner->messages = checkpoint->all.messages;
    pthread_mutex_lock(&log->mutex);
    cleaner->weight = checkpoint->all.live_octets;
    cleaner->weighed_in = checkpoint->replay.segment;
    pthread_mutex_unlock(&log->mutex);
    cleaner->was_passed |= cleaner->phase != CLEAN_IDLE;
    checkpoint_recycle(checkpoint, cleaner->checkpoint);
    if (!begin(log, checkpoint))
        checkpoint_free(checkpoint);
}

bool clean_wants_checkpoint(struct log *log, uint64_t *until)
{
    struct cleaner *cleaner = &log->cleaner;
    uint64_t now = clock_mono_ns();

    if (!log->settings.mark || log->is_checkpointing || log->is_checkpoint_due ||
        octets_before(log, log->position.segment) <= log->settings.slack_bytes)
        return false;
    if (log->has_threads && now < cleaner->look_ns) {
        *until = MIN(*until, cleaner->look_ns);
        return false;
    }
    cleaner->look_ns = now + LOOK_NS;
    *until = MIN(*until, cleaner->look_ns);
    return all_settled(log) - cleaner->settled > cleaner->messages / LOOK_PART + LOOK_MIN;
}

/* ---- choosing ---- */

static int compare_segments(const void *left, const void *right)
{
    const struct marked_segment *a = *(struct marked_segment *const *)left;
    const struct marked_segment *b = *(struct marked_segment *const *)right;
    return (a->live > b->live) - (a->live < b->live);
}

/* Those that are still there, emptiest first. `*octets`: of them, and of those that are stuck. */
static struct marked_segment **sorted_segments(struct log *log, uint32_t *count, uint64_t *octets)
{
    struct log_marker *marker = &log->cleaner.marker;
    struct marked_segment **sorted = mem_alloc(MAX(marker->slot_count, 1U) * sizeof *sorted);

    *count = 0;
    *octets = 0;
    pthread_mutex_lock(&log->mutex);
    for (uint32_t i = 0; i < marker->slot_count; i++) {
        struct marked_segment *segment = mark_segment(marker, i);
        if (!segment)
            continue;
        *octets += segment->octets;
        if (!log->slots[i]->is_stuck)
            sorted[(*count)++] = segment;
    }
    pthread_mutex_unlock(&log->mutex);
    qsort(sorted, *count, sizeof *sorted, compare_segments);
    return sorted;
}

/* Until what is left is a quarter more than what lives, but for some slack. Returns whether something must be
 * moved; segments without anything live are chosen, too. */
static bool choose(struct log *log)
{
    struct cleaner *cleaner = &log->cleaner;
    uint64_t goal = cleaner->live + cleaner->live / 4 + log->settings.slack_bytes / 2;
    uint64_t left;
    uint64_t records = 0;
    uint64_t moves = 0;
    uint32_t count;
    struct marked_segment **sorted = sorted_segments(log, &count, &left);

    for (uint32_t i = 0; i < count; i++) {
        struct marked_segment *segment = sorted[i];
        uint64_t live = segment->live;
        moves += live;
        records += segment->records;
        if (live > 0 &&
            (left <= goal || live > segment->octets / 3 * 2 ||
             moves > ROUND_SEGMENTS * log->settings.segment_bytes || records > ROUND_RECORDS))
            break;
        segment->is_chosen = true;
        left -= segment->octets - live;
        cleaner->chosen++;
    }
    mem_free(sorted);
    return records > 0 && cleaner->chosen > 0;
}

/* All records were counted. */
static void end_count(struct log *log)
{
    struct cleaner *cleaner = &log->cleaner;
    struct log_marker *marker = &cleaner->marker;
    uint64_t weight = cleaner->checkpoint->all.live_octets;

    mark_flush(marker);
    cleaner->live = mark_sum(marker);
    pthread_mutex_lock(&log->mutex);
    cleaner->has_counted = true;
    cleaner->written -= cleaner->begun_written;
    cleaner->counted_settled = cleaner->begun_settled;
    cleaner->counted_messages = cleaner->begun_messages;
    pthread_mutex_unlock(&log->mutex);
    if (weight > 0)
        cleaner->share = MIN((double)cleaner->live / (double)weight, 1.0);
    cleaner->is_urgent = cleaner->old > 2 * cleaner->live + 2 * log->settings.slack_bytes;
    if (choose(log)) {
        marker->collects = true;
        cleaner->part = cleaner->checkpoint->all.first;
        cleaner->phase = CLEAN_COLLECT;
    } else {
        clean_end_moves(log);
    }
}

static void end_collect(struct log *log)
{
    struct cleaner *cleaner = &log->cleaner;

    mark_flush(&cleaner->marker);
    mark_sort(&cleaner->marker);
    end_marking(cleaner);
    cleaner->next_id = 0;
    cleaner->phase = CLEAN_MOVE;
}

/* ---- marking, a record of the checkpoint at a time ---- */

static int mark_next(struct log *log)
{
    struct cleaner *cleaner = &log->cleaner;
    const struct log_part *part = cleaner->part;
    const uint8_t *at = part->data + cleaner->offset;
    struct record_header header;
    int rc = record_header_read(at, part->used - cleaner->offset, &header);

    if (rc == 0)
        rc = log->settings.mark(&cleaner->marker, &header, at + RECORD_HEADER_BYTES);
    if (rc == ERR_AGAIN)
        return 0;
    if (rc == ERR_NOT_YET)
        return rc;
    cleaner->marker.progress = 0;
    cleaner->offset += format_round_up(RECORD_HEADER_BYTES + header.octets, RECORD_ALIGN);
    if (rc == 0 && cleaner->offset >= part->used) {
        cleaner->part = part->next;
        cleaner->offset = 0;
    }
    return rc;
}

static void mark_some(struct log *log)
{
    struct cleaner *cleaner = &log->cleaner;
    int rc = cleaner->part ? mark_next(log) : 0;

    if (rc == ERR_NOT_YET && cleaner->waited++ < WAITS_MAX) {
        /* The helper, which is here, may be what the writer waits for. */
        cleaner->next_ns = clock_mono_ns() + WAIT_NS;
    } else if (rc != 0) {
        log_warn("the log is not cleaned: what is live cannot be read", "error='%s'", err_text(rc));
        end_round(cleaner);
    } else if (!cleaner->part) {
        if (cleaner->phase == CLEAN_COUNT)
            end_count(log);
        else
            end_collect(log);
    }
}

/* ---- steps ---- */

bool clean_is_ready(struct log *log, uint64_t *until)
{
    struct cleaner *cleaner = &log->cleaner;

    if (cleaner->phase == CLEAN_IDLE)
        return false;
    if (!log->has_threads || clock_mono_ns() >= cleaner->next_ns)
        return true;
    *until = MIN(*until, cleaner->next_ns);
    return false;
}

void clean_step(struct log *log)
{
    if (log->cleaner.phase == CLEAN_COUNT || log->cleaner.phase == CLEAN_COLLECT)
        mark_some(log);
    else
        clean_move(log);
}

void clean_give_up(struct log *log)
{
    end_round(&log->cleaner);
}

void clean_over(struct log *log)
{
    struct cleaner *cleaner = &log->cleaner;

    log_debug("log cleaned", "segments=%u moved=%llu live=%llu total=%llu", cleaner->chosen,
              (unsigned long long)cleaner->moved, (unsigned long long)cleaner->live,
              (unsigned long long)cleaner->old);
    atomic_fetch_add_explicit(&cleaner->segments_cleaned, cleaner->chosen, memory_order_relaxed);
    end_round(cleaner);
    if (cleaner->chosen > 0 || cleaner->was_passed)
        log_ask_for_room(log);
}
