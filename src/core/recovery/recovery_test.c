/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recovery.c: numbers of commands, positions, states, and records that cannot be. */
#include "core/recovery/recovery_fixture.h"

/* ---- numbers of commands (invariant 9) ---- */

static void test_commands_follow_each_other(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    for (uint64_t i = 0; i < 5; i++) {
        add(&f, i + 1, i);
        assert_int_equal(f.rc, 0);
    }
    settle_in(&f, 6, 1, 2, 0);
    recovery_finish(&f.recovery);
    assert_string_equal(left(&f), "0 3 4");
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->tail, 5);
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->sequence, 6);
    end(&f);
}

static void test_a_gap_is_refused(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add(&f, 1, 0);
    add(&f, 3, 2);
    assert_int_equal(f.rc, ERR_CORRUPT);
    assert_string_equal(f.recovery.reason, "queue 20: command 1 is followed by 3");
    end(&f);
}

static void test_with_recover_a_gap_is_told_and_passed(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    f.recovery.recovers = true;
    add(&f, 1, 0);
    add(&f, 3, 2);
    assert_int_equal(f.rc, ERR_CORRUPT);
    add(&f, 4, 3);
    assert_int_equal(f.rc, 0);
    assert_string_equal(left(&f), "0 2 3");
    end(&f);
}

static void test_what_the_state_has_is_passed_over(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    state_of(&f, 7, 12, 3, 4);
    add(&f, 6, 5);
    settle_in(&f, 7, 4, 1, 0);
    assert_int_equal(f.rc, 0);
    settle_in(&f, 8, 3, 1, 0);
    add(&f, 9, 12);
    assert_int_equal(f.rc, 0);
    assert_string_equal(left(&f), "4 5 6 12");
    end(&f);
}

static void test_a_gap_behind_the_state_is_refused(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    state_of(&f, 7, 12, 3, 4);
    add(&f, 9, 12);
    assert_int_equal(f.rc, ERR_CORRUPT);
    end(&f);
}

/* It was deleted before its state was gathered. */
static void test_a_queue_without_a_beginning_may_be_deleted(void **state)
{
    struct fixture f;
    uint64_t id = 0;
    (void)state;

    begin(&f);
    add_vhost(&f);
    add(&f, 5, 9);
    assert_int_equal(f.rc, 0);
    add(&f, 6, 10);
    assert_int_equal(f.rc, 0);
    recovery_finish(&f.recovery);
    assert_int_equal(recovery_check(&f.recovery, &id), 0);
    end(&f);
}

static void test_a_queue_without_a_beginning_must_not_be_there(void **state)
{
    struct fixture f;
    uint64_t first;
    uint64_t id = 0;
    (void)state;

    begin(&f);
    add_vhost(&f);
    declare(&f, QUEUE);
    first = f.id;
    add(&f, 5, 9);
    add(&f, 6, 10);
    recovery_finish(&f.recovery);
    assert_int_equal(recovery_check(&f.recovery, &id), ERR_CORRUPT);
    assert_true(id == first);
    assert_string_equal(f.recovery.reason, "queue 20: its first commands are missing");
    assert_int_equal(recovery_check(&f.recovery, &id), 0);
    end(&f);
}

static void test_positions_only_rise(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add(&f, 1, 4);
    add(&f, 2, 4);
    assert_int_equal(f.rc, ERR_CORRUPT);
    end(&f);
}

/* Invariant 12. */
static void test_positions_go_on_behind_what_is_gone(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add(&f, 1, 0);
    add(&f, 2, 8);
    settle_in(&f, 3, 0, 9, 0);
    assert_string_equal(left(&f), "");
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->tail, 9);
    end(&f);
    begin(&f);
    state_of(&f, 7, 40, 3, 1);
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->tail, 40);
    end(&f);
}

/* ---- single records ---- */

/* With what is known of the body: it is not read at a start. */
static void test_a_reference_tells_of_its_body(void **state)
{
    const struct recovered_entry *entry;
    struct fixture f;
    (void)state;

    begin(&f);
    RECORD(&f, RECORD_ENQUEUE_REF, QUEUE, 0, 1, 0, 7, 55, record_id(4, 16), (100ULL << 32) + 9000,
           3ULL << 32);
    assert_int_equal(f.rc, 0);
    entry = &recovery_find(&f.recovery, QUEUE)->entries[0];
    assert_int_equal(entry->position, 7);
    assert_int_equal(entry->expires_ms, 55);
    assert_int_equal(entry->body, record_id(4, 16));
    assert_int_equal(entry->image_len, 100);
    assert_int_equal(entry->body_bytes, 9000);
    assert_int_equal(entry->span, 3);
    end(&f);
}

static void test_marks_are_kept(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    add(&f, 1, 0);
    RECORD(&f, RECORD_DELIVERED, QUEUE, 9);
    RECORD(&f, RECORD_DELIVERED, QUEUE, 4);
    assert_int_equal(f.rc, 0);
    assert_int_equal(recovery_find(&f.recovery, QUEUE)->delivered, 9);
    end(&f);
}

