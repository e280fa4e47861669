/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of timer.c: against a plain array of due times, far timers, jumps, and busy callbacks. */
#include "io/shard_fixture.h"
#include "io/timer.h"

#define TIMERS 64
#define HOUR_MS 3600000ULL
#define YEAR_MS (8766 * HOUR_MS)

/* A timer with what the model expects of it. */
struct watched {
    struct timer timer;
    uint64_t expected_ms; /* 0: not running */
    int fired;
    uint64_t fired_ms;
};

static struct timer_wheel wheel;

static void note(struct timer *timer)
{
    struct watched *watched = CONTAINER_OF(timer, struct watched, timer);
    assert_false(timer_is_running(timer));
    watched->fired++;
    watched->fired_ms = wheel.now_ms;
}

static void watch(struct watched *timers, int count)
{
    for (int i = 0; i < count; i++) {
        timers[i] = (struct watched){0};
        timer_init(&timers[i].timer, note);
    }
}

static void start(struct watched *watched, uint64_t due_ms)
{
    timer_start(&wheel, &watched->timer, due_ms);
    watched->expected_ms = MAX(due_ms, wheel.now_ms + 1);
    watched->fired = 0;
}

/* Advance in one call; every timer that was due has fired once, at its time, and no other. */
static void advance(struct watched *timers, int count, uint64_t now_ms)
{
    timer_wheel_advance(&wheel, now_ms);
    assert_int_equal(wheel.now_ms, now_ms);
    for (int i = 0; i < count; i++) {
        struct watched *watched = &timers[i];
        bool was_due = watched->expected_ms != 0 && watched->expected_ms <= now_ms;
        assert_int_equal(watched->fired, was_due);
        if (was_due)
            assert_int_equal(watched->fired_ms, watched->expected_ms);
        if (was_due)
            watched->expected_ms = 0;
        watched->fired = 0;
        assert_int_equal(timer_is_running(&watched->timer), watched->expected_ms != 0);
    }
}

static void assert_next_is_not_late(const struct watched *timers, int count)
{
    uint64_t next = timer_wheel_next_ms(&wheel);
    for (int i = 0; i < count; i++)
        if (timers[i].expected_ms != 0)
            assert_true(next <= timers[i].expected_ms - wheel.now_ms);
    assert_true(next > 0);
}

/* Times spread over all levels of the wheel. */
static uint64_t random_span(struct dice *dice)
{
    return dice_roll(dice, 1ULL << (1 + dice_roll(dice, 38)));
}

static void agrees_with_an_array(void **state)
{
    static const uint64_t beginnings[] = {0, 1, 63, 64, 4095, 262144 - 2, 1ULL << 36, 20 * YEAR_MS};

    for (size_t b = 0; b < ARRAY_LEN(beginnings); b++) {
        struct watched timers[TIMERS];
        struct dice dice = {b + 1};
        timer_wheel_init(&wheel, beginnings[b]);
        watch(timers, TIMERS);
        for (int step = 0; step < 4000; step++) {
            struct watched *one = &timers[dice_roll(&dice, TIMERS)];
            switch (dice_roll(&dice, 4)) {
            case 0:
            case 1:
                start(one, wheel.now_ms + random_span(&dice));
                break;
            case 2:
                timer_stop(&wheel, &one->timer);
                one->expected_ms = 0;
                break;
            default:
                if (wheel.now_ms < 60 * YEAR_MS)
                    advance(timers, TIMERS, wheel.now_ms + random_span(&dice) / 64);
            }
            assert_next_is_not_late(timers, TIMERS);
        }
    }
}

