/* SPDX-License-Identifier: Apache-2.0 */
/* What of the spill is alive: entries and pages of all queues, walked like for a checkpoint. */
#include "core/queue/spill.h"

static void gather_id(struct log_gather *gather, uint64_t id, uint32_t span)
{
    uint64_t part = record_id_part(id & ~SPILLED);
    log_gather_live(gather, record_first_part(id & ~SPILLED, span), part);
}

static void gather_page(const struct entry_page *page, struct log_gather *gather)
{
    if (page->id & SPILLED)
        gather_id(gather, page->id, 0);
    if (page->spilled_in.first <= page->spilled_in.last)
        log_gather_live(gather, page->spilled_in.first, page->spilled_in.last);
}

/* A page that it had may be gone when it leaves memory again. */
static void gather_chunk(const struct entries *entries, struct entry_chunk *chunk,
                         struct log_gather *gather)
{
    uint64_t end = (chunk->number + 1) * ENTRIES_PER_CHUNK;
    uint64_t p = chunk->number * ENTRIES_PER_CHUNK;

    if (chunk->page & SPILLED)
        chunk->page = 0;
    for (p = entries_next_live(entries, p); p < end && p < entries->tail;
         p = entries_next_live(entries, p + 1)) {
        uint64_t body = entries_body(entries, p);
        if (body & SPILLED)
            gather_id(gather, body, record_span(entries_at(entries, p), body & ~SPILLED));
    }
}

static void gather_queue(const struct queue *queue, struct log_gather *gather)
{
    const struct entries *entries = &queue->entries;
    uint64_t p = entries_next_live(entries, 0);

    while (p < entries->tail) {
        const struct entry_page *page = entries_page(entries, p);
        if (page)
            gather_page(page, gather);
        else
            gather_chunk(entries, entries_chunk(entries, p), gather);
        p = entries_next_live(entries, (p / ENTRIES_PER_CHUNK + 1) * ENTRIES_PER_CHUNK);
    }
}

void queue_host_gather_spilled(struct queue_host *host, uint32_t slots, struct log_gather *gather)
{
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct queue *queue = queue_table_get(host->table, slot);
        if (queue)
            gather_queue(queue, gather);
    }
}
