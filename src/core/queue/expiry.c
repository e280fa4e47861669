/* SPDX-License-Identifier: Apache-2.0 */
/* Times at which entries of pages expire. */
#include "core/queue/expiry.h"

#include "base/mem.h"

/* Times of a page that lie within this are one. */
#define AT_ONCE_MS 50U

/* ---- making ---- */

static size_t size_of(enum page_expiry_kind kind)
{
    size_t each = kind == PAGE_EXPIRES_EACH ? ENTRIES_PER_CHUNK * sizeof(uint32_t) : 0;
    return sizeof(struct page_expiry) + each;
}

static struct page_expiry *new_expiry(struct entry_store *store, enum page_expiry_kind kind,
                                      struct entries *owner, uint64_t number, uint64_t from_ms)
{
    struct page_expiry *expiry = mem_alloc(size_of(kind));

    timer_init(&expiry->timer, store->page_due);
    expiry->owner = owner;
    expiry->number = number;
    expiry->from_ms = from_ms;
    expiry->kind = kind;
    expiry->shift = 0;
    store->expiry_bytes += size_of(kind);
    return expiry;
}

/* Rounded up, as all deadlines are: a message lives no shorter than was asked for. RabbitMQ's longest TTL, ten
 * years, beside a short one makes this a matter of 128 ms; up to 49 days it is exact. */
static void set_each(struct page_expiry *expiry, uint64_t last, const struct entry_bits *live,
                     const uint64_t times[ENTRIES_PER_CHUNK])
{
    while ((last - expiry->from_ms) >> expiry->shift >= PAGE_EXPIRES_NEVER - 1)
        expiry->shift++;
    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK; i++) {
        uint64_t up = (1ULL << expiry->shift) - 1;
        bool expires = bits_has(live, i) && times[i] != 0;
        expiry->after[i] = expires ? (uint32_t)((times[i] - expiry->from_ms + up) >> expiry->shift)
                                   : PAGE_EXPIRES_NEVER;
    }
}

struct page_expiry *page_expiry_new(struct entry_store *store, struct entries *owner,
                                    uint64_t number, const struct entry_bits *live,
                                    const uint64_t times[ENTRIES_PER_CHUNK])
{
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;
    bool all = true;
    struct page_expiry *expiry;

    for (uint32_t i = bits_next(live, 0); i < ENTRIES_PER_CHUNK; i = bits_next(live, i + 1)) {
        all &= times[i] != 0;
        first = times[i] != 0 ? MIN(first, times[i]) : first;
        last = MAX(last, times[i]);
    }
    if (last == 0)
        return NULL;
    if (all && last - first <= AT_ONCE_MS)
        return new_expiry(store, PAGE_EXPIRES_AT_ONCE, owner, number, last);
    expiry = new_expiry(store, PAGE_EXPIRES_EACH, owner, number, first);
    set_each(expiry, last, live, times);
    return expiry;
}

struct page_expiry *page_expiry_unread(struct entry_store *store, struct entries *owner,
                                       uint64_t number, uint64_t from_ms)
{
    return new_expiry(store, PAGE_EXPIRES_UNREAD, owner, number, from_ms);
}

void page_expiry_free(struct page_expiry *expiry, struct entry_store *store)
{
    if (!expiry)
        return;
    timer_stop(store->timers, &expiry->timer);
    store->expiry_bytes -= size_of(expiry->kind);
    mem_free(expiry);
}

/* ---- asking ---- */

/* 0: never. */
static uint64_t time_of(const struct page_expiry *expiry, uint32_t i)
{
    if (expiry->kind == PAGE_EXPIRES_AT_ONCE)
        return expiry->from_ms;
    if (expiry->after[i] == PAGE_EXPIRES_NEVER)
        return 0;
    return expiry->from_ms + ((uint64_t)expiry->after[i] << expiry->shift);
}

struct entry_bits page_expiry_due(const struct page_expiry *expiry,
                                  const struct entry_bits *entries, uint64_t now_ms)
{
    struct entry_bits due = {{0, 0}};

    for (uint32_t i = bits_next(entries, 0); i < ENTRIES_PER_CHUNK; i = bits_next(entries, i + 1)) {
        uint64_t time = time_of(expiry, i);
        if (time != 0 && time <= now_ms)
            bits_set(&due, i);
    }
    return due;
}

uint64_t page_expiry_next(const struct page_expiry *expiry, const struct entry_bits *entries)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t i = bits_next(entries, 0); i < ENTRIES_PER_CHUNK; i = bits_next(entries, i + 1)) {
        uint64_t time = time_of(expiry, i);
        if (time != 0)
            next = MIN(next, time);
    }
    return next == UINT64_MAX ? 0 : next;
}

/* ---- waking ---- */

void expiry_wake(const struct entry_store *store, struct timer *timer, uint64_t due_ms)
{
    uint64_t at = (due_ms + EXPIRY_STEP_MS - 1) / EXPIRY_STEP_MS * EXPIRY_STEP_MS;

    if (!timer_is_running(timer) || at < timer->due_ms)
        timer_start(store->timers, timer, at);
}
