/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of fetching share: a log on a disk in memory that knows what it was given. */
#ifndef TOKKI_STORAGE_FETCH_FIXTURE_H
#define TOKKI_STORAGE_FETCH_FIXTURE_H

#include "storage/chance.h"
#include "storage/disk_memory.h"
#include "storage/log_internal.h"

#include "base/err.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define RIG_RECORDS 20000U
#define RIG_KIND 77U

/* Thread: one. Record i has ids[i], octets[i] and a payload that follows from i. */
struct rig {
    struct disk *disk; /* owned by the log */
    struct log *log;
    uint16_t streams;
    uint64_t segment_bytes;
    bool is_threaded;
    struct chance chance;
    uint32_t count;
    uint64_t ids[RIG_RECORDS];
    uint32_t octets[RIG_RECORDS];
    uint32_t told[64]; /* calls of events.fetched by stream */
};

static inline void fill_payload(uint8_t *payload, uint32_t octets, uint64_t seed)
{
    struct chance chance = {.state = seed};
    for (uint32_t i = 0; i < octets; i += 8) {
        uint64_t word = chance_next(&chance);
        memcpy(payload + i, &word, MIN(octets - i, 8U));
    }
}

static inline bool payload_is(const uint8_t *payload, uint32_t octets, uint64_t seed)
{
    struct chance chance = {.state = seed};
    for (uint32_t i = 0; i < octets; i += 8) {
        uint64_t word = chance_next(&chance);
        if (memcmp(payload + i, &word, MIN(octets - i, 8U)) != 0)
            return false;
    }
    return true;
}

static inline void rig_fetched(void *context, uint16_t stream)
{
    ((struct rig *)context)->told[stream]++;
}

static inline int rig_ignore(void *context, uint64_t id, const struct record_header *header,
                             const uint8_t *payload)
{
    (void)context;
    (void)id;
    (void)header;
    (void)payload;
    return 0;
}

static inline void rig_open(struct rig *rig)
{
    struct log_settings settings = {
        .segment_bytes = rig->segment_bytes,
        .checkpoint_bytes = UINT64_MAX,
        .streams = rig->streams,
        .is_threaded = rig->is_threaded,
        .seed = 5,
        .events = {.context = rig, .fetched = rig_fetched},
    };
    struct log_error error;

    assert_int_equal(log_open(rig->disk, &settings, &rig->log, &error), 0);
    assert_int_equal(log_replay(rig->log, rig_ignore, NULL, &error), 0);
    assert_int_equal(log_start(rig->log, &error), 0);
}

static inline struct rig *rig_new(uint64_t segment_bytes, uint16_t streams)
{
    struct rig *rig = mem_alloc_zero(sizeof *rig);

    rig->segment_bytes = segment_bytes;
    rig->streams = streams;
    rig->chance.state = segment_bytes + streams;
    rig->disk = disk_memory_new();
    rig_open(rig);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    log_stop(rig->log);
    log_free(rig->log);
    mem_free(rig);
}

/* The process ends and another one begins on the same disk. */
static inline void rig_restart(struct rig *rig)
{
    struct disk *disk = disk_memory_clone(rig->disk);

    log_stop(rig->log);
    log_free(rig->log);
    rig->disk = disk;
    rig_open(rig);
}

static inline void rig_append(struct rig *rig, uint16_t stream, uint32_t octets)
{
    uint32_t i = rig->count++;
    uint8_t *payload;

    assert_true(i < RIG_RECORDS);
    rig->octets[i] = octets;
    payload = log_append(log_stream(rig->log, stream), RIG_KIND, 1, octets, &rig->ids[i]);
    fill_payload(payload, octets, i);
}

static inline void rig_step(struct rig *rig)
{
    log_submit_all(rig->log);
    assert_int_equal(log_step(rig->log), 0);
}

static inline uint32_t rig_segments(const struct rig *rig)
{
    uint32_t count = 0;
    for (const struct segment *segment = rig->log->segments; segment; segment = segment->next)
        count++;
    return count;
}

