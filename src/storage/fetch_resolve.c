/* SPDX-License-Identifier: Apache-2.0 */
/* A fetch joins the round: its ids become places, or it waits for what is not written yet. */
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

/* Records that are looked up under log->mutex at a time: the writer waits for it. */
#define LOOKUPS 256U

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

static int place_missing(struct log *log, const struct log_fetch *fetch, uint64_t part, int give_up)
{
    int failure = atomic_load(&log->failure);

    if (!may_come(log, part))
        return ERR_NOT_FOUND;
    /* The writer may wait for the helper, which waits for this. */
    if (fetch->stream == &log->cleaner.stream)
        return ERR_NOT_YET;
    if (failure != 0)
        return failure;
    return give_up != 0 ? give_up : ERR_AGAIN;
}

uint32_t fetch_gap(const struct segment *segment)
{
    return segment->is_cached ? FETCH_CACHED_GAP_BYTES : FETCH_GAP_BYTES;
}

/* Does the next record of the fetch, at `start` of the same part, belong to the last want? */
static bool goes_on(const struct fetch_want *want, uint64_t start)
{
    if (want->is_packed)
        return true;
    return start > want->last && start - want->last <= fetch_gap(want->segment) &&
           start - want->start <= FETCH_WANT_BYTES;
}

static void add_want(struct fetch_round *round, const struct fetch_want *want)
{
    if (round->count == round->capacity) {
        round->capacity = MAX(round->capacity * 2, (size_t)1024);
        round->wants = mem_resize(round->wants, round->capacity * sizeof *round->wants);
    }
    round->wants[round->count++] = *want;
}

/* Where records of a fetch are looked up. */
struct looking {
    struct log_fetch *fetch;
    struct part_place place; /* of the last one; neighbours mostly are of one part */
    bool is_new;             /* the next one is not of the last want */
    int give_up;
};

static void add_record(struct log *log, struct looking *looking, uint32_t i, uint64_t offset)
{
    struct fetch_round *round = &log->fetcher.round;
    const struct part_place *place = &looking->place;
    uint64_t start = place->is_packed ? place->offset : place->offset + PART_HEADER_BYTES + offset;

    round->records++;
    if (!looking->is_new) {
        struct fetch_want *last = &round->wants[round->count - 1];
        if (goes_on(last, start)) {
            last->count++;
            last->last = start;
            return;
        }
    }
    looking->is_new = false;
    add_want(round, &(struct fetch_want){
                        .segment = log->slots[place->segment],
                        .fetch = looking->fetch,
                        .first = i,
                        .count = 1,
                        .start = start,
                        .last = start,
                        .part = place->offset,
                        .limit = place->offset + PART_HEADER_BYTES + place->octets,
                        .is_packed = place->is_packed,
                    });
    log->slots[place->segment]->read_in = log->fetcher.round_number;
}

/* ERR_AGAIN: not written yet. Another error is the record's answer. Thread: under log->mutex. */
static int find_record(struct log *log, struct looking *looking, uint32_t i)
{
    struct part_place *place = &looking->place;
    uint64_t id = looking->fetch->records[i].id;
    uint64_t part = record_id_part(id);
    uint32_t offset = record_id_offset(id);

    if (part != place->number) {
        looking->is_new = true;
        if (!places_find(&log->places, part, place)) {
            *place = (struct part_place){0};
            return place_missing(log, looking->fetch, part, looking->give_up);
        }
    }
    if (!place->is_packed &&
        (place->octets < RECORD_HEADER_BYTES || offset > place->octets - RECORD_HEADER_BYTES)) {
        looking->is_new = true;
        return ERR_CORRUPT;
    }
    add_record(log, looking, i, offset);
    return 0;
}

/* The records from `at` on; some at a time. Returns where it stopped: at one that is not written yet. */
static uint32_t find_some(struct log *log, struct log_fetch *fetch, uint32_t at, int give_up)
{
    uint32_t end = MIN(fetch->count, at + LOOKUPS);
    struct looking looking = {.fetch = fetch, .is_new = true, .give_up = give_up};
    int rc = 0;

    pthread_mutex_lock(&log->mutex);
    while (at < end && rc != ERR_AGAIN) {
        struct log_fetched *record = &fetch->records[at];
        rc = find_record(log, &looking, at);
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
    waits =
        !places_find(&log->places, part, &place) && place_missing(log, fetch, part, 0) == ERR_AGAIN;
    pthread_mutex_unlock(&log->mutex);
    return waits;
}

bool fetch_resolve(struct log *log, struct log_fetch *fetch, int give_up)
{
    struct fetch_round *round = &log->fetcher.round;
    size_t before = round->count;
    size_t records = round->records;
    uint32_t at = 0;

    if (fetch->waits_for > 0 && give_up == 0 && still_waits(log, fetch))
        return false;
    while (at < fetch->count) {
        uint32_t end = MIN(fetch->count, at + LOOKUPS);
        at = find_some(log, fetch, at, give_up);
        if (at < end) {
            fetch->waits_for = at;
            round->count = before;
            round->records = records;
            return false;
        }
    }
    fetch->left = (uint32_t)(round->count - before);
    if (fetch->left == 0)
        fetch_answer(log, fetch);
    return true;
}
