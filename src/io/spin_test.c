/* SPDX-License-Identifier: Apache-2.0 */
/* The spins that a run of waits gets, for loads that a spin catches always, never and sometimes. */
#include "io/shard_fixture.h"
#include "io/spin.h"

/* Spins in `waits` waits, of which `percent` in a hundred, at random, end within the spin. */
static unsigned spins_in(struct spin *spin, unsigned waits, unsigned percent)
{
    uint32_t random = 12345;
    unsigned spins = 0;
    for (unsigned i = 0; i < waits; i++) {
        random = random * 1664525U + 1013904223U;
        if (!spin_is_due(spin))
            continue;
        spins++;
        spin_done(spin, (random >> 16) % 100 < percent);
    }
    return spins;
}

static void test_each_wait_of_a_closed_loop_spins(void **state)
{
    (void)state;
    struct spin spin = {0};
    assert_int_equal(spins_in(&spin, 1000, 100), 1000);
}

static void test_slow_work_spins_seldom(void **state)
{
    (void)state;
    struct spin spin = {0};
    /* A spin, then 1, 3, 7 ... 127 sleeps without one. */
    assert_int_equal(spins_in(&spin, 2 + 4 + 8 + 16 + 32 + 64 + 128, 0), 7);
    assert_int_equal(spins_in(&spin, 128000, 0), 1000);
}

static void test_a_closed_loop_is_found_again(void **state)
{
    (void)state;
    struct spin spin = {0};
    (void)spins_in(&spin, 10000, 0);
    (void)spins_in(&spin, SPIN_PAUSE_MAX, 100);
    assert_int_equal(spins_in(&spin, 1000, 100), 1000);
}

static void test_rare_catches_are_not_waited_for(void **state)
{
    (void)state;
    struct spin spin = {0};
    assert_true(spins_in(&spin, 100000, 20) < 10000);
    spin = (struct spin){0};
    assert_true(spins_in(&spin, 100000, 80) > 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_wait_of_a_closed_loop_spins),
        cmocka_unit_test(test_slow_work_spins_seldom),
        cmocka_unit_test(test_a_closed_loop_is_found_again),
        cmocka_unit_test(test_rare_catches_are_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
