/* SPDX-License-Identifier: Apache-2.0 */
/* What of the spill is alive: entries and pages of all queues, walked like for a checkpoint. */
#include "core/queue/spill.h"

#include "base/bug.h"

/* Of one record. */
#define ITEMS_MAX 1024U

/* A chunk in memory takes as long as so many pages. */
#define CHUNK_ITEMS 16ULL

/* What a body's record has beside its image, about. */
#define BODY_OVERHEAD 64U

struct spilled_body {
    uint64_t id;
    uint32_t image_len;
    uint32_t span;
};

struct spilled_page {
    uint64_t first; /* position */
    uint64_t id;
    struct entry_bits live; /* those of its entries that are in the spill */
};

/* A SPILL_STATE that is being filled. */
struct spill_state {
    struct log_gather *gather;
    struct log_stream *stream; /* the spill's */
    uint64_t incarnation;
    uint64_t items_left; /* that may be looked at in this turn */
    uint32_t bodies;
    uint32_t pages;
    struct spilled_body body[ITEMS_MAX];
    struct spilled_page page[ITEMS_MAX];
};

/* ---- writing ---- */

static void write_items(const struct spill_state *state, struct writer *w)
{
    for (uint32_t i = 0; i < state->bodies; i++) {
        writer_u64(w, state->body[i].id);
        writer_u32(w, state->body[i].image_len);
        writer_u32(w, state->body[i].span);
    }
    for (uint32_t i = 0; i < state->pages; i++) {
        writer_u64(w, state->page[i].first);
        writer_u64(w, state->page[i].id);
        writer_u64(w, state->page[i].live.word[0]);
        writer_u64(w, state->page[i].live.word[1]);
    }
}

static void flush(struct spill_state *state)
{
    uint32_t octets =
        RECORD_SPILL_FIXED + state->bodies * RECORD_SPILL_BODY + state->pages * RECORD_SPILL_PAGE;
    struct writer w;

    if (state->bodies + state->pages == 0)
        return;
    w = writer_of(log_gather_record(state->gather, RECORD_SPILL_STATE, RECORD_VERSION, octets),
                  octets);
    writer_u64(&w, state->incarnation);
    writer_u32(&w, state->bodies);
    writer_u32(&w, state->pages);
    write_items(state, &w);
    BUG_ON(w.failed || w.pos != w.end, "spill state of %zu octets", writer_len(&w));
    state->bodies = 0;
    state->pages = 0;
}

/* ---- collecting ---- */

static void add_body(struct spill_state *state, const struct message *message, uint64_t body)
{
    uint64_t id = body & ~SPILLED;
    uint32_t span = record_span(message, id);

    if (state->bodies == ITEMS_MAX)
        flush(state);
    state->body[state->bodies++] = (struct spilled_body){id, message->length, span};
    log_gather_live(state->gather, record_first_part(id, span), record_id_part(id));
    log_gather_weight(state->gather, 1, BODY_OVERHEAD + MAX(message->length, message->body_bytes));
}

/* Of page `id` the entries `live` are in the spill. */
static void add_page(struct spill_state *state, uint64_t id, uint64_t first,
                     const struct entry_bits *live)
{
    if (state->pages == ITEMS_MAX)
        flush(state);
    state->page[state->pages++] = (struct spilled_page){first, id, *live};
    log_gather_read(state->gather, record_id_part(id));
    log_gather_weight(state->gather, 0, record_page_size(ENTRIES_PER_CHUNK));
}

static void gather_page(struct spill_state *state, const struct entry_page *page, uint64_t first)
{
    struct entry_bits spilled = bits_without(&page->live, &page->kept);
    uint32_t count = bits_count(&spilled);

    if (count == 0)
        return;
    add_page(state, page->id & SPILLED ? page->id & ~SPILLED : page->spilled_id, first, &spilled);
    log_gather_live(state->gather, page->spilled_in.first, page->spilled_in.last);
    log_gather_weight(state->gather, count,
                      (uint64_t)count * BODY_OVERHEAD +
                          page->body_bytes * count / bits_count(&page->live));
}

/* A page that it had may be gone when it leaves memory again; the cleaner takes it for as many messages. */
static void gather_chunk(struct spill_state *state, const struct entries *entries,
                         struct entry_chunk *chunk)
{
    uint64_t end = (chunk->number + 1) * ENTRIES_PER_CHUNK;
    uint64_t p = chunk->number * ENTRIES_PER_CHUNK;

    if ((chunk->page & SPILLED) || chunk->spilled_page != 0)
        log_settled(state->stream, ENTRIES_PER_CHUNK);
    if (chunk->page & SPILLED)
        chunk->page = 0;
    chunk->spilled_page = 0;
    for (p = entries_next_live(entries, p); p < end && p < entries->tail;
         p = entries_next_live(entries, p + 1)) {
        uint64_t body = entries_body(entries, p);
        if (body & SPILLED)
            add_body(state, entries_at(entries, p), body);
    }
}

/* From `walk` on, which is in the middle of the queue when there is more. */
static void gather_queue(struct spill_state *state, const struct queue *queue,
                         struct queue_walk *walk)
{
    const struct entries *entries = &queue->entries;
    bool goes_on = walk->incarnation == queue->ref.incarnation;
    uint64_t p = entries_next_live(entries, goes_on ? walk->position : 0);

    state->incarnation = queue->ref.incarnation;
    while (p < entries->tail && state->items_left > 0) {
        uint64_t first = p - p % ENTRIES_PER_CHUNK;
        const struct entry_page *page = entries_page(entries, p);
        if (page)
            gather_page(state, page, first);
        else
            gather_chunk(state, entries, entries_chunk(entries, p));
        state->items_left -= MIN(state->items_left, page ? 1ULL : CHUNK_ITEMS);
        p = entries_next_live(entries, first + ENTRIES_PER_CHUNK);
    }
    flush(state);
    walk->incarnation = p < entries->tail ? queue->ref.incarnation : 0;
    walk->position = p;
}

bool queue_host_gather_spilled(struct queue_host *host, struct queue_walk *walk, uint32_t slots,
                               struct log_gather *gather, uint64_t max_items)
{
    struct spill_state state = {.gather = gather, .items_left = max_items};

    if (!host->spill)
        return true; /* nothing of this shard's has gone there yet */
    state.stream = host->spill->stream;
    while (walk->slot < slots) {
        const struct queue *queue = queue_table_get(host->table, walk->slot);
        if (state.items_left == 0)
            return false;
        state.items_left--;
        if (queue)
            gather_queue(&state, queue, walk);
        else
            walk->incarnation = 0;
        walk->slot += walk->incarnation == 0;
    }
    return true;
}
