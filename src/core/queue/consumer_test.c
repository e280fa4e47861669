/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of consumer.c and queue.c: whose turn it is, limits, handles, and the end of a queue. */
#include "base/err.h"
#include "core/queue/queue_fixture.h"

static const struct consumer_settings plain = {0};
static const struct queue_settings defaults = {0};

static void consumers_take_turns(void **state)
{
    struct queue_fixture f;
    struct fake fakes[3];

    fixture_open(&f, defaults);
    for (int i = 0; i < 3; i++)
        fake_consume(&f, &fakes[i], (struct consumer_settings){.no_ack = true});
    publish(&f, 30);
    dispatch(&f);
    for (uint32_t i = 0; i < 30; i++)
        assert_log(&fakes[i % 3], i / 3, i, false);
    /* The turn goes on where it stopped. */
    publish(&f, 1);
    dispatch(&f);
    publish(&f, 1);
    dispatch(&f);
    assert_int_equal(fakes[0].count, 11);
    assert_int_equal(fakes[1].count, 11);
    for (int i = 0; i < 3; i++)
        consumer_cancel(fakes[i].consumer);
    fixture_close(&f);
}

static void prefetch_limits_and_settling_opens(void **state)
{
    struct queue_fixture f;
    struct fake one;
    struct fake three;

    fixture_open(&f, defaults);
    fake_consume(&f, &one, (struct consumer_settings){.prefetch = 1});
    fake_consume(&f, &three, (struct consumer_settings){.prefetch = 3});
    publish(&f, 10);
    dispatch(&f);
    assert_int_equal(one.count, 1);
    assert_int_equal(three.count, 3);
    settle(&f, &one, one.positions[0], 1, QUEUE_SETTLE_ACK);
    dispatch(&f);
    assert_int_equal(one.count, 2);
    assert_int_equal(three.count, 3);
    settle(&f, &three, three.positions[0], 1, QUEUE_SETTLE_ACK);
    dispatch(&f);
    assert_int_equal(three.count, 4);
    assert_int_equal(queue_ready_count(f.queue), 4);
    for (uint32_t i = 1; i < 4; i++)
        settle(&f, &three, three.positions[i], 1, QUEUE_SETTLE_ACK);
    settle(&f, &one, one.positions[1], 1, QUEUE_SETTLE_ACK);
    consumer_cancel(one.consumer);
    consumer_cancel(three.consumer);
    fixture_close(&f);
}

/* The highest priority gets all it can take; then the next. Woken, it comes first again. */
static void priorities_go_first(void **state)
{
    struct queue_fixture f;
    struct fake low;
    struct fake high[2];

    fixture_open(&f, defaults);
    fake_consume(&f, &high[0], (struct consumer_settings){.priority = 5, .prefetch = 2});
    fake_consume(&f, &low, (struct consumer_settings){.priority = -1, .no_ack = true});
    fake_consume(&f, &high[1], (struct consumer_settings){.priority = 5, .prefetch = 2});
    publish(&f, 6);
    dispatch(&f);
    assert_log(&high[0], 0, 0, false);
    assert_log(&high[1], 0, 1, false);
    assert_log(&high[0], 1, 2, false);
    assert_log(&high[1], 1, 3, false);
    assert_log(&low, 0, 4, false);
    assert_log(&low, 1, 5, false);
    settle(&f, &high[1], 1, 1, QUEUE_SETTLE_ACK);
    publish(&f, 2);
    dispatch(&f);
    assert_log(&high[1], 2, 6, false);
    assert_log(&low, 2, 7, false);
    for (uint32_t i = 1; i < 3; i++)
        settle(&f, &high[1], high[1].positions[i], 1, QUEUE_SETTLE_ACK);
    for (uint32_t i = 0; i < 2; i++)
        settle(&f, &high[0], high[0].positions[i], 1, QUEUE_SETTLE_ACK);
    consumer_cancel(high[0].consumer);
    consumer_cancel(high[1].consumer);
    consumer_cancel(low.consumer);
    fixture_close(&f);
}

