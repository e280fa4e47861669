/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to the loader: the reader parses and copies what it has just read, the shard fills its entries. */
#include "core/queue/loader.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "core/queue/classic_internal.h"
#include "core/queue/loader_internal.h"

#include <string.h>

/* ---- the reader's side ---- */

static struct queue_load *load_of(struct log_fetch *fetch)
{
    return CONTAINER_OF(fetch, struct queue_load, fetch);
}

void loaded_take_page(struct log_fetch *fetch, uint32_t i)
{
    struct queue_load *load = load_of(fetch);
    struct log_fetched *record = &fetch->records[i];

    if (record->header.kind != RECORD_PAGE)
        record->rc = ERR_CORRUPT;
    else
        record->rc =
            record_page_read(record->payload, record->header.octets, load->ref.incarnation,
                             load->number * ENTRIES_PER_CHUNK, load->entries, ENTRIES_PER_CHUNK);
}

static void note_chain(struct queue_load *load, uint32_t record, const struct record_body *body)
{
    struct loaded_chain *chain =
        mem_alloc(sizeof *chain + body->chunk_count * sizeof chain->ids[0]);

    chain->record = record;
    chain->count = body->chunk_count;
    chain->body_bytes = body->body_bytes;
    for (uint32_t i = 0; i < body->chunk_count; i++)
        chain->ids[i] = load_u64(body->chunk_ids + 8 * (size_t)i);
    chain->next = load->chains;
    load->chains = chain;
}

HOT void loaded_take_body(struct log_fetch *fetch, uint32_t i)
{
    struct queue_load *load = load_of(fetch);
    struct log_fetched *record = &fetch->records[i];
    struct loaded_body *to = &load->bodies[i];
    struct record_body body;

    record->rc = record_message_read(record->header.kind, record->payload, record->header.octets,
                                     record->is_checked, &body);
    if (record->rc == 0 && body.image_len != to->length)
        record->rc = ERR_CORRUPT;
    if (record->rc != 0)
        return;
    memcpy(load->block->data + to->offset, body.image, body.image_len);
    to->names_len = body.names_len;
    to->flags = body.flags;
    if (UNLIKELY(body.flags & MESSAGE_CHAINED)) {
        note_chain(load, i, &body);
        return;
    }
    to->is_whole = true;
    load->whole_count++;
}

/* ---- the shard's side ---- */

/* As entries and pages have it. */
static uint64_t full_id(const struct queue_load *load, uint64_t id)
{
    return load->is_spilled ? id | SPILLED : id;
}

static void free_bodies(struct queue_host *host, struct queue_load *load)
{
    while (load->chains) {
        struct loaded_chain *chain = load->chains;
        load->chains = chain->next;
        mem_free(chain);
    }
    block_unref(host->shard, load->block, 1);
}

static void free_load(struct queue_host *host, struct queue_load *load)
{
    if (load->kind == LOAD_CHAIN)
        message_unref(host->shard, &host->descriptors, &load->message);
    if (load->kind == LOAD_BODIES)
        free_bodies(host, load);
    log_fetch_release(&load->fetch);
    mem_free(load);
}

static void unreadable(struct queue_host *host, const struct queue *queue, uint64_t id, int rc)
{
    host->events->unreadable(host, queue, id, rc);
}

/* The page's identities, and what is known here, become entries without bytes. */
static void install_page(struct queue *queue, const struct queue_load *load)
{
    const struct record_page_entry *entries = load->entries;
    uint64_t base = load->number * ENTRIES_PER_CHUNK;
    struct entry_page page = *entries_page(&queue->entries, base);
    struct entry_chunk *chunk =
        entries_unset_page(&queue->entries, &queue->host->store, load->number);

    (void)entries_add_bodies(chunk);
    queue->ready_bytes -= page_ready_bytes(&page);
    for (uint32_t i = bits_next(&page.live, 0); i < ENTRIES_PER_CHUNK;
         i = bits_next(&page.live, i + 1)) {
        struct message *message = &chunk->messages[i];
        *message = (struct message){
            .flags = MESSAGE_OUT,
            .length = entries[i].image_len,
            .offset = entries[i].span,
            .body_bytes = entries[i].body_bytes,
            .state = bits_has(&page.unacked, i) ? MESSAGE_UNACKED : MESSAGE_READY,
            .expires_ms = stage_mono_ms(queue->host->stage, entries[i].expires_ms),
        };
        if (bits_has(&page.kept, i))
            message->flags |= MESSAGE_PERSISTENT;
        if (bits_has(&page.redelivered, i))
            message->flags |= MESSAGE_REDELIVERED;
        if (message->state == MESSAGE_READY) {
            queue->ready_bytes += message->body_bytes;
            if (message->expires_ms != 0)
                arm_entry(queue, base + i, message->expires_ms);
        }
        chunk->bodies[i] = entries[i].body;
        chunk->out_bytes += queue_out_bytes(message);
        chunk->live++;
    }
    chunk->out = chunk->live;
    chunk->page = page.id;
    chunk->spilled_page = page.spilled_id;
}

