/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of classic.c: order, settling, get, purge, expiry, and a random run against a model. */
#include "core/queue/expiry.h"
#include "core/queue/queue_fixture.h"

static const struct consumer_settings plain = {0};
static const struct queue_settings defaults = {0};

static uint64_t get(struct queue_fixture *f, bool no_ack)
{
    struct message message;
    uint64_t position;
    if (!queue_get(f->queue, no_ack, &message, &position))
        return UINT64_MAX;
    assert_image(&message, (uint32_t)position);
    if (no_ack)
        message_unref(f->shard, &f->host.descriptors, &message);
    return position;
}

static void messages_leave_in_order(void **state)
{
    struct queue_fixture f;
    struct fake a;

    fixture_open(&f, defaults);
    publish(&f, 300);
    assert_int_equal(queue_ready_count(f.queue), 300);
    fake_consume(&f, &a, plain);
    assert_int_equal(a.count, 0);
    dispatch(&f);
    assert_int_equal(a.count, 300);
    for (uint32_t i = 0; i < 300; i++)
        assert_log(&a, i, i, false);
    assert_int_equal(f.queue->unacked, 300);
    assert_int_equal(queue_ready_count(f.queue), 0);
    settle(&f, &a, 0, 300, QUEUE_SETTLE_ACK);
    assert_int_equal(f.host.messages, 0);
    assert_int_equal(f.host.store.chunks.in_use, 0);
    assert_int_equal(f.queue->stats.acked, 300);
    consumer_cancel(a.consumer);
    fixture_close(&f);
}

static void no_ack_deliveries_are_gone(void **state)
{
    struct queue_fixture f;
    struct fake a;

    fixture_open(&f, defaults);
    fake_consume(&f, &a, (struct consumer_settings){.no_ack = true, .prefetch = 2});
    publish(&f, 10);
    dispatch(&f);
    assert_int_equal(a.count, 10);
    assert_int_equal(f.host.messages, 0);
    assert_int_equal(f.queue->unacked, 0);
    assert_int_equal(f.shard->blocks.bytes_in_use, 0);
    consumer_cancel(a.consumer);
    fixture_close(&f);
}

/* Requeued messages take their old places, before those that were never delivered. */
static void requeued_messages_return_to_their_positions(void **state)
{
    struct queue_fixture f;
    struct fake a;

    fixture_open(&f, defaults);
    fake_consume(&f, &a, (struct consumer_settings){.prefetch = 5});
    publish(&f, 8);
    dispatch(&f);
    assert_int_equal(a.count, 5);
    settle(&f, &a, 3, 1, QUEUE_SETTLE_REQUEUE);
    settle(&f, &a, 0, 2, QUEUE_SETTLE_REQUEUE);
    assert_int_equal(queue_ready_count(f.queue), 6);
    dispatch(&f);
    assert_int_equal(a.count, 8);
    assert_log(&a, 5, 0, true);
    assert_log(&a, 6, 1, true);
    assert_log(&a, 7, 3, true);
    settle(&f, &a, 0, 5, QUEUE_SETTLE_REJECT);
    dispatch(&f);
    assert_log(&a, 8, 5, false);
    assert_log(&a, 10, 7, false);
    assert_int_equal(f.queue->stats.redelivered, 3);
    settle(&f, &a, 5, 3, QUEUE_SETTLE_ACK);
    consumer_cancel(a.consumer);
    fixture_close(&f);
}

/* What never reached the client is not marked as redelivered. */
static void a_return_leaves_the_mark(void **state)
{
    struct queue_fixture f;
    struct fake a;

    fixture_open(&f, defaults);
    fake_consume(&f, &a, (struct consumer_settings){.prefetch = 1});
    publish(&f, 1);
    dispatch(&f);
    settle(&f, &a, 0, 1, QUEUE_SETTLE_RETURN);
    dispatch(&f);
    settle(&f, &a, 0, 1, QUEUE_SETTLE_REQUEUE);
    dispatch(&f);
    settle(&f, &a, 0, 1, QUEUE_SETTLE_RETURN);
    dispatch(&f);
    assert_int_equal(a.count, 4);
    assert_log(&a, 1, 0, false);
    assert_log(&a, 2, 0, true);
    assert_log(&a, 3, 0, true);
    consumer_cancel(a.consumer);
    settle(&f, &a, 0, 1, QUEUE_SETTLE_ACK);
    fixture_close(&f);
}

