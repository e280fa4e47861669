/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of confirms.c: every publish is told exactly when all its queues have it. */
#include "broker/confirms.h"

#include "io/shard_fixture.h"

#define PUBLISHES 4000

struct model {
    struct confirms confirms;
    uint32_t waiting[PUBLISHES + 1]; /* queues still to answer, by number */
    bool told[PUBLISHES + 1];
    uint64_t published;
    uint64_t acks; /* frames so far */
    uint64_t last_tag;
    bool last_multiple;
};

static struct model m;

static void begin(void)
{
    memset(&m, 0, sizeof m);
    confirms_init(&m.confirms);
}

static void end(void)
{
    confirms_fini(&m.confirms);
}

static void publish(uint32_t queues)
{
    assert_int_equal(confirms_add(&m.confirms, queues), ++m.published);
    m.waiting[m.published] = queues;
}

static void done(uint64_t first, uint64_t count)
{
    for (uint64_t seq = first; seq < first + count; seq++)
        m.waiting[seq]--;
    confirms_done(&m.confirms, first, count);
}

static void on_ack(void *context, uint64_t tag, bool multiple)
{
    assert_ptr_equal(context, &m);
    assert_true(tag >= 1 && tag <= m.published);
    assert_false(m.told[tag]); /* never the same one twice */
    m.told[tag] = true;
    for (uint64_t seq = 1; multiple && seq < tag; seq++)
        m.told[seq] = true;
    m.acks++;
    m.last_tag = tag;
    m.last_multiple = multiple;
}

/* After a flush the client knows exactly what is safe. */
static void flush(void)
{
    confirms_flush(&m.confirms, on_ack, &m);
    assert_false(confirms_pending(&m.confirms));
    for (uint64_t seq = 1; seq <= m.published; seq++)
        assert_int_equal(m.told[seq], m.waiting[seq] == 0);
}

static void a_batch_is_one_frame(void **state)
{
    begin();
    assert_false(confirms_pending(&m.confirms));
    flush();
    assert_int_equal(m.acks, 0);
    for (int i = 0; i < 100; i++)
        publish(0);
    assert_true(confirms_pending(&m.confirms));
    flush();
    assert_int_equal(m.acks, 1);
    assert_int_equal(m.last_tag, 100);
    assert_true(m.last_multiple);
    publish(0);
    flush();
    assert_int_equal(m.last_tag, 101);
    assert_false(m.last_multiple);
    assert_null(m.confirms.waiting); /* nothing was outstanding: no ring */
    end();
}

/* One slow queue does not hold the others: singles beyond the hole, then one multiple over it. */
static void a_hole_is_passed_singly(void **state)
{
    begin();
    for (int i = 0; i < 5; i++)
        publish(1);
    done(1, 2);
    done(4, 2);
    flush();
    assert_int_equal(m.acks, 3);
    assert_int_equal(m.last_tag, 5);
    assert_false(m.last_multiple);
    publish(0); /* confirmed at once, but beyond the hole */
    flush();
    assert_int_equal(m.acks, 4);
    end();
}

static void singles_that_the_run_passed_are_not_repeated(void **state)
{
    begin();
    for (int i = 0; i < 6; i++)
        publish(1);
    done(3, 2);
    done(6, 1);
    done(2, 1);
    done(1, 1);
    flush();
    assert_int_equal(m.acks, 2); /* multiple 4, single 6 */
    assert_int_equal(m.last_tag, 6);
    done(5, 1);
    publish(0);
    flush();
    assert_int_equal(m.last_tag, 7);
    assert_true(m.last_multiple);
    end();
}

/* When the hole before singles closed, the multiple named the last single's tag once more. RabbitMQ
 * names the last new one, and a client may take a tag it does not await for an error. Found by the
 * random run below. */
static void a_closed_hole_names_no_tag_again(void **state)
{
    begin();
    for (int i = 0; i < 4; i++)
        publish(1);
    done(2, 2);
    flush();
    assert_int_equal(m.acks, 2);
    done(1, 1);
    flush();
    assert_int_equal(m.last_tag, 1);
    assert_false(m.last_multiple);
    done(4, 1);
    flush();
    assert_int_equal(m.last_tag, 4);
    assert_false(m.last_multiple);
    end();
}

static void all_queues_must_answer(void **state)
{
    begin();
    publish(3);
    publish(2);
    done(1, 2);
    done(1, 2);
    flush();
    assert_int_equal(m.last_tag, 2);
    assert_false(m.last_multiple);
    done(1, 1);
    assert_true(confirms_pending(&m.confirms));
    end();
}

static void random_use_agrees_with_an_array(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct dice dice = {seed};
        /* Some runs keep a few outstanding, some thousands. */
        uint64_t eager = seed % 4;
        begin();
        while (m.published < PUBLISHES - 40) {
            uint64_t first = m.published ? 1 + dice_roll(&dice, m.published) : 0;
            uint64_t count = 0;
            for (uint64_t n = dice_roll(&dice, 20); n > 0; n--)
                publish((uint32_t)dice_roll(&dice, 4));
            for (uint64_t n = eager * dice_roll(&dice, 10); n > 0 && first > 0; n--) {
                while (first <= m.published && m.waiting[first] == 0)
                    first++;
                while (first + count <= m.published && m.waiting[first + count] > 0 && count < 9)
                    count++;
                if (count > 0)
                    done(first, count);
                first = 1 + dice_roll(&dice, m.published);
                count = 0;
            }
            if (dice_roll(&dice, 3) == 0 && seed % 3)
                confirms_pending(&m.confirms) ? flush() : (void)0;
        }
        for (uint64_t seq = m.published; seq > 0; seq--)
            while (m.waiting[seq] > 0)
                done(seq, 1);
        if (seed % 2 == 0)
            publish(0);
        confirms_flush(&m.confirms, on_ack, &m);
        for (uint64_t seq = 1; seq <= m.published; seq++)
            assert_true(m.told[seq]);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_one_frame),
        cmocka_unit_test(a_hole_is_passed_singly),
        cmocka_unit_test(singles_that_the_run_passed_are_not_repeated),
        cmocka_unit_test(a_closed_hole_names_no_tag_again),
        cmocka_unit_test(all_queues_must_answer),
        cmocka_unit_test(random_use_agrees_with_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