/* After it only `count` records from `first` on, and what comes later, are needed. */
static inline void rig_checkpoint(struct rig *rig, uint32_t first, uint32_t count)
{
    struct log_checkpoint *checkpoint = log_checkpoint_begin(rig->log);
    struct log_gather gather = {0};

    for (uint32_t i = first; i < first + count; i++)
        log_gather_live(&gather, record_id_part(rig->ids[i]), record_id_part(rig->ids[i]));
    (void)log_gather_record(&gather, RIG_KIND, 1, 8);
    log_checkpoint_add(checkpoint, &gather, 0, 0);
    log_checkpoint_finish(checkpoint, false);
    rig_step(rig);
}

static inline struct log_fetch *fetch_new(struct rig *rig, uint16_t stream, uint32_t count)
{
    struct log_fetch *fetch = mem_alloc_zero(sizeof *fetch);

    fetch->stream = log_stream(rig->log, stream);
    fetch->records = mem_alloc_zero((count + 1) * sizeof *fetch->records);
    fetch->count = count;
    for (uint32_t i = 0; i < count; i++)
        fetch->records[i].id = rig->ids[0];
    return fetch;
}

static inline struct log_fetch *fetch_range(struct rig *rig, uint32_t first, uint32_t count)
{
    struct log_fetch *fetch = fetch_new(rig, 0, count);

    for (uint32_t i = 0; i < count; i++)
        fetch->records[i].id = rig->ids[first + i];
    return fetch;
}

static inline struct log_fetch *fetch_random(struct rig *rig, uint32_t count)
{
    struct log_fetch *fetch = fetch_new(rig, 0, count);

    for (uint32_t i = 0; i < count; i++)
        fetch->records[i].id = rig->ids[chance_below(&rig->chance, rig->count)];
    log_fetch_submit(rig->log, fetch);
    return fetch;
}

static inline void fetch_drop(struct log_fetch *fetch)
{
    log_fetch_release(fetch);
    mem_free(fetch->records);
    mem_free(fetch);
}

static inline uint32_t index_of_id(const struct rig *rig, uint64_t id)
{
    uint32_t i = 0;
    while (i < rig->count && rig->ids[i] != id)
        i++;
    assert_true(i < rig->count);
    return i;
}

/* All records are answered with `rc`, and have what was written. Takes the fetch. */
static inline void fetch_check(struct rig *rig, struct log_fetch *fetch, int rc)
{
    for (uint32_t i = 0; i < fetch->count; i++) {
        const struct log_fetched *record = &fetch->records[i];
        uint32_t index = index_of_id(rig, record->id);
        assert_int_equal(record->rc, rc);
        assert_int_equal(record->payload == NULL, rc != 0);
        if (rc != 0)
            continue;
        assert_int_equal(record->header.kind, RIG_KIND);
        assert_int_equal(record->header.octets, rig->octets[index]);
        assert_true(payload_is(record->payload, rig->octets[index], index));
    }
    fetch_drop(fetch);
}

/* Fetch `count` records from `first` on by a step: the answer that all of them got. ERR_AGAIN: none; then the
 * fetch is answered by a stop. */
static inline int rig_fetch(struct rig *rig, uint32_t first, uint32_t count)
{
    struct log_fetch *fetch = fetch_range(rig, first, count);
    struct log_fetch *taken;
    int rc;

    while (log_fetch_take(fetch->stream))
        ;
    log_fetch_submit(rig->log, fetch);
    (void)log_step(rig->log);
    taken = log_fetch_take(fetch->stream);
    if (!taken) {
        log_stop(rig->log);
        assert_ptr_equal(log_fetch_take(fetch->stream), fetch);
        assert_int_equal(fetch->records[0].rc, ERR_NOT_FOUND);
        fetch_drop(fetch);
        rig_restart(rig);
        return ERR_AGAIN;
    }
    assert_ptr_equal(taken, fetch);
    rc = fetch->records[0].rc;
    fetch_check(rig, fetch, rc);
    return rc;
}

#endif
