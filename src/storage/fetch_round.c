/* SPDX-License-Identifier: Apache-2.0 */
/* A round of fetches: places become few reads, reads become answers. */
#include "base/err.h"
#include "storage/log_internal.h"
#include "storage/moved.h"

#include <stdlib.h>

/* Bounds of the guess how long a record is; one that is longer costs a second read. */
#define GUESS_MIN 512U
#define GUESS_MAX FETCH_GAP_BYTES

/* ---- from places to reads ---- */

static int compare_wants(const void *left, const void *right)
{
    const struct fetch_want *a = left;
    const struct fetch_want *b = right;
    uint64_t segment_a = a->segment->header.number;
    uint64_t segment_b = b->segment->header.number;

    if (segment_a != segment_b)
        return segment_a < segment_b ? -1 : 1;
    return (a->start > b->start) - (a->start < b->start);
}

/* Queues are mostly read in order, and then there is nothing to sort. */
static void sort_wants(struct fetch_round *round)
{
    for (size_t i = 1; i < round->count; i++) {
        if (compare_wants(&round->wants[i - 1], &round->wants[i]) > 0) {
            qsort(round->wants, round->count, sizeof *round->wants, compare_wants);
            return;
        }
    }
}

/* How long a record is says its header, which is not read yet; but it ends before the next one begins. */
static void guess_ends(struct fetch_round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        struct fetch_want *want = &round->wants[i];
        const struct fetch_want *next = i + 1 < round->count ? want + 1 : NULL;
        want->end = MIN(want->limit, want->start + round->guess);
        if (want->is_packed) {
            want->end = want->limit;
            continue;
        }
        if (next && next->segment == want->segment && next->start > want->start)
            want->end = MIN(want->end, next->start);
    }
}

/* A longer one moves the guess at once, shorter ones little by little. */
static void learn(struct fetch_round *round, uint32_t octets)
{
    uint32_t whole = MIN(MAX(octets, GUESS_MIN), GUESS_MAX);

    if (whole > round->guess)
        round->guess = whole;
    else
        round->guess -= (round->guess - whole) / 64;
}

/* A read that answers wants[first..last). */
struct run {
    struct fetch_octets *octets;
    size_t first;
    size_t last;
    uint64_t begin; /* in the segment */
    uint64_t end;
    uint64_t checked; /* part whose checksum was looked at last */
    int checked_rc;
};

static struct run plan_run(const struct fetch_round *round, size_t first)
{
    const struct fetch_want *wants = round->wants;
    struct run run = {.first = first, .last = first + 1, .end = wants[first].end};

    run.begin = wants[first].start / FORMAT_BLOCK * FORMAT_BLOCK;
    for (; run.last < round->count; run.last++) {
        const struct fetch_want *want = &wants[run.last];
        uint64_t end = MAX(run.end, want->end);
        if (want->segment != wants[first].segment || want->start > run.end + FETCH_GAP_BYTES ||
            end - run.begin > FETCH_READ_BYTES)
            break;
        run.end = end;
    }
    run.end = (run.end + FORMAT_BLOCK - 1) / FORMAT_BLOCK * FORMAT_BLOCK;
    return run;
}

static int read_run(struct log *log, struct run *run)
{
    struct fetcher *fetcher = &log->fetcher;
    size_t octets = (size_t)(run->end - run->begin);
    struct disk_file *file;
    size_t got = 0;
    int rc = fetch_file(log, fetcher->round.wants[run->first].segment, &file);

    run->octets = fetch_octets_new(&fetcher->pool, octets);
    if (rc == 0)
        rc = disk_read(file, run->octets->data, octets, run->begin, &got);
    run->end = run->begin + got;
    atomic_fetch_add_explicit(&fetcher->octets_read, got, memory_order_relaxed);
    return rc;
}

/* ---- from reads to answers ---- */

