/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks leave memory, oldest first. */
#include "core/queue/pager.h"

#include "base/bug.h"
#include "core/queue/classic_internal.h"
#include "core/queue/expiry.h"
#include "core/queue/loader.h"

/* Chunks looked at in one turn. */
#define SCAN_MAX 1024U
/* Turns until the next look, when nothing could leave. */
#define PAUSE_TURNS 4U
/* Bytes of fewer than this are left in a chunk that stays. */
#define WORTH_BYTES 1024U

static uint32_t used_entries(const struct entry_chunk *chunk)
{
    uint64_t base = chunk->number * ENTRIES_PER_CHUNK;
    return (uint32_t)MIN(chunk->owner->tail - base, (uint64_t)ENTRIES_PER_CHUNK);
}

static bool is_live(const struct entry_chunk *chunk, uint32_t i)
{
    return i >= chunk->first && chunk->messages[i].state != MESSAGE_GONE;
}

/* What the log does not have, and what is not in the spill yet, goes there. */
static bool has_copy(struct queue_host *host, struct entry_chunk *chunk, uint32_t i, uint32_t *span)
{
    if (chunk->bodies && chunk->bodies[i] != 0) {
        *span = record_span(&chunk->messages[i], chunk->bodies[i] & ~SPILLED);
        return true;
    }
    if (!host->spill)
        return false;
    if (!chunk->bodies)
        (void)entries_add_bodies(chunk);
    chunk->bodies[i] = stage_spill(host->spill, &chunk->messages[i], span);
    return true;
}

/* Drop the bytes of entries, but for the first ready ones worth `keep`. Returns how many octets. */
static uint64_t drop_bytes(struct queue_host *host, struct entry_chunk *chunk, uint64_t keep)
{
    uint32_t used = used_entries(chunk);
    uint64_t dropped = 0;
    uint64_t kept = 0;

    for (uint32_t i = chunk->first; i < used; i++) {
        struct message *message = &chunk->messages[i];
        uint32_t span;
        if (message->state == MESSAGE_READY && kept < keep) {
            kept += queue_out_bytes(message);
            continue;
        }
        if (message->state == MESSAGE_GONE || (message->flags & MESSAGE_OUT) ||
            !has_copy(host, chunk, i, &span))
            continue;
        dropped += queue_out_bytes(message);
        message_unref(host->shard, &host->descriptors, message);
        message->offset = span;
        message->flags &= MESSAGE_PERSISTENT | MESSAGE_REDELIVERED;
        message->flags |= MESSAGE_OUT;
        message->block = NULL;
        message->spare = 0;
        chunk->out++;
    }
    chunk->out_bytes += dropped;
    return dropped;
}

/* ---- pages ---- */

/* The body of entry `i`, and its chunks. */
static void extend(struct entry_page *page, uint32_t i, uint64_t body, uint32_t span)
{
    uint64_t part = record_id_part(body & ~SPILLED);
    struct part_span *in = body & SPILLED ? &page->spilled_in : &page->kept_in;

    if (!(body & SPILLED))
        bits_set(&page->kept, i);
    in->first = MIN(in->first, record_first_part(body & ~SPILLED, span));
    in->last = MAX(in->last, part);
}

/* The times, by the shard's clock. */
static void set_expiry(struct queue *queue, const struct entry_chunk *chunk,
                       struct entry_page *page)
{
    uint64_t times[ENTRIES_PER_CHUNK];

    if (page->expires_ms == 0)
        return;
    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK; i++)
        times[i] = bits_has(&page->live, i) ? chunk->messages[i].expires_ms : 0;
    page->expiry =
        page_expiry_new(&queue->host->store, &queue->entries, chunk->number, &page->live, times);
    arm_page(queue, page);
}

static void describe(const struct queue *queue, const struct entry_chunk *chunk,
                     struct entry_page *page, struct record_page_entry *entries)
{
    *page = (struct entry_page){.kept_in.first = UINT64_MAX, .spilled_in.first = UINT64_MAX};
    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK; i++) {
        const struct message *message = &chunk->messages[i];
        entries[i] = (struct record_page_entry){0};
        if (!is_live(chunk, i))
            continue;
        entries[i].body = chunk->bodies[i];
        entries[i].expires_ms = stage_wall_ms(queue->host->stage, message->expires_ms);
        entries[i].image_len = message->length;
        entries[i].body_bytes = message->body_bytes;
        entries[i].span = message->offset;
        bits_set(&page->live, i);
        if (message->state == MESSAGE_UNACKED)
            bits_set(&page->unacked, i);
        if (message->flags & MESSAGE_REDELIVERED)
            bits_set(&page->redelivered, i);
        page->body_bytes += message->body_bytes;
        extend(page, i, chunk->bodies[i], message->offset);
        if (message->expires_ms != 0 &&
            (page->expires_ms == 0 || message->expires_ms < page->expires_ms))
            page->expires_ms = message->expires_ms;
    }
}

