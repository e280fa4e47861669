/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of how much of a queue that has left memory is there, of pages that cannot be read, and of expiry in pages. */
#include "core/queue/expiry.h"
#include "core/queue/paging_fixture.h"

/* ---- the window ---- */

/* A consumer takes one by one; what is read ahead of it has a limit, however often it is looked at. */
static void window_holds(uint32_t count, uint32_t bytes)
{
    struct paging p;
    struct fake fake;
    uint64_t most = 0;

    begin(&p);
    put(&p, count, bytes, 0);
    turn(&p);
    page_out(&p);
    assert_int_equal(resident(&p), 0);
    fake_consume(&p.f, &fake, (struct consumer_settings){.prefetch = 1});
    for (uint32_t i = 0; i < 60; i++) {
        turns(&p);
        most = MAX(most, resident(&p));
        assert_int_equal(fake.count, i + 1);
        assert_log(&fake, i, i, false);
        (void)settle_all(&p, &fake, i, 1, QUEUE_SETTLE_ACK);
        queue_mark_dirty(p.f.queue);
    }
    assert_in_range(most, MIN(LOAD_AHEAD_BYTES / 2, count * bytes / 2), 2 * LOAD_AHEAD_BYTES);
    leave(&p, &fake);
    end(&p);
}

static void test_window_of_small_bodies(void **state)
{
    (void)state;
    window_holds(3000, 100);
}

static void test_window_of_middling_bodies(void **state)
{
    (void)state;
    window_holds(3000, 10 * KIB);
}

static void test_window_of_large_bodies(void **state)
{
    (void)state;
    window_holds(300, 100 * KIB);
}

/* What a slow consumer has before it does not stay for its sake, but for a window. */
static void test_a_slow_consumer_keeps_a_window(void **state)
{
    struct paging p;
    struct fake fake;
    (void)state;

    begin(&p);
    fake_consume(&p.f, &fake, (struct consumer_settings){.prefetch = 1});
    for (int i = 0; i < 4; i++) {
        put(&p, 100, 100 * KIB, 0);
        turn(&p);
    }
    assert_true(resident(&p) > 400 * 100 * KIB);
    page_out(&p);
    assert_in_range(resident(&p), LOAD_AHEAD_BYTES / 2, LOAD_AHEAD_BYTES + 2 * 100 * KIB);
    turns(&p);
    for (uint32_t i = 0; i < 400; i++) {
        assert_log(&fake, i, i, false);
        (void)settle_all(&p, &fake, i, 1, QUEUE_SETTLE_ACK);
        turn(&p);
        turn(&p);
        turn(&p);
    }
    assert_counts(&p, 0, 0, 0);
    leave(&p, &fake);
    end(&p);
}

/* ---- damage ---- */

static void damage(struct paging *p, uint64_t id)
{
    struct log_error at;

    turn(p);
    log_locate(p->log, id, &at);
    assert_int_equal(disk_memory_corrupt(p->disk, at.file, at.offset + 90, 1), 0);
}

static void test_a_damaged_page(void **state)
{
    struct paging p;
    struct message message;
    uint64_t position;
    (void)state;

    begin(&p);
    put(&p, 128, 10, 0);
    page_out(&p);
    damage(&p, entries_page(&p.f.queue->entries, 0)->id);
    assert_int_equal(queue_get(p.f.queue, true, &message, &position), QUEUE_GOT_LATER);
    turn(&p);
    assert_int_equal(p.unreadable, 1);
    assert_int_equal(p.unreadable_rc, ERR_CORRUPT);
    assert_counts(&p, 128, 0, 1);
    end(&p);
}

static void test_a_damaged_body(void **state)
{
    struct paging p;
    struct fake fake;
    (void)state;

    begin(&p);
    put(&p, 128, 10, 0);
    damage(&p, entries_body(&p.f.queue->entries, 3));
    page_out(&p);
    fake_consume(&p.f, &fake, (struct consumer_settings){0});
    turns(&p);
    assert_true(p.unreadable > 0); /* all that were read with it */
    assert_int_equal(p.unreadable_rc, ERR_CORRUPT);
    assert_true(fake.count <= 3); /* nothing overtakes it */
    leave(&p, &fake);
    end(&p);
}

/* ---- expiry ---- */

static void test_expiry_in_a_page(void **state)
{
    struct paging p;
    struct fake fake;
    uint64_t now;
    (void)state;

    begin(&p);
    now = p.f.shard->now_ms;
    put(&p, 60, 10, now + 1000);
    put(&p, 68, 10, now + 2000);
    put(&p, 128, 10, now + 3000);
    put(&p, 10, 10, 0);
    page_out(&p);
    dispatch(&p.f);
    assert_counts(&p, 266, 0, 2);
    /* Nothing is read for it. */
    shard_advance(p.f.shard, now + 1000 + EXPIRY_STEP_MS);
    assert_counts(&p, 206, 0, 2);
    assert_int_equal(p.f.queue->stats.expired, 60);
    shard_advance(p.f.shard, now + 2000 + EXPIRY_STEP_MS);
    assert_counts(&p, 138, 0, 1);
    shard_advance(p.f.shard, now + 2999);
    assert_counts(&p, 138, 0, 1);
    shard_advance(p.f.shard, now + 3000 + EXPIRY_STEP_MS);
    assert_int_equal(p.f.host.loads, 0);
    turns(&p);
    assert_counts(&p, 10, 0, 0);
    fake_consume(&p.f, &fake, (struct consumer_settings){.no_ack = true});
    turns(&p);
    assert_log(&fake, 0, 256, false);
    assert_int_equal(fake.count, 10);
    leave(&p, &fake);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_of_small_bodies),
        cmocka_unit_test(test_window_of_middling_bodies),
        cmocka_unit_test(test_window_of_large_bodies),
        cmocka_unit_test(test_a_slow_consumer_keeps_a_window),
        cmocka_unit_test(test_a_damaged_page),
        cmocka_unit_test(test_a_damaged_body),
        cmocka_unit_test(test_expiry_in_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
