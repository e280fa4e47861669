/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the log as its users see it: order, what is told and when, segments, checkpoints, failures. */
#include "storage/log_fixture.h"

#include <unistd.h>

/* ---- records ---- */

static void test_records_come_back_in_order(void **state)
{
    struct log_fixture f;
    (void)state;

    fixture_new(&f);
    assert_true(log_is_new(f.log));
    for (uint32_t i = 0; i < 40; i++)
        write_batch(&f, 1);
    fixture_again(&f);
    assert_false(log_is_new(f.log));
    assert_found(&f, 40);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(f.found.all[i].number, i);
    fixture_free(&f);
}

static void test_a_stream_keeps_its_order_within_a_batch(void **state)
{
    struct log_fixture f;
    (void)state;

    fixture_new(&f);
    write_batch(&f, 30);
    fixture_again(&f);
    assert_found(&f, 30);
    for (uint32_t i = 1; i < 30; i++) /* the streams' parts one after the other */
        assert_true(f.found.all[i].number == f.found.all[i - 1].number + 3 ||
                    f.found.all[i].number < 3);
    fixture_free(&f);
}

static void test_the_order_of_submission_is_the_order_in_the_log(void **state)
{
    static const uint16_t streams[] = {2, 0, 1, 0, 2, 1, 1, 0};
    struct log_fixture f;
    (void)state;

    fixture_new(&f);
    for (uint32_t i = 0; i < ARRAY_LEN(streams); i++) {
        stage_one(&f, streams[i], i);
        log_submit(log_stream(f.log, streams[i]));
    }
    assert_int_equal(log_step(f.log), 0);
    fixture_again(&f);
    assert_int_equal(f.found.count, ARRAY_LEN(streams));
    for (uint32_t i = 0; i < ARRAY_LEN(streams); i++)
        assert_int_equal(f.found.all[i].number, i);
    fixture_free(&f);
}

static void test_records_are_read_by_their_identity(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    (void)state;

    fixture_new(&f);
    for (uint32_t i = 0; i < 10; i++)
        write_batch(&f, 7);
    fixture_end(&f);
    settings = fixture_settings(&f);
    assert_int_equal(fixture_try(&f, &settings), 0);
    for (uint32_t i = f.written; i-- > 0;) {
        struct record_header header;
        struct found_records found = {0};
        const uint8_t *payload;
        assert_int_equal(log_read(f.log, f.ids[i], &header, &payload, &f.error), 0);
        assert_int_equal(fixture_take(&found, 0, &header, payload), 0);
        assert_int_equal(found.all[0].number, i);
        log_locate(f.log, f.ids[i], &f.error);
        assert_string_equal(f.error.file, "segment-0000000000000001");
    }
    fixture_free(&f);
}

static void test_an_unknown_part_is_not_found(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    struct record_header header;
    const uint8_t *payload;
    (void)state;

    fixture_new(&f);
    write_batch(&f, 1);
    fixture_end(&f);
    settings = fixture_settings(&f);
    assert_int_equal(fixture_try(&f, &settings), 0);
    assert_int_equal(log_read(f.log, record_id(77, 0), &header, &payload, &f.error), ERR_NOT_FOUND);
    assert_int_equal(log_read(f.log, f.ids[0] + 100, &header, &payload, &f.error), ERR_CORRUPT);
    fixture_free(&f);
}

static void test_the_largest_record_fits(void **state)
{
    struct log_fixture f;
    uint32_t max;
    uint64_t id;
    (void)state;

    fixture_new(&f);
    max = log_record_max(f.log);
    for (int i = 0; i < 5; i++)
        memset(log_append(log_stream(f.log, 0), FIXTURE_KIND, 1, max, &id), 'x', max);
    log_submit_all(f.log);
    assert_int_equal(log_step(f.log), 0);
    assert_int_equal(log_durable(log_stream(f.log, 0)), record_id_part(id));
    fixture_free(&f);
}

