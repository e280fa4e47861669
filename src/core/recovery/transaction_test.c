/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of transactions in recovery.c (invariant 10): committed, undone, and what comes after. */
#include "core/recovery/recovery_fixture.h"

#include "storage/disk_memory.h"

/* Messages 0 and 1; transaction 3 takes 0 and adds 2. */
static void open_transaction(struct fixture *f)
{
    begin(f);
    add(f, 1, 0);
    add(f, 2, 1);
    settle_in(f, 3, 0, 1, 3);
    add_in(f, 4, 2, 3);
    assert_int_equal(f->rc, 0);
}

static void test_a_committed_transaction_counts(void **state)
{
    struct fixture f;
    (void)state;

    open_transaction(&f);
    RECORD(&f, RECORD_COMMIT, 3);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "1 2");
    assert_int_equal(f.recovery.last_transaction, 3);
    assert_false(f.recovery.has_undone);
    end(&f);
}

static void test_one_without_a_commit_is_undone(void **state)
{
    struct fixture f;
    (void)state;

    open_transaction(&f);
    RECORD(&f, RECORD_COMMIT, 4); /* another one */
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "0 1");
    assert_true(f.recovery.has_undone);
    assert_int_equal(f.recovery.last_transaction, 4);
    end(&f);
}

/* The life after an undone transaction settles what it had taken. */
static void test_what_is_settled_after_an_undo_stays_away(void **state)
{
    struct fixture f;
    (void)state;

    open_transaction(&f);
    RECORD(&f, RECORD_UNDO, 3);
    assert_int_equal(f.rc, 0);
    assert_string_equal(left(&f), "0 1");
    settle_in(&f, 5, 0, 1, 0);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "1");
    assert_false(f.recovery.has_undone);
    end(&f);
}

static int note_undo(void *context, uint64_t id, const struct record_header *header,
                     const uint8_t *payload)
{
    (void)id;
    assert_int_equal(header->kind, RECORD_UNDO);
    *(uint64_t *)context = load_u64(payload);
    return 0;
}

/* What the next life begins with, written to a log and read again. */
static uint64_t undo_in_the_log(struct fixture *f)
{
    struct log_settings settings = {.segment_bytes = LOG_SEGMENT_MIN, .streams = 1, .seed = 1};
    struct stage stage = {0};
    struct disk *disk = disk_memory_new();
    struct log_error error;
    struct log *log;
    uint64_t upto = 0;

    assert_int_equal(log_open(disk, &settings, &log, &error), 0);
    assert_int_equal(log_replay(log, note_undo, &upto, &error), 0);
    assert_int_equal(log_start(log, &error), 0);
    stage.stream = log_stream(log, 0);
    recovery_log_undone(&f->recovery, &stage);
    assert_int_equal(log_step(log), 0);
    disk = disk_memory_clone(disk);
    log_free(log);
    assert_int_equal(log_open(disk, &settings, &log, &error), 0);
    assert_int_equal(log_replay(log, note_undo, &upto, &error), 0);
    log_free(log);
    return upto;
}

static void test_what_was_undone_is_told_to_the_log(void **state)
{
    struct fixture f;
    (void)state;

    open_transaction(&f);
    recovery_finish(&f.recovery);
    assert_int_equal(undo_in_the_log(&f), 3);
    end(&f);
    open_transaction(&f);
    RECORD(&f, RECORD_COMMIT, 3);
    recovery_finish(&f.recovery);
    assert_int_equal(undo_in_the_log(&f), 0);
    end(&f);
}

static void test_one_that_is_open_adds_what_another_takes(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add_in(&f, 1, 0, 3);
    settle_in(&f, 2, 0, 1, 4);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "");
    end(&f);
}

static void test_many_settles_before_an_undo(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f); /* so many that the model makes room by forgetting those that are gone */
    for (uint64_t i = 0; i < 3000; i++)
        add(&f, i + 1, i);
    settle_in(&f, 3001, 7, 1, 3);
    settle_in(&f, 3002, 0, 2990, 0);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "7 2990 2991 2992 2993 2994 2995 2996 2997 2998 2999");
    end(&f);
}

/* The entries of the transaction have made room; what stands behind them is not moved for each of them. */
static void test_a_large_transaction_is_undone_at_once(void **state)
{
    enum { TAKEN = 100000, BEHIND = 100000 };
    struct recovered_queue *queue;
    struct fixture f;
    (void)state;

    begin(&f);
    for (uint64_t i = 0; i < TAKEN + BEHIND; i++)
        add(&f, i + 1, i);
    for (uint64_t i = 0; i < TAKEN; i++)
        settle_in(&f, TAKEN + BEHIND + 1 + i, TAKEN - 1 - i, 1, 5);
    queue = recovery_find(&f.recovery, QUEUE);
    assert_in_range(queue->count, BEHIND, TAKEN + BEHIND - 1);
    recovery_finish(&f.recovery);
    assert_int_equal(queue->count - queue->gone, TAKEN + BEHIND);
    for (uint64_t i = 0; i < TAKEN + BEHIND; i++)
        assert_true(queue->entries[i].position == i && !queue->entries[i].is_gone);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_large_transaction_is_undone_at_once),
        cmocka_unit_test(test_a_committed_transaction_counts),
        cmocka_unit_test(test_one_without_a_commit_is_undone),
        cmocka_unit_test(test_what_is_settled_after_an_undo_stays_away),
        cmocka_unit_test(test_what_was_undone_is_told_to_the_log),
        cmocka_unit_test(test_one_that_is_open_adds_what_another_takes),
        cmocka_unit_test(test_many_settles_before_an_undo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
