/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for pages and bodies, ahead of the deliveries. */
#include "core/queue/loader.h"

#include "base/bug.h"
#include "base/mem.h"
#include "core/queue/loader_internal.h"

/* Octets of bodies per request. */
#define LOAD_BYTES (1024U * 1024U)
/* About what an image has beside its body. */
#define IMAGE_OVERHEAD 64U

static const struct stage *home_of(const struct queue_host *host, bool is_spilled)
{
    return is_spilled ? host->spill : host->stage;
}

struct queue_load *load_new(struct queue *queue, uint64_t number, enum load_kind kind,
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

void load_add(struct queue_load *load, uint64_t id)
{
    load->records[load->fetch.count++].id = id & ~SPILLED; /* the rest is the answer */
}

void load_submit(struct queue *queue, struct queue_load *load)
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
    load = load_new(queue, number, LOAD_PAGE, (page->id & SPILLED) != 0, 1);
    load->fetch.take = loaded_take_page;
    load_add(load, page->id);
    load_submit(queue, load);
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

static void submit_bodies(struct queue *queue, struct queue_load *load)
{
    BUG_ON(load->block_bytes > UINT32_MAX, "images of %llu octets in one request",
           (unsigned long long)load->block_bytes);
    load->block = block_new(queue->host->shard, (uint32_t)load->block_bytes);
    load->block->used = load->block->capacity;
    load_submit(queue, load);
}

static struct queue_load *new_bodies(struct queue *queue, uint64_t number, bool is_spilled)
{
    struct queue_load *load = load_new(queue, number, LOAD_BODIES, is_spilled, ENTRIES_PER_CHUNK);

    load->fetch.take = loaded_take_body;
    load->block_bytes = 0;
    load->whole_count = 0;
    load->chains = NULL;
    return load;
}

static void ask_for_body(struct queue *queue, struct entry_chunk *chunk, uint32_t i,
                         struct asking *asking)
{
    int home = (chunk->bodies[i] & SPILLED) != 0;
    struct queue_load *load = asking->loads[home];
    uint32_t length = chunk->messages[i].length;

    if (load && asking->bytes[home] >= LOAD_BYTES) {
        submit_bodies(queue, load);
        load = NULL;
    }
    if (!load) {
        load = new_bodies(queue, chunk->number, home);
        asking->loads[home] = load;
        asking->bytes[home] = 0;
    }
    load->bodies[load->fetch.count] = (struct loaded_body){
        .offset = (uint32_t)load->block_bytes,
        .length = length,
        .index = (uint8_t)i,
    };
    load->block_bytes += length;
    load_add(load, chunk->bodies[i]);
    bits_set(&chunk->expected, i);
    asking->bytes[home] += queue_out_bytes(&chunk->messages[i]);
}

/* Nothing is to be asked for, and all that is live is ready: it need not be looked through. */
static bool is_settled(const struct queue *queue, const struct entry_chunk *chunk)
{
    return chunk->number * ENTRIES_PER_CHUNK >= queue->next &&
           bits_count(&chunk->expected) == chunk->out;
}

uint64_t load_bodies(struct queue *queue, struct entry_chunk *chunk, uint64_t budget)
{
    struct asking asking = {0};
    uint64_t ahead = 0;
    uint32_t i;
    uint32_t to;

    for (used_range(queue, chunk, &i, &to); i < to && ahead < budget; i++) {
        if (chunk->messages[i].state != MESSAGE_READY)
            continue;
        ahead += queue_out_bytes(&chunk->messages[i]);
        if (is_wanted(chunk, i))
            ask_for_body(queue, chunk, i, &asking);
    }
    for (int home = 0; home < 2; home++)
        if (asking.loads[home])
            submit_bodies(queue, asking.loads[home]);
    return ahead;
}

/* Octets that `ready` messages of the queue take, by their average. */
static uint64_t usual_bytes(const struct queue *queue, uint32_t ready)
{
    return ready * (queue->ready_bytes / queue->ready + IMAGE_OVERHEAD);
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
        return page_ready_bytes(page) + IMAGE_OVERHEAD * (uint64_t)ready;
    }
    chunk = *entries_slot(&queue->entries, position);
    if (!chunk)
        return 0;
    return is_settled(queue, chunk) ? usual_bytes(queue, chunk->live)
                                    : load_bodies(queue, chunk, budget);
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
