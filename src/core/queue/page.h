/* SPDX-License-Identifier: Apache-2.0 */
/* A chunk of a queue that is not in memory: its identities are a record of the log, its state is here. */
#ifndef TOKKI_CORE_QUEUE_PAGE_H
#define TOKKI_CORE_QUEUE_PAGE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

/* 4 KiB of entries: 10,000 queues with a message each cost 40 MB, and a chunk is bought once per 128
 * messages. */
#define ENTRIES_PER_CHUNK 128U

/* One bit per entry of a chunk. */
struct entry_bits {
    uint64_t word[ENTRIES_PER_CHUNK / 64];
};

/* Identities of records in the spill, the log of what need not survive a restart, have this bit; it is no part
 * of a number of the spill's. */
#define SPILLED (1ULL << 63)

struct page_expiry;

/* Parts of a log, both ends included; first > last: none. */
struct part_span {
    uint64_t first;
    uint64_t last;
};

/* What is known of a chunk without reading it. 160 octets per 128 messages: 20 million waiting messages
 * take 25 MB. What never changes (identities, expiry, sizes) stands in the page; what does, here: messages
 * are settled, requeued and purged without reading anything.
 *
 * An entry is gone (not live), or unacked, or else ready.
 * Owner: the queue's entries. Thread: its shard. */
struct entry_page {
    uint64_t id; /* the record, SPILLED when no entry is kept */
    /* Where `id` is the log's, one in the spill of those entries that are there, for the spill's cleaner, which
     * cannot read the log; 0: none is. */
    uint64_t spilled_id;
    struct entry_bits live;
    struct entry_bits kept; /* in the log: survive a restart */
    struct entry_bits unacked;
    struct entry_bits redelivered;
    uint64_t body_bytes;         /* of the live entries; divided evenly among them */
    uint64_t expires_ms;         /* shard clock: none of them expires before; 0: none ever does */
    struct part_span kept_in;    /* where the bodies of its entries are, in the log ... */
    struct part_span spilled_in; /* ... and in the spill */
    struct page_expiry *expiry;  /* expiry.h; NULL: none of them ever expires */
    bool is_loading;
};

static inline bool bits_has(const struct entry_bits *bits, uint32_t i)
{
    return bits->word[i / 64] >> (i % 64) & 1;
}

static inline void bits_set(struct entry_bits *bits, uint32_t i)
{
    bits->word[i / 64] |= 1ULL << (i % 64);
}

static inline void bits_clear(struct entry_bits *bits, uint32_t i)
{
    bits->word[i / 64] &= ~(1ULL << (i % 64));
}

static inline uint32_t bits_count(const struct entry_bits *bits)
{
    return (uint32_t)(__builtin_popcountll(bits->word[0]) + __builtin_popcountll(bits->word[1]));
}

static inline struct entry_bits bits_and(const struct entry_bits *a, const struct entry_bits *b)
{
    return (struct entry_bits){{a->word[0] & b->word[0], a->word[1] & b->word[1]}};
}

static inline struct entry_bits bits_without(const struct entry_bits *a, const struct entry_bits *b)
{
    return (struct entry_bits){{a->word[0] & ~b->word[0], a->word[1] & ~b->word[1]}};
}

static inline struct entry_bits bits_or(const struct entry_bits *a, const struct entry_bits *b)
{
    return (struct entry_bits){{a->word[0] | b->word[0], a->word[1] | b->word[1]}};
}

/* Bits [first, end). */
struct entry_bits bits_range(uint32_t first, uint32_t end);
/* The first set bit >= `from`, or ENTRIES_PER_CHUNK. */
uint32_t bits_next(const struct entry_bits *bits, uint32_t from);

/* Body octets of the ready entries. */
static inline uint64_t page_ready_bytes(const struct entry_page *page)
{
    uint32_t live = bits_count(&page->live);
    uint32_t ready = live - bits_count(&page->unacked);
    return live ? page->body_bytes * ready / live : 0;
}

/* Take `gone`, a part of the live ones, out, with their share of the body octets. */
void page_take(struct entry_page *page, const struct entry_bits *gone);

#endif