/* What a shard does: sleep until the wheel wants a look, never longer. */
static void sleeping_by_next_fires_on_time(void **state)
{
    struct watched timers[TIMERS];
    struct dice dice = {99};
    int looks = 0;

    timer_wheel_init(&wheel, 123456);
    watch(timers, TIMERS);
    for (int i = 0; i < TIMERS; i++)
        start(&timers[i], wheel.now_ms + random_span(&dice));
    while (timer_wheel_next_ms(&wheel) != UINT64_MAX) {
        advance(timers, TIMERS, wheel.now_ms + timer_wheel_next_ms(&wheel));
        looks++;
    }
    for (int i = 0; i < TIMERS; i++)
        assert_int_equal(timers[i].expected_ms, 0);
    assert_true(looks <= TIMERS * TIMER_LEVELS);
}

static void the_past_fires_at_the_next_millisecond(void **state)
{
    struct watched timers[1];

    timer_wheel_init(&wheel, 5000);
    watch(timers, 1);
    start(&timers[0], 10);
    advance(timers, 1, 5000);
    assert_true(timer_is_running(&timers[0].timer));
    advance(timers, 1, 5001);
    start(&timers[0], 5001);
    advance(timers, 1, 5002);
    assert_false(timer_is_running(&timers[0].timer));
}

/* x-expires and x-message-ttl reach ten years; a machine that was suspended jumps hours at once. */
static void far_timers_survive_jumps(void **state)
{
    struct watched timers[3];

    timer_wheel_init(&wheel, 77);
    watch(timers, 3);
    start(&timers[0], 10 * YEAR_MS);
    start(&timers[1], 10 * YEAR_MS + 1);
    start(&timers[2], 100 * YEAR_MS);
    for (uint64_t year = 1; year < 10; year++)
        advance(timers, 3, year * YEAR_MS);
    advance(timers, 3, 10 * YEAR_MS - 1);
    advance(timers, 3, 10 * YEAR_MS);
    assert_false(timer_is_running(&timers[0].timer));
    assert_true(timer_is_running(&timers[1].timer));
    advance(timers, 3, 11 * YEAR_MS);
    advance(timers, 3, 101 * YEAR_MS);
    assert_false(timer_is_running(&timers[2].timer));
}

static struct watched ring[3];

static void start_next(struct timer *timer)
{
    struct watched *watched = CONTAINER_OF(timer, struct watched, timer);
    struct watched *next = &ring[(watched - ring + 1) % 3];
    watched->fired++;
    timer_start(&wheel, &next->timer, wheel.now_ms + 63);
}

static void callbacks_may_start_timers(void **state)
{
    timer_wheel_init(&wheel, 0);
    for (int i = 0; i < 3; i++) {
        ring[i] = (struct watched){0};
        timer_init(&ring[i].timer, start_next);
    }
    timer_start(&wheel, &ring[0].timer, 63);
    timer_wheel_advance(&wheel, 63 * 3000);
    assert_int_equal(ring[0].fired + ring[1].fired + ring[2].fired, 3000);
    assert_int_equal(ring[2].fired, 1000);
}

/* Two connections whose heartbeats end in the same millisecond: the first's callback closes both. */
static void stop_others(struct timer *timer)
{
    CONTAINER_OF(timer, struct watched, timer)->fired++;
    for (int i = 0; i < 3; i++)
        timer_stop(&wheel, &ring[i].timer);
}

static void callbacks_may_stop_timers_due_now(void **state)
{
    timer_wheel_init(&wheel, 0);
    for (int i = 0; i < 3; i++) {
        ring[i] = (struct watched){0};
        timer_init(&ring[i].timer, stop_others);
        timer_start(&wheel, &ring[i].timer, 4096);
    }
    timer_wheel_advance(&wheel, 5000);
    assert_int_equal(ring[0].fired, 1);
    assert_int_equal(ring[1].fired + ring[2].fired, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(sleeping_by_next_fires_on_time),
        cmocka_unit_test(the_past_fires_at_the_next_millisecond),
        cmocka_unit_test(far_timers_survive_jumps),
        cmocka_unit_test(callbacks_may_start_timers),
        cmocka_unit_test(callbacks_may_stop_timers_due_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
