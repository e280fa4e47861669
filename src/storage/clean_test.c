/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of cleaning: the bound on the disk's use, and that nothing that lives is lost by it, whenever it ends. */
#include "storage/clean_fixture.h"
#include "storage/moved.h"

#include "base/clock.h"

#include <time.h>

/* What FORMAT.md promises: twice what lives, and this. */
#define RESERVE (CLEAN_CHECKPOINT_BYTES + 8 * LOG_SEGMENT_MIN)

static uint64_t disk_use(const struct log *log)
{
    uint64_t sum = log->spare_count * log->settings.segment_bytes;

    for (const struct segment *segment = log->segments; segment; segment = segment->next)
        sum += segment->header.octets;
    return sum;
}

static void assert_bound(struct clean_world *world)
{
    uint64_t live = live_octets(world);
    uint64_t use = disk_use(world->log);

    if (use > 2 * live + RESERVE)
        fail_msg("%llu octets for %llu live ones", (unsigned long long)use,
                 (unsigned long long)live);
}

/* `octets` of the log, a turn of 10 records at a time, of which `live` in a thousand live on. */
static void write_octets(struct clean_world *world, uint64_t octets, uint32_t live)
{
    for (uint64_t done = 0; done < octets;) {
        for (uint32_t i = 0; i < 10; i++) {
            uint32_t n = 20 + (uint32_t)chance_below(&world->chance, 1200);
            add_item(world, n, chance_hits(&world->chance, live, 1000));
            done += n;
        }
        log_submit_all(world->log);
        assert_int_equal(log_step(world->log), 0);
        if (world->is_due)
            assert_int_equal(clean_settle(world), 0);
        assert_bound(world);
    }
}

static void check_all(struct clean_world *world)
{
    check_fetched(world);
    clean_end(world);
    clean_open(world);
    check_fetched(world);
}

static void test_few_stay_for_ever(void **state)
{
    struct clean_world world;
    (void)state;

    clean_new(&world, 1);
    write_octets(&world, 200 * LOG_SEGMENT_MIN, 10);
    assert_true(log_clean_counts(world.log).segments > 20);
    check_all(&world);
    clean_free(&world);
}

/* What was moved is seldom moved again: it is not among what dies soon. */
static void test_what_stays_is_moved_once(void **state)
{
    struct clean_world world;
    struct log_clean_counts counts;
    (void)state;

    clean_new(&world, 9);
    write_octets(&world, 2000 * LOG_SEGMENT_MIN, 10);
    counts = log_clean_counts(world.log);
    assert_true(counts.segments > 1000);
    assert_true(counts.moved < 4 * live_octets(&world)); /* among what is written now it was 14 */
    check_all(&world);
    clean_free(&world);
}

static void test_a_third_lives_everywhere(void **state)
{
    struct clean_world world;
    (void)state;

    clean_new(&world, 2);
    write_octets(&world, 60 * LOG_SEGMENT_MIN, 1000);
    for (uint32_t i = 0; i < world.count; i++) {
        world.items[i].is_live &= chance_hits(&world.chance, 3, 10);
        if (!world.items[i].is_live)
            log_settled(log_stream(world.log, 0), 1);
    }
    /* Nothing is written meanwhile. */
    assert_int_equal(clean_settle(&world), 0);
    assert_true(world.log->cleaner.phase == CLEAN_IDLE);
    assert_bound(&world);
    check_all(&world);
    /* Once more, with what was moved. */
    for (uint32_t i = 0; i < world.count; i++)
        world.items[i].is_live &= chance_hits(&world.chance, 1, 10);
    world.is_due = true;
    assert_int_equal(clean_settle(&world), 0);
    assert_bound(&world);
    check_all(&world);
    clean_free(&world);
}