static void page_arrived(struct queue *queue, const struct queue_load *load)
{
    const struct log_fetched *record = &load->records[0];
    uint64_t base = load->number * ENTRIES_PER_CHUNK;
    struct entry_page *page = entries_page(&queue->entries, base);

    if (!page || !page->is_loading || page->id != full_id(load, record->id))
        return;
    page->is_loading = false;
    if (record->rc != 0) {
        unreadable(queue->host, queue, record->id, record->rc);
        return;
    }
    install_page(queue, load);
    if (load->number < queue->ahead_to)
        (void)load_bodies(queue, entries_chunk(&queue->entries, base), LOAD_AHEAD_BYTES);
}

/* ---- bodies ---- */

/* The entry at `index`, when it still wants its bytes. Which record has them never changes. */
static inline struct message *expecting(struct entry_chunk *chunk, uint32_t index)
{
    struct message *message = &chunk->messages[index];

    if (!bits_has(&chunk->expected, index))
        return NULL;
    return message->state != MESSAGE_GONE && (message->flags & MESSAGE_OUT) ? message : NULL;
}

/* The bytes are there: `with` has them, `entry` what the queue knows. */
static inline void fill_entry(struct entry_chunk *chunk, uint32_t index, struct message *entry,
                              const struct message *with)
{
    uint64_t bytes = queue_out_bytes(entry);
    uint8_t known = entry->flags & (MESSAGE_PERSISTENT | MESSAGE_REDELIVERED);

    chunk->out--;
    chunk->out_bytes -= MIN(chunk->out_bytes, bytes);
    bits_clear(&chunk->expected, index);
    entry->block = with->block;
    entry->offset = with->offset;
    entry->length = with->length;
    entry->names_len = with->names_len;
    entry->spare = 0;
    entry->flags = (uint8_t)(with->flags | known);
}

/* The reference to the block is the caller's to add. */
static struct message message_of(const struct queue_load *load, const struct loaded_body *body)
{
    struct message message = {
        .offset = body->offset,
        .length = body->length,
        .names_len = body->names_len,
        .flags = body->flags,
    };
    message.block = load->block;
    return message;
}

/* A large one goes on its way for its chunks. */
static void ask_for_chain(struct queue *queue, const struct queue_load *load,
                          const struct loaded_chain *from)
{
    const struct loaded_body *body = &load->bodies[from->record];
    struct queue_load *chain =
        load_new(queue, load->number, LOAD_CHAIN, load->is_spilled, from->count);
    struct message_shared *shared;

    chain->index = body->index;
    chain->message = message_of(load, body);
    block_ref(load->block, 1);
    message_share(&chain->message, &queue->host->descriptors);
    shared = chain->message.shared;
    shared->body_bytes = from->body_bytes;
    shared->chunks = mem_alloc(from->count * sizeof *shared->chunks);
    shared->logged_chunks = mem_alloc(from->count * sizeof *shared->logged_chunks);
    shared->logged_chunk_count = from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        shared->logged_chunks[i] = from->ids[i];
        load_add(chain, from->ids[i]);
    }
    load_submit(queue, chain);
}

/* Entries for which there is an image. Returns how many: references to the block. */
static HOT uint32_t fill_entries(const struct queue_load *load, struct entry_chunk *chunk)
{
    uint32_t filled = 0;

    for (uint32_t i = 0; i < load->fetch.count; i++) {
        const struct loaded_body *body = &load->bodies[i];
        struct message *entry = expecting(chunk, body->index);
        struct message message;
        if (!entry || !body->is_whole)
            continue;
        message = message_of(load, body);
        fill_entry(chunk, body->index, entry, &message);
        filled++;
    }
    return filled;
}

