/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: a log on a disk in memory, records whose octets follow from their number, and what replay
 * finds of them. */
#ifndef TOKKI_STORAGE_LOG_FIXTURE_H
#define TOKKI_STORAGE_LOG_FIXTURE_H

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/disk_memory.h"
#include "storage/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURE_MAX 4096
#define FIXTURE_KIND 7
/* Of records in checkpoints. */
#define FIXTURE_STATE 9

struct found_record {
    uint64_t id;
    uint32_t number;
    uint8_t kind;
};

/* What replay handed on. */
struct found_records {
    size_t count;
    struct found_record all[FIXTURE_MAX];
};

struct log_fixture {
    struct disk *disk; /* the log's while it is open, to be looked at */
    struct log *log;
    struct log_error error;
    struct found_records found;
    uint32_t written;
    uint64_t ids[FIXTURE_MAX];
    /* Told by the log's threads. */
    _Atomic int failures;
    _Atomic int spaces;
    _Atomic int checkpoints_due;
    _Atomic bool is_low;
};

/* 8 to 107 octets: small ones, so that many of all kinds of places are hit by damage. */
static inline uint32_t fixture_octets(uint32_t number)
{
    return 8 + number * 37 % 100;
}

static inline void fixture_fill(uint8_t *at, uint32_t number)
{
    for (uint32_t i = 0; i < fixture_octets(number); i++)
        at[i] = (uint8_t)(number >> (i % 4 * 8) ^ i / 4 * 29);
}

static inline void fixture_failed(void *context, int error)
{
    (void)error;
    ((struct log_fixture *)context)->failures++;
}

static inline void fixture_space(void *context, bool is_low)
{
    struct log_fixture *f = context;
    f->spaces++;
    f->is_low = is_low;
}

static inline void fixture_checkpoint_due(void *context)
{
    ((struct log_fixture *)context)->checkpoints_due++;
}

static inline struct log_settings fixture_settings(struct log_fixture *f)
{
    return (struct log_settings){
        .segment_bytes = LOG_SEGMENT_MIN,
        .checkpoint_bytes = UINT64_MAX,
        .streams = 3,
        .seed = 42,
        .events = {.context = f, .failed = fixture_failed, .space = fixture_space},
    };
}

static inline int fixture_take(void *context, uint64_t id, const struct record_header *header,
                               const uint8_t *payload)
{
    struct found_records *found = context;
    uint8_t expected[128];
    uint32_t number = (uint32_t)payload[0] | (uint32_t)payload[1] << 8 |
                      (uint32_t)payload[2] << 16 | (uint32_t)payload[3] << 24;

    assert_in_range(header->octets, 8, 107);
    assert_int_equal(header->version, 1);
    assert_int_equal(header->octets, fixture_octets(number));
    fixture_fill(expected, number);
    assert_memory_equal(payload, expected, header->octets);
    assert_true(found->count < FIXTURE_MAX);
    found->all[found->count++] = (struct found_record){id, number, header->kind};
    return 0;
}

/* Open and replay f->disk. Without 0 there is no log, and the disk is gone. */
static inline int fixture_try(struct log_fixture *f, const struct log_settings *settings)
{
    int rc;

    f->found.count = 0;
    f->error = (struct log_error){0};
    rc = log_open(f->disk, settings, &f->log, &f->error);
    if (rc == 0)
        rc = log_replay(f->log, fixture_take, &f->found, &f->error);
    if (rc == 0)
        return 0;
    log_free(f->log);
    f->log = NULL;
    f->disk = NULL;
    return rc;
}

/* Open, replay and go on. */
static inline void fixture_open(struct log_fixture *f, const struct log_settings *settings)
{
    assert_int_equal(fixture_try(f, settings), 0);
    assert_int_equal(log_start(f->log, &f->error), 0);
}

static inline void fixture_new(struct log_fixture *f)
{
    struct log_settings settings;

    log_set_level((enum log_level)(LOG_ERROR + 1)); /* it tells of every planned failure */
    memset(f, 0, sizeof *f);
    f->disk = disk_memory_new();
    settings = fixture_settings(f);
    fixture_open(f, &settings);
}

/* The process ends; f->disk is what it leaves. */
static inline void fixture_end(struct log_fixture *f)
{
    struct disk *copy;

    log_stop(f->log);
    copy = disk_memory_clone(f->disk);
    log_free(f->log);
    f->log = NULL;
    f->disk = copy;
}

static inline void fixture_again(struct log_fixture *f)
{
    struct log_settings settings = fixture_settings(f);

    fixture_end(f);
    fixture_open(f, &settings);
}

static inline void fixture_free(struct log_fixture *f)
{
    if (f->log)
        fixture_end(f);
    disk_free(f->disk);
}

static inline void stage_one(struct log_fixture *f, uint16_t stream, uint32_t number)
{
    uint8_t *at = log_append(log_stream(f->log, stream), FIXTURE_KIND, 1, fixture_octets(number),
                             &f->ids[f->written]);
    fixture_fill(at, number);
    f->written++;
}

/* The next `count` records as one batch. */
static inline void write_batch(struct log_fixture *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        stage_one(f, (uint16_t)(f->written % 3), f->written);
    log_submit_all(f->log);
    assert_int_equal(log_wait_idle(f->log), 0);
}

/* More than one segment can hold. */
static inline void write_much(struct log_fixture *f)
{
    for (uint32_t i = 0; i < 20; i++)
        write_batch(f, 3);
}

/* Replay found records [0, count), each once. Streams may stand in any order within a batch. */
static inline void assert_found(const struct log_fixture *f, uint32_t count)
{
    bool seen[FIXTURE_MAX] = {false};

    assert_int_equal(f->found.count, count);
    for (size_t i = 0; i < f->found.count; i++) {
        const struct found_record *record = &f->found.all[i];
        assert_true(record->number < count && !seen[record->number]);
        assert_int_equal(record->kind, FIXTURE_KIND);
        assert_true(record->id == f->ids[record->number]);
        seen[record->number] = true;
    }
}

static inline void name_segment(uint64_t number, char name[DISK_NAME_MAX])
{
    snprintf(name, DISK_NAME_MAX, "segment-%016llx", (unsigned long long)number);
}

static inline uint64_t file_size(struct disk *disk, const char *name)
{
    struct disk_file *file;
    uint64_t bytes = 0;

    if (disk_open(disk, name, 0, &file) != 0)
        return 0;
    assert_int_equal(disk_size(file, &bytes), 0);
    disk_close(file);
    return bytes;
}

static inline bool file_exists(struct disk *disk, const char *name)
{
    return file_size(disk, name) > 0;
}

/* Take a checkpoint with `states` records (their numbers from 0) and `live` bodies. */
static inline void take_checkpoint(struct log_fixture *f, uint32_t states, const uint64_t *live,
                                   size_t live_count, bool is_clean)
{
    struct log_checkpoint *checkpoint = log_checkpoint_begin(f->log);
    struct log_gather gather = {0};

    for (uint32_t i = 0; i < states; i++)
        fixture_fill(log_gather_record(&gather, FIXTURE_STATE, 1, fixture_octets(i)), i);
    for (size_t i = 0; i < live_count; i++)
        log_gather_live(&gather, record_id_part(live[i]), record_id_part(live[i]));
    log_checkpoint_add(checkpoint, &gather, 0, 0);
    log_checkpoint_finish(checkpoint, is_clean);
    assert_int_equal(log_wait_idle(f->log), 0);
}

#endif
