/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of checkpoints: what comes before the log behind them, what they wait for, those that fail. */
#include "storage/log_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_checkpoint_comes_before_the_log_behind_it),
        cmocka_unit_test(test_a_clean_end_is_known_until_something_follows),
        cmocka_unit_test(test_a_checkpoint_waits_for_what_it_reflects),
        cmocka_unit_test(test_what_comes_while_it_is_gathered_is_replayed),
        cmocka_unit_test(test_the_newest_checkpoint_counts_and_others_go),
        cmocka_unit_test(test_a_checkpoint_that_cannot_be_written_leaves_the_one_before),
        cmocka_unit_test(test_a_checkpoint_that_found_no_room_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