/* The others: those that cannot be read, and those in chunks. */
static void note_missing(struct queue *queue, const struct queue_load *load,
                         struct entry_chunk *chunk)
{
    for (uint32_t i = 0; i < load->fetch.count; i++)
        if (load->records[i].rc != 0 && expecting(chunk, load->bodies[i].index))
            unreadable(queue->host, queue, load->records[i].id, load->records[i].rc);
    for (const struct loaded_chain *chain = load->chains; chain; chain = chain->next)
        if (expecting(chunk, load->bodies[chain->record].index))
            ask_for_chain(queue, load, chain);
}

static void bodies_arrived(struct queue *queue, const struct queue_load *load)
{
    struct entry_chunk *chunk = entries_chunk(&queue->entries, load->number * ENTRIES_PER_CHUNK);
    uint32_t filled;

    if (!chunk)
        return;
    filled = fill_entries(load, chunk);
    if (filled > 0)
        block_ref(load->block, filled);
    if (load->whole_count < load->fetch.count)
        note_missing(queue, load, chunk);
}

static int read_chunks(struct shard *shard, const struct queue_load *load,
                       struct message_shared *shared, uint64_t *bad)
{
    for (uint32_t i = 0; i < load->fetch.count; i++) {
        const struct log_fetched *record = &load->records[i];
        struct str octets;
        int rc = record->rc;
        *bad = record->id;
        if (rc == 0 && record->header.kind != RECORD_CHUNK)
            rc = ERR_CORRUPT;
        if (rc == 0)
            rc = record_chunk_read(record->payload, record->header.octets, &octets);
        if (rc != 0)
            return rc;
        shared->chunks[i].block = block_new(shard, (uint32_t)octets.len);
        shared->chunks[i].length = (uint32_t)octets.len;
        memcpy(shared->chunks[i].block->data, octets.data, octets.len);
        shared->chunk_count = i + 1;
    }
    return 0;
}

static void chain_arrived(struct queue *queue, struct queue_load *load)
{
    struct entry_chunk *chunk = entries_chunk(&queue->entries, load->number * ENTRIES_PER_CHUNK);
    struct message *entry = chunk ? expecting(chunk, load->index) : NULL;
    uint64_t bad = 0;
    int rc;

    if (!entry)
        return;
    rc = read_chunks(queue->host->shard, load, load->message.shared, &bad);
    if (rc != 0) {
        unreadable(queue->host, queue, bad, rc);
        return;
    }
    fill_entry(chunk, load->index, entry, &load->message);
    load->message = (struct message){.flags = MESSAGE_OUT}; /* it is the entry's now */
}

static void arrived(struct queue_host *host, struct queue_load *load)
{
    struct queue *queue = queue_find(host, load->ref);

    if (!queue)
        return;
    if (load->kind == LOAD_PAGE)
        page_arrived(queue, load);
    else if (load->kind == LOAD_BODIES)
        bodies_arrived(queue, load);
    else
        chain_arrived(queue, load);
    queue_mark_dirty(queue);
    if (queue->getters)
        host->events->loaded(queue);
}

/* The answers of one home. `is_over`: the log has ended, nobody wants them any more. */
static void take_answers(struct queue_host *host, const struct stage *home, bool is_over)
{
    struct log_fetch *fetch = home && home->stream ? log_fetch_take(home->stream) : NULL;

    while (fetch) {
        struct queue_load *load = CONTAINER_OF(fetch, struct queue_load, fetch);
        fetch = fetch->next;
        host->loads--;
        if (!is_over)
            arrived(host, load);
        free_load(host, load);
    }
}

void queue_host_fetched(struct queue_host *host)
{
    if (LIKELY(host->loads == 0))
        return;
    take_answers(host, host->stage, false);
    take_answers(host, host->spill, false);
}

void queue_host_drop_loads(struct queue_host *host)
{
    take_answers(host, host->stage, true);
    take_answers(host, host->spill, true);
    BUG_ON(host->loads > 0, "%u requests to the log without an answer", host->loads);
}
