/* SPDX-License-Identifier: Apache-2.0 */
/* Latency histogram with log-linear buckets: constant memory, at most 1.6 % error per value. */
#ifndef TOKKI_PERF_HISTOGRAM_H
#define TOKKI_PERF_HISTOGRAM_H

#include "base/attr.h"

#include <stdint.h>

/* 64 buckets per power of two. Values from 2^HISTOGRAM_RANGE_BITS ns (73 minutes) on share the last. */
#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_RANGE_BITS 42
#define HISTOGRAM_BUCKETS ((HISTOGRAM_RANGE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

/* Owner: whoever embeds it. Thread: one writer; read by others only when that one has ended.
 * Freed by: its owner; it holds no memory of its own. All zero is an empty histogram. */
struct histogram {
    uint64_t count;
    uint64_t max_ns;
    uint64_t min_ns; /* 0 while count is 0 */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* The bucket of a value: linear below 128 ns, then 64 per power of two. */
static inline uint32_t histogram_bucket(uint64_t value_ns)
{
    const uint64_t limit = (1ULL << HISTOGRAM_RANGE_BITS) - 1;
    const uint64_t v = MIN(value_ns, limit);
    const uint32_t top_bit = 63U - (uint32_t)__builtin_clzll(v | 1);
    const uint32_t shift = top_bit > HISTOGRAM_SUB_BITS ? top_bit - HISTOGRAM_SUB_BITS : 0;
    return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(v >> shift);
}

/* `times` equal values at once: messages of one batch carry one stamp. */
void histogram_add(struct histogram *h, uint64_t value_ns, uint64_t times);

/* Adds all of `from` (borrowed) to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value which `share` (0..1) of all values do not exceed: the upper edge of its bucket, within
 * [min, max]. 0 when nothing was added. */
uint64_t histogram_quantile(const struct histogram *h, double share);

#endif
