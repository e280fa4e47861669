/* SPDX-License-Identifier: Apache-2.0 */
/* Monotonic and wall-clock time in explicit units. */
#ifndef TOKKI_BASE_CLOCK_H
#define TOKKI_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* Monotonic, never 0. A vdso call, about 22 ns (physical-limits 1): shards read it once a turn. */
static inline uint64_t clock_mono_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

static inline uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000U;
}

/* Seconds since 1970, for timestamps that clients see. */
static inline uint64_t clock_wall_s(void)
{
    return clock_read_ns(CLOCK_REALTIME) / 1000000000U;
}

#endif
