/* SPDX-License-Identifier: Apache-2.0 */
/* When it pays that a thread looks for more work before it sleeps. */
#ifndef TOKKI_IO_SPIN_H
#define TOKKI_IO_SPIN_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

/* Sleeping and being woken costs 12-14 us on both sides when the cores differ (physical-limits 3), and
 * doubles the round trip of a client that waits for each answer. Looking on for some microseconds spares
 * that when the next request comes at once, and is lost time when it does not. What comes next is like
 * what came last: each spin in vain doubles the sleeps that pass without one, each that found something
 * halves them. So a steady load slower than the spin pays for one spin in SPIN_PAUSE_MAX sleeps.
 *
 * Owner: whoever embeds it. Thread: the one that sleeps. A zeroed struct spins at once. */
struct spin {
    uint32_t
        pause; /* sleeps without a spin after the last one in vain; halved by those that found */
    uint32_t left; /* of them, still to come */
};

#define SPIN_PAUSE_MAX 127U

/* The thread is about to sleep: spin first? */
static inline bool spin_is_due(struct spin *spin)
{
    if (spin->left == 0)
        return true;
    spin->left--;
    return false;
}

/* How the spin that was due ended. */
static inline void spin_done(struct spin *spin, bool has_found)
{
    if (has_found) {
        spin->pause /= 2;
        return;
    }
    spin->pause = MIN(spin->pause * 2 + 1, SPIN_PAUSE_MAX);
    spin->left = spin->pause;
}

#endif