/* Each body is named ten times; they are released one by one. */
static void test_bodies_that_many_have(void **state)
{
    struct clean_world world;
    (void)state;

    clean_new(&world, 3);
    write_octets(&world, 40 * LOG_SEGMENT_MIN, 1000);
    world.names = 10;
    for (uint32_t left = world.count; left > 20; left -= left / 4) {
        for (uint32_t i = 0; i < world.count; i++) {
            if (!world.items[i].is_live || chance_hits(&world.chance, 3, 4))
                continue;
            world.items[i].is_live = false;
            log_settled(log_stream(world.log, 0), world.names);
        }
        assert_int_equal(clean_settle(&world), 0);
        write_octets(&world, 2 * LOG_SEGMENT_MIN, 0);
    }
    assert_bound(&world);
    check_all(&world);
    clean_free(&world);
}

static void test_backlog_goes_without_writing(void **state)
{
    struct clean_world world;
    (void)state;

    clean_new(&world, 4);
    write_octets(&world, 40 * LOG_SEGMENT_MIN, 1000);
    for (uint32_t i = 0; i < world.count; i++)
        world.items[i].is_live = false;
    log_settled(log_stream(world.log, 1), world.count);
    assert_int_equal(clean_settle(&world), 0);
    assert_int_equal(clean_settle(&world), 0);
    assert_bound(&world);
    clean_free(&world);
}

/* ---- ends ---- */

/* Segments with little that lives, and no round yet. */
static void make_sparse(struct clean_world *world, uint64_t seed)
{
    clean_new(world, seed);
    write_octets(world, 12 * LOG_SEGMENT_MIN, 1000);
    for (uint32_t i = 0; i < world->count; i++)
        world->items[i].is_live = chance_hits(&world->chance, 1, 8);
    clean_checkpoint(world, true);
    assert_int_equal(log_step(world->log), 0);
    clean_end(world);
}

static void share_items(struct clean_world *world, const struct clean_world *of)
{
    world->items = mem_alloc(of->count * sizeof *world->items);
    memcpy(world->items, of->items, of->count * sizeof *world->items);
    world->capacity = of->count;
}

/* Open, clean and take checkpoints, until the disk is cut; then what a cut leaves. */
static bool clean_until_cut(struct clean_world *world, uint64_t calls, uint64_t seed)
{
    bool was_cut;

    clean_open(world); /* that it may be cut, too, is tested elsewhere */
    disk_memory_cut_after(world->disk, calls);
    for (uint32_t i = 0; i < 3 && !disk_memory_is_cut(world->disk); i++) {
        clean_checkpoint(world, false);
        (void)clean_settle(world);
    }
    was_cut = disk_memory_is_cut(world->disk);
    clean_end(world);
    if (was_cut)
        disk_memory_crash(world->disk, seed);
    return was_cut;
}

static void test_a_cut_at_every_call(void **state)
{
    struct clean_world original;
    bool goes_on = true;
    (void)state;

    make_sparse(&original, 5);
    for (uint64_t calls = 1; goes_on; calls++) {
        for (uint64_t second = 0; second < 3; second++) {
            struct clean_world world = original;
            world.disk = disk_memory_clone(original.disk);
            share_items(&world, &original);
            goes_on = clean_until_cut(&world, calls, calls * 31 + second);
            if (second > 0)
                (void)clean_until_cut(&world, 1 + chance_below(&world.chance, calls + 20), calls);
            clean_open(&world);
            check_fetched(&world);
            clean_checkpoint(&world, false);
            assert_int_equal(clean_settle(&world), 0);
            assert_bound(&world);
            check_all(&world);
            clean_free(&world);
        }
    }
    clean_free(&original);
}

/* What cannot be read is not moved, and all the rest is. */
static void test_what_is_damaged_stays(void **state)
{
    struct clean_world world;
    struct log_error where;
    uint32_t i = 0;
    (void)state;

    make_sparse(&world, 6);
    clean_open(&world);
    while (!world.items[i].is_live)
        i++;
    log_locate(world.log, world.items[i].id, &where);
    clean_end(&world);
    assert_int_equal(disk_memory_corrupt(world.disk, where.file, where.offset, 0x80), 0);
    world.items[i].is_live = false;
    clean_open(&world);
    world.items[i].is_live = true;
    clean_checkpoint(&world, false);
    assert_int_equal(clean_settle(&world), 0);
    assert_true(log_clean_counts(world.log).moved > 0);
    world.items[i].is_live = false;
    check_fetched(&world);
    clean_free(&world);
}