static void settling_what_is_not_unacked_is_harmless(void **state)
{
    struct queue_fixture f;

    fixture_open(&f, defaults);
    settle(&f, NULL, 0, 10, QUEUE_SETTLE_ACK); /* nothing was ever here */
    publish(&f, 3);
    settle(&f, NULL, 0, 3, QUEUE_SETTLE_ACK); /* ready, not unacknowledged */
    assert_int_equal(queue_ready_count(f.queue), 3);
    assert_int_equal(get(&f, false), 0);
    settle(&f, NULL, 0, 1, QUEUE_SETTLE_ACK);
    settle(&f, NULL, 0, 1, QUEUE_SETTLE_ACK);
    settle(&f, NULL, 0, 1, QUEUE_SETTLE_REQUEUE); /* gone: stays gone */
    settle(&f, NULL, 2, 1000, QUEUE_SETTLE_REQUEUE);
    settle(&f, NULL, UINT64_MAX - 5, 5, QUEUE_SETTLE_ACK);
    assert_int_equal(queue_ready_count(f.queue), 2);
    assert_int_equal(f.queue->unacked, 0);
    assert_int_equal(f.queue->stats.acked, 1);
    assert_int_equal(get(&f, true), 1);
    fixture_close(&f);
}

static void get_takes_the_first(void **state)
{
    struct queue_fixture f;

    fixture_open(&f, defaults);
    assert_int_equal(get(&f, false), UINT64_MAX);
    publish(&f, 3);
    assert_int_equal(get(&f, false), 0);
    assert_int_equal(get(&f, true), 1);
    assert_int_equal(f.queue->unacked, 1);
    settle(&f, NULL, 0, 1, QUEUE_SETTLE_REQUEUE);
    assert_int_equal(get(&f, true), 0);
    assert_int_equal(get(&f, true), 2);
    assert_int_equal(get(&f, true), UINT64_MAX);
    assert_int_equal(f.host.messages, 0);
    assert_int_equal(f.queue->stats.got, 4);
    fixture_close(&f);
}

static void purge_spares_the_unacknowledged(void **state)
{
    struct queue_fixture f;

    fixture_open(&f, defaults);
    publish(&f, 10);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(get(&f, false), i);
    settle(&f, NULL, 1, 2, QUEUE_SETTLE_REQUEUE);
    assert_int_equal(queue_purge(f.queue, &(lsn_t){0}), 8);
    assert_int_equal(queue_ready_count(f.queue), 0);
    assert_int_equal(f.queue->ready_bytes, 0);
    assert_int_equal(f.queue->unacked, 2);
    settle(&f, NULL, 0, 4, QUEUE_SETTLE_REQUEUE);
    assert_int_equal(get(&f, true), 0);
    assert_int_equal(get(&f, true), 3);
    assert_int_equal(queue_purge(f.queue, &(lsn_t){0}), 0);
    fixture_close(&f);
}

/* ---- expiry ---- */

static void expired_messages_leave_wherever_they_are(void **state)
{
    struct queue_fixture f;
    uint64_t now;

    fixture_open(&f, defaults);
    now = f.shard->now_ms;
    publish_expiring(&f, now + 100);
    publish_expiring(&f, now + 100);
    publish(&f, 1);
    publish_expiring(&f, now + 50);
    dispatch(&f);
    shard_advance(f.shard, now + 49);
    dispatch(&f);
    assert_int_equal(queue_ready_count(f.queue), 4);
    shard_advance(f.shard, now + 50 + EXPIRY_STEP_MS);
    assert_int_equal(queue_ready_count(f.queue), 3);
    assert_null(entries_at(&f.queue->entries, 3));
    shard_advance(f.shard, now + 99);
    dispatch(&f);
    assert_int_equal(queue_ready_count(f.queue), 3);
    shard_advance(f.shard, now + 100 + EXPIRY_STEP_MS);
    assert_int_equal(queue_ready_count(f.queue), 1);
    assert_int_equal(get(&f, true), 2);
    assert_int_equal(get(&f, true), UINT64_MAX);
    assert_int_equal(f.queue->stats.expired, 3);
    assert_int_equal(f.queue->ready_bytes, 0);
    fixture_close(&f);
}

/* The timer may be late by a step; what is delivered is not. */
static void expired_messages_are_not_delivered(void **state)
{
    struct queue_fixture f;
    uint64_t now;

    fixture_open(&f, defaults);
    now = f.shard->now_ms;
    publish_expiring(&f, now + 50);
    publish_expiring(&f, now + 51);
    dispatch(&f);
    f.shard->now_ms = now + 50;
    assert_int_equal(get(&f, true), 1);
    publish_expiring(&f, now + 51);
    f.shard->now_ms = now + 51;
    assert_int_equal(get(&f, true), UINT64_MAX);
    assert_int_equal(f.queue->stats.expired, 2);
    fixture_close(&f);
}

