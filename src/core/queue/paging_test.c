/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of queues that leave memory and come back: settling, purges and gets meanwhile. */
#include "core/queue/paging_fixture.h"

/* ---- out and back ---- */

static void test_out_and_back(void **state)
{
    struct paging p;
    struct fake fake;
    (void)state;

    begin(&p);
    put(&p, 300, 50, 0);
    page_out(&p);
    assert_counts(&p, 300, 0, 2);
    assert_int_equal(resident(&p), 0);
    assert_int_equal(p.f.queue->ready_bytes, 300 * 50);
    fake_consume(&p.f, &fake, (struct consumer_settings){0});
    turns(&p);
    assert_int_equal(fake.count, 300);
    for (uint32_t i = 0; i < 300; i++)
        assert_log(&fake, i, i, false);
    assert_counts(&p, 0, 300, 0);
    assert_int_equal(p.f.queue->ready_bytes, 0);
    page_out(&p); /* unacknowledged ones, too */
    assert_counts(&p, 0, 300, 2);
    assert_int_equal(resident(&p), 0);
    assert_true(settle_all(&p, &fake, 0, 300, QUEUE_SETTLE_ACK) > 0);
    assert_counts(&p, 0, 0, 0);
    leave(&p, &fake);
    end(&p);
}

/* The record of a page is written once, as long as the chunk does not change its identities. */
static void test_a_page_is_written_once(void **state)
{
    struct paging p;
    struct fake fake;
    uint64_t id;
    (void)state;

    begin(&p);
    put(&p, 128, 10, 0);
    page_out(&p);
    id = entries_page(&p.f.queue->entries, 0)->id;
    fake_consume(&p.f, &fake, (struct consumer_settings){.prefetch = 7});
    turns(&p);
    assert_counts(&p, 121, 7, 0);
    consumer_cancel(fake.consumer);
    page_out(&p);
    assert_counts(&p, 121, 7, 1);
    assert_int_equal(entries_page(&p.f.queue->entries, 0)->id, id);
    assert_int_equal(p.f.queue->ready_bytes, 1210);
    (void)settle_all(&p, &fake, 0, 7, QUEUE_SETTLE_ACK);
    end(&p);
}

static void test_a_chunk_begun_in_the_middle_and_with_gaps(void **state)
{
    struct paging p;
    struct fake fake;
    (void)state;

    begin(&p);
    put(&p, 100, 10, 0);
    fake_consume(&p.f, &fake, (struct consumer_settings){.no_ack = true});
    turn(&p);
    assert_int_equal(fake.count, 100);
    consumer_cancel(fake.consumer);
    put(&p, 28 + 128 + 5, 10, 0);
    page_out(&p);
    assert_counts(&p, 161, 0, 2);
    fake_consume(&p.f, &fake, (struct consumer_settings){0});
    turns(&p);
    for (uint32_t i = 0; i < 161; i++)
        assert_log(&fake, i, 100 + i, false);
    (void)settle_all(&p, &fake, 102, 1, QUEUE_SETTLE_ACK);
    (void)settle_all(&p, &fake, 130, 100, QUEUE_SETTLE_REJECT);
    page_out(&p);
    assert_counts(&p, 0, 60, 2);
    (void)settle_all(&p, &fake, 0, 261, QUEUE_SETTLE_REQUEUE);
    turns(&p);
    assert_int_equal(fake.count, 161 + 60);
    assert_log(&fake, 161, 100, true);
    assert_log(&fake, 163, 103, true);
    leave(&p, &fake);
    end(&p);
}

/* ---- settling in pages ---- */

static void test_settle_in_pages(void **state)
{
    struct paging p;
    struct fake fake;
    (void)state;

    begin(&p);
    put(&p, 256, 10, 0);
    fake_consume(&p.f, &fake, (struct consumer_settings){0});
    turn(&p);
    page_out(&p);
    assert_counts(&p, 0, 256, 2);
    assert_true(settle_all(&p, &fake, 3, 1, QUEUE_SETTLE_ACK) > 0);
    assert_int_equal(settle_all(&p, &fake, 3, 1, QUEUE_SETTLE_ACK), 0); /* it is gone */
    assert_true(settle_all(&p, &fake, 100, 60, QUEUE_SETTLE_REJECT) > 0);
    assert_counts(&p, 0, 195, 2);
    (void)settle_all(&p, &fake, 0, 128, QUEUE_SETTLE_ACK);
    assert_counts(&p, 0, 96, 1);
    assert_int_equal(p.f.queue->entries.head, 128);
    (void)settle_all(&p, &fake, 128, 128, QUEUE_SETTLE_ACK);
    assert_counts(&p, 0, 0, 0);
    assert_int_equal(p.f.queue->stats.acked, 256);
    put(&p, 1, 10, 0);
    turn(&p);
    assert_log(&fake, 256, 256, false);
    leave(&p, &fake);
    end(&p);
}

