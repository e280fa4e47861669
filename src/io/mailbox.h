/* SPDX-License-Identifier: Apache-2.0 */
/* Mailbox: a ring of 64-byte entries from one thread to one other (single producer and consumer). */
#ifndef TOKKI_IO_MAILBOX_H
#define TOKKI_IO_MAILBOX_H

#include "base/attr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One cache line: a sender fills it in place, the receiver reads it in place. */
#define MAIL_BYTES 64
/* 4096 entries (256 KiB) take 256 KiB of the smallest publishes. A whole read may be more: then it is
 * congested, and the reads that follow are smaller. */
#define MAILBOX_ENTRIES 4096U

/* Every entry starts with this; the rest is the sender's typed structure (<= MAIL_BYTES). */
struct mail_header {
    uint32_t kind;
};

/* A send never blocks: entries beyond the ring wait in the producer's overflow, in order, and the
 * producer reads that as "congested" and stops reading the sockets that cause it.
 *
 * Memory order: the producer writes entries, then stores `tail` (once per turn, in
 * mailbox_publish); the consumer loads `tail` and therefore sees the entries. Both are seq_cst, not
 * only release and acquire, because they also order against the peer's "sleeping" flag (shard.c):
 * store tail, load sleeping | store sleeping, load tail: one of the two loads sees the other's
 * store, so no wake-up is lost. The consumer's release store of `head` says that it no longer reads
 * an entry; the producer's acquire load of `head` comes before it overwrites one. */
struct mailbox {
    /* Producer's line. */
    CACHE_ALIGNED uint32_t tail_local; /* entries written, not all published yet */
    uint32_t head_seen;                /* last `head` the producer loaded */
    uint8_t *overflow;                 /* entries that did not fit, oldest first */
    size_t overflow_first;             /* in entries */
    size_t overflow_count;
    size_t overflow_capacity;
    /* Shared lines, each written by one side. */
    CACHE_ALIGNED _Atomic uint32_t tail;
    CACHE_ALIGNED _Atomic uint32_t head;
    CACHE_ALIGNED uint8_t entries[MAILBOX_ENTRIES * MAIL_BYTES];
};

/* Heap-allocated; free with mailbox_free (NULL is fine). */
MUST_CHECK __attribute__((returns_nonnull)) struct mailbox *mailbox_new(void);
void mailbox_free(struct mailbox *box);

/* Producer: room for one entry, to be filled before the next call on this mailbox. */
__attribute__((returns_nonnull)) void *mailbox_put(struct mailbox *box);
/* Producer: make everything put so far visible; true when there was something new. */
bool mailbox_publish(struct mailbox *box);
/* Producer: do entries wait outside the ring? */
static inline bool mailbox_is_congested(const struct mailbox *box)
{
    return box->overflow_count > 0;
}

/* Consumer: number of entries ready now. */
uint32_t mailbox_ready(const struct mailbox *box);
/* Consumer: the `i`-th ready entry (i < mailbox_ready), valid until mailbox_consume. */
const void *mailbox_peek(const struct mailbox *box, uint32_t i);
/* Consumer: give `n` entries back to the producer. */
void mailbox_consume(struct mailbox *box, uint32_t n);

#endif