/* Those that were requeued are lower than those that never left, and may expire between two that do not. */
static void returned_messages_expire_among_others(void **state)
{
    struct queue_fixture f;
    uint64_t now;

    fixture_open(&f, defaults);
    now = f.shard->now_ms;
    for (int i = 0; i < 9; i++)
        publish_expiring(&f, i % 3 == 1 ? now + 20 : 0);
    for (uint64_t i = 0; i < 6; i++)
        assert_int_equal(get(&f, false), i);
    settle(&f, NULL, 0, 6, QUEUE_SETTLE_REQUEUE);
    shard_advance(f.shard, now + 20 + EXPIRY_STEP_MS);
    assert_int_equal(queue_ready_count(f.queue), 6);
    for (uint64_t i = 0; i < 9; i++)
        if (i % 3 != 1)
            assert_int_equal(get(&f, true), i);
    assert_int_equal(get(&f, true), UINT64_MAX);
    publish(&f, 1);
    assert_int_equal(get(&f, true), 9);
    fixture_close(&f);
}

/* More chunks than one turn looks at. */
static void many_expire_over_some_turns(void **state)
{
    struct queue_fixture f;
    uint64_t now;
    uint32_t turns = 0;

    fixture_open(&f, defaults);
    now = f.shard->now_ms;
    for (uint32_t i = 0; i < 100 * ENTRIES_PER_CHUNK; i++)
        publish_expiring(&f, now + 100);
    dispatch(&f);
    for (now += 100 + EXPIRY_STEP_MS; queue_ready_count(f.queue) > 0; now++, turns++) {
        f.shard->turns++;
        shard_advance(f.shard, now);
    }
    assert_in_range(turns, 2, 8);
    assert_int_equal(f.queue->stats.expired, 100 * ENTRIES_PER_CHUNK);
    fixture_close(&f);
}

/* basic.get took a message that does not expire; nobody then started the timer for the next one,
 * which stayed in the queue (and in its length) for ever. Found when this test was written. */
static void expiry_goes_on_after_a_get(void **state)
{
    struct queue_fixture f;
    uint64_t now;

    fixture_open(&f, defaults);
    now = f.shard->now_ms;
    publish(&f, 1);
    publish_expiring(&f, now + 50);
    dispatch(&f);
    assert_int_equal(get(&f, true), 0);
    shard_advance(f.shard, now + 50 + EXPIRY_STEP_MS);
    assert_int_equal(queue_ready_count(f.queue), 0);
    fixture_close(&f);
}

static void the_shorter_of_both_ttls_counts(void **state)
{
    struct queue_fixture f;
    uint64_t now;

    fixture_open(&f, (struct queue_settings){.ttl_ms = 100});
    now = f.shard->now_ms;
    publish(&f, 1);
    publish_expiring(&f, now + 1000);
    publish_expiring(&f, now + 40);
    dispatch(&f);
    assert_int_equal(entries_at(&f.queue->entries, 0)->expires_ms, now + 100);
    assert_int_equal(entries_at(&f.queue->entries, 1)->expires_ms, now + 100);
    assert_int_equal(entries_at(&f.queue->entries, 2)->expires_ms, now + 40);
    shard_advance(f.shard, now + 100);
    dispatch(&f);
    assert_int_equal(queue_ready_count(f.queue), 0);
    fixture_close(&f);
}

/* The time runs on while a message is out; requeued too late it is gone. */
static void requeued_messages_still_expire(void **state)
{
    struct queue_fixture f;
    uint64_t now;

    fixture_open(&f, defaults);
    now = f.shard->now_ms;
    publish_expiring(&f, now + 30);
    assert_int_equal(get(&f, false), 0);
    shard_advance(f.shard, now + 31);
    dispatch(&f);
    assert_int_equal(f.queue->unacked, 1);
    settle(&f, NULL, 0, 1, QUEUE_SETTLE_REQUEUE);
    dispatch(&f);
    assert_int_equal(queue_ready_count(f.queue), 0);
    assert_int_equal(f.queue->stats.expired, 1);
    fixture_close(&f);
}

