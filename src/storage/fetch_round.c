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
        want->end = MIN(want->limit, want->last + round->guess);
        if (want->is_packed) {
            want->end = want->limit;
            continue;
        }
        if (next && next->segment == want->segment && next->start > want->last)
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

/* Where at least half of a part is wanted all of it is read: one checksum of a part costs less than those of its
 * records. */
static void take_whole_parts(const struct fetch_round *round, struct run *run)
{
    const struct fetch_want *first = &round->wants[run->first];
    const struct fetch_want *last = &round->wants[run->last - 1];
    uint64_t begin = run->begin;
    uint64_t end = run->end;

    if (MIN(run->end, first->limit) - first->start >= (first->limit - first->part) / 2)
        begin = first->part;
    if (run->end - MAX(run->begin, last->part) >= (last->limit - last->part) / 2)
        end = MAX(run->end, last->limit);
    if (end - begin > FETCH_READ_BYTES)
        return;
    run->begin = begin;
    run->end = end;
}

static struct run plan_run(const struct fetch_round *round, size_t first)
{
    const struct fetch_want *wants = round->wants;
    struct run run = {.first = first, .last = first + 1, .end = wants[first].end};
    uint64_t most = wants[first].segment->is_cached ? FETCH_CACHED_BYTES : FETCH_READ_BYTES;

    run.begin = wants[first].start;
    for (; run.last < round->count; run.last++) {
        const struct fetch_want *want = &wants[run.last];
        uint64_t end = MAX(run.end, want->end);
        if (want->segment != wants[first].segment ||
            want->start > run.end + fetch_gap(want->segment) || end - run.begin > most)
            break;
        run.end = end;
    }
    take_whole_parts(round, &run);
    run.begin = run.begin / FORMAT_BLOCK * FORMAT_BLOCK;
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

static uint64_t part_of(const struct fetch_want *want)
{
    return record_id_part(want->fetch->records[want->first].id);
}

/* Where the whole part was read its checksum is looked at, once. */
static int check_part(struct run *run, const struct fetch_want *want, bool *is_checked)
{
    uint64_t number = part_of(want);
    struct part_header header;

    *is_checked = want->part >= run->begin && want->limit <= run->end;
    if (!*is_checked)
        return want->is_packed ? ERR_CORRUPT : 0;
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
static int find_packed(const struct run *run, const struct fetch_want *want,
                       struct log_fetched *record)
{
    const uint8_t *records = run->octets->data + (want->part - run->begin) + PART_HEADER_BYTES;
    return moved_find(records, (uint32_t)(want->limit - want->part - PART_HEADER_BYTES),
                      record_id_offset(record->id), &record->header, &record->payload);
}

/* ERR_AGAIN: it is longer than what was read; want->end is where it ends. Only the last of a want can be:
 * the others end before the next begins. */
static int find_in_place(const struct run *run, struct fetch_want *want, struct log_fetched *record)
{
    struct record_header *header = &record->header;
    uint64_t start = want->part + PART_HEADER_BYTES + record_id_offset(record->id);
    const uint8_t *at = run->octets->data + (start - run->begin);
    uint64_t end;

    if (start + RECORD_HEADER_BYTES > run->end)
        return ERR_CORRUPT; /* the file has become shorter */
    /* Zeros would be an empty record of no kind. */
    if (record_header_read(at, (size_t)(want->limit - start), header) != 0 || header->kind == 0 ||
        header->octets > LOG_PART_BYTES - RECORD_HEADER_BYTES)
        return ERR_CORRUPT;
    end = start + RECORD_HEADER_BYTES + header->octets;
    if (end > run->end) {
        if (start != want->last || want->end > run->end || want->end >= end)
            return ERR_CORRUPT;
        want->end = end;
        return ERR_AGAIN;
    }
    record->payload = at + RECORD_HEADER_BYTES;
    return 0;
}

/* The record is the asker's, for now or until it gives it back. */
static void hand_over(struct log_fetch *fetch, struct fetch_octets *octets, uint32_t i)
{
    if (!fetch->take) {
        fetch_hold(fetch, octets);
        return;
    }
    fetch->take(fetch, i);
    fetch->records[i].payload = NULL;
}

/* Answer its records. Returns 1 when the last one must be read again, to its end: that is what is left of it. */
static uint32_t answer_want(struct log *log, struct run *run, struct fetch_want *want, int rc)
{
    struct log_fetch *fetch = want->fetch;
    uint64_t octets = 0;
    bool is_checked = false;

    if (rc == 0)
        rc = check_part(run, want, &is_checked);
    for (; want->count > 0; want->first++, want->count--) {
        struct log_fetched *record = &fetch->records[want->first];
        record->rc = rc;
        record->is_checked = is_checked;
        if (rc == 0)
            record->rc =
                want->is_packed ? find_packed(run, want, record) : find_in_place(run, want, record);
        if (record->rc == ERR_AGAIN)
            break;
        if (record->rc != 0)
            continue;
        octets += RECORD_HEADER_BYTES + record->header.octets;
        learn(&log->fetcher.round, RECORD_HEADER_BYTES + record->header.octets);
        hand_over(fetch, run->octets, want->first);
    }
    atomic_fetch_add_explicit(&log->fetcher.octets_asked, octets, memory_order_relaxed);
    want->start = want->last;
    return want->count;
}

/* Returns how many wants are left in front; those must be read again. */
static size_t answer_run(struct log *log, struct run *run, int rc, size_t left)
{
    struct fetch_round *round = &log->fetcher.round;
    bool is_cached = round->wants[run->first].segment->is_cached;

    for (size_t i = run->first; i < run->last; i++) {
        struct fetch_want *want = &round->wants[i];
        if (answer_want(log, run, want, rc) > 0)
            round->wants[left++] = *want;
        else if (--want->fetch->left == 0)
            fetch_answer(log, want->fetch);
    }
    fetch_octets_unref(&log->fetcher.pool, run->octets);
    /* What the page cache has comes so fast that the askers need not be woken for each read. */
    if (!is_cached)
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
    round->records = 0;
}
