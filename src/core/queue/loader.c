/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for pages and bodies, and their answers. */
#include "core/queue/loader.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "core/queue/classic_internal.h"

#include <string.h>

/* Octets of bodies per request. */
#define LOAD_BYTES (1024U * 1024U)

enum load_kind { LOAD_PAGE, LOAD_BODIES, LOAD_CHAIN };

/* Owner: the log while it is asked, then the host until it has taken note. */
struct queue_load {
    struct log_fetch fetch; /* first */
    struct queue_ref ref;
    uint64_t number; /* of the chunk */
    enum load_kind kind;
    bool is_spilled;                  /* the records are the spill's */
    uint8_t index[ENTRIES_PER_CHUNK]; /* of each record in the chunk; LOAD_CHAIN: [0] */
    struct message message;           /* LOAD_CHAIN: waits for its chunks */
    struct log_fetched records[];
};

/* ---- asking ---- */

static const struct stage *home_of(const struct queue_host *host, bool is_spilled)
{
    return is_spilled ? host->spill : host->stage;
}

static struct queue_load *new_load(struct queue *queue, uint64_t number, enum load_kind kind,
                                   bool is_spilled, uint32_t capacity)
{
    struct queue_load *load = mem_alloc(sizeof *load + capacity * sizeof load->records[0]);

    load->fetch = (struct log_fetch){.stream = home_of(queue->host, is_spilled)->stream};
    load->fetch.records = load->records;
    load->ref = queue->ref;
    load->number = number;
    load->kind = kind;
    load->is_spilled = is_spilled;
    return load;
}

static void add_record(struct queue_load *load, uint64_t id, uint32_t index)
{
    load->index[load->kind == LOAD_CHAIN ? 0 : load->fetch.count] = (uint8_t)index;
    load->records[load->fetch.count++] = (struct log_fetched){.id = id & ~SPILLED};
}

static void submit(struct queue *queue, struct queue_load *load)
{
    queue->host->loads++;
    log_fetch_submit(load->fetch.stream->log, &load->fetch);
}

static void load_page(struct queue *queue, struct entry_page *page, uint64_t number)
{
    struct queue_load *load;

    if (page->is_loading)
        return;
    page->is_loading = true;
    load = new_load(queue, number, LOAD_PAGE, (page->id & SPILLED) != 0, 1);
    add_record(load, page->id, 0);
    submit(queue, load);
}

static bool is_wanted(const struct entry_chunk *chunk, uint32_t i)
{
    return (chunk->messages[i].flags & MESSAGE_OUT) && !bits_has(&chunk->expected, i);
}

/* The first index of the chunk that was ever used, and the end of those. */
static void used_range(const struct queue *queue, const struct entry_chunk *chunk, uint32_t *from,
                       uint32_t *to)
{
    uint64_t base = chunk->number * ENTRIES_PER_CHUNK;

    *from = chunk->first;
    *to = (uint32_t)MIN(queue->entries.tail - base, (uint64_t)ENTRIES_PER_CHUNK);
}

/* Requests that are being filled, one for each home. */
struct asking {
    struct queue_load *loads[2];
    uint64_t bytes[2];
};

static void ask_for_body(struct queue *queue, struct entry_chunk *chunk, uint32_t i,
                         struct asking *asking)
{
    int home = (chunk->bodies[i] & SPILLED) != 0;
    struct queue_load **load = &asking->loads[home];

    if (*load && asking->bytes[home] >= LOAD_BYTES) {
        submit(queue, *load);
        *load = NULL;
    }
    if (!*load) {
        *load = new_load(queue, chunk->number, LOAD_BODIES, home, ENTRIES_PER_CHUNK);
        asking->bytes[home] = 0;
    }
    add_record(*load, chunk->bodies[i], i);
    bits_set(&chunk->expected, i);
    asking->bytes[home] += queue_out_bytes(&chunk->messages[i]);
}

/* Ask for what is missing of the chunk's first ready messages worth `budget`, one at least; those that are there
 * count, so that asking again and again brings no more. Returns what they are worth. */
static uint64_t load_bodies(struct queue *queue, struct entry_chunk *chunk, uint64_t budget)
{
    struct asking asking = {0};
    uint64_t ahead = 0;
    uint32_t i;
    uint32_t to;

    for (used_range(queue, chunk, &i, &to); i < to && ahead < budget; i++) {
        uint64_t bytes = queue_out_bytes(&chunk->messages[i]);
        if (chunk->messages[i].state != MESSAGE_READY)
            continue;
        ahead += bytes;
        if (!is_wanted(chunk, i))
            continue;
        ask_for_body(queue, chunk, i, &asking);
    }
    for (int home = 0; home < 2; home++)
        if (asking.loads[home])
            submit(queue, asking.loads[home]);
    return ahead;
}

