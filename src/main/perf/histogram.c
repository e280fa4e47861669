/* SPDX-License-Identifier: Apache-2.0 */
/* Latency histogram: adding, merging, quantiles. */
#include "main/perf/histogram.h"

#include <math.h>

void histogram_add(struct histogram *h, uint64_t value_ns, uint64_t times)
{
    if (times == 0)
        return;
    if (h->count == 0 || value_ns < h->min_ns)
        h->min_ns = value_ns;
    if (value_ns > h->max_ns)
        h->max_ns = value_ns;
    h->count += times;
    h->buckets[histogram_bucket(value_ns)] += times;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min_ns < into->min_ns)
        into->min_ns = from->min_ns;
    into->max_ns = MAX(into->max_ns, from->max_ns);
    into->count += from->count;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

/* The largest value that falls into bucket `index`; the inverse of histogram_bucket(). */
static uint64_t bucket_upper_edge(uint32_t index)
{
    const uint32_t linear = 1U << (HISTOGRAM_SUB_BITS + 1);
    if (index < linear)
        return index;
    const uint32_t shift = (index >> HISTOGRAM_SUB_BITS) - 1;
    const uint64_t mantissa = index - ((uint64_t)shift << HISTOGRAM_SUB_BITS);
    return ((mantissa + 1) << shift) - 1;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
    if (h->count == 0)
        return 0;
    const double wanted = ceil(share * (double)h->count);
    const uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank)
            return MAX(h->min_ns, MIN(h->max_ns, bucket_upper_edge(i)));
    }
    return h->max_ns;
}
