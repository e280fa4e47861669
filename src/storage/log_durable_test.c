/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what the log tells to be durable: not before its sync, nothing after a failed call. */
#include "storage/log_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_durable_before_its_sync),
        cmocka_unit_test(test_what_was_told_survives_any_failing_call),
        cmocka_unit_test(test_a_failed_write_ends_the_log),
        cmocka_unit_test(test_a_failed_sync_ends_the_log),
        cmocka_unit_test(test_what_replay_shows_is_sure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
