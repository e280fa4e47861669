/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of histogram.c: bucket edges, quantiles, merging. */
#include "histogram.c"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_buckets_are_contiguous_and_inverse(void **state)
{
    uint32_t last = histogram_bucket(0);
    assert_int_equal(last, 0);
    for (uint64_t v = 1; v < 100000; v++) {
        const uint32_t b = histogram_bucket(v);
        assert_true(b == last || b == last + 1);
        assert_true(v <= bucket_upper_edge(b));
        assert_true(b == 0 || v > bucket_upper_edge(b - 1));
        last = b;
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    assert_true(bucket_upper_edge(HISTOGRAM_BUCKETS - 1) == (1ULL << HISTOGRAM_RANGE_BITS) - 1);
}

static void test_error_is_below_two_percent(void **state)
{
    for (uint64_t v = 1000; v < (1ULL << 41); v = v * 21 / 20) {
        const uint64_t edge = bucket_upper_edge(histogram_bucket(v));
        assert_true((double)(edge - v) <= 0.016 * (double)v);
    }
}

static void test_quantiles_of_a_ramp(void **state)
{
    struct histogram *h = mem_alloc_zero(sizeof *h);
    assert_int_equal(histogram_quantile(h, 0.5), 0);
    for (uint64_t v = 1; v <= 10000; v++)
        histogram_add(h, v * 100, 1);
    assert_int_equal(h->count, 10000);
    assert_int_equal(h->min_ns, 100);
    assert_int_equal(h->max_ns, 1000000);
    assert_int_equal(histogram_quantile(h, 0), 100);
    assert_int_equal(histogram_quantile(h, 1), 1000000);
    assert_in_range(histogram_quantile(h, 0.50), 500000, 508000);
    assert_in_range(histogram_quantile(h, 0.99), 990000, 1000000);
    mem_free(h);
}

static void test_single_outlier_shows_only_in_the_tail(void **state)
{
    struct histogram *h = mem_alloc_zero(sizeof *h);
    histogram_add(h, 50, 999);
    histogram_add(h, 5000000, 1);
    histogram_add(h, 77, 0);
    assert_int_equal(histogram_quantile(h, 0.999), 50);
    assert_int_equal(histogram_quantile(h, 1), 5000000);
    mem_free(h);
}

static void test_merge_equals_adding_to_one(void **state)
{
    struct histogram *a = mem_alloc_zero(3 * sizeof *a);
    struct histogram *b = a + 1, *both = a + 2;
    histogram_merge(a, b);
    assert_int_equal(a->count, 0);
    for (uint64_t v = 1; v < 5000; v += 7) {
        histogram_add(v % 2 ? a : b, v, v);
        histogram_add(both, v, v);
    }
    histogram_merge(a, b);
    assert_memory_equal(a, both, sizeof *a);
    mem_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_are_contiguous_and_inverse),
        cmocka_unit_test(test_error_is_below_two_percent),
        cmocka_unit_test(test_quantiles_of_a_ramp),
        cmocka_unit_test(test_single_outlier_shows_only_in_the_tail),
        cmocka_unit_test(test_merge_equals_adding_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
