/* SPDX-License-Identifier: Apache-2.0 */
/* A round of fetches: ids become places, places become few reads, reads become answers. */
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <stdlib.h>

/* Records that are looked up under log->mutex at a time: the writer waits for it. */
#define LOOKUPS 256U
/* Bounds of the guess how long a record is; one that is longer costs a second read. */
#define GUESS_MIN 512U
#define GUESS_MAX FETCH_GAP_BYTES

/* ---- from ids to places ---- */

/* May a part that has no place still get one? What is not durable of a stream is the part begun last, or
 * lies between the durable ones and the part begun before it. The writer places a part, stores what is
 * durable and then looks at `waits`; here it is the other way round, so a part is not missed. Thread: under
 * log->mutex since the part was not found. */
static bool may_come(struct log *log, uint64_t part)
{
    atomic_store_explicit(&log->fetcher.waits, true, memory_order_seq_cst);
    for (uint16_t i = 0; i < log->settings.streams; i++) {
        struct log_stream *stream = &log->streams[i];
        uint64_t begun = atomic_load_explicit(&stream->begun, memory_order_acquire);
        uint64_t before = atomic_load_explicit(&stream->begun_before, memory_order_acquire);
        if (log_durable(stream) < part && (part == begun || part <= before))
            return true;
    }
    return false;
}

static int place_missing(struct log *log, uint64_t part, int give_up)
{
    int failure = atomic_load(&log->failure);

    if (!may_come(log, part))
        return ERR_NOT_FOUND;
    if (failure != 0)
        return failure;
    return give_up != 0 ? give_up : ERR_AGAIN;
}

static void add_want(struct fetch_round *round, const struct fetch_want *want)
{
    if (round->count == round->capacity) {
        round->capacity = MAX(round->capacity * 2, (size_t)1024);
        round->wants = mem_resize(round->wants, round->capacity * sizeof *round->wants);
    }
    round->wants[round->count++] = *want;
}

/* ERR_AGAIN: not written yet. Another error is the record's answer. Thread: under log->mutex. */
static int find_record(struct log *log, struct log_fetch *fetch, struct log_fetched *record,
                       struct part_place *last, int give_up)
{
    uint64_t part = record_id_part(record->id);
    uint32_t offset = record_id_offset(record->id);
    struct fetch_want want = {.fetch = fetch, .record = record};

    /* Neighbours mostly are of one part. */
    if (part != last->number && !places_find(&log->places, part, last))
        return place_missing(log, part, give_up);
    if (last->octets < RECORD_HEADER_BYTES || offset > last->octets - RECORD_HEADER_BYTES)
        return ERR_CORRUPT;
    want.segment = log->slots[last->segment];
    want.part = last->offset;
    want.limit = want.part + PART_HEADER_BYTES + last->octets;
    want.start = want.part + PART_HEADER_BYTES + offset;
    want.segment->read_in = log->fetcher.round_number;
    add_want(&log->fetcher.round, &want);
    return 0;
}

/* The records from `at` on; some at a time. Returns where it stopped: at one that is not written yet. */
static uint32_t find_some(struct log *log, struct log_fetch *fetch, uint32_t at, int give_up)
{
    uint32_t end = MIN(fetch->count, at + LOOKUPS);
    struct part_place last = {0};
    int rc = 0;

    pthread_mutex_lock(&log->mutex);
    while (at < end && rc != ERR_AGAIN) {
        struct log_fetched *record = &fetch->records[at];
        rc = find_record(log, fetch, record, &last, give_up);
        record->rc = rc;
        record->payload = NULL;
        at += rc != ERR_AGAIN;
    }
    pthread_mutex_unlock(&log->mutex);
    return at;
}

/* Is the part it waited for still not written? */
static bool still_waits(struct log *log, const struct log_fetch *fetch)
{
    uint64_t part = record_id_part(fetch->records[fetch->waits_for].id);
    struct part_place place;
    bool waits;

    pthread_mutex_lock(&log->mutex);
    waits = !places_find(&log->places, part, &place) && place_missing(log, part, 0) == ERR_AGAIN;
    pthread_mutex_unlock(&log->mutex);
    return waits;
}

bool fetch_resolve(struct log *log, struct log_fetch *fetch, int give_up)
{
    struct fetch_round *round = &log->fetcher.round;
    size_t before = round->count;
    uint32_t at = 0;

    if (fetch->waits_for > 0 && give_up == 0 && still_waits(log, fetch))
        return false;
    while (at < fetch->count) {
        uint32_t end = MIN(fetch->count, at + LOOKUPS);
        at = find_some(log, fetch, at, give_up);
        if (at < end) {
            fetch->waits_for = at;
            round->count = before;
            return false;
        }
    }
    fetch->left = (uint32_t)(round->count - before);
    if (fetch->left == 0)
        fetch_answer(log, fetch);
    return true;
}

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
    if (run->checked_rc == 0 && header.number != number)
        run->checked_rc = ERR_CORRUPT;
    return run->checked_rc;
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
        int answer = rc == 0 ? answer_record(run, want) : rc;
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