/* TTL 0: to a consumer that can take it now, or to nobody. */
static void ttl_zero_is_delivered_at_once_or_never(void **state)
{
    struct queue_fixture f;
    struct fake a;

    fixture_open(&f, defaults);
    publish_expiring(&f, f.shard->now_ms);
    assert_int_equal(f.queue->stats.expired, 1);
    assert_int_equal(f.shard->blocks.bytes_in_use, 0);
    fake_consume(&f, &a, (struct consumer_settings){.prefetch = 2});
    publish_expiring(&f, f.shard->now_ms);
    publish(&f, 1);
    publish_expiring(&f, f.shard->now_ms); /* the one before it took the last place */
    dispatch(&f);
    assert_int_equal(a.count, 2);
    assert_log(&a, 0, 0, false);
    assert_log(&a, 1, 1, false);
    assert_int_equal(f.queue->stats.expired, 2);
    assert_int_equal(queue_ready_count(f.queue), 0);
    assert_int_equal(f.queue->ready_bytes, 0);
    settle(&f, &a, 0, 2, QUEUE_SETTLE_ACK);
    assert_int_equal(f.host.messages, 0);
    consumer_cancel(a.consumer);
    fixture_close(&f);
}

static void freeing_drops_everything(void **state)
{
    struct queue_fixture f;

    fixture_open(&f, defaults);
    publish(&f, 500);
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(get(&f, false), i);
    settle(&f, NULL, 20, 100, QUEUE_SETTLE_REQUEUE);
    settle(&f, NULL, 150, 10, QUEUE_SETTLE_ACK);
    fixture_close(&f);
}

/* ---- against a model ---- */

#define MODEL_MAX 4000
#define MODEL_FAKES 4
#define NOT_TAKEN 200
#define TAKEN_BY_GET 100

/* What a queue is: for each position whether it is ready, with whom, or gone. */
struct model {
    struct queue_fixture f;
    struct fake fakes[MODEL_FAKES];
    bool consuming[MODEL_FAKES];
    bool no_ack[MODEL_FAKES];
    uint32_t checked[MODEL_FAKES]; /* log entries compared so far */
    bool gone[MODEL_MAX];
    uint8_t holder[MODEL_MAX]; /* NOT_TAKEN: ready */
    bool redelivered[MODEL_MAX];
};

static uint64_t model_first_ready(const struct model *m)
{
    uint64_t p = 0;
    while (p < m->f.queue->entries.tail && (m->gone[p] || m->holder[p] != NOT_TAKEN))
        p++;
    return p;
}

/* Deliveries of one dispatch: together they took the lowest ready positions, each consumer's in
 * order, with the right mark. */
static void model_take_deliveries(struct model *m)
{
    for (uint64_t p; (p = model_first_ready(m)) < m->f.queue->entries.tail;) {
        bool found = false;
        for (int i = 0; i < MODEL_FAKES && !found; i++) {
            struct fake *fake = &m->fakes[i];
            if (m->checked[i] == fake->count || fake->positions[m->checked[i]] != p)
                continue;
            assert_log(fake, m->checked[i]++, p, m->redelivered[p]);
            m->gone[p] = m->no_ack[i];
            m->holder[p] = (uint8_t)i;
            found = true;
        }
        if (!found)
            break;
    }
    for (int i = 0; i < MODEL_FAKES; i++) {
        assert_int_equal(m->checked[i], m->fakes[i].count);
        m->checked[i] = 0;
        m->fakes[i].count = 0;
    }
}

static void model_check(const struct model *m)
{
    const struct queue *queue = m->f.queue;
    uint64_t ready = 0;
    uint64_t unacked = 0;
    uint64_t bytes = 0;

    for (uint64_t p = 0; p < queue->entries.tail; p++) {
        ready += !m->gone[p] && m->holder[p] == NOT_TAKEN;
        unacked += !m->gone[p] && m->holder[p] != NOT_TAKEN;
        bytes += !m->gone[p] && m->holder[p] == NOT_TAKEN ? p % 100 : 0;
    }
    assert_int_equal(queue_ready_count(queue), ready);
    assert_int_equal(queue->unacked, unacked);
    assert_int_equal(queue->ready_bytes, bytes);
    assert_int_equal(m->f.host.messages, ready + unacked);
}

/* Settle a run of positions that one holder has. */
static void model_settle(struct model *m, struct dice *dice)
{
    uint64_t tail = m->f.queue->entries.tail;
    uint64_t first = dice_roll(dice, tail + 1);
    uint64_t most = 1 + dice_roll(dice, 30);
    uint64_t count = 0;
    enum queue_settle_how how = (enum queue_settle_how)dice_roll(dice, 4);
    uint8_t holder;

    while (first < tail && (m->gone[first] || m->holder[first] == NOT_TAKEN))
        first++;
    if (first == tail)
        return;
    holder = m->holder[first];
    for (uint64_t p = first; p < tail && count < most; p++, count++) {
        if (m->gone[p] || m->holder[p] != holder)
            break;
        m->gone[p] = how == QUEUE_SETTLE_ACK || how == QUEUE_SETTLE_REJECT;
        m->redelivered[p] |= how == QUEUE_SETTLE_REQUEUE;
        m->holder[p] = NOT_TAKEN;
    }
    settle(&m->f, holder == TAKEN_BY_GET ? NULL : &m->fakes[holder], first, count, how);
}