/* ---- what is told (invariant 1) ---- */

static void test_nothing_is_durable_before_its_sync(void **state)
{
    struct log_fixture f;
    struct log_stream *stream;
    uint64_t syncs;
    (void)state;

    fixture_new(&f);
    stream = log_stream(f.log, 1);
    stage_one(&f, 1, 0);
    assert_true(log_staged(stream) > 0);
    log_submit(stream);
    assert_int_equal(log_staged(stream), 0);
    assert_int_equal(log_durable(stream), 0);
    assert_true(log_under_way(stream) > 0);
    syncs = disk_memory_calls(f.disk, DISK_CALL_SYNC);
    assert_int_equal(log_step(f.log), 0);
    assert_int_equal(disk_memory_calls(f.disk, DISK_CALL_SYNC), syncs + 1);
    assert_int_equal(log_durable(stream), stream->last);
    assert_int_equal(log_under_way(stream), 0);
    fixture_free(&f);
}

/* Whatever call fails, for ever or once: a power cut leaves all that was told. */
static void test_what_was_told_survives_any_failing_call(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 60; after++) {
        struct log_fixture f;
        struct log_settings settings;
        uint64_t ids[40];
        uint32_t told = 0;

        fixture_new(&f);
        disk_memory_fail(f.disk, DISK_CALL_ALL, after, -EIO,
                         after % 2 ? DISK_FAULT_ONCE : DISK_FAULT_FOR_EVER);
        for (uint32_t i = 0; i < 40; i++) {
            stage_one(&f, 0, i);
            log_submit(log_stream(f.log, 0));
            if (log_step(f.log) != 0)
                break;
            told = i + 1;
            assert_int_equal(log_durable(log_stream(f.log, 0)), record_id_part(f.ids[i]));
        }
        memcpy(ids, f.ids, sizeof ids);
        assert_true(log_durable(log_stream(f.log, 0)) <=
                    (told ? record_id_part(ids[told - 1]) : 0));
        fixture_end(&f);
        disk_memory_crash(f.disk, after);
        settings = fixture_settings(&f);
        fixture_open(&f, &settings);
        assert_in_range(f.found.count, told, told + 1);
        fixture_free(&f);
    }
}

/* ---- failures (invariant 2) ---- */

static void check_failure_is_the_end(enum disk_call call)
{
    struct log_fixture f;
    struct log_stream *stream;
    uint64_t calls;
    lsn_t durable;

    fixture_new(&f);
    stream = log_stream(f.log, 0);
    stage_one(&f, 0, 0);
    log_submit(stream);
    assert_int_equal(log_step(f.log), 0);
    durable = log_durable(stream);
    disk_memory_fail(f.disk, call, 0, -EIO, DISK_FAULT_ONCE);
    stage_one(&f, 0, 1);
    log_submit(stream);
    assert_int_equal(log_step(f.log), -EIO);
    assert_int_equal(log_failure(f.log), -EIO);
    assert_int_equal(f.failures, 1);
    calls = disk_memory_calls(f.disk, DISK_CALL_WRITE | DISK_CALL_SYNC);
    for (uint32_t i = 2; i < 5; i++) {
        stage_one(&f, 0, i);
        log_submit(stream);
        assert_int_equal(log_step(f.log), -EIO);
    }
    /* The disk is well again, and nothing is tried any more. */
    assert_int_equal(disk_memory_calls(f.disk, DISK_CALL_WRITE | DISK_CALL_SYNC), calls);
    assert_int_equal(log_durable(stream), durable);
    assert_int_equal(f.failures, 1);
    fixture_free(&f);
}

static void test_a_failed_write_ends_the_log(void **state)
{
    (void)state;
    check_failure_is_the_end(DISK_CALL_WRITE);
}

static void test_a_failed_sync_ends_the_log(void **state)
{
    (void)state;
    check_failure_is_the_end(DISK_CALL_SYNC);
}

