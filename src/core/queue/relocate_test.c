/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of relocate.c: waiting messages leave receive blocks, and stay what they were. */
#include "core/queue/relocate.h"

#include "core/queue/queue_fixture.h"

#define BUDGET 16 /* receive blocks that waiting messages may keep */
#define EACH 3    /* messages per block here */

static const struct queue_settings defaults = {0};

/* Fill `blocks` receive blocks with EACH messages of `body` bytes and enqueue them. */
static void publish_in_receive(struct queue_fixture *f, int blocks, uint32_t body, bool shared,
                               uint64_t expires_ms)
{
    for (int i = 0; i < blocks; i++) {
        struct block *block = block_new_receive(f->shard);
        for (int j = 0; j < EACH; j++) {
            struct message message = message_into(block, (uint32_t)f->queue->entries.tail, body);
            message.expires_ms = expires_ms;
            if (shared)
                message_share(&message, &f->host.descriptors);
            queue_enqueue(f->queue, &message);
        }
        block_unref(f->shard, block, 1);
    }
}

static void drain(struct queue_fixture *f)
{
    struct message message;
    uint64_t position;
    while (queue_get(f->queue, true, &message, &position)) {
        assert_image(&message, (uint32_t)position);
        message_unref(f->shard, &f->host.descriptors, &message);
    }
    assert_int_equal(f->shard->blocks.receive_in_use, 0);
}

static void nothing_moves_within_the_budget(void **state)
{
    struct queue_fixture f;

    fixture_open(&f, defaults);
    publish_in_receive(&f, BUDGET, 100, false, 0);
    queue_host_relocate(&f.host);
    assert_int_equal(f.shard->blocks.receive_in_use, BUDGET);
    assert_true(entries_at(&f.queue->entries, 0)->flags & MESSAGE_IN_RECEIVE);
    drain(&f);
    fixture_close(&f);
}

static void content_survives_the_move(void **state)
{
    for (int shared = 0; shared < 2; shared++) {
        static const uint32_t bodies[] = {0, 100, 60000, 300000};
        for (size_t b = 0; b < ARRAY_LEN(bodies); b++) {
            struct queue_fixture f;
            fixture_open(&f, defaults);
            publish_in_receive(&f, BUDGET + 8, bodies[b], shared, 0);
            queue_host_relocate(&f.host);
            assert_true(f.shard->blocks.receive_in_use <= BUDGET);
            for (uint64_t p = 0; p < f.queue->entries.tail; p++)
                assert_image(entries_at(&f.queue->entries, p), (uint32_t)p);
            drain(&f);
            fixture_close(&f);
        }
    }
}

/* Unacknowledged and requeued messages move too; a delivery's own hold keeps the old bytes. */
static void unacknowledged_messages_move_too(void **state)
{
    struct queue_fixture f;
    struct message held;
    uint64_t position;
    struct block *block;

    fixture_open(&f, defaults);
    publish_in_receive(&f, BUDGET + 1, 50, false, 0);
    assert_true(queue_get(f.queue, false, &held, &position));
    block = message_hold(f.shard, &held);
    for (uint64_t i = 1; i < 2 * EACH; i++)
        assert_true(queue_get(f.queue, false, &(struct message){0}, &position));
    settle(&f, NULL, 1, 2, QUEUE_SETTLE_REQUEUE);
    queue_host_relocate(&f.host);
    assert_false(entries_at(&f.queue->entries, 0)->flags & MESSAGE_IN_RECEIVE);
    assert_image(&held, 0);
    assert_int_equal(block->refs, 1);
    settle(&f, NULL, 0, 2 * EACH, QUEUE_SETTLE_REQUEUE);
    block_unref(f.shard, block, 1);
    drain(&f);
    fixture_close(&f);
}

/* More comes after a move: noted again, moved again. */
static void later_messages_are_noted_again(void **state)
{
    struct queue_fixture f;

    fixture_open(&f, defaults);
    for (int round = 0; round < 3; round++) {
        publish_in_receive(&f, BUDGET + 1, 1000, false, 0);
        queue_host_relocate(&f.host);
        assert_true(f.shard->blocks.receive_in_use <= BUDGET);
    }
    drain(&f);
    fixture_close(&f);
}

/* A TTL 0 message goes past the ready ones; when it then waits for its acknowledgement nobody had
 * noted where it lies, and each could keep a megabyte. Found when this test was written. */
static void ttl_zero_deliveries_move_too(void **state)
{
    struct queue_fixture f;
    struct fake a;

    fixture_open(&f, defaults);
    fake_consume(&f, &a, (struct consumer_settings){0});
    publish_in_receive(&f, BUDGET + 10, 10, false, f.shard->now_ms);
    assert_int_equal(a.count, (BUDGET + 10) * EACH);
    queue_host_relocate(&f.host);
    assert_true(f.shard->blocks.receive_in_use <= BUDGET);
    settle(&f, &a, 0, a.count, QUEUE_SETTLE_ACK);
    consumer_cancel(a.consumer);
    fixture_close(&f);
}

/* Bytes of another shard: that shard says that too many are pinned, the timer here moves them. */
static void foreign_blocks_are_left_in_time(void **state)
{
    struct queue_fixture f;
    struct shard *other;
    struct shard_set *set;

    fixture_open(&f, defaults);
    /* The fixture's queue moves into a set of two shards. */
    set = shards_open(2);
    other = shards_go(set, 1);
    for (int i = 0; i < 5; i++) {
        struct block *block = block_new_receive(other);
        struct message message = message_into(block, (uint32_t)i, 500);
        message_export(other, &f.host.descriptors, &message);
        f.host.shard = shards_go(set, 0);
        message_import(&f.host.descriptors, &message);
        queue_enqueue(f.queue, &message);
        block_unref(shards_go(set, 1), block, 1);
    }
    shards_go(set, 0);
    queue_host_relocate(&f.host);
    assert_true(timer_is_running(&f.host.relocate_timer));
    shard_advance(set->shards[0], set->shards[0]->now_ms + 100);
    shards_settle(set);
    assert_int_equal(other->blocks.receive_in_use, 5); /* it does not need them yet */
    atomic_store(&other->receive_pinned, BUDGET + 1);
    queue_host_relocate(&f.host);
    shard_advance(set->shards[0], set->shards[0]->now_ms + 100);
    shards_settle(set);
    assert_int_equal(other->blocks.receive_in_use, 0);
    for (uint64_t p = 0; p < 5; p++) {
        assert_image(entries_at(&f.queue->entries, p), (uint32_t)p);
        assert_int_equal(entries_at(&f.queue->entries, p)->spare, 0);
    }
    assert_int_equal(queue_purge(f.queue, &(lsn_t){0}), 5);
    timer_stop(&set->shards[0]->timers, &f.host.relocate_timer);
    assert_int_equal(shards_settle(set), 0);
    f.host.shard = f.shard;
    shards_close(set);
    shards_go(f.set, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_moves_within_the_budget),
        cmocka_unit_test(content_survives_the_move),
        cmocka_unit_test(unacknowledged_messages_move_too),
        cmocka_unit_test(later_messages_are_noted_again),
        cmocka_unit_test(ttl_zero_deliveries_move_too),
        cmocka_unit_test(foreign_blocks_are_left_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
