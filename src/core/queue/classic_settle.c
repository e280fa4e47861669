/* SPDX-License-Identifier: Apache-2.0 */
/* The classic queue lets go: settle, purge, clear; entry by entry in memory, 128 at a time in pages. */
#include "base/bug.h"
#include "core/queue/classic_internal.h"
#include "core/queue/loader.h"

/* ---- runs for the log ---- */

void flush_gone(struct queue *queue, struct gone_run *run)
{
    struct queue_identity identity = identity_of(queue);

    if (run->count > 0)
        run->lsn = stage_settle(queue->host->stage, &identity, run->kind, run->first, run->count);
    run->count = 0;
}

void note_gone_run(struct queue *queue, struct gone_run *run, uint64_t first, uint64_t count)
{
    if (run->count > 0 && run->first + run->count == first) {
        run->count += count;
        return;
    }
    flush_gone(queue, run);
    run->first = first;
    run->count = count;
}

void note_out_gone(struct queue *queue, uint64_t position, const struct message *message)
{
    struct entry_chunk *chunk = *entries_slot(&queue->entries, position);

    chunk->out--;
    chunk->out_bytes -= MIN(chunk->out_bytes, queue_out_bytes(message));
}

void note_spilled_gone(struct queue *queue, uint64_t position)
{
    if (entries_body(&queue->entries, position) & SPILLED)
        log_settled(queue->host->spill->stream, 1);
}

/* ---- runs of bits ---- */

/* The next run of set bits at or behind *from; false at the end. */
static bool next_run(const struct entry_bits *bits, uint32_t *from, uint32_t *end)
{
    *from = bits_next(bits, *from);
    for (*end = *from; *end < ENTRIES_PER_CHUNK && bits_has(bits, *end); ++*end)
        ;
    return *from < ENTRIES_PER_CHUNK;
}

void take_from_page(struct queue *queue, struct entry_page *page, uint64_t number,
                    const struct entry_bits *gone, struct gone_run *run)
{
    uint64_t ready_bytes = page_ready_bytes(page);
    struct entry_bits kept = bits_and(gone, &page->kept);

    for (uint32_t i = 0, end; next_run(&kept, &i, &end); i = end)
        note_gone_run(queue, run, number * ENTRIES_PER_CHUNK + i, end - i);
    if (queue->host->spill)
        log_settled(queue->host->spill->stream, bits_count(gone) - bits_count(&kept));
    queue->host->messages -= bits_count(gone);
    page_take(page, gone);
    queue->ready_bytes += page_ready_bytes(page) - ready_bytes;
    if (bits_count(&page->live) == 0)
        entries_free_page(&queue->entries, &queue->host->store, number);
}

/* ---- settling ---- */

struct settling {
    enum queue_settle_how how;
    struct position_run back; /* requeued positions are contiguous most of the time */
    struct gone_run gone;
};

static void requeue_run(struct queue *queue, struct settling *settling, uint64_t first,
                        uint64_t count)
{
    struct position_run *back = &settling->back;

    queue->ready += count;
    if (back->count > 0 && back->first + back->count == first) {
        back->count += count;
        return;
    }
    if (back->count > 0)
        returned_add(&queue->returned, back->first, back->count);
    *back = (struct position_run){first, count};
}

static bool is_requeue(enum queue_settle_how how)
{
    return how == QUEUE_SETTLE_REQUEUE || how == QUEUE_SETTLE_RETURN;
}

static void settle_entry(struct queue *queue, struct settling *settling, uint64_t position)
{
    struct message *message = entries_at(&queue->entries, position);

    if (!message || message->state != MESSAGE_UNACKED)
        return;
    queue->unacked--;
    if (is_requeue(settling->how)) {
        if (settling->how == QUEUE_SETTLE_REQUEUE)
            message->flags |= MESSAGE_REDELIVERED;
        message->state = MESSAGE_READY;
        queue->ready_bytes += message->body_bytes;
        requeue_run(queue, settling, position, 1);
        if (message->expires_ms != 0)
            arm_entry(queue, position, message->expires_ms);
        return;
    }
    queue->stats.acked++;
    note_gone(queue, &settling->gone, position, message);
    drop(queue, position, message);
}