/* Where the whole part was read its checksum is looked at, once. */
static int check_part(struct run *run, const struct fetch_want *want)
{
    uint64_t number = record_id_part(want->record->id);
    struct part_header header;

    if (want->part < run->begin || want->limit > run->end)
        return 0;
    if (run->checked == number)
        return run->checked_rc;
    run->checked = number;
    run->checked_rc =
        part_header_read(run->octets->data + (want->part - run->begin),
                         (size_t)(want->limit - want->part), want->segment->seed, &header);
    if (run->checked_rc == 0 &&
        (header.number != number || want->is_packed != ((header.flags & PART_PACKED) != 0)))
        run->checked_rc = ERR_CORRUPT;
    return run->checked_rc;
}

/* All of its part was read. */
static int answer_packed(struct run *run, const struct fetch_want *want)
{
    struct log_fetched *record = want->record;
    const uint8_t *records = run->octets->data + (want->part - run->begin) + PART_HEADER_BYTES;

    if (want->limit > run->end || check_part(run, want) != 0)
        return ERR_CORRUPT;
    return moved_find(records, (uint32_t)(want->limit - want->part - PART_HEADER_BYTES),
                      record_id_offset(record->id), &record->header, &record->payload);
}

/* ERR_AGAIN: it is longer than what was read; want->end is where it ends. */
static int answer_record(struct run *run, struct fetch_want *want)
{
    struct record_header *header = &want->record->header;
    const uint8_t *at = run->octets->data + (want->start - run->begin);
    uint64_t end;

    if (want->start + RECORD_HEADER_BYTES > run->end)
        return ERR_CORRUPT; /* the file has become shorter */
    /* Zeros would be an empty record of no kind. */
    if (record_header_read(at, (size_t)(want->limit - want->start), header) != 0 ||
        header->kind == 0 || header->octets > LOG_PART_BYTES - RECORD_HEADER_BYTES)
        return ERR_CORRUPT;
    end = want->start + RECORD_HEADER_BYTES + header->octets;
    if (end > run->end) {
        if (want->end > run->end || want->end >= end)
            return ERR_CORRUPT;
        want->end = end;
        return ERR_AGAIN;
    }
    if (check_part(run, want) != 0)
        return ERR_CORRUPT;
    want->record->payload = at + RECORD_HEADER_BYTES;
    return 0;
}

static void settle(struct log *log, struct run *run, const struct fetch_want *want, int rc)
{
    struct log_fetch *fetch = want->fetch;

    want->record->rc = rc;
    if (rc == 0) {
        uint32_t octets = RECORD_HEADER_BYTES + want->record->header.octets;
        atomic_fetch_add_explicit(&log->fetcher.octets_asked, octets, memory_order_relaxed);
        learn(&log->fetcher.round, octets);
        fetch_hold(fetch, run->octets);
    }
    if (--fetch->left == 0)
        fetch_answer(log, fetch);
}

/* Returns how many wants are left in front; those must be read again, to their ends. */
static size_t answer_run(struct log *log, struct run *run, int rc, size_t left)
{
    struct fetch_round *round = &log->fetcher.round;

    for (size_t i = run->first; i < run->last; i++) {
        struct fetch_want *want = &round->wants[i];
        int answer = rc;
        if (rc == 0)
            answer = want->is_packed ? answer_packed(run, want) : answer_record(run, want);
        if (answer == ERR_AGAIN)
            round->wants[left++] = *want;
        else
            settle(log, run, want, answer);
    }
    fetch_octets_unref(&log->fetcher.pool, run->octets);
    fetch_tell(log);
    return left;
}

void fetch_read(struct log *log)
{
    struct fetch_round *round = &log->fetcher.round;

    sort_wants(round);
    guess_ends(round);
    while (round->count > 0) {
        size_t left = 0;
        for (size_t at = 0; at < round->count;) {
            struct run run = plan_run(round, at);
            int rc = read_run(log, &run);
            left = answer_run(log, &run, rc, left);
            at = run.last;
        }
        round->count = left;
    }
}
