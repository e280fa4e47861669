/* SPDX-License-Identifier: Apache-2.0 */
/* A run of publish frames rendered once and sent again and again; only stamps and keys are patched. */
#ifndef TOKKI_PERF_BATCH_H
#define TOKKI_PERF_BATCH_H

#include "base/cursor.h"

/* Stamp at the start of a body, as PerfTest's: u32 sequence, u64 CLOCK_MONOTONIC ns, big endian. */
#define STAMP_BYTES 12

/* A write() costs 4-7 us whatever its size (physical-limits 1): 128 KiB makes that 0.05 us per KiB,
 * and both batch and the kernel's copy still fit the L2 cache. */
#define BATCH_BYTES (128U << 10)

enum batch_keys { BATCH_KEYS_FIXED, BATCH_KEYS_RANDOM, BATCH_KEYS_TOPIC };

/* What the messages of one publisher look like. All strs are borrowed during batch_render(). */
struct batch_template {
    uint16_t channel;
    uint32_t frame_max;
    struct str exchange;
    struct str routing_key; /* for BATCH_KEYS_FIXED */
    enum batch_keys keys;
    bool is_persistent;
    bool is_mandatory;
    const uint32_t *sizes; /* used in turn */
    uint32_t size_count;
};

/* One rendered message: where it starts and where its variable parts are; 0 = it has none. */
struct batch_slot {
    size_t start;
    size_t key;
    size_t stamp;
    uint32_t key_len;
};

/* Owner: its publisher. Thread: the publisher's worker. Freed by: batch_fini(). */
struct batch {
    uint8_t *bytes;
    struct batch_slot *slots; /* count + 1: the last has only `start`, the end */
    uint32_t count;
    enum batch_keys keys;
    uint64_t random; /* state of the key generator */
    bool is_patched; /* false: every send is the same bytes */
};

/* Render as many messages as fill BATCH_BYTES, at least one of each size. */
void batch_render(struct batch *b, const struct batch_template *t, uint64_t seed);
void batch_fini(struct batch *b);

/* Write stamps (`now_ns`, sequence numbers from `sequence` on) and random keys into the messages
 * [first, first + n). They must not be on their way to the socket. */
void batch_patch(struct batch *b, uint32_t first, uint32_t n, uint64_t now_ns, uint32_t sequence);

static inline struct str batch_run(const struct batch *b, uint32_t first, uint32_t n)
{
    const size_t start = b->slots[first].start;
    return str_of(b->bytes + start, b->slots[first + n].start - start);
}

#endif
