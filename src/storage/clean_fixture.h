/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: a log with records that live and die, its cleaner, and whether those that live are whole. */
#ifndef TOKKI_STORAGE_CLEAN_FIXTURE_H
#define TOKKI_STORAGE_CLEAN_FIXTURE_H

#include "base/cursor.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/chance.h"
#include "storage/disk_memory.h"
#include "storage/log_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CLEAN_RECORD 7
#define CLEAN_STATE 9
#define CLEAN_STREAMS 3U
#define CLEAN_CHECKPOINT_BYTES (4ULL * LOG_SEGMENT_MIN)
/* Identities in one state. */
#define CLEAN_NAMED 500U

struct clean_item {
    uint64_t id;
    uint32_t octets;
    bool is_live;
};

struct clean_world {
    struct disk *disk; /* the log's while it is open */
    struct log *log;
    struct chance chance;
    struct clean_item *items; /* by their numbers */
    uint32_t count;
    uint32_t capacity;
    uint32_t oldest;   /* all before it are dead */
    uint32_t names;    /* how many states name each item */
    uint32_t replayed; /* records that the last replay has handed on */
    _Atomic bool is_due;
    bool is_threaded;
};

static inline uint8_t clean_octet(uint32_t number, uint32_t i)
{
    return (uint8_t)(number * 131 + i * 7 + (i >> 8));
}

static inline void clean_due(void *context)
{
    ((struct clean_world *)context)->is_due = true;
}

static inline int clean_marks(struct log_marker *marker, const struct record_header *header,
                              const uint8_t *payload)
{
    if (header->kind == CLEAN_STATE)
        for (uint32_t at = 0; at < header->octets; at += 16)
            log_mark(marker, load_u64(payload + at), load_u32(payload + at + 8));
    return 0;
}

static inline struct log_settings clean_settings(struct clean_world *world)
{
    return (struct log_settings){
        .segment_bytes = LOG_SEGMENT_MIN,
        .checkpoint_bytes = CLEAN_CHECKPOINT_BYTES,
        .streams = CLEAN_STREAMS,
        .is_threaded = world->is_threaded,
        .seed = 7,
        .events = {.context = world, .checkpoint_due = clean_due},
        .mark = clean_marks,
        .slack_bytes = 2ULL * LOG_SEGMENT_MIN,
    };
}

/* ---- what is in the records ---- */

static inline void check_octets(const struct clean_world *world, uint32_t number,
                                const struct record_header *header, const uint8_t *payload)
{
    assert_int_equal(header->kind, CLEAN_RECORD);
    assert_int_equal(header->octets, world->items[number].octets);
    assert_int_equal(load_u32(payload), number);
    for (uint32_t i = 4; i < header->octets; i++)
        assert_int_equal(payload[i], clean_octet(number, i));
}

static inline int clean_replay(void *context, uint64_t id, const struct record_header *header,
                               const uint8_t *payload)
{
    struct clean_world *world = context;
    uint32_t number = load_u32(payload);

    if (header->kind == CLEAN_STATE)
        return 0;
    assert_true(number < world->count && world->items[number].id == id);
    check_octets(world, number, header, payload);
    world->replayed++;
    return 0;
}

/* After a replay, before log_start. */
static inline void check_read(struct clean_world *world)
{
    struct log_error error;

    for (uint32_t i = world->oldest; i < world->count; i++) {
        struct record_header header;
        const uint8_t *payload;
        if (!world->items[i].is_live)
            continue;
        assert_int_equal(log_read(world->log, world->items[i].id, &header, &payload, &error), 0);
        check_octets(world, i, &header, payload);
    }
}

static inline void await_fetch(struct clean_world *world, struct log_stream *stream)
{
    while (!log_fetch_take(stream))
        if (!world->is_threaded)
            assert_int_equal(log_step(world->log), 0);
}

/* While it runs, a hundred at a time. */
static inline void check_fetched(struct clean_world *world)
{
    struct log_fetched records[100];
    uint32_t numbers[100];
    struct log_fetch fetch = {.stream = log_stream(world->log, 0), .records = records};

    for (uint32_t i = world->oldest; i <= world->count; i++) {
        if (i < world->count && world->items[i].is_live) {
            numbers[fetch.count] = i;
            records[fetch.count++] = (struct log_fetched){.id = world->items[i].id};
        }
        if (fetch.count == 0 || (fetch.count < 100 && i < world->count))
            continue;
        log_fetch_submit(world->log, &fetch);
        await_fetch(world, fetch.stream);
        for (uint32_t k = 0; k < fetch.count; k++) {
            assert_int_equal(records[k].rc, 0);
            check_octets(world, numbers[k], &records[k].header, records[k].payload);
        }
        log_fetch_release(&fetch);
        fetch.count = 0;
    }
}