static void test_requeue_in_pages(void **state)
{
    struct paging p;
    struct fake first;
    struct fake fake;
    uint32_t at = 0;
    (void)state;

    begin(&p);
    put(&p, 256, 10, 0);
    fake_consume(&p.f, &first, (struct consumer_settings){0});
    turn(&p);
    consumer_cancel(first.consumer);
    page_out(&p);
    (void)settle_all(&p, &first, 250, 2, QUEUE_SETTLE_RETURN);
    (void)settle_all(&p, &first, 126, 4, QUEUE_SETTLE_REQUEUE);
    (void)settle_all(&p, &first, 5, 1, QUEUE_SETTLE_REQUEUE);
    assert_counts(&p, 7, 249, 2);
    assert_int_equal(p.f.queue->ready_bytes, 70);
    put(&p, 1, 10, 0);
    fake_consume(&p.f, &fake, (struct consumer_settings){0});
    turns(&p);
    assert_log(&fake, at++, 5, true);
    for (uint64_t i = 126; i < 130; i++)
        assert_log(&fake, at++, i, true);
    assert_log(&fake, at++, 250, false);
    assert_log(&fake, at++, 251, false);
    assert_log(&fake, at++, 256, false);
    assert_int_equal(fake.count, at);
    (void)settle_all(&p, &first, 0, 5, QUEUE_SETTLE_ACK);
    (void)settle_all(&p, &first, 6, 120, QUEUE_SETTLE_ACK);
    (void)settle_all(&p, &first, 130, 120, QUEUE_SETTLE_ACK);
    (void)settle_all(&p, &first, 252, 4, QUEUE_SETTLE_ACK);
    leave(&p, &fake);
    end(&p);
}

/* A run may cover what is ready, or ready again: that is left alone. */
static void test_settle_leaves_ready_ones_alone(void **state)
{
    struct paging p;
    struct fake fake;
    (void)state;

    begin(&p);
    put(&p, 256, 10, 0);
    fake_consume(&p.f, &fake, (struct consumer_settings){.prefetch = 100});
    turn(&p);
    consumer_cancel(fake.consumer);
    page_out(&p);
    (void)settle_all(&p, &fake, 20, 10, QUEUE_SETTLE_REQUEUE);
    assert_counts(&p, 166, 90, 2);
    (void)settle_all(&p, &fake, 0, 200, QUEUE_SETTLE_ACK);
    assert_counts(&p, 166, 0, 2);
    assert_int_equal(p.f.queue->ready_bytes, 1660);
    (void)settle_all(&p, &fake, 0, 200, QUEUE_SETTLE_REQUEUE);
    assert_counts(&p, 166, 0, 2);
    assert_int_equal(p.f.queue->returned.count, 10);
    end(&p);
}

/* A page of nothing but unacknowledged ones is not read because its neighbours are. */
static void test_unacknowledged_pages_stay_out(void **state)
{
    struct paging p;
    struct fake fake;
    (void)state;

    begin(&p);
    put(&p, 10 * 128, 10, 0);
    fake_consume(&p.f, &fake, (struct consumer_settings){0});
    turn(&p);
    page_out(&p);
    assert_counts(&p, 0, 1280, 10);
    (void)settle_all(&p, &fake, 0, 1, QUEUE_SETTLE_REQUEUE);
    put(&p, 1, 10, 0);
    turns(&p);
    assert_log(&fake, 1280, 0, true);
    assert_log(&fake, 1281, 1280, false);
    assert_counts(&p, 0, 1281, 9);
    leave(&p, &fake);
    end(&p);
}

/* ---- purge and clear ---- */

static void test_purge(void **state)
{
    struct paging p;
    struct fake fake;
    lsn_t lsn;
    (void)state;

    begin(&p);
    put(&p, 400, 10, 0);
    fake_consume(&p.f, &fake, (struct consumer_settings){.prefetch = 150});
    turn(&p);
    consumer_cancel(fake.consumer);
    page_out(&p);
    assert_counts(&p, 250, 150, 3);
    assert_int_equal(queue_purge(p.f.queue, &lsn), 250);
    assert_true(lsn > 0);
    assert_counts(&p, 0, 150, 2);
    assert_int_equal(p.f.queue->ready_bytes, 0);
    (void)settle_all(&p, &fake, 140, 10, QUEUE_SETTLE_REQUEUE);
    assert_counts(&p, 10, 140, 2);
    assert_int_equal(queue_purge(p.f.queue, &lsn), 10);
    (void)settle_all(&p, &fake, 0, 150, QUEUE_SETTLE_ACK);
    assert_counts(&p, 0, 0, 0);
    end(&p);
}