/* ---- with threads ---- */

static bool is_checkpointing(struct clean_world *world)
{
    bool is;

    pthread_mutex_lock(&world->log->mutex);
    is = world->log->is_checkpointing;
    pthread_mutex_unlock(&world->log->mutex);
    return is;
}

/* However slow the machine is. */
#define PATIENCE_NS 120000000000ULL

/* The log's threads get ahead. To wait until they are idle would end what the cleaner marks, time and again. */
static void await_checkpoint(struct clean_world *world)
{
    while (is_checkpointing(world))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Some of what is written stays for ever, so that there is something to clean however far the threads are behind. */
static void test_with_threads(void **state)
{
    struct clean_world world = {.chance.state = 8, .names = 1, .is_threaded = true};
    uint64_t deadline = clock_mono_ns() + PATIENCE_NS;
    (void)state;

    log_set_level((enum log_level)(LOG_ERROR + 1));
    world.disk = disk_memory_new();
    clean_open(&world);
    for (uint32_t turns = 0; log_clean_counts(world.log).segments < 40; turns++) {
        assert_true(clock_mono_ns() < deadline);
        for (uint32_t i = 0; i < 10; i++)
            add_item(&world, 20 + (uint32_t)chance_below(&world.chance, 1200),
                     chance_hits(&world.chance, 1, world.count < 3000 ? 5 : 40));
        log_submit_all(world.log);
        if (turns % 100 == 0) {
            check_fetched(&world);
            await_checkpoint(&world);
        }
        if (world.is_due && !is_checkpointing(&world))
            clean_checkpoint(&world, false);
    }
    assert_int_equal(log_wait_idle(world.log), 0);
    clean_checkpoint(&world, true);
    assert_int_equal(log_wait_idle(world.log), 0);
    clean_end(&world);
    clean_open(&world);
    assert_true(log_was_clean(world.log));
    assert_int_equal(world.replayed, 0);
    check_fetched(&world);
    clean_free(&world);
}

/* ---- moved parts ---- */

static void test_a_record_in_a_moved_part(void **state)
{
    struct log_fetched records[3];
    const uint32_t offsets[3] = {0, 4096, 60000};
    (void)state;

    for (uint32_t i = 0; i < 3; i++)
        records[i] = (struct log_fetched){
            .id = record_id(9, offsets[i]),
            .header = {.octets = 3 + i, .kind = 5, .version = 1},
            .payload = (const uint8_t *)"abcdefgh",
        };
    for (uint32_t count = 1; count <= 3; count++) {
        struct log_part *part = moved_part(records, count, 70000);
        assert_int_equal(part->number, 9);
        assert_int_equal(part->flags, count == 1 ? PART_MOVED : PART_MOVED | PART_PACKED);
        for (uint32_t i = 0; i < count && count > 1; i++) {
            struct record_header header;
            const uint8_t *payload;
            assert_int_equal(moved_find(part->data, part->used, offsets[i], &header, &payload), 0);
            assert_int_equal(header.octets, 3 + i);
            assert_memory_equal(payload, "abcdefgh", header.octets);
            assert_int_equal(moved_find(part->data, part->used, offsets[i] + 8, &header, &payload),
                             ERR_CORRUPT);
        }
        mem_free(part);
    }
    assert_null(moved_part(records, 3, 40));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_stay_for_ever),
        cmocka_unit_test(test_what_stays_is_moved_once),
        cmocka_unit_test(test_a_third_lives_everywhere),
        cmocka_unit_test(test_bodies_that_many_have),
        cmocka_unit_test(test_backlog_goes_without_writing),
        cmocka_unit_test(test_a_cut_at_every_call),
        cmocka_unit_test(test_what_is_damaged_stays),
        cmocka_unit_test(test_with_threads),
        cmocka_unit_test(test_a_record_in_a_moved_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