/* ---- life ---- */

/* Returns the error, with which the disk goes. */
static inline int clean_try(struct clean_world *world)
{
    struct log_settings settings = clean_settings(world);
    struct log_error error;
    int rc = log_open(world->disk, &settings, &world->log, &error);

    world->replayed = 0;
    if (rc == 0)
        rc = log_replay(world->log, clean_replay, world, &error);
    if (rc == 0)
        check_read(world);
    if (rc == 0)
        rc = log_start(world->log, &error);
    return rc;
}

static inline void clean_open(struct clean_world *world)
{
    assert_int_equal(clean_try(world), 0);
}

static inline void clean_new(struct clean_world *world, uint64_t seed)
{
    log_set_level((enum log_level)(LOG_ERROR + 1));
    *world = (struct clean_world){.chance.state = seed, .names = 1};
    world->disk = disk_memory_new();
    clean_open(world);
}

/* The process ends; world->disk is what it leaves. */
static inline void clean_end(struct clean_world *world)
{
    struct disk *copy;

    log_stop(world->log);
    copy = disk_memory_clone(world->disk);
    log_free(world->log);
    world->log = NULL;
    world->disk = copy;
}

static inline void clean_free(struct clean_world *world)
{
    if (world->log)
        clean_end(world);
    disk_free(world->disk);
    mem_free(world->items);
}

/* ---- records ---- */

static inline void add_item(struct clean_world *world, uint32_t octets, bool is_live)
{
    uint16_t stream = (uint16_t)chance_below(&world->chance, CLEAN_STREAMS);
    struct clean_item *item;
    uint8_t *at;

    if (world->count == world->capacity) {
        world->capacity = MAX(world->capacity * 2, 1024U);
        world->items = mem_resize(world->items, world->capacity * sizeof *world->items);
    }
    item = &world->items[world->count];
    *item = (struct clean_item){.octets = octets, .is_live = is_live};
    at = log_append(log_stream(world->log, stream), CLEAN_RECORD, 1, octets, &item->id);
    store_u32(at, world->count);
    for (uint32_t i = 4; i < octets; i++)
        at[i] = clean_octet(world->count, i);
    world->count++;
    if (!is_live)
        log_settled(log_stream(world->log, stream), 1);
}

static inline uint64_t live_octets(struct clean_world *world)
{
    uint64_t sum = 0;

    for (uint32_t i = world->oldest; i < world->count; i++)
        if (world->items[i].is_live)
            sum += RECORD_HEADER_BYTES + world->items[i].octets;
    return sum;
}

/* ---- checkpoints ---- */

static inline void name_items(struct clean_world *world, struct log_gather *gather)
{
    uint32_t at = world->oldest;

    while (at < world->count) {
        uint8_t named[16 * CLEAN_NAMED] = {0};
        uint32_t n = 0;
        for (; at < world->count && n < CLEAN_NAMED; at++) {
            const struct clean_item *item = &world->items[at];
            if (!item->is_live)
                continue;
            store_u64(named + 16 * (size_t)n, item->id);
            store_u32(named + 16 * (size_t)n++ + 8, item->octets);
            log_gather_live(gather, record_id_part(item->id), record_id_part(item->id));
            log_gather_weight(gather, 1, item->octets);
        }
        if (n > 0)
            memcpy(log_gather_record(gather, CLEAN_STATE, 1, 16 * n), named, 16 * (size_t)n);
    }
}

static inline void clean_checkpoint(struct clean_world *world, bool is_clean)
{
    struct log_checkpoint *checkpoint = log_checkpoint_begin(world->log);
    struct log_gather gather = {0};

    while (world->oldest < world->count && !world->items[world->oldest].is_live)
        world->oldest++;
    world->is_due = false;
    for (uint32_t i = 0; i < world->names; i++)
        name_items(world, &gather);
    log_checkpoint_add(checkpoint, &gather, 0, 0);
    log_checkpoint_finish(checkpoint, is_clean);
}

/* Steps, until there is nothing to do; a checkpoint when one is due. 0, or why the log has failed. */
static inline int clean_settle(struct clean_world *world)
{
    int rc = 0;

    do {
        if (world->is_due && !world->log->is_checkpointing)
            clean_checkpoint(world, false);
        rc = log_step(world->log);
    } while (rc == 0 && (world->is_due || world->log->cleaner.phase != CLEAN_IDLE));
    return rc;
}

#endif