static uint64_t ready_bytes(const struct entry_chunk *chunk)
{
    uint64_t sum = 0;
    for (uint32_t i = chunk->first; i < ENTRIES_PER_CHUNK; i++)
        if (chunk->messages[i].state == MESSAGE_READY)
            sum += chunk->messages[i].body_bytes;
    return sum;
}

static uint64_t write_page(struct queue *queue, const struct entry_page *page, uint64_t number,
                           const struct record_page_entry *entries)
{
    bool is_kept = bits_count(&page->kept) > 0;
    struct stage *stage = is_kept ? queue->host->stage : queue->host->spill;
    uint64_t id = stage_page(stage, queue->ref.incarnation, number * ENTRIES_PER_CHUNK, entries,
                             ENTRIES_PER_CHUNK);

    return is_kept ? id : id | SPILLED;
}

static bool is_mixed(const struct entry_page *page)
{
    return !(page->id & SPILLED) && page->spilled_in.first <= page->spilled_in.last;
}

static uint64_t write_spilled_page(struct queue *queue, uint64_t number,
                                   const struct record_page_entry *entries)
{
    struct record_page_entry spilled[ENTRIES_PER_CHUNK];

    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK; i++)
        spilled[i] = entries[i].body & SPILLED ? entries[i] : (struct record_page_entry){0};
    return stage_page(queue->host->spill, queue->ref.incarnation, number * ENTRIES_PER_CHUNK,
                      spilled, ENTRIES_PER_CHUNK);
}

static void make_page(struct queue *queue, struct entry_chunk *chunk)
{
    struct record_page_entry entries[ENTRIES_PER_CHUNK];
    struct entry_page page;
    uint64_t number = chunk->number;

    describe(queue, chunk, &page, entries);
    set_expiry(queue, chunk, &page);
    page.id = chunk->page ? chunk->page : write_page(queue, &page, number, entries);
    if (is_mixed(&page))
        page.spilled_id =
            chunk->spilled_page ? chunk->spilled_page : write_spilled_page(queue, number, entries);
    queue->ready_bytes += page_ready_bytes(&page) - ready_bytes(chunk);
    entries_set_page(&queue->entries, &queue->host->store, number, &page);
}

/* ---- who leaves ---- */

/* What is being filled stays; so does what has a transient message, when there is no spill. */
static bool may_become_page(const struct entry_chunk *chunk)
{
    return chunk->out == chunk->live && used_entries(chunk) == ENTRIES_PER_CHUNK;
}

/* Returns the octets that are free then. */
static uint64_t page_out(struct queue_host *host, struct entry_chunk *chunk)
{
    struct queue *queue = queue_of(chunk->owner);
    uint64_t freed;

    if ((!chunk->bodies && !host->spill) || queue->state != QUEUE_LIVE)
        return 0;
    if (queue_is_ahead(queue, chunk->number))
        return drop_bytes(host, chunk, LOAD_AHEAD_BYTES);
    freed = drop_bytes(host, chunk, 0);
    chunk->expected = (struct entry_bits){0}; /* what was asked for is not wanted any more */
    if (!may_become_page(chunk))
        return freed;
    make_page(queue, chunk);
    return freed + sizeof *chunk + ENTRIES_PER_CHUNK * sizeof *chunk->bodies;
}

void queue_host_page_out(struct queue_host *host, uint64_t bytes)
{
    uint64_t freed = 0;

    if (host->page_pause > 0) {
        host->page_pause--;
        return;
    }
    for (uint32_t i = 0; i < SCAN_MAX && freed < bytes && !list_is_empty(&host->store.resident);
         i++) {
        struct list *oldest = list_pop_front(&host->store.resident);
        list_push_back(&host->store.resident, oldest);
        freed += page_out(host, CONTAINER_OF(oldest, struct entry_chunk, resident));
    }
    if (freed == 0)
        host->page_pause = PAUSE_TURNS;
}
