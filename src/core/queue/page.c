/* SPDX-License-Identifier: Apache-2.0 */
/* Bits of pages. */
#include "core/queue/page.h"

static uint64_t word_range(uint32_t first, uint32_t end)
{
    uint64_t below_end = end >= 64 ? UINT64_MAX : (1ULL << end) - 1;
    return first >= 64 ? 0 : below_end & ~((1ULL << first) - 1);
}

struct entry_bits bits_range(uint32_t first, uint32_t end)
{
    return (struct entry_bits){
        {word_range(first, end), word_range(first < 64 ? 0 : first - 64, end < 64 ? 0 : end - 64)}};
}

uint32_t bits_next(const struct entry_bits *bits, uint32_t from)
{
    while (from < ENTRIES_PER_CHUNK) {
        uint64_t rest = bits->word[from / 64] >> (from % 64);
        if (rest != 0)
            return from + (uint32_t)__builtin_ctzll(rest);
        from = (from / 64 + 1) * 64;
    }
    return ENTRIES_PER_CHUNK;
}

/* The last one takes what is left, so that the sums of a queue end at 0. */
void page_take(struct entry_page *page, const struct entry_bits *gone)
{
    uint32_t live = bits_count(&page->live);
    uint64_t share = live ? page->body_bytes * bits_count(gone) / live : 0;

    page->live = bits_without(&page->live, gone);
    page->unacked = bits_without(&page->unacked, gone);
    page->body_bytes -= share;
}