/* R7. What a failed sync left in the page cache is written once more before anybody sees it. */
static void test_what_replay_shows_is_sure(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct log_fixture f;
        struct log_settings settings;
        size_t found;

        fixture_new(&f);
        write_batch(&f, 3);
        stage_one(&f, 0, 3);
        log_submit_all(f.log);
        disk_memory_fail(f.disk, DISK_CALL_SYNC, 0, -EIO, DISK_FAULT_ONCE);
        assert_int_equal(log_step(f.log), -EIO);
        fixture_end(&f);
        disk_memory_restart(f.disk);
        settings = fixture_settings(&f);
        fixture_open(&f, &settings);
        found = f.found.count;
        write_batch(&f, 1);
        fixture_end(&f);
        disk_memory_crash(f.disk, seed);
        fixture_open(&f, &settings);
        assert_int_equal(f.found.count, found + 1);
        fixture_free(&f);
    }
}

/* ---- segments ---- */

/* More than one segment can hold. */
static void write_much(struct log_fixture *f)
{
    for (uint32_t i = 0; i < 20; i++)
        write_batch(f, 3);
}

static void test_the_log_goes_on_in_the_next_segment(void **state)
{
    struct log_fixture f;
    (void)state;

    fixture_new(&f);
    write_much(&f);
    assert_true(file_exists(f.disk, "segment-0000000000000002"));
    fixture_again(&f);
    assert_found(&f, f.written);
    fixture_free(&f);
}

static void test_segments_before_the_replay_are_recycled(void **state)
{
    struct log_fixture f;
    (void)state;

    fixture_new(&f);
    for (int i = 0; i < 6; i++) {
        write_much(&f);
        take_checkpoint(&f, 5, NULL, 0, false);
    }
    assert_false(file_exists(f.disk, "segment-0000000000000001"));
    fixture_again(&f);
    assert_int_equal(f.found.count, 5);
    assert_int_equal(f.found.all[4].kind, FIXTURE_STATE);
    fixture_free(&f);
}

/* Invariant 8. */
static void test_a_live_body_keeps_its_segment(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    struct record_header header;
    const uint8_t *payload;
    (void)state;

    fixture_new(&f);
    write_much(&f);
    for (int i = 0; i < 5; i++) {
        write_much(&f);
        take_checkpoint(&f, 2, &f.ids[1], 1, false);
    }
    assert_true(file_exists(f.disk, "segment-0000000000000001"));
    fixture_end(&f);
    settings = fixture_settings(&f);
    assert_int_equal(fixture_try(&f, &settings), 0);
    assert_int_equal(log_read(f.log, f.ids[1], &header, &payload, &f.error), 0);
    assert_int_equal(payload[0], 1);
    assert_int_equal(log_read(f.log, f.ids[100], &header, &payload, &f.error), ERR_NOT_FOUND);
    fixture_free(&f);
}

/* Invariant 5: what a file held before is behind the end of what it holds now. */
static void test_a_recycled_file_shows_nothing_of_before(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    (void)state;

    fixture_new(&f);
    for (int i = 0; i < 4; i++) {
        write_much(&f);
        take_checkpoint(&f, 0, NULL, 0, false);
    }
    for (int i = 0; i < 40; i++) {
        uint32_t before = f.written;
        write_batch(&f, 1);
        fixture_end(&f);
        disk_memory_crash(f.disk, (uint64_t)i);
        settings = fixture_settings(&f);
        fixture_open(&f, &settings);
        assert_int_equal(f.found.all[f.found.count - 1].number, before);
    }
    fixture_free(&f);
}

