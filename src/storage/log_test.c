/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the log as its users see it: the order of records, its threads, a full disk. */
#include "storage/log_fixture.h"
#include "storage/log_internal.h"

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

/* A broken log does not get there, a slow machine does. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        for (int wait_ms = 0; !(condition) && wait_ms < 30000; wait_ms++)                          \
            (void)usleep(1000);                                                                    \
        assert_true(condition);                                                                    \
    } while (0)

static bool is_all_durable(const struct log_stream *stream)
{
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

/* Neither a batch nor a seal fits in it. */
static bool is_segment_full(struct log *log)
{
    bool is_full;

    pthread_mutex_lock(&log->mutex);
    is_full = log->position.offset == log->settings.segment_bytes;
    pthread_mutex_unlock(&log->mutex);
    return is_full;
}

/* On threads, with the disk full and the only segment too: it has room for 15 batches and gets one
 * more. On a slow machine seals take some of that room, at most one behind each batch. */
static void fill_disk(struct log_fixture *f, const struct log_settings *settings)
{
    struct log_stream *stream;

    fixture_new(f);
    fixture_end(f);
    fixture_open(f, settings);
    disk_memory_set_limit(f->disk, LOG_SEGMENT_MIN + 2 * FORMAT_BLOCK);
    stream = log_stream(f->log, 0);
    while (!is_segment_full(f->log)) {
        stage_one(f, 0, f->written);
        log_submit(stream);
        WAIT_UNTIL(is_all_durable(stream) || is_segment_full(f->log));
    }
    stage_one(f, 0, f->written);
    log_submit(stream);
    /* The writer is up, for this one or for a seal, and nobody can prepare a segment for it. */
    WAIT_UNTIL(f->is_low && !atomic_load(&f->log->is_idle));
    assert_in_range(f->written, 8, 16);
    assert_int_equal(log_failure(f->log), 0);
    assert_false(is_all_durable(stream));
}

static void test_a_full_disk_is_waited_for(void **state)
{
    struct log_fixture f = {0};
    struct log_settings settings = fixture_settings(&f);
    (void)state;

    settings.is_threaded = true;
    fill_disk(&f, &settings);
    disk_memory_set_limit(f.disk, UINT64_MAX);
    WAIT_UNTIL(is_all_durable(log_stream(f.log, 0)));
    assert_int_equal(log_wait_idle(f.log), 0);
    /* The helper tells after it has handed over the segment: the batch may be written before. */
    WAIT_UNTIL(!f.is_low);
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
    /* A seal may have taken the place of one. */
    assert_in_range(told, f.written - 2, f.written - 1);
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
        cmocka_unit_test(test_the_threads_do_the_same),
        cmocka_unit_test(test_a_stop_with_a_full_segment),
        cmocka_unit_test(test_a_full_disk_is_waited_for),
        cmocka_unit_test(test_a_stop_on_a_full_disk_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