static void a_closed_gate_keeps_messages_in_the_queue(void **state)
{
    struct queue_fixture f;
    struct fake a;
    struct fake b;

    fixture_open(&f, defaults);
    fake_consume(&f, &a, (struct consumer_settings){.no_ack = true});
    a.gate = GATE_OUTPUT_FULL | GATE_FLOW_STOPPED;
    publish(&f, 3);
    dispatch(&f);
    assert_int_equal(queue_ready_count(f.queue), 3);
    a.gate = GATE_FLOW_STOPPED;
    consumer_wake(a.consumer);
    dispatch(&f);
    assert_int_equal(a.count, 0);
    a.gate = 0;
    consumer_wake(a.consumer);
    consumer_wake(a.consumer);
    dispatch(&f);
    assert_int_equal(a.count, 3);
    /* Blocked ones do not stop others. */
    a.gate = GATE_SESSION_LIMIT;
    fake_consume(&f, &b, (struct consumer_settings){.no_ack = true});
    publish(&f, 4);
    dispatch(&f);
    assert_int_equal(b.count, 4);
    consumer_cancel(a.consumer);
    consumer_cancel(b.consumer);
    fixture_close(&f);
}

/* Deliveries on their way to another shard are limited, with acknowledgements and without. */
static void the_window_limits(void **state)
{
    struct queue_fixture f;
    struct fake a;

    fixture_open(&f, defaults);
    fake_consume(&f, &a, (struct consumer_settings){.no_ack = true, .window = 4});
    publish(&f, 10);
    dispatch(&f);
    assert_int_equal(a.count, 4);
    a.consumer->window += 3;
    consumer_wake(a.consumer);
    dispatch(&f);
    assert_int_equal(a.count, 7);
    consumer_cancel(a.consumer);
    fixture_close(&f);
}

static void exclusive_means_alone(void **state)
{
    struct queue_fixture f;
    struct fake a;
    struct fake b;
    const struct consumer_settings exclusive = {.exclusive = true};

    fixture_open(&f, defaults);
    fake_consume(&f, &a, exclusive);
    assert_int_equal(fake_try(&f, &b, plain), ERR_REFUSED);
    assert_null(b.consumer);
    assert_int_equal(fake_try(&f, &b, exclusive), ERR_REFUSED);
    consumer_cancel(a.consumer);
    fake_consume(&f, &b, plain);
    assert_int_equal(fake_try(&f, &a, exclusive), ERR_REFUSED);
    fake_consume(&f, &a, plain);
    assert_int_equal(f.queue->consumer_count, 2);
    consumer_cancel(a.consumer);
    consumer_cancel(b.consumer);
    fixture_close(&f);
}

/* Messages of a cancelled consumer stay with its session; the last settle frees it, and an old
 * handle never finds whoever has the slot next. */
static void a_cancelled_consumer_lives_until_settled(void **state)
{
    struct queue_fixture f;
    struct fake a;
    struct fake b;

    fixture_open(&f, defaults);
    fake_consume(&f, &a, plain);
    publish(&f, 3);
    dispatch(&f);
    consumer_cancel(a.consumer);
    assert_ptr_equal(consumer_find(&f.host, a.ref), a.consumer);
    assert_int_equal(f.queue->consumer_count, 0);
    settle(&f, &a, 0, 2, QUEUE_SETTLE_ACK);
    assert_ptr_equal(consumer_find(&f.host, a.ref), a.consumer);
    settle(&f, &a, 2, 1, QUEUE_SETTLE_REQUEUE);
    assert_null(consumer_find(&f.host, a.ref));
    assert_int_equal(f.host.consumers.in_use, 0);
    fake_consume(&f, &b, plain);
    assert_int_equal(b.ref.slot, a.ref.slot);
    assert_null(consumer_find(&f.host, a.ref));
    assert_null(consumer_find(&f.host, (struct consumer_ref){0, 0}));
    assert_null(consumer_find(&f.host, (struct consumer_ref){1000000, 1}));
    dispatch(&f);
    assert_int_equal(a.count, 3);
    assert_log(&b, 0, 2, true);
    settle(&f, &b, 2, 1, QUEUE_SETTLE_ACK);
    consumer_cancel(b.consumer);
    fixture_close(&f);
}

static void handles_are_many(void **state)
{
    enum { MANY = 200 };
    struct queue_fixture f;
    static struct fake fakes[MANY];

    fixture_open(&f, defaults);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            fake_consume(&f, &fakes[i], (struct consumer_settings){.no_ack = true});
        for (int i = 0; i < MANY; i++)
            assert_ptr_equal(consumer_find(&f.host, fakes[i].ref), fakes[i].consumer);
        for (int i = 0; i < MANY; i++)
            consumer_cancel(fakes[i].consumer);
        for (int i = 0; i < MANY; i++)
            assert_null(consumer_find(&f.host, fakes[i].ref));
    }
    fixture_close(&f);
}