static void test_catalog_records_that_the_state_has_are_passed_over(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    f.id = 0;
    RECORD(&f, RECORD_CATALOG_STATE, record_id(5, 8), 77, 12);
    f.id = 0;
    add_vhost(&f);
    f.id = record_id(5, 0);
    declare(&f, 30);
    assert_true(catalog_last_incarnation(f.recovery.catalog) < 30);
    f.id = record_id(5, 8);
    declare(&f, 31);
    assert_int_equal(catalog_last_incarnation(f.recovery.catalog), 31);
    assert_int_equal(f.recovery.last_incarnation, 77);
    assert_int_equal(f.recovery.last_transaction, 12);
    end(&f);
}

static void test_unknown_kinds_and_versions_are_refused(void **state)
{
    struct fixture f;
    struct record_header header = {
        .octets = 8, .kind = RECORD_COMMIT, .version = RECORD_VERSION + 1};
    uint8_t payload[8] = {0};
    (void)state;

    begin(&f);
    hand_on(&f, 99, payload, sizeof payload);
    assert_int_equal(f.rc, ERR_CORRUPT);
    assert_non_null(strstr(f.recovery.reason, "99"));
    assert_int_equal(recovery_record(&f.recovery, f.id, &header, payload), ERR_CORRUPT);
    assert_non_null(strstr(f.recovery.reason, "version"));
    end(&f);
}

/* Each kind, cut at each length: refused, or of that length by right (a body). */
static void test_cut_records_are_refused(void **state)
{
    static const uint8_t kinds[] = {RECORD_ENQUEUE_REF, RECORD_SETTLE,        RECORD_EXPIRE,
                                    RECORD_DELIVERED,   RECORD_COMMIT,        RECORD_UNDO,
                                    RECORD_QUEUE_STATE, RECORD_CATALOG_STATE, RECORD_CATALOG};
    static const size_t whole[] = {56, 48, 56, 16, 8, 8, 48, 24, SIZE_MAX};
    uint8_t payload[64];
    (void)state;

    for (size_t i = 0; i < sizeof kinds; i++)
        for (size_t octets = 0; octets <= sizeof payload; octets++) {
            struct fixture f;
            begin(&f);
            memset(payload, 0, sizeof payload);
            payload[7] = QUEUE;
            payload[23] = 1;
            hand_on(&f, kinds[i], payload, octets);
            if (octets != whole[i])
                assert_int_equal(f.rc, ERR_CORRUPT);
            end(&f);
        }
}

/* ---- sizes ---- */

static void test_no_queue_ends_beyond_all_numbers(void **state)
{
    struct fixture f;
    (void)state;

    begin(&f);
    state_of(&f, 1, UINT64_C(1) << 63, 3, 1);
    assert_int_equal(f.rc, ERR_CORRUPT);
    end(&f);
    begin(&f);
    add(&f, 1, (UINT64_C(1) << 62) + 1);
    assert_int_equal(f.rc, ERR_CORRUPT);
    end(&f);
}

/* One message that never goes, and a tail far away: no more than a ring can hold. */
static void test_a_queue_ends_where_it_can_span(void **state)
{
    struct recovered_queue *queue;
    struct fixture f;
    (void)state;

    begin(&f);
    state_of(&f, 1, UINT64_C(1) << 61, 3, 1);
    assert_int_equal(f.rc, 0);
    queue = recovery_find(&f.recovery, QUEUE);
    assert_int_equal(queue_model_end(queue), 3 + QUEUE_SPAN_MAX);
    settle_in(&f, 2, 3, 1, 0);
    assert_int_equal(queue_model_end(queue), UINT64_C(1) << 61);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_follow_each_other),
        cmocka_unit_test(test_a_gap_is_refused),
        cmocka_unit_test(test_with_recover_a_gap_is_told_and_passed),
        cmocka_unit_test(test_what_the_state_has_is_passed_over),
        cmocka_unit_test(test_a_gap_behind_the_state_is_refused),
        cmocka_unit_test(test_a_queue_without_a_beginning_may_be_deleted),
        cmocka_unit_test(test_a_queue_without_a_beginning_must_not_be_there),
        cmocka_unit_test(test_a_reference_tells_of_its_body),
        cmocka_unit_test(test_no_queue_ends_beyond_all_numbers),
        cmocka_unit_test(test_a_queue_ends_where_it_can_span),
        cmocka_unit_test(test_positions_only_rise),
        cmocka_unit_test(test_positions_go_on_behind_what_is_gone),
        cmocka_unit_test(test_marks_are_kept),
        cmocka_unit_test(test_catalog_records_that_the_state_has_are_passed_over),
        cmocka_unit_test(test_unknown_kinds_and_versions_are_refused),
        cmocka_unit_test(test_cut_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
