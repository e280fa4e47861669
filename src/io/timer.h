/* SPDX-License-Identifier: Apache-2.0 */
/* Hierarchical timer wheel of one shard: millisecond ticks, O(1) start and stop. */
#ifndef TOKKI_IO_TIMER_H
#define TOKKI_IO_TIMER_H

#include "base/list.h"

#include <stdint.h>

#define TIMER_LEVELS 7
#define TIMER_SLOTS 64

struct timer;
typedef void (*timer_fn)(struct timer *timer);

/* Owner: the object it is embedded in. Thread: the wheel's. Freed by: the owner, after
 * timer_stop. The callback may start the timer again, or free the object that holds it. */
struct timer {
    struct list link;
    uint64_t due_ms; /* absolute, monotonic clock; 0 when not running */
    timer_fn fire;
};

/* Level l has 64 slots of 64^l ms each; seven levels reach 139 years ahead. A timer moves down a
 * level when its slot's time begins, so it fires within the millisecond it is due. */
struct timer_wheel {
    uint64_t now_ms; /* every timer due up to here has fired */
    uint64_t occupied[TIMER_LEVELS];
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);

/* Prepare `timer`; not running. */
void timer_init(struct timer *timer, timer_fn fire);
/* (Re)start: fires once `due_ms` is reached; a time in the past fires on the next advance. */
void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ms);
void timer_stop(struct timer_wheel *wheel, struct timer *timer);
static inline bool timer_is_running(const struct timer *timer)
{
    return timer->due_ms != 0;
}

/* Fire what is due up to `now_ms`. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ms);

/* Milliseconds from the wheel's now until the next slot needs a look; UINT64_MAX when empty. Never
 * later than the next due time. */
uint64_t timer_wheel_next_ms(const struct timer_wheel *wheel);

#endif
