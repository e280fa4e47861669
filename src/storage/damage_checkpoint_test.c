/* SPDX-License-Identifier: Apache-2.0 */
/* Damage in a checkpoint of several frames: --recover keeps every frame that is whole, and what stands there
 * twice is lost only when both are. */
#include "storage/log_fixture.h"

#define CHECKPOINT "checkpoint-0000000000000001"
/* The frames, one block each: what is vital, the states, the copies, the end. */
enum { HEAD, PARTS, VITAL, STATES, STATES_2, STATES_3, HEAD_2, PARTS_2, VITAL_2, END, FRAMES };
/* In each of VITAL, STATES, STATES_2 and STATES_3. */
#define EACH 10U
#define BEFORE 30U
#define BEHIND 7U

static void gather(struct log_gather *to, uint32_t first)
{
    for (uint32_t i = first; i < first + EACH; i++)
        fixture_fill(log_gather_record(to, FIXTURE_STATE, 1, fixture_octets(i)), i);
}

/* A log with live bodies before the checkpoint and records behind it. */
static void make(struct log_fixture *f)
{
    struct log_checkpoint *checkpoint;

    fixture_new(f);
    write_batch(f, BEFORE);
    checkpoint = log_checkpoint_begin(f->log);
    for (uint32_t i = 0; i < 3; i++) {
        struct log_gather states = {.is_vital = i == 0};
        if (i == 0)
            gather(&states, 0);
        states.is_vital = false;
        gather(&states, (i + 1) * EACH);
        for (uint32_t live = 0; live < BEFORE; live++)
            log_gather_live(&states, record_id_part(f->ids[live]), record_id_part(f->ids[live]));
        log_checkpoint_add(checkpoint, &states, 0, 0);
    }
    log_checkpoint_finish(checkpoint, false);
    assert_int_equal(log_wait_idle(f->log), 0);
    write_batch(f, BEHIND);
    fixture_end(f);
    assert_int_equal(file_size(f->disk, CHECKPOINT), FRAMES * FORMAT_BLOCK);
}

static void damage(struct log_fixture *f, uint32_t frame)
{
    assert_int_equal(disk_memory_corrupt(f->disk, CHECKPOINT, frame * FORMAT_BLOCK + 21, 4), 0);
}

static bool has_state(const struct log_fixture *f, uint32_t number)
{
    for (size_t i = 0; i < f->found.count; i++)
        if (f->found.all[i].kind == FIXTURE_STATE && f->found.all[i].number == number)
            return true;
    return false;
}

/* Are the states of this frame there, all or none? */
static bool has_frame(const struct log_fixture *f, uint32_t frame)
{
    uint32_t first = (frame - VITAL) * EACH;
    bool has_first = has_state(f, first);

    for (uint32_t i = 0; i < EACH; i++)
        assert_int_equal(has_state(f, first + i), has_first);
    return has_first;
}

static size_t count_of(const struct log_fixture *f, uint8_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < f->found.count; i++)
        count += f->found.all[i].kind == kind;
    return count;
}

/* Each live body can be read. */
static void assert_bodies(struct log_fixture *f)
{
    for (uint32_t i = 0; i < BEFORE; i++) {
        struct record_header header;
        const uint8_t *payload;
        assert_int_equal(log_read(f->log, f->ids[i], &header, &payload, &f->error), 0);
    }
}

/* Opens what is damaged; `lost`: bits of the frames with states that are not there. */
static void recover(struct log_fixture *f, uint32_t lost)
{
    struct log_settings settings = fixture_settings(f);

    settings.recovers = true;
    assert_int_equal(fixture_try(f, &settings), 0);
    for (uint32_t frame = VITAL; frame <= STATES_3; frame++)
        assert_int_equal(has_frame(f, frame), !(lost & 1U << frame));
    assert_non_null(log_report_name(f->log));
    assert_false(log_was_clean(f->log));
}