static struct segment_header header_of(struct disk *disk, uint64_t number)
{
    uint8_t block[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    struct disk_file *file;
    char name[DISK_NAME_MAX];
    size_t got;

    name_segment(number, name);
    assert_int_equal(disk_open(disk, name, 0, &file), 0);
    assert_int_equal(disk_read(file, block, sizeof block, 0, &got), 0);
    disk_close(file);
    assert_int_equal(segment_header_read(block, &header), 0);
    return header;
}

/* A header of a later batch behind the log's end, in segment 2. */
static void check_later_batch(uint64_t segment, bool has_its_salt, int expected)
{
    struct log_fixture f;
    struct log_settings settings;
    struct batch_header later = {.segment = segment, .sequence = 1000};
    uint8_t octets[BATCH_HEADER_BYTES];
    struct disk_file *file;

    fixture_new(&f);
    while (!file_exists(f.disk, "segment-0000000000000002"))
        write_batch(&f, 1);
    fixture_end(&f);
    batch_header_write(&later, format_seed(header_of(f.disk, has_its_salt ? 2 : 1).salt), octets);
    assert_int_equal(disk_open(f.disk, "segment-0000000000000002", 0, &file), 0);
    assert_int_equal(disk_write(file, octets, sizeof octets, 5 * FORMAT_BLOCK), 0);
    disk_close(file);
    settings = fixture_settings(&f);
    assert_int_equal(fixture_try(&f, &settings), expected);
    if (expected != 0)
        return;
    assert_found(&f, f.written);
    fixture_free(&f);
}

static void test_a_batch_counts_with_number_and_salt_of_its_segment(void **state)
{
    (void)state;
    check_later_batch(2, true, ERR_CORRUPT); /* this one follows damage */
    check_later_batch(2, false, 0);
    check_later_batch(1, true, 0);
    check_later_batch(1, false, 0);
}

/* R7. A checkpoint has its name, and the process is killed before that is sure. */
static void test_names_are_sure_before_others_go(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct log_fixture f;
        struct log_settings settings;

        fixture_new(&f);
        for (int i = 0; i < 3; i++)
            write_much(&f);
        take_checkpoint(&f, 1, NULL, 0, false);
        write_much(&f);
        disk_memory_fail(f.disk, DISK_CALL_SYNC_DIR, 0, -EIO, DISK_FAULT_ONCE);
        take_checkpoint(&f, 2, NULL, 0, false);
        fixture_end(&f);
        disk_memory_restart(f.disk);
        settings = fixture_settings(&f);
        fixture_open(&f, &settings);
        assert_int_equal(f.found.count, 2);
        write_batch(&f, 1);
        fixture_end(&f);
        disk_memory_crash(f.disk, seed);
        fixture_open(&f, &settings);
        assert_int_equal(f.found.count, 3);
        fixture_free(&f);
    }
}

/* R5: the header of the next segment was written into the file, its new name was not there yet. */
static void test_a_file_that_was_being_recycled_goes(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    (void)state;

    fixture_new(&f);
    for (int i = 0; i < 4; i++) {
        write_much(&f);
        take_checkpoint(&f, 3, NULL, 0, false);
    }
    fixture_end(&f);
    assert_false(file_exists(f.disk, "segment-0000000000000001"));
    for (uint64_t number = 2; number < 40; number++) {
        char name[DISK_NAME_MAX];
        name_segment(number, name);
        if (!file_exists(f.disk, name))
            continue;
        assert_int_equal(disk_rename(f.disk, name, "segment-0000000000000001"), 0);
        break;
    }
    settings = fixture_settings(&f);
    assert_int_equal(log_open(f.disk, &settings, &f.log, &f.error), 0);
    assert_false(file_exists(f.disk, "segment-0000000000000001"));
    fixture_free(&f);
}

/* ---- checkpoints ---- */

static void test_a_checkpoint_comes_before_the_log_behind_it(void **state)
{
    struct log_fixture f;
    (void)state;

    fixture_new(&f);
    write_batch(&f, 10);
    take_checkpoint(&f, 4, NULL, 0, false);
    write_batch(&f, 2);
    fixture_again(&f);
    assert_int_equal(f.found.count, 6);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(f.found.all[i].kind == FIXTURE_STATE && f.found.all[i].number == i);
    assert_true(f.found.all[4].number >= 10 && f.found.all[5].number >= 10);
    assert_false(log_was_clean(f.log));
    fixture_free(&f);
}

