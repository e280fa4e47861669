/* SPDX-License-Identifier: Apache-2.0 */
/* When the entries of a chunk expire: one timer for each chunk, in memory or a page. */
#ifndef TOKKI_CORE_QUEUE_EXPIRY_H
#define TOKKI_CORE_QUEUE_EXPIRY_H

#include "core/queue/entries.h"

/* What is in a page expires without being read: the page keeps the times, 4 octets for each entry, or
 * one for all where they are close together, as those of a queue's TTL are under load.
 * A start does not read pages, so it knows when the first of a page expires and no more. */
enum page_expiry_kind {
    PAGE_EXPIRES_UNREAD,  /* something may from `from_ms` on: read the page */
    PAGE_EXPIRES_AT_ONCE, /* all at `from_ms` */
    PAGE_EXPIRES_EACH,    /* at from_ms + (after[i] << shift) */
};

/* Of entries that never expire. */
#define PAGE_EXPIRES_NEVER UINT32_MAX

/* Owner: its entry_page. Thread: the queue's shard. */
struct page_expiry {
    struct timer timer;
    struct entries *owner; /* of a struct queue */
    uint64_t number;       /* of the chunk */
    uint64_t from_ms;      /* shard clock */
    enum page_expiry_kind kind;
    uint8_t shift;
    uint32_t after[]; /* ENTRIES_PER_CHUNK of them; only PAGE_EXPIRES_EACH */
};

/* The times of a page's `live` entries, shard clock, 0: never. NULL when none expires. The timer is not running. */
struct page_expiry *page_expiry_new(struct entry_store *store, struct entries *owner,
                                    uint64_t number, const struct entry_bits *live,
                                    const uint64_t times[ENTRIES_PER_CHUNK]);
/* That of a page which was not read: nothing expires before `from_ms`. */
struct page_expiry *page_expiry_unread(struct entry_store *store, struct entries *owner,
                                       uint64_t number, uint64_t from_ms);
/* Stops the timer. NULL is no mistake. */
void page_expiry_free(struct page_expiry *expiry, struct entry_store *store);
/* Which of `entries` have expired at `now_ms`. Not PAGE_EXPIRES_UNREAD. */
struct entry_bits page_expiry_due(const struct page_expiry *expiry,
                                  const struct entry_bits *entries, uint64_t now_ms);
/* When the first of `entries` expires, 0: none does. Not PAGE_EXPIRES_UNREAD. */
uint64_t page_expiry_next(const struct page_expiry *expiry, const struct entry_bits *entries);

/* Looks at a chunk are at multiples of this. */
#define EXPIRY_STEP_MS 16U

/* Have a timer fire at `due_ms` or a step later, unless it does so before. What
 * expires about the same time costs one look. */
void expiry_wake(const struct entry_store *store, struct timer *timer, uint64_t due_ms);

#endif