/* Ask for what chunk `number` lacks. Returns what it takes of the window. */
static uint64_t load_chunk(struct queue *queue, uint64_t number, uint64_t budget)
{
    uint64_t position = number * ENTRIES_PER_CHUNK;
    struct entry_page *page = entries_page(&queue->entries, position);
    struct entry_chunk *chunk;
    uint32_t ready;

    if (page) {
        ready = bits_count(&page->live) - bits_count(&page->unacked);
        if (ready > 0)
            load_page(queue, page, number);
        return page_ready_bytes(page) + 64 * (uint64_t)ready;
    }
    chunk = *entries_slot(&queue->entries, position);
    return chunk ? load_bodies(queue, chunk, budget) : 0;
}

static void fill_window(struct queue *queue, uint64_t first)
{
    uint64_t last = (queue->entries.tail - 1) / ENTRIES_PER_CHUNK;
    uint64_t budget = LOAD_AHEAD_BYTES;
    uint64_t number;

    for (number = first; number <= last && number < first + LOAD_AHEAD_CHUNKS && budget > 0;
         number++)
        budget -= MIN(budget, load_chunk(queue, number, budget));
    queue->ahead_from = first;
    queue->ahead_to = number;
}

void queue_load(struct queue *queue, uint64_t position, bool wants_body)
{
    uint64_t number = position / ENTRIES_PER_CHUNK;
    struct entry_page *page = entries_page(&queue->entries, position);

    if (!wants_body) {
        if (page)
            load_page(queue, page, number);
    } else if (queue->consumer_count > 0) {
        fill_window(queue, number);
    } else {
        (void)load_chunk(queue, number, LOAD_BYTES);
        queue->ahead_from = number;
        queue->ahead_to = number + 1;
    }
}

/* The chunk of the first ready message; there is one. */
static uint64_t first_chunk(const struct queue *queue)
{
    uint64_t first = queue->returned.count > 0 ? returned_lowest(&queue->returned) : queue->next;
    return first / ENTRIES_PER_CHUNK;
}

/* Chunks that LOAD_AHEAD_BYTES of messages take, by their average. */
static uint64_t chunks_ahead(const struct queue *queue)
{
    uint64_t chunk_bytes = (queue->ready_bytes / queue->ready + 1) * ENTRIES_PER_CHUNK;
    return MAX(MIN(LOAD_AHEAD_BYTES / chunk_bytes, (uint64_t)LOAD_AHEAD_CHUNKS), (uint64_t)1);
}

bool queue_is_ahead(struct queue *queue, uint64_t number)
{
    uint64_t first;

    if (queue->ready == 0 || (queue->consumer_count == 0 && !queue->getters))
        return false;
    first = first_chunk(queue);
    if (number < first)
        return false;
    return number < queue->ahead_to || number - first < chunks_ahead(queue);
}

void queue_read_ahead(struct queue *queue)
{
    uint64_t first;

    if (queue->consumer_count == 0 || queue->ready == 0) {
        queue->ahead_to = 0;
        return;
    }
    first = first_chunk(queue);
    if (first < queue->ahead_from ||
        first >= queue->ahead_from + (queue->ahead_to - queue->ahead_from) / 4)
        fill_window(queue, first);
}

/* ---- answers ---- */

/* As entries and pages have it. */
static uint64_t full_id(const struct queue_load *load, uint64_t id)
{
    return load->is_spilled ? id | SPILLED : id;
}

static void free_load(struct queue_host *host, struct queue_load *load)
{
    if (load->kind == LOAD_CHAIN)
        message_unref(host->shard, &host->descriptors, &load->message);
    log_fetch_release(&load->fetch);
    mem_free(load);
}

static void unreadable(struct queue_host *host, const struct queue *queue, uint64_t id, int rc)
{
    host->events->unreadable(host, queue, id, rc);
}

/* The page's identities, and what is known here, become entries without bytes. */
static void install_page(struct queue *queue, const struct queue_load *load,
                         const struct record_page_entry *entries)
{
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
}

static void page_arrived(struct queue *queue, const struct queue_load *load)
{
    struct record_page_entry entries[ENTRIES_PER_CHUNK];
    const struct log_fetched *record = &load->records[0];
    uint64_t base = load->number * ENTRIES_PER_CHUNK;
    struct entry_page *page = entries_page(&queue->entries, base);
    int rc = record->rc;

    if (!page || !page->is_loading || page->id != full_id(load, record->id))
        return;
    page->is_loading = false;
    if (rc == 0 && record->header.kind != RECORD_PAGE)
        rc = ERR_CORRUPT;
    if (rc == 0)
        rc = record_page_read(record->payload, record->header.octets, queue->ref.incarnation, base,
                              entries, ENTRIES_PER_CHUNK);
    if (rc != 0) {
        unreadable(queue->host, queue, record->id, rc);
        return;
    }
    install_page(queue, load, entries);
    if (load->number < queue->ahead_to)
        (void)load_bodies(queue, entries_chunk(&queue->entries, base), LOAD_AHEAD_BYTES);
}