static void go_on(struct log_fixture *f)
{
    assert_int_equal(log_start(f->log, &f->error), 0);
    write_batch(f, 1);
    take_checkpoint(f, 3, f->ids, 1, false);
    fixture_free(f);
}

/* ---- tests ---- */

static void test_one_damaged_frame(void **state)
{
    (void)state;
    for (uint32_t frame = HEAD; frame < FRAMES; frame++) {
        struct log_fixture f;
        make(&f);
        damage(&f, frame);
        recover(&f, frame == STATES || frame == STATES_2 || frame == STATES_3 ? 1U << frame : 0);
        assert_int_equal(count_of(&f, FIXTURE_KIND), BEHIND);
        assert_bodies(&f);
        go_on(&f);
    }
}

static void test_an_original_and_its_copy(void **state)
{
    struct log_fixture f;
    (void)state;

    make(&f);
    damage(&f, VITAL);
    damage(&f, VITAL_2);
    recover(&f, 1U << VITAL);
    assert_int_equal(count_of(&f, FIXTURE_KIND), BEHIND);
    go_on(&f);
}

/* Then the whole log is replayed: nobody says where the checkpoint begins. */
static void test_both_heads(void **state)
{
    struct log_fixture f;
    (void)state;

    make(&f);
    damage(&f, HEAD);
    damage(&f, HEAD_2);
    recover(&f, 0);
    assert_int_equal(count_of(&f, FIXTURE_KIND), BEFORE + BEHIND);
    go_on(&f);
}

static void test_a_run_of_damage(void **state)
{
    struct log_fixture f;
    (void)state;

    make(&f);
    for (uint32_t frame = PARTS; frame <= STATES_2; frame++)
        damage(&f, frame);
    recover(&f, 1U << STATES | 1U << STATES_2);
    assert_bodies(&f);
    go_on(&f);
}

static void test_a_checkpoint_without_its_end(void **state)
{
    (void)state;
    for (uint32_t frame = HEAD; frame < FRAMES; frame++) {
        struct log_fixture f;
        uint32_t lost = 0;
        make(&f);
        assert_int_equal(disk_memory_truncate(f.disk, CHECKPOINT, frame * FORMAT_BLOCK), 0);
        for (uint32_t i = MAX(frame, (uint32_t)VITAL); i <= STATES_3; i++)
            lost |= 1U << i;
        recover(&f, lost);
        assert_int_equal(count_of(&f, FIXTURE_KIND), frame == HEAD ? BEFORE + BEHIND : BEHIND);
        go_on(&f);
    }
}

/* Where the replay should begin is not there: it begins with the first segment, whose parts the checkpoint has
 * named already. Each lies in one place all the same, and the next checkpoint says so. */
static void test_parts_that_the_checkpoint_names_are_replayed(void **state)
{
    struct log_fixture f;
    struct log_settings settings;
    (void)state;

    fixture_new(&f);
    while (!file_exists(f.disk, "segment-0000000000000002"))
        write_batch(&f, BEFORE);
    take_checkpoint(&f, 3, f.ids, BEFORE, false);
    fixture_end(&f);
    assert_int_equal(disk_unlink(f.disk, "segment-0000000000000002"), 0);
    settings = fixture_settings(&f);
    settings.recovers = true;
    assert_int_equal(fixture_try(&f, &settings), 0);
    assert_in_range(count_of(&f, FIXTURE_KIND), BEFORE, f.written);
    assert_bodies(&f);
    assert_int_equal(log_start(f.log, &f.error), 0);
    take_checkpoint(&f, 3, f.ids, BEFORE, false);
    fixture_end(&f);
    settings.recovers = false;
    assert_int_equal(fixture_try(&f, &settings), 0);
    assert_bodies(&f);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_damaged_frame),
        cmocka_unit_test(test_an_original_and_its_copy),
        cmocka_unit_test(test_both_heads),
        cmocka_unit_test(test_a_run_of_damage),
        cmocka_unit_test(test_a_checkpoint_without_its_end),
        cmocka_unit_test(test_parts_that_the_checkpoint_names_are_replayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