/* Consumers come and go; a slot whose client still has messages waits until they are settled. */
static void model_toggle(struct model *m, struct dice *dice)
{
    uint64_t i = dice_roll(dice, MODEL_FAKES);
    if (m->consuming[i]) {
        consumer_cancel(m->fakes[i].consumer);
        m->consuming[i] = false;
    } else if (!consumer_find(&m->f.host, m->fakes[i].ref)) {
        m->no_ack[i] = dice_roll(dice, 3) == 0;
        fake_consume(&m->f, &m->fakes[i],
                     (struct consumer_settings){.no_ack = m->no_ack[i],
                                                .priority = (int32_t)dice_roll(dice, 2),
                                                .prefetch = (uint32_t)dice_roll(dice, 20)});
        m->consuming[i] = true;
    }
}

static void model_get(struct model *m, bool no_ack)
{
    uint64_t first;
    uint64_t position;

    dispatch(&m->f);
    model_take_deliveries(m);
    first = model_first_ready(m);
    position = get(&m->f, no_ack);
    if (first == m->f.queue->entries.tail) {
        assert_int_equal(position, UINT64_MAX);
        return;
    }
    assert_int_equal(position, first);
    m->gone[first] = no_ack;
    m->holder[first] = TAKEN_BY_GET;
}

static void model_purge(struct model *m)
{
    uint64_t ready = 0;
    for (uint64_t p; (p = model_first_ready(m)) < m->f.queue->entries.tail; ready++)
        m->gone[p] = true;
    assert_int_equal(queue_purge(m->f.queue, &(lsn_t){0}), ready);
}

static void model_run(uint64_t seed)
{
    static struct model m;
    struct dice dice = {seed};

    memset(&m, 0, sizeof m);
    memset(m.holder, NOT_TAKEN, sizeof m.holder);
    fixture_open(&m.f, defaults);
    while (m.f.queue->entries.tail < MODEL_MAX - 40) {
        uint64_t what = dice_roll(&dice, 20);
        if (what < 8)
            publish(&m.f, (int)dice_roll(&dice, 30));
        else if (what < 15)
            model_settle(&m, &dice);
        else if (what < 17)
            model_toggle(&m, &dice);
        else if (what < 19)
            model_get(&m, dice_roll(&dice, 2));
        else if (dice_roll(&dice, 10) == 0)
            model_purge(&m);
        if (dice_roll(&dice, 3)) {
            dispatch(&m.f);
            model_take_deliveries(&m);
            /* Nothing waits while a consumer can take it. */
            assert_true(queue_ready_count(m.f.queue) == 0 || !consumer_next(m.f.queue));
        }
        model_check(&m);
    }
    for (int i = 0; i < MODEL_FAKES; i++) {
        if (m.consuming[i])
            consumer_cancel(m.fakes[i].consumer);
        for (uint64_t p = 0; p < m.f.queue->entries.tail; p++)
            if (!m.gone[p] && m.holder[p] == i)
                settle(&m.f, &m.fakes[i], p, 1, QUEUE_SETTLE_ACK);
    }
    assert_int_equal(m.f.host.consumers.in_use, 0);
    fixture_close(&m.f);
}

static void random_use_agrees_with_a_model(void **state)
{
    for (uint64_t seed = 1; seed <= 15; seed++)
        model_run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_leave_in_order),
        cmocka_unit_test(no_ack_deliveries_are_gone),
        cmocka_unit_test(requeued_messages_return_to_their_positions),
        cmocka_unit_test(a_return_leaves_the_mark),
        cmocka_unit_test(settling_what_is_not_unacked_is_harmless),
        cmocka_unit_test(get_takes_the_first),
        cmocka_unit_test(purge_spares_the_unacknowledged),
        cmocka_unit_test(expired_messages_leave_wherever_they_are),
        cmocka_unit_test(expired_messages_are_not_delivered),
        cmocka_unit_test(returned_messages_expire_among_others),
        cmocka_unit_test(many_expire_over_some_turns),
        cmocka_unit_test(expiry_goes_on_after_a_get),
        cmocka_unit_test(the_shorter_of_both_ttls_counts),
        cmocka_unit_test(requeued_messages_still_expire),
        cmocka_unit_test(ttl_zero_is_delivered_at_once_or_never),
        cmocka_unit_test(freeing_drops_everything),
        cmocka_unit_test(random_use_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