static void requeue_in_page(struct queue *queue, struct settling *settling, struct entry_page *page,
                            uint64_t number, const struct entry_bits *bits)
{
    uint64_t ready_bytes = page_ready_bytes(page);

    if (settling->how == QUEUE_SETTLE_REQUEUE)
        page->redelivered = bits_or(&page->redelivered, bits);
    page->unacked = bits_without(&page->unacked, bits);
    queue->ready_bytes += page_ready_bytes(page) - ready_bytes;
    arm_page(queue, page);
    for (uint32_t i = 0, end; next_run(bits, &i, &end); i = end)
        requeue_run(queue, settling, number * ENTRIES_PER_CHUNK + i, end - i);
}

/* What of [position, end) is in the page. Returns where the next chunk begins. */
static uint64_t settle_in_page(struct queue *queue, struct settling *settling,
                               struct entry_page *page, uint64_t position, uint64_t end)
{
    uint64_t number = position / ENTRIES_PER_CHUNK;
    uint64_t base = number * ENTRIES_PER_CHUNK;
    struct entry_bits bits =
        bits_range((uint32_t)(position - base), (uint32_t)MIN(end - base, ENTRIES_PER_CHUNK));

    bits = bits_and(&bits, &page->unacked);
    queue->unacked -= bits_count(&bits);
    if (is_requeue(settling->how)) {
        requeue_in_page(queue, settling, page, number, &bits);
    } else {
        queue->stats.acked += bits_count(&bits);
        take_from_page(queue, page, number, &bits, &settling->gone);
    }
    return base + ENTRIES_PER_CHUNK;
}

lsn_t classic_settle(struct queue *queue, uint64_t first, uint64_t count, enum queue_settle_how how)
{
    struct settling settling = {.how = how, .gone = {.kind = RECORD_SETTLE}};
    uint64_t end = first + count;

    for (uint64_t position = first; position < end;) {
        struct entry_page *page = entries_page(&queue->entries, position);
        if (UNLIKELY(page))
            position = settle_in_page(queue, &settling, page, position, end);
        else
            settle_entry(queue, &settling, position++);
    }
    flush_gone(queue, &settling.gone);
    if (settling.back.count > 0) {
        returned_add(&queue->returned, settling.back.first, settling.back.count);
        queue_mark_dirty(queue);
    }
    return settling.gone.lsn;
}

/* ---- purging ---- */

static void purge_page(struct queue *queue, struct entry_page *page, uint64_t position,
                       struct gone_run *gone)
{
    uint64_t number = position / ENTRIES_PER_CHUNK;
    struct entry_bits bits = bits_without(&page->live, &page->unacked);

    queue->ready -= bits_count(&bits);
    take_from_page(queue, page, number, &bits, gone);
}

static void purge_entry(struct queue *queue, uint64_t position, struct gone_run *gone)
{
    struct message *message = entries_at(&queue->entries, position);

    if (!message || message->state != MESSAGE_READY)
        return;
    queue->ready--;
    queue->ready_bytes -= message->body_bytes;
    note_gone(queue, gone, position, message);
    drop(queue, position, message);
}

/* What is ready, from the lowest position on: what is not is passed over. */
static void purge_from(struct queue *queue, uint64_t position, struct gone_run *gone)
{
    struct entries *entries = &queue->entries;

    position = entries_next_live(entries, position);
    while (queue->ready > 0 && position < entries->tail) {
        struct entry_page *page = entries_page(entries, position);
        uint64_t next = position + 1;
        if (UNLIKELY(page)) {
            next = (position / ENTRIES_PER_CHUNK + 1) * ENTRIES_PER_CHUNK;
            purge_page(queue, page, position, gone);
        } else {
            purge_entry(queue, position, gone);
        }
        position = entries_next_live(entries, next);
    }
}

uint64_t classic_purge(struct queue *queue, lsn_t *lsn)
{
    struct gone_run gone = {.kind = RECORD_SETTLE};
    uint64_t purged;
    uint64_t position;

    expire_head(queue);
    purged = queue->ready;
    if (first_ready(queue, &position))
        purge_from(queue, position, &gone);
    BUG_ON(queue->ready != 0, "%llu messages are left by a purge",
           (unsigned long long)queue->ready);
    returned_fini(&queue->returned);
    queue->next = queue->entries.tail;
    flush_gone(queue, &gone);
    *lsn = gone.lsn;
    return purged;
}

/* ---- the end ---- */

void classic_clear(struct queue *queue)
{
    struct entries *entries = &queue->entries;

    for (uint64_t p = entries_next_resident(entries, 0); p < entries->tail;
         p = entries_next_resident(entries, p + 1))
        drop(queue, p, entries_at(entries, p));
    queue->host->messages -= entries_fini(entries, &queue->host->store);
    returned_fini(&queue->returned);
}
