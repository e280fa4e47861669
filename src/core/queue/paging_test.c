/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of queues that leave memory and come back, with a log that is not threaded, on a disk in memory. */
#include "base/err.h"
#include "core/queue/expiry.h"
#include "core/queue/loader.h"
#include "core/queue/pager.h"
#include "core/queue/queue_fixture.h"
#include "storage/disk_memory.h"

#define KIB 1024U
#define MIB (1024U * KIB)

struct paging {
    struct queue_fixture f; /* first */
    struct disk *disk;
    struct log *log;
    uint32_t unreadable;
    int unreadable_rc;
};

static struct paging *unreadable_at;

static void on_unreadable(struct queue_host *host, const struct queue *queue, uint64_t id, int rc)
{
    (void)host;
    (void)queue;
    (void)id;
    unreadable_at->unreadable++;
    unreadable_at->unreadable_rc = rc;
}

static int no_record(void *context, uint64_t id, const struct record_header *header,
                     const uint8_t *payload)
{
    (void)context;
    (void)id;
    (void)header;
    (void)payload;
    return -1;
}

static void begin(struct paging *p)
{
    static const struct queue_host_events events = {fixture_idle, fixture_loaded, on_unreadable};
    struct log_settings settings = {.segment_bytes = 4 * (uint64_t)MIB,
                                    .checkpoint_bytes = UINT64_MAX,
                                    .streams = 1,
                                    .seed = 42};
    struct log_error error;

    *p = (struct paging){.disk = disk_memory_new()};
    unreadable_at = p;
    assert_int_equal(log_open(p->disk, &settings, &p->log, &error), 0);
    assert_int_equal(log_replay(p->log, no_record, NULL, &error), 0);
    assert_int_equal(log_start(p->log, &error), 0);
    fixture_open(&p->f, (struct queue_settings){.durable = true});
    p->f.host.events = &events;
    p->f.stage = (struct stage){.stream = log_stream(p->log, 0), .wall_offset_ms = 1000000};
}

static void end(struct paging *p)
{
    p->f.queue->getters = NULL;
    log_stop(p->log);
    queue_host_drop_loads(&p->f.host);
    fixture_close(&p->f);
    log_free(p->log);
}

/* ---- what happens ---- */

static void put(struct paging *p, uint32_t count, uint32_t bytes, uint64_t expires_ms)
{
    while (count-- > 0) {
        uint32_t number = (uint32_t)p->f.queue->entries.tail;
        struct block *block = block_new(p->f.shard, bytes + 100);
        struct message message = message_into(block, number, bytes);
        block_unref(p->f.shard, block, 1);
        message.flags |= MESSAGE_PERSISTENT;
        message.expires_ms = expires_ms;
        assert_true(queue_enqueue(p->f.queue, &message) > 0);
    }
}

/* What a turn and the log's threads do. */
static void turn(struct paging *p)
{
    log_submit(p->f.stage.stream);
    assert_int_equal(log_step(p->log), 0);
    queue_host_fetched(&p->f.host);
    dispatch(&p->f);
}

static void turns(struct paging *p)
{
    for (int i = 0; i < 400; i++)
        turn(p);
    assert_int_equal(p->f.host.loads, 0);
}

/* Everything that may go, goes. */
static void page_out(struct paging *p)
{
    p->f.host.page_pause = 0;
    queue_host_page_out(&p->f.host, UINT64_MAX);
}

/* What is unacknowledged of [first, first + count). */
static lsn_t settle_all(struct paging *p, struct fake *fake, uint64_t first, uint64_t count,
                        enum queue_settle_how how)
{
    struct consumer *consumer = consumer_find(&p->f.host, fake->ref);
    uint64_t before = p->f.queue->unacked;
    lsn_t lsn = queue_settle(p->f.queue, first, count, how, NULL);

    if (consumer && p->f.queue->unacked < before)
        consumer_settled(&p->f.host, consumer, (uint32_t)(before - p->f.queue->unacked));
    return lsn;
}

/* The consumer goes, and what it has. */
static void leave(struct paging *p, struct fake *fake)
{
    consumer_cancel(fake->consumer);
    (void)settle_all(p, fake, 0, p->f.queue->entries.tail, QUEUE_SETTLE_ACK);
}

static void assert_counts(struct paging *p, uint64_t ready, uint64_t unacked, uint32_t pages)
{
    assert_int_equal(p->f.queue->ready, ready);
    assert_int_equal(p->f.queue->unacked, unacked);
    assert_int_equal(p->f.host.messages, ready + unacked);
    assert_int_equal(p->f.queue->entries.page_count, pages);
}

/* Octets of messages that are in memory. */
static uint64_t resident(struct paging *p)
{
    return p->f.shard->blocks.bytes_in_use;
}

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
