/* SPDX-License-Identifier: Apache-2.0 */
/* The classic queue: expiry of ready messages, wherever they stand. */
#include "core/queue/classic_internal.h"
#include "core/queue/expiry.h"
#include "core/queue/loader.h"

/* Messages that expire in one turn, and what a look at a chunk is worth of them: a million that expire together hold
 * nobody up for longer than some hundred microseconds at a time (but that all their timers fire in the first). */
#define WORK_PER_TURN 4096U
#define LOOK_WORK 8U
/* Pages that are read for their times at once, after a start. */
#define READS_AT_ONCE 64U
#define READ_AGAIN_MS 5U

void expire_head(struct queue *queue)
{
    struct gone_run gone = {.kind = RECORD_EXPIRE};
    uint64_t position;

    while (first_ready(queue, &position)) {
        struct message *message = entries_at(&queue->entries, position);
        if (!message || !is_expired(queue, message))
            break;
        note_gone(queue, &gone, position, message);
        take_first(queue, position, message);
        drop(queue, position, message);
        queue->stats.expired++;
    }
    flush_gone(queue, &gone);
}

/* ---- positions ---- */

static bool is_ready(const struct queue *queue, uint64_t position)
{
    const struct message *message = entries_at(&queue->entries, position);
    const struct entry_page *page = message ? NULL : entries_page(&queue->entries, position);
    uint32_t i = (uint32_t)(position % ENTRIES_PER_CHUNK);

    if (message)
        return message->state == MESSAGE_READY;
    return page && bits_has(&page->live, i) && !bits_has(&page->unacked, i);
}

bool first_returned(struct queue *queue, uint64_t *position)
{
    while (queue->returned.count > 0) {
        *position = returned_lowest(&queue->returned);
        if (is_ready(queue, *position))
            return true;
        returned_take_lowest(&queue->returned);
    }
    return false;
}

/* [from, end) were ready, and `count` of them are gone. Those that had been returned are passed over when their turn
 * comes. */
static void note_expired(struct queue *queue, uint64_t from, uint64_t end, uint64_t count)
{
    queue->ready -= count;
    queue->stats.expired += count;
    queue->host->expiry_work += (uint32_t)count;
    if (queue->next == from && count == end - from)
        queue->next = end;
    else if (end > queue->next)
        queue->has_gaps = true;
}

/* ---- turns ---- */

/* May the chunk be looked at now? Else its timer comes back, all of them evenly over the next turns. */
static bool has_turn(struct queue *queue, struct timer *timer)
{
    struct queue_host *host = queue->host;
    struct shard *shard = host->shard;

    if (queue->state != QUEUE_LIVE)
        return false;
    if (host->expiry_turn != shard->turns) {
        host->expiry_turn = shard->turns;
        host->expiry_work = 0;
    }
    host->expiry_work += LOOK_WORK;
    if (host->expiry_work < WORK_PER_TURN)
        return true;
    timer_start(&shard->timers, timer, shard->now_ms + host->expiry_work / WORK_PER_TURN);
    return false;
}

/* ---- chunks in memory ---- */

/* Returns false when that was the last entry of the chunk, which is gone then. */
static bool expire_entry(struct queue *queue, struct gone_run *gone, struct entry_chunk *chunk,
                         uint64_t position, const struct message *message)
{
    bool is_last = chunk->live == 1;

    note_gone(queue, gone, position, message);
    queue->ready_bytes -= message->body_bytes;
    drop(queue, position, message);
    note_expired(queue, position, position + 1, 1);
    return !is_last;
}

static void expire_in_chunk(struct queue *queue, struct entry_chunk *chunk)
{
    struct gone_run gone = {.kind = RECORD_EXPIRE};
    uint64_t base = chunk->number * ENTRIES_PER_CHUNK;
    uint64_t end = MIN(queue->entries.tail, base + ENTRIES_PER_CHUNK);
    uint64_t next = UINT64_MAX;
    bool goes_on = true;

    for (uint64_t p = base + chunk->first; p < end && goes_on; p++) {
        const struct message *message = &chunk->messages[p - base];
        if (message->state != MESSAGE_READY || message->expires_ms == 0)
            continue;
        if (is_expired(queue, message))
            goes_on = expire_entry(queue, &gone, chunk, p, message);
        else
            next = MIN(next, message->expires_ms);
    }
    flush_gone(queue, &gone);
    if (goes_on && next != UINT64_MAX)
        expiry_wake(&queue->host->store, &chunk->expiry, next);
}

void queue_chunk_due(struct timer *timer)
{
    struct entry_chunk *chunk = CONTAINER_OF(timer, struct entry_chunk, expiry);
    struct queue *queue = queue_of(chunk->owner);

    if (has_turn(queue, timer))
        expire_in_chunk(queue, chunk);
}

void arm_entry(struct queue *queue, uint64_t position, uint64_t expires_ms)
{
    expiry_wake(&queue->host->store, &(*entries_slot(&queue->entries, position))->expiry,
                expires_ms);
}

/* ---- pages ---- */

static struct entry_bits ready_bits(const struct entry_page *page)
{
    return bits_without(&page->live, &page->unacked);
}

void arm_page(struct queue *queue, struct entry_page *page)
{
    struct entry_bits ready = ready_bits(page);
    uint64_t next;

    if (!page->expiry)
        return;
    next = page->expiry->kind == PAGE_EXPIRES_UNREAD ? page->expires_ms
                                                     : page_expiry_next(page->expiry, &ready);
    if (next != 0 && bits_count(&ready) > 0)
        expiry_wake(&queue->host->store, &page->expiry->timer, next);
}

/* Its times are in the log. */
static void read_times(struct queue *queue, struct page_expiry *expiry)
{
    struct shard *shard = queue->host->shard;

    if (queue->host->loads < READS_AT_ONCE)
        queue_load(queue, expiry->number * ENTRIES_PER_CHUNK, false);
    else
        timer_start(&shard->timers, &expiry->timer, shard->now_ms + READ_AGAIN_MS);
}

static void expire_in_page(struct queue *queue, struct page_expiry *expiry)
{
    struct gone_run gone = {.kind = RECORD_EXPIRE};
    uint64_t first = expiry->number * ENTRIES_PER_CHUNK;
    struct entry_page *page = entries_page(&queue->entries, first);
    struct entry_bits ready = ready_bits(page);
    struct entry_bits due = page_expiry_due(expiry, &ready, queue->host->shard->now_ms);
    bool is_last = bits_count(&due) == bits_count(&page->live);

    note_expired(queue, first, first + ENTRIES_PER_CHUNK, bits_count(&due));
    take_from_page(queue, page, expiry->number, &due, &gone);
    flush_gone(queue, &gone);
    if (is_last)
        return;
    page->expires_ms = page_expiry_next(expiry, &page->live);
    arm_page(queue, page);
}

void queue_page_due(struct timer *timer)
{
    struct page_expiry *expiry = CONTAINER_OF(timer, struct page_expiry, timer);
    struct queue *queue = queue_of(expiry->owner);

    if (!has_turn(queue, timer))
        return;
    if (expiry->kind == PAGE_EXPIRES_UNREAD)
        read_times(queue, expiry);
    else
        expire_in_page(queue, expiry);
}
