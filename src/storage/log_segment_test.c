/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the log's segments: followed, recycled, kept for what lives, not read as what they held. */
#include "storage/log_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_log_goes_on_in_the_next_segment),
        cmocka_unit_test(test_segments_before_the_replay_are_recycled),
        cmocka_unit_test(test_a_live_body_keeps_its_segment),
        cmocka_unit_test(test_a_recycled_file_shows_nothing_of_before),
        cmocka_unit_test(test_a_batch_counts_with_number_and_salt_of_its_segment),
        cmocka_unit_test(test_names_are_sure_before_others_go),
        cmocka_unit_test(test_a_file_that_was_being_recycled_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