static void test_a_clean_end_is_known_until_something_follows(void **state)
{
    struct log_fixture f;
    (void)state;

    fixture_new(&f);
    write_batch(&f, 3);
    take_checkpoint(&f, 1, NULL, 0, true);
    fixture_again(&f);
    assert_true(log_was_clean(f.log));
    write_batch(&f, 1);
    fixture_again(&f);
    assert_false(log_was_clean(f.log));
    fixture_free(&f);
}

/* Invariant 7: it waits for what its states reflect. */
static void test_a_checkpoint_waits_for_what_it_reflects(void **state)
{
    struct log_fixture f;
    struct log_checkpoint *checkpoint;
    struct log_gather gather = {0};
    (void)state;

    fixture_new(&f);
    checkpoint = log_checkpoint_begin(f.log);
    stage_one(&f, 0, 0);
    fixture_fill(log_gather_record(&gather, FIXTURE_STATE, 1, fixture_octets(0)), 0);
    log_checkpoint_add(checkpoint, &gather, 0, log_stream(f.log, 0)->last);
    log_checkpoint_finish(checkpoint, false);
    assert_int_equal(log_step(f.log), 0);
    assert_false(file_exists(f.disk, "checkpoint-0000000000000001"));
    log_submit_all(f.log);
    assert_int_equal(log_step(f.log), 0);
    assert_true(file_exists(f.disk, "checkpoint-0000000000000001"));
    fixture_free(&f);
}

/* Invariant 6: replay starts at what was written when it began, whatever came while it was gathered. */
static void test_what_comes_while_it_is_gathered_is_replayed(void **state)
{
    struct log_fixture f;
    struct log_checkpoint *checkpoint;
    struct log_gather gather = {0};
    (void)state;

    fixture_new(&f);
    write_batch(&f, 2);
    checkpoint = log_checkpoint_begin(f.log);
    write_batch(&f, 3);
    log_checkpoint_add(checkpoint, &gather, 0, log_stream(f.log, 0)->last);
    log_checkpoint_finish(checkpoint, false);
    assert_int_equal(log_step(f.log), 0);
    fixture_again(&f);
    assert_int_equal(f.found.count, 3);
    fixture_free(&f);
}

static void test_the_newest_checkpoint_counts_and_others_go(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    struct disk *older;
    struct disk_file *from;
    struct disk_file *to;
    uint8_t block[2 * FORMAT_BLOCK];
    size_t got = 1;
    (void)state;

    fixture_new(&f);
    write_batch(&f, 2);
    take_checkpoint(&f, 1, NULL, 0, false);
    older = disk_memory_clone(f.disk);
    take_checkpoint(&f, 2, NULL, 0, false);
    fixture_end(&f);
    /* As a crash between rename and unlink leaves it. */
    assert_int_equal(disk_open(older, "checkpoint-0000000000000001", 0, &from), 0);
    assert_int_equal(disk_open(f.disk, "checkpoint-0000000000000001", DISK_CREATE, &to), 0);
    for (uint64_t at = 0; got > 0; at += got) {
        assert_int_equal(disk_read(from, block, sizeof block, at, &got), 0);
        assert_int_equal(disk_write(to, block, got, at), 0);
    }
    disk_close(from);
    disk_close(to);
    disk_free(older);
    settings = fixture_settings(&f);
    fixture_open(&f, &settings);
    assert_int_equal(f.found.count, 2);
    assert_false(file_exists(f.disk, "checkpoint-0000000000000001"));
    fixture_free(&f);
}

