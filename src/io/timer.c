/* SPDX-License-Identifier: Apache-2.0 */
/* Timer wheel: a slot per millisecond for the next 64 ms, coarser slots behind, cascading down. */
#include "io/timer.h"

#include "base/bug.h"

#define SLOT_BITS 6
#define SLOT_MASK (TIMER_SLOTS - 1)

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    for (int level = 0; level < TIMER_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (int slot = 0; slot < TIMER_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

void timer_init(struct timer *timer, timer_fn fire)
{
    list_init(&timer->link);
    timer->due_ms = 0;
    timer->fire = fire;
}

/* The level whose slots tell `due` and `now` apart: that of their highest differing bit. */
static int level_for(uint64_t now, uint64_t due)
{
    uint64_t differing = now ^ due;
    int level = differing ? (63 - __builtin_clzll(differing)) / SLOT_BITS : 0;
    return level < TIMER_LEVELS ? level : TIMER_LEVELS - 1;
}

static void place(struct timer_wheel *wheel, struct timer *timer)
{
    int level = level_for(wheel->now_ms, timer->due_ms);
    int slot = (int)(timer->due_ms >> (level * SLOT_BITS)) & SLOT_MASK;
    list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= 1ULL << slot;
}

void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ms)
{
    timer_stop(wheel, timer);
    timer->due_ms = MAX(due_ms, wheel->now_ms + 1);
    place(wheel, timer);
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
    if (!timer_is_running(timer))
        return;
    /* The occupied bit is cleared lazily, when the slot is visited. */
    (void)wheel;
    list_remove(&timer->link);
    timer->due_ms = 0;
}

static void take_slot(struct timer_wheel *wheel, int level, int slot, struct list *out)
{
    list_take_all(out, &wheel->slots[level][slot]);
    wheel->occupied[level] &= ~(1ULL << slot);
}

/* At the first millisecond of a coarse slot its timers move to finer levels. */
static void cascade(struct timer_wheel *wheel)
{
    for (int level = 1; level < TIMER_LEVELS; level++) {
        struct list moved;
        struct list *link;
        uint64_t finer = wheel->now_ms & ((1ULL << (level * SLOT_BITS)) - 1);
        if (finer != 0)
            return;
        take_slot(wheel, level, (int)(wheel->now_ms >> (level * SLOT_BITS)) & SLOT_MASK, &moved);
        while ((link = list_pop_front(&moved)))
            place(wheel, CONTAINER_OF(link, struct timer, link));
    }
}

static void fire_slot(struct timer_wheel *wheel)
{
    struct list due;
    struct list *link;

    take_slot(wheel, 0, (int)wheel->now_ms & SLOT_MASK, &due);
    while ((link = list_pop_front(&due))) {
        struct timer *timer = CONTAINER_OF(link, struct timer, link);
        timer->due_ms = 0;
        timer->fire(timer);
    }
}

uint64_t timer_wheel_next_ms(const struct timer_wheel *wheel)
{
    uint64_t best = UINT64_MAX;
    for (int level = 0; level < TIMER_LEVELS; level++) {
        int shift = level * SLOT_BITS;
        int current = (int)(wheel->now_ms >> shift) & SLOT_MASK;
        uint64_t later = current == SLOT_MASK ? 0 : wheel->occupied[level] >> (current + 1);
        if (later) {
            uint64_t slots = (uint64_t)__builtin_ctzll(later) + 1;
            uint64_t at = ((wheel->now_ms >> shift) + slots) << shift;
            best = MIN(best, at - wheel->now_ms);
        }
    }
    return best;
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms)
{
    while (wheel->now_ms < now_ms) {
        uint64_t step = timer_wheel_next_ms(wheel);
        /* Empty stretches are skipped, so the cost is per occupied slot, not per ms. */
        if (step > now_ms - wheel->now_ms) {
            wheel->now_ms = now_ms;
            return;
        }
        wheel->now_ms += step;
        cascade(wheel);
        fire_slot(wheel);
    }
}