/* The entry that record `i` of the load is for, when it still wants it. */
static struct message *entry_for(struct queue *queue, const struct queue_load *load, uint32_t i)
{
    uint32_t index = load->index[load->kind == LOAD_CHAIN ? 0 : i];
    struct entry_chunk *chunk =
        entries_chunk(&queue->entries, load->number * ENTRIES_PER_CHUNK + index);
    struct message *message;

    if (!chunk || !bits_has(&chunk->expected, index))
        return NULL;
    message = &chunk->messages[index];
    if (message->state == MESSAGE_GONE || !(message->flags & MESSAGE_OUT))
        return NULL;
    return load->kind == LOAD_CHAIN || chunk->bodies[index] == full_id(load, load->records[i].id)
               ? message
               : NULL;
}

/* The bytes are there: `with` has them, `entry` what the queue knows. */
static void fill_entry(struct queue *queue, const struct queue_load *load, uint32_t index,
                       struct message *entry, const struct message *with)
{
    struct entry_chunk *chunk = *entries_slot(&queue->entries, load->number * ENTRIES_PER_CHUNK);
    uint64_t bytes = queue_out_bytes(entry);
    uint8_t known = entry->flags & (MESSAGE_PERSISTENT | MESSAGE_REDELIVERED);

    chunk->out--;
    chunk->out_bytes -= MIN(chunk->out_bytes, bytes);
    chunk->expected.word[index / 64] &= ~(1ULL << (index % 64));
    entry->block = with->block;
    entry->offset = with->offset;
    entry->length = with->length;
    entry->names_len = with->names_len;
    entry->spare = 0;
    entry->flags = (uint8_t)(with->flags | known);
}

static struct message message_of(const struct record_body *body, struct block *block)
{
    struct message message = {
        .offset = block->used,
        .length = body->image_len,
        .names_len = body->names_len,
        .flags = body->flags,
        .body_bytes = (uint32_t)MIN(body->body_bytes, (uint64_t)UINT32_MAX),
    };
    message.block = block;
    memcpy(block->data + block->used, body->image, body->image_len);
    block->used += body->image_len;
    block_ref(block, 1);
    return message;
}

/* A large one goes on its way for its chunks. */
static void ask_for_chain(struct queue *queue, const struct queue_load *load, uint32_t index,
                          const struct record_body *body, struct block *block)
{
    struct queue_load *chain =
        new_load(queue, load->number, LOAD_CHAIN, load->is_spilled, body->chunk_count);
    struct message_shared *shared;

    chain->message = message_of(body, block);
    message_share(&chain->message, &queue->host->descriptors);
    shared = chain->message.shared;
    shared->body_bytes = body->body_bytes;
    shared->chunks = mem_alloc(body->chunk_count * sizeof *shared->chunks);
    shared->logged_chunks = mem_alloc(body->chunk_count * sizeof *shared->logged_chunks);
    shared->logged_chunk_count = body->chunk_count;
    for (uint32_t i = 0; i < body->chunk_count; i++) {
        shared->logged_chunks[i] = load_u64(body->chunk_ids + 8 * (size_t)i);
        add_record(chain, shared->logged_chunks[i], index);
    }
    submit(queue, chain);
}

static int read_body(const struct log_fetched *record, struct record_body *body)
{
    if (record->rc != 0)
        return record->rc;
    return record_message_read(record->header.kind, record->payload, record->header.octets, body);
}

/* One block for all that came. */
static struct block *block_for(struct queue *queue, const struct queue_load *load)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < load->fetch.count; i++)
        if (load->records[i].rc == 0)
            bytes += load->records[i].header.octets;
    if (bytes == 0)
        return NULL;
    BUG_ON(bytes > UINT32_MAX, "bodies of %llu octets in one request", (unsigned long long)bytes);
    return block_new(queue->host->shard, (uint32_t)bytes);
}

static void bodies_arrived(struct queue *queue, const struct queue_load *load)
{
    struct block *block = block_for(queue, load);

    if (block)
        block->used = 0;
    for (uint32_t i = 0; i < load->fetch.count; i++) {
        struct message *entry = entry_for(queue, load, i);
        struct message message;
        struct record_body body;
        int rc;
        if (!entry)
            continue;
        rc = read_body(&load->records[i], &body);
        if (rc != 0) {
            unreadable(queue->host, queue, load->records[i].id, rc);
        } else if (body.flags & MESSAGE_CHAINED) {
            ask_for_chain(queue, load, load->index[i], &body, block);
        } else {
            message = message_of(&body, block);
            fill_entry(queue, load, load->index[i], entry, &message);
        }
    }
    if (block)
        block_unref(queue->host->shard, block, 1);
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
    struct message *entry = entry_for(queue, load, 0);
    uint64_t bad = 0;
    int rc;

    if (!entry)
        return;
    rc = read_chunks(queue->host->shard, load, load->message.shared, &bad);
    if (rc != 0) {
        unreadable(queue->host, queue, bad, rc);
        return;
    }
    fill_entry(queue, load, load->index[0], entry, &load->message);
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