static void test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 12; after++) {
        struct log_fixture f;
        struct log_settings settings;
        fixture_new(&f);
        write_batch(&f, 2);
        take_checkpoint(&f, 1, NULL, 0, false);
        disk_memory_fail(f.disk, DISK_CALL_ALL, after, -ENOSPC, DISK_FAULT_FOR_EVER);
        take_checkpoint(&f, 2, NULL, 0, false);
        disk_memory_fail(f.disk, 0, 0, 0, DISK_FAULT_ONCE);
        write_batch(&f, 1);
        fixture_end(&f);
        disk_memory_crash(f.disk, after);
        settings = fixture_settings(&f);
        fixture_open(&f, &settings);
        assert_in_range(f.found.count, 2, 3);
        fixture_free(&f);
    }
}

/* What it had written is given back, and it is tried again long before the next would be due. */
static void test_a_checkpoint_that_found_no_room_is_tried_again(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    (void)state;

    fixture_new(&f);
    fixture_end(&f);
    settings = fixture_settings(&f);
    settings.checkpoint_bytes = 1024ULL * 1024;
    settings.events.checkpoint_due = fixture_checkpoint_due;
    fixture_open(&f, &settings);
    write_batch(&f, 1);
    disk_memory_fail(f.disk, DISK_CALL_WRITE, 1, -ENOSPC, DISK_FAULT_FOR_EVER);
    take_checkpoint(&f, 2, NULL, 0, false);
    disk_memory_fail(f.disk, 0, 0, 0, DISK_FAULT_ONCE);
    assert_false(file_exists(f.disk, "checkpoint.new"));
    assert_false(file_exists(f.disk, "checkpoint-0000000000000001"));
    for (uint32_t i = 0; i < 1024 * 1024 / FORMAT_BLOCK / 8; i++)
        write_batch(&f, 1);
    assert_int_equal(f.checkpoints_due, 1);
    fixture_free(&f);
}

/* ---- threads ---- */

static void test_the_threads_do_the_same(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    (void)state;

    fixture_new(&f);
    fixture_end(&f);
    settings = fixture_settings(&f);
    settings.is_threaded = true;
    fixture_open(&f, &settings);
    for (int i = 0; i < 5; i++) {
        write_much(&f);
        take_checkpoint(&f, 1, NULL, 0, i == 4);
    }
    fixture_end(&f);
    fixture_open(&f, &settings);
    assert_int_equal(f.found.count, 1);
    assert_true(log_was_clean(f.log));
    fixture_free(&f);
}

/* The seal of a stop is in the next segment when the last batch fills this one. */
static void test_a_stop_with_a_full_segment(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    (void)state;

    fixture_new(&f);
    for (uint32_t i = 0; i < LOG_SEGMENT_MIN / FORMAT_BLOCK - 1; i++)
        write_batch(&f, 1);
    fixture_end(&f);
    settings = fixture_settings(&f);
    settings.is_threaded = true;
    for (int i = 0; i < 300; i++) {
        struct disk *disk = disk_memory_clone(f.disk);
        fixture_open(&f, &settings);
        fixture_end(&f);
        assert_true(file_exists(f.disk, "segment-0000000000000002"));
        disk_free(f.disk);
        f.disk = disk;
    }
    fixture_free(&f);
}

/* The next batches are written, or not within some time. */
static bool becomes_durable(const struct log_stream *stream, int ms)
{
    for (int wait = 0; wait < ms && log_durable(stream) < stream->last; wait++)
        (void)usleep(1000);
    return log_durable(stream) == stream->last;
}

static uint32_t count_durable(struct log_fixture *f)
{
    uint32_t count = 0;
    while (count < f->written &&
           record_id_part(f->ids[count]) <= log_durable(log_stream(f->log, 0)))
        count++;
    return count;
}