static void test_what_was_asked_for_is_gone(void **state)
{
    struct paging p;
    struct fake fake;
    lsn_t lsn;
    (void)state;

    begin(&p);
    put(&p, 300, 10, 0);
    page_out(&p);
    fake_consume(&p.f, &fake, (struct consumer_settings){.prefetch = 1});
    dispatch(&p.f);
    assert_true(p.f.host.loads > 0); /* pages */
    assert_int_equal(queue_purge(p.f.queue, &lsn), 300);
    turns(&p);
    assert_counts(&p, 0, 0, 0);
    put(&p, 300, 10, 0);
    consumer_cancel(fake.consumer);
    page_out(&p);
    fake_consume(&p.f, &fake, (struct consumer_settings){.prefetch = 1});
    turn(&p);
    turn(&p);
    assert_int_equal(p.f.queue->entries.page_count, 0);
    assert_true(p.f.host.loads > 0); /* bodies */
    (void)queue_purge(p.f.queue, &lsn);
    turns(&p);
    assert_counts(&p, 0, 0, 0);
    assert_int_equal(resident(&p), 0);
    leave(&p, &fake);
    end(&p);
}

/* The end of the log with requests under way, and of a queue with pages. */
static void test_clear(void **state)
{
    struct paging p;
    struct fake fake;
    (void)state;

    begin(&p);
    put(&p, 600, 10, 0);
    page_out(&p);
    fake_consume(&p.f, &fake, (struct consumer_settings){.prefetch = 1});
    turn(&p);
    turn(&p);
    page_out(&p);
    assert_true(p.f.host.loads > 0);
    leave(&p, &fake);
    end(&p);
}

/* ---- get ---- */

static void test_get_later(void **state)
{
    struct paging p;
    struct message message;
    uint64_t position;
    enum queue_got got;
    int asked = 0;
    (void)state;

    begin(&p);
    put(&p, 130, 10, 0);
    page_out(&p);
    p.f.queue->getters = &p;
    while ((got = queue_get(p.f.queue, true, &message, &position)) == QUEUE_GOT_LATER) {
        int before = fixture_loaded_calls;
        assert_true(p.f.host.loads > 0);
        assert_true(asked++ < 3);
        while (fixture_loaded_calls == before)
            turn(&p);
    }
    assert_int_equal(got, QUEUE_GOT_MESSAGE);
    assert_int_equal(position, 0);
    assert_image(&message, 0);
    message_unref(p.f.shard, &p.f.host.descriptors, &message);
    page_out(&p); /* while somebody asks, what comes next stays */
    assert_int_equal(queue_get(p.f.queue, false, &message, &position), QUEUE_GOT_MESSAGE);
    assert_int_equal(position, 1);
    assert_counts(&p, 128, 1, 0);
    end(&p);
}

static void test_a_get_finds_that_all_is_purged(void **state)
{
    struct paging p;
    struct message message;
    uint64_t position;
    lsn_t lsn;
    (void)state;

    begin(&p);
    put(&p, 130, 10, 0);
    page_out(&p);
    assert_int_equal(queue_get(p.f.queue, true, &message, &position), QUEUE_GOT_LATER);
    p.f.queue->getters = &p;
    (void)queue_purge(p.f.queue, &lsn);
    turn(&p);
    assert_int_equal(fixture_loaded_calls, 1);
    assert_int_equal(queue_get(p.f.queue, true, &message, &position), QUEUE_GOT_NONE);
    end(&p);
}

/* Bodies that were asked for, let go of, and asked for again arrive twice. */
static void test_two_loads_of_one_chunk(void **state)
{
    struct paging p;
    struct message message;
    uint64_t position;
    (void)state;

    begin(&p);
    put(&p, 100, 10, 0);
    page_out(&p);
    assert_int_equal(queue_get(p.f.queue, true, &message, &position), QUEUE_GOT_LATER);
    assert_int_equal(p.f.host.loads, 1);
    page_out(&p);
    assert_int_equal(queue_get(p.f.queue, true, &message, &position), QUEUE_GOT_LATER);
    assert_int_equal(p.f.host.loads, 2);
    turn(&p);
    assert_int_equal(p.f.host.loads, 0);
    assert_int_equal(entries_chunk(&p.f.queue->entries, 0)->out, 0);
    assert_int_equal(entries_chunk(&p.f.queue->entries, 0)->out_bytes, 0);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(queue_get(p.f.queue, true, &message, &position), QUEUE_GOT_MESSAGE);
        assert_int_equal(position, i);
        assert_image(&message, (uint32_t)i);
        message_unref(p.f.shard, &p.f.host.descriptors, &message);
    }
    assert_int_equal(resident(&p), 0);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_and_back),
        cmocka_unit_test(test_a_page_is_written_once),
        cmocka_unit_test(test_a_chunk_begun_in_the_middle_and_with_gaps),
        cmocka_unit_test(test_settle_in_pages),
        cmocka_unit_test(test_requeue_in_pages),
        cmocka_unit_test(test_settle_leaves_ready_ones_alone),
        cmocka_unit_test(test_unacknowledged_pages_stay_out),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_what_was_asked_for_is_gone),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_get_later),
        cmocka_unit_test(test_a_get_finds_that_all_is_purged),
        cmocka_unit_test(test_two_loads_of_one_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
