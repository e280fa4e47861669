/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of ledger.c against a plain array of tags. */
#include "broker/ledger.h"

#include "io/shard_fixture.h"

#define TAGS 3000

/* One delivery, as the model knows it. */
struct delivery {
    bool open;
    uint64_t position;
    uint32_t queue;
    uint32_t consumer;
};

struct model {
    struct ledger ledger;
    struct delivery deliveries[TAGS]; /* by tag; tag 0 is none */
    uint64_t tags;                    /* given so far */
    uint64_t expected;                /* the lowest tag that the next part may have */
    struct ledger_run taken[TAGS];
    uint32_t taken_count;
};

static struct model m;

static void add(uint32_t queue, uint32_t consumer, uint64_t position)
{
    struct queue_ref ref = {.incarnation = 10 + queue, .slot = queue};
    struct consumer_ref consumer_ref = {consumer, consumer + 1};
    uint64_t tag = ++m.tags;
    ledger_add(&m.ledger, tag, ref, consumer_ref, position);
    m.deliveries[tag] = (struct delivery){true, position, queue, consumer};
}

static void close_run(const struct ledger_run *run, void *context)
{
    assert_ptr_equal(context, &m);
    assert_true(run->count > 0);
    assert_true(run->tag >= m.expected); /* lowest first */
    m.expected = run->tag + run->count;
    for (uint32_t i = 0; i < run->count; i++) {
        struct delivery *delivery = &m.deliveries[run->tag + i];
        assert_true(delivery->open);
        assert_int_equal(run->position + i, delivery->position);
        assert_int_equal(run->queue.slot, delivery->queue);
        assert_int_equal(run->consumer.slot, delivery->consumer);
        delivery->open = false;
    }
    m.taken[m.taken_count++] = *run;
}

static uint64_t take(uint64_t tag, bool multiple)
{
    m.expected = 0;
    m.taken_count = 0;
    return ledger_take(&m.ledger, tag, multiple, close_run, &m);
}

static void check(void)
{
    uint64_t open = 0;
    for (uint64_t tag = 0; tag <= m.tags; tag++) {
        open += m.deliveries[tag].open;
        assert_int_equal(ledger_has(&m.ledger, tag), m.deliveries[tag].open);
    }
    assert_false(ledger_has(&m.ledger, m.tags + 1));
    assert_int_equal(m.ledger.total, open);
}

static void end(void)
{
    take(0, true);
    check();
    assert_int_equal(m.ledger.count, 0);
    ledger_fini(&m.ledger);
    memset(&m, 0, sizeof m);
}

static void a_steady_consumer_is_one_run(void **state)
{
    for (uint64_t i = 0; i < 1000; i++) {
        add(1, 1, 50 + i);
        if (i >= 100)
            assert_int_equal(take(i - 99, false), 1);
        assert_int_equal(m.ledger.count, 1);
    }
    check();
    end();
}

/* Another queue, another consumer, or a position that does not follow begins a new run. */
static void runs_end_where_something_changes(void **state)
{
    add(1, 1, 5);
    add(1, 1, 6);
    add(2, 1, 7);
    add(2, 2, 8);
    add(2, 2, 10);
    assert_int_equal(m.ledger.count, 4);
    assert_int_equal(take(5, true), 5);
    assert_int_equal(m.taken_count, 4);
    end();
}

static void unknown_tags_are_told(void **state)
{
    assert_int_equal(take(1, false), 0);
    assert_int_equal(take(1, true), 0);
    assert_int_equal(take(0, true), 0);
    assert_int_equal(take(0, false), 0);
    for (uint64_t i = 0; i < 10; i++)
        add(1, 1, i);
    assert_int_equal(take(11, false), 0);
    assert_int_equal(take(11, true), 0);
    assert_int_equal(take(UINT64_MAX, true), 0);
    assert_int_equal(take(4, false), 1);
    assert_int_equal(take(4, false), 0);
    /* RabbitMQ 3.10.8: multiple up to a tag that was settled singly is unknown too, although lower
     * ones are open (docs/differences.md). */
    assert_int_equal(take(4, true), 0);
    assert_int_equal(take(5, true), 4);
    check();
    end();
}

static void one_from_the_middle_splits(void **state)
{
    for (uint64_t i = 0; i < 9; i++)
        add(1, 1, 100 + i);
    assert_int_equal(take(5, false), 1);
    assert_int_equal(m.ledger.count, 2);
    assert_int_equal(take(4, false), 1);
    assert_int_equal(take(6, false), 1);
    assert_int_equal(m.ledger.count, 2);
    assert_int_equal(take(1, false), 1);
    assert_int_equal(take(9, false), 1);
    check();
    assert_int_equal(take(8, true), 4);
    assert_int_equal(m.taken_count, 2);
    end();
}

static void random_use_agrees_with_an_array(void **state)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct dice dice = {seed};
        while (m.tags < TAGS - 40) {
            uint64_t tag = dice_roll(&dice, m.tags + 3);
            uint64_t what = dice_roll(&dice, 10);
            if (what < 4) {
                uint32_t queue = (uint32_t)dice_roll(&dice, 3);
                uint64_t position = dice_roll(&dice, 1000);
                for (uint64_t n = dice_roll(&dice, 30); n > 0; n--)
                    add(queue, queue, position++);
            } else if (what < 8) {
                bool open = tag <= m.tags && m.deliveries[tag].open;
                assert_int_equal(take(tag, false), open);
            } else if (what == 8) {
                bool open = tag <= m.tags && m.deliveries[tag].open;
                uint64_t count = 0;
                for (uint64_t t = 1; open && t <= tag; t++)
                    count += m.deliveries[t].open;
                if (tag == 0)
                    count = m.ledger.total;
                if (dice_roll(&dice, 4) == 0)
                    assert_int_equal(take(tag, true), count);
            } else {
                /* tx.rollback puts back what was taken, in any order. */
                for (uint32_t i = 0; i < m.taken_count; i++) {
                    uint32_t r = seed % 2 ? i : m.taken_count - 1 - i;
                    ledger_restore(&m.ledger, &m.taken[r]);
                    for (uint32_t n = 0; n < m.taken[r].count; n++)
                        m.deliveries[m.taken[r].tag + n].open = true;
                }
                m.taken_count = 0;
            }
            check();
        }
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_consumer_is_one_run),
        cmocka_unit_test(runs_end_where_something_changes),
        cmocka_unit_test(unknown_tags_are_told),
        cmocka_unit_test(one_from_the_middle_splits),
        cmocka_unit_test(random_use_agrees_with_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