/* On threads, with the disk full and the only segment too: it has room for 15 batches and gets 16. */
static void fill_disk(struct log_fixture *f, const struct log_settings *settings)
{
    struct log_stream *stream;

    fixture_new(f);
    fixture_end(f);
    fixture_open(f, settings);
    disk_memory_set_limit(f->disk, LOG_SEGMENT_MIN + 2 * FORMAT_BLOCK);
    stream = log_stream(f->log, 0);
    for (uint32_t i = 0; i < 16; i++) {
        stage_one(f, 0, f->written);
        log_submit(stream);
        /* A seal may take one of them, if this machine is slow. */
        assert_true(becomes_durable(stream, i < 12 ? 20000 : 200) || i >= 12);
    }
    assert_true(f->is_low);
    assert_int_equal(log_failure(f->log), 0);
    assert_true(count_durable(f) < 16);
}

static void test_a_full_disk_is_waited_for(void **state)
{
    struct log_fixture f = {0};
    struct log_settings settings = fixture_settings(&f);
    (void)state;

    settings.is_threaded = true;
    fill_disk(&f, &settings);
    disk_memory_set_limit(f.disk, UINT64_MAX);
    assert_true(becomes_durable(log_stream(f.log, 0), 20000));
    assert_int_equal(log_wait_idle(f.log), 0);
    assert_false(f.is_low);
    fixture_end(&f);
    fixture_open(&f, &settings);
    assert_found(&f, f.written);
    fixture_free(&f);
}

static void test_a_stop_on_a_full_disk_ends(void **state)
{
    struct log_fixture f = {0};
    struct log_settings settings = fixture_settings(&f);
    uint32_t told;
    (void)state;

    settings.is_threaded = true;
    fill_disk(&f, &settings);
    assert_int_equal(log_wait_idle(f.log), -ENOSPC);
    told = count_durable(&f);
    assert_in_range(told, 12, 15);
    fixture_end(&f);
    disk_memory_crash(f.disk, 1);
    disk_memory_set_limit(f.disk, UINT64_MAX);
    fixture_open(&f, &settings);
    assert_found(&f, told);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_back_in_order),
        cmocka_unit_test(test_a_stream_keeps_its_order_within_a_batch),
        cmocka_unit_test(test_the_order_of_submission_is_the_order_in_the_log),
        cmocka_unit_test(test_records_are_read_by_their_identity),
        cmocka_unit_test(test_an_unknown_part_is_not_found),
        cmocka_unit_test(test_the_largest_record_fits),
        cmocka_unit_test(test_nothing_is_durable_before_its_sync),
        cmocka_unit_test(test_what_was_told_survives_any_failing_call),
        cmocka_unit_test(test_a_failed_write_ends_the_log),
        cmocka_unit_test(test_a_failed_sync_ends_the_log),
        cmocka_unit_test(test_what_replay_shows_is_sure),
        cmocka_unit_test(test_the_log_goes_on_in_the_next_segment),
        cmocka_unit_test(test_segments_before_the_replay_are_recycled),
        cmocka_unit_test(test_a_live_body_keeps_its_segment),
        cmocka_unit_test(test_a_recycled_file_shows_nothing_of_before),
        cmocka_unit_test(test_a_batch_counts_with_number_and_salt_of_its_segment),
        cmocka_unit_test(test_names_are_sure_before_others_go),
        cmocka_unit_test(test_a_file_that_was_being_recycled_goes),
        cmocka_unit_test(test_a_checkpoint_comes_before_the_log_behind_it),
        cmocka_unit_test(test_a_clean_end_is_known_until_something_follows),
        cmocka_unit_test(test_a_checkpoint_waits_for_what_it_reflects),
        cmocka_unit_test(test_what_comes_while_it_is_gathered_is_replayed),
        cmocka_unit_test(test_the_newest_checkpoint_counts_and_others_go),
        cmocka_unit_test(test_a_checkpoint_that_cannot_be_written_leaves_the_one_before),
        cmocka_unit_test(test_a_checkpoint_that_found_no_room_is_tried_again),
        cmocka_unit_test(test_the_threads_do_the_same),
        cmocka_unit_test(test_a_stop_with_a_full_segment),
        cmocka_unit_test(test_a_full_disk_is_waited_for),
        cmocka_unit_test(test_a_stop_on_a_full_disk_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
