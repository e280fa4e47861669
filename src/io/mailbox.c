/* SPDX-License-Identifier: Apache-2.0 */
/* Single-producer single-consumer ring with an ordered overflow on the producer's side. */
#include "io/mailbox.h"

#include "base/bug.h"
#include "base/mem.h"

#include <string.h>

/* Entries of overflow that are kept for the next time. */
#define OVERFLOW_KEEP 4096U

static_assert((MAILBOX_ENTRIES & (MAILBOX_ENTRIES - 1)) == 0, "indexes wrap by masking");

struct mailbox *mailbox_new(void)
{
    struct mailbox *box = mem_alloc_aligned(CACHE_LINE_BYTES, sizeof *box);
    memset(box, 0, offsetof(struct mailbox, entries));
    return box;
}

void mailbox_free(struct mailbox *box)
{
    if (!box)
        return;
    mem_free(box->overflow);
    mem_free(box);
}

static uint8_t *entry_at(struct mailbox *box, uint32_t index)
{
    return box->entries + (size_t)(index & (MAILBOX_ENTRIES - 1)) * MAIL_BYTES;
}

static bool ring_is_full(struct mailbox *box)
{
    if (box->tail_local - box->head_seen < MAILBOX_ENTRIES)
        return false;
    box->head_seen = atomic_load_explicit(&box->head, memory_order_acquire);
    return box->tail_local - box->head_seen >= MAILBOX_ENTRIES;
}

/* Slide or grow the overflow so that one more entry fits behind the last. */
static COLD void overflow_make_room(struct mailbox *box)
{
    if (box->overflow_first > 0) {
        memmove(box->overflow, box->overflow + box->overflow_first * MAIL_BYTES,
                box->overflow_count * MAIL_BYTES);
        box->overflow_first = 0;
    }
    if (box->overflow_count < box->overflow_capacity)
        return;
    box->overflow_capacity = MAX((size_t)256, box->overflow_capacity * 2);
    box->overflow = mem_resize(box->overflow, box->overflow_capacity * MAIL_BYTES);
}

void *mailbox_put(struct mailbox *box)
{
    if (LIKELY(box->overflow_count == 0 && !ring_is_full(box)))
        return entry_at(box, box->tail_local++);
    if (box->overflow_first + box->overflow_count >= box->overflow_capacity)
        overflow_make_room(box);
    return box->overflow + (box->overflow_first + box->overflow_count++) * MAIL_BYTES;
}

static void drain_overflow(struct mailbox *box)
{
    while (box->overflow_count > 0 && !ring_is_full(box)) {
        memcpy(entry_at(box, box->tail_local++), box->overflow + box->overflow_first * MAIL_BYTES,
               MAIL_BYTES);
        box->overflow_first++;
        box->overflow_count--;
    }
    if (box->overflow_count > 0)
        return;
    box->overflow_first = 0;
    if (box->overflow_capacity > OVERFLOW_KEEP) {
        mem_free(box->overflow);
        box->overflow = NULL;
        box->overflow_capacity = 0;
    }
}

bool mailbox_publish(struct mailbox *box)
{
    if (UNLIKELY(box->overflow_count > 0))
        drain_overflow(box);
    if (atomic_load_explicit(&box->tail, memory_order_relaxed) == box->tail_local)
        return false;
    atomic_store_explicit(&box->tail, box->tail_local, memory_order_seq_cst);
    return true;
}

uint32_t mailbox_ready(const struct mailbox *box)
{
    return atomic_load_explicit(&box->tail, memory_order_seq_cst) -
           atomic_load_explicit(&box->head, memory_order_relaxed);
}

const void *mailbox_peek(const struct mailbox *box, uint32_t i)
{
    uint32_t head = atomic_load_explicit(&box->head, memory_order_relaxed);
    return box->entries + (size_t)((head + i) & (MAILBOX_ENTRIES - 1)) * MAIL_BYTES;
}

void mailbox_consume(struct mailbox *box, uint32_t n)
{
    uint32_t head = atomic_load_explicit(&box->head, memory_order_relaxed);
    DEBUG_BUG_ON(n > mailbox_ready(box), "consumed %u of %u entries", n, mailbox_ready(box));
    atomic_store_explicit(&box->head, head + n, memory_order_release);
}