static void auto_delete_asks_to_go_after_the_last_consumer(void **state)
{
    struct queue_fixture f;
    struct fake a;
    struct fake b;

    fixture_open(&f, (struct queue_settings){.auto_delete = true});
    fake_consume(&f, &a, plain);
    fake_consume(&f, &b, plain);
    consumer_cancel(a.consumer);
    assert_int_equal(fixture_idle_calls, 0);
    consumer_cancel(b.consumer);
    assert_int_equal(fixture_idle_calls, 1);
    /* Already on its way out: not twice. */
    fake_consume(&f, &a, plain);
    queue_begin_delete(f.queue);
    consumer_cancel(a.consumer);
    assert_int_equal(fixture_idle_calls, 1);
    fixture_close(&f);
}

static void a_deleted_queue_cancels_its_consumers(void **state)
{
    struct queue_fixture f;
    struct fake fakes[3];

    fixture_open(&f, defaults);
    for (int i = 0; i < 3; i++)
        fake_consume(&f, &fakes[i], (struct consumer_settings){.prefetch = 1});
    fakes[2].gate = GATE_CLOSING;
    publish(&f, 5);
    dispatch(&f); /* the first two are blocked by their prefetch now, the third by its gate */
    queue_begin_delete(f.queue);
    publish(&f, 1);
    dispatch(&f);
    consumer_cancel_all(f.queue);
    for (int i = 0; i < 3; i++)
        assert_true(fakes[i].was_cancelled);
    assert_int_equal(f.queue->consumer_count, 0);
    assert_int_equal(f.host.consumers.in_use, 2);
    assert_int_equal(fixture_idle_calls, 0);
    settle(&f, &fakes[0], fakes[0].positions[0], 1, QUEUE_SETTLE_ACK);
    settle(&f, &fakes[1], fakes[1].positions[0], 1, QUEUE_SETTLE_REQUEUE);
    assert_int_equal(f.host.consumers.in_use, 0);
    fixture_close(&f);
}

/* x-expires counts from the last use; consumers keep the queue alive. */
static void an_unused_queue_expires(void **state)
{
    struct queue_fixture f;
    struct fake a;
    uint64_t now;

    fixture_open(&f, (struct queue_settings){.expires_ms = 1000});
    now = f.shard->now_ms;
    shard_advance(f.shard, now + 900);
    queue_touch(f.queue);
    shard_advance(f.shard, now + 1800);
    assert_int_equal(fixture_idle_calls, 0);
    fake_consume(&f, &a, plain);
    shard_advance(f.shard, now + 90000);
    queue_touch(f.queue);
    shard_advance(f.shard, now + 180000);
    assert_int_equal(fixture_idle_calls, 0);
    consumer_cancel(a.consumer);
    shard_advance(f.shard, now + 180999);
    assert_int_equal(fixture_idle_calls, 0);
    shard_advance(f.shard, now + 181000);
    assert_int_equal(fixture_idle_calls, 1);
    fixture_close(&f);
}

static void a_handle_finds_one_incarnation(void **state)
{
    struct queue_fixture f;
    struct queue_ref ref;

    fixture_open(&f, defaults);
    ref = f.queue->ref;
    assert_ptr_equal(queue_find(&f.host, ref), f.queue);
    ref.incarnation++;
    assert_null(queue_find(&f.host, ref));
    ref.slot = 900000; /* a page nobody has used */
    assert_null(queue_find(&f.host, ref));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(consumers_take_turns),
        cmocka_unit_test(prefetch_limits_and_settling_opens),
        cmocka_unit_test(priorities_go_first),
        cmocka_unit_test(a_closed_gate_keeps_messages_in_the_queue),
        cmocka_unit_test(the_window_limits),
        cmocka_unit_test(exclusive_means_alone),
        cmocka_unit_test(a_cancelled_consumer_lives_until_settled),
        cmocka_unit_test(handles_are_many),
        cmocka_unit_test(auto_delete_asks_to_go_after_the_last_consumer),
        cmocka_unit_test(a_deleted_queue_cancels_its_consumers),
        cmocka_unit_test(an_unused_queue_expires),
        cmocka_unit_test(a_handle_finds_one_incarnation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
