/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of confirms.c: windows, coalesced and out-of-order confirms, hostile tags. */
#include "confirms.c"
#include "histogram.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct histogram latency;

static void test_window_is_exact(void **state)
{
    struct confirms c;
    confirms_init(&c, 10);
    assert_int_equal(confirms_room(&c), 10);
    confirms_sent(&c, 7, 100);
    assert_int_equal(confirms_room(&c), 3);
    confirms_sent(&c, 3, 200);
    assert_int_equal(confirms_room(&c), 0);
    assert_int_equal(confirms_settle(&c, 8, true, 1100, &latency), 8);
    assert_int_equal(confirms_room(&c), 8);
    assert_int_equal(confirms_settle(&c, 0, true, 1100, &latency), 2);
    assert_int_equal(confirms_room(&c), 10);
    confirms_fini(&c);
}

static void test_latency_counts_every_message(void **state)
{
    struct confirms c;
    confirms_init(&c, 100);
    latency = (struct histogram){0};
    confirms_sent(&c, 50, 1000);
    confirms_sent(&c, 50, 3000);
    assert_int_equal(confirms_settle(&c, 100, true, 4000, &latency), 100);
    assert_int_equal(latency.count, 100);
    assert_int_equal(latency.max_ns, 3000);
    assert_int_equal(latency.min_ns, 1000);
    confirms_fini(&c);
}

static void test_out_of_order_then_multiple(void **state)
{
    struct confirms c;
    confirms_init(&c, 8);
    confirms_sent(&c, 8, 1);
    assert_int_equal(confirms_settle(&c, 3, false, 2, &latency), 1);
    assert_int_equal(confirms_settle(&c, 5, false, 2, &latency), 1);
    assert_int_equal(confirms_room(&c), 2);
    assert_int_equal(confirms_settle(&c, 6, true, 2, &latency), 4);
    assert_int_equal(confirms_room(&c), 6);
    assert_int_equal(c.low, 7);
    confirms_fini(&c);
}

static void test_wrong_tags(void **state)
{
    struct confirms c;
    confirms_init(&c, 4);
    assert_int_equal(confirms_settle(&c, 1, false, 2, &latency), -1);
    assert_int_equal(confirms_settle(&c, 1, true, 2, &latency), -1);
    confirms_sent(&c, 2, 1);
    assert_int_equal(confirms_settle(&c, 1, false, 2, &latency), 1);
    assert_int_equal(confirms_settle(&c, 1, false, 2, &latency), -1);
    assert_int_equal(confirms_settle(&c, 1, true, 2, &latency), 0);
    assert_int_equal(confirms_settle(&c, 0, false, 2, &latency), -1);
    assert_int_equal(confirms_settle(&c, 3, true, 2, &latency), -1);
    confirms_fini(&c);
}

static void test_one_tag_left_open_stops_at_the_ring(void **state)
{
    struct confirms c;
    confirms_init(&c, 128);
    confirms_sent(&c, 1, 1);
    uint64_t sent = 1;
    while (confirms_room(&c) > 0) {
        confirms_sent(&c, 1, 1);
        sent++;
        assert_int_equal(confirms_settle(&c, sent, false, 2, &latency), 1);
    }
    assert_int_equal(sent, c.mask + 1);
    assert_int_equal(confirms_settle(&c, 1, false, 2, &latency), 1);
    assert_int_equal(confirms_room(&c), 128);
    confirms_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_is_exact),
        cmocka_unit_test(test_latency_counts_every_message),
        cmocka_unit_test(test_out_of_order_then_multiple),
        cmocka_unit_test(test_wrong_tags),
        cmocka_unit_test(test_one_tag_left_open_stops_at_the_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
