/* SPDX-License-Identifier: Apache-2.0 */
/* Queues that leave memory and come back: what makes them do so, and what must be true of them. */
#include "torture.h"

#include "core/queue/expiry.h"
#include "core/queue/loader.h"
#include "core/queue/pager.h"

/* ---- what must be true ---- */

enum message_state queue_state_at(const struct queue *queue, uint64_t position)
{
    const struct entry_page *page = entries_page(&queue->entries, position);
    const struct message *message = entries_at(&queue->entries, position);
    uint32_t i = (uint32_t)(position % ENTRIES_PER_CHUNK);

    if (message)
        return message->state;
    if (!page || !bits_has(&page->live, i))
        return MESSAGE_GONE;
    return bits_has(&page->unacked, i) ? MESSAGE_UNACKED : MESSAGE_READY;
}

static bool is_flagged(const struct queue *queue, uint64_t position)
{
    const struct message *message = entries_at(&queue->entries, position);

    if (message)
        return (message->flags & MESSAGE_REDELIVERED) != 0;
    return bits_has(&entries_page(&queue->entries, position)->redelivered,
                    (uint32_t)(position % ENTRIES_PER_CHUNK));
}

/* Times of a page that lie closer than this are one. */
#define TOGETHER_MS 50U

/* A page knows when to look for what has expired. */
static bool knows_expiry(const struct queue *queue, const struct live_message *live)
{
    const struct entry_page *page = entries_page(&queue->entries, live->position);

    return !page || live->expires_ms == 0 ||
           (page->expires_ms != 0 && page->expires_ms <= live->expires_ms + TOGETHER_MS);
}

/* Sums over what is in memory and in pages. */
struct sums {
    uint64_t live;
    uint64_t unacked;
    uint64_t returned;
    uint64_t ready_bytes;
};

static void look_at_chunk(const struct sim *sim, const struct queue *queue,
                          const struct entry_chunk *chunk, struct sums *sums)
{
    uint64_t base = chunk->number * ENTRIES_PER_CHUNK;
    uint64_t out_bytes = 0;
    uint32_t live = 0;
    uint32_t out = 0;

    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK; i++) {
        const struct message *message = entries_at(&queue->entries, base + i);
        if (!message)
            continue;
        live++;
        sums->unacked += message->state == MESSAGE_UNACKED;
        if (message->state == MESSAGE_READY)
            sums->ready_bytes += message->body_bytes;
        if (!(message->flags & MESSAGE_OUT))
            continue;
        out++;
        out_bytes += queue_out_bytes(message);
        CHECK(sim, chunk->bodies && chunk->bodies[i] != 0, "%llu is out, and nobody knows where",
              (unsigned long long)base + i);
    }
    CHECK(sim, live == chunk->live && live > 0, "chunk of %u, counted %u", live, chunk->live);
    CHECK(sim, out == chunk->out, "%u of a chunk are out, counted %u", out, chunk->out);
    CHECK(sim, out_bytes == chunk->out_bytes, "%llu octets of a chunk are out, counted %llu",
          (unsigned long long)out_bytes, (unsigned long long)chunk->out_bytes);
    sums->live += live;
}

static void look_at_page(const struct sim *sim, const struct queue *queue,
                         const struct entry_page *page, struct sums *sums)
{
    struct entry_bits lost = bits_without(&page->unacked, &page->live);

    CHECK(sim, bits_count(&page->live) > 0, "a page of nothing");
    CHECK(sim, bits_count(&lost) == 0, "a page with unacknowledged ones that are gone");
    CHECK(sim, !page->is_loading || queue->host->loads > 0 || sim->is_unreadable,
          "a page waits for nothing");
    sums->live += bits_count(&page->live);
    sums->unacked += bits_count(&page->unacked);
    sums->ready_bytes += page_ready_bytes(page);
}

static void add_up(const struct sim *sim, const struct queue *queue, struct sums *sums)
{
    const struct entries *entries = &queue->entries;
    uint32_t pages = 0;

    for (uint64_t p = entries->head; p < entries->tail; p++) {
        const struct entry_page *page = entries_page(entries, p);
        const struct entry_chunk *chunk = entries_chunk(entries, p);
        CHECK(sim, !page || !chunk, "a chunk and a page");
        p |= ENTRIES_PER_CHUNK - 1;
        pages += page != NULL;
        if (page)
            look_at_page(sim, queue, page, sums);
        else if (chunk)
            look_at_chunk(sim, queue, chunk, sums);
    }
    CHECK(sim, pages == entries->page_count, "%u pages, counted %u", pages, entries->page_count);
}

/* Those that have expired since stand there, too. */
static uint64_t count_returned(const struct queue *queue)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < queue->returned.run_count; i++) {
        const struct position_run *run = &queue->returned.runs[i];
        for (uint64_t p = run->first; p < run->first + run->count; p++)
            count += queue_state_at(queue, p) == MESSAGE_READY;
    }
    return count;
}

static bool may_be_late(const struct sim *sim, const struct queue *queue,
                        const struct live_message *live)
{
    const struct entry_page *page = entries_page(&queue->entries, live->position);
    const struct timer *timer =
        page ? &page->expiry->timer : &entries_chunk(&queue->entries, live->position)->expiry;

    if (page && page->expiry->kind == PAGE_EXPIRES_UNREAD)
        return page->is_loading || timer_is_running(timer);
    if (page && page->expiry->kind == PAGE_EXPIRES_AT_ONCE &&
        page->expiry->from_ms + EXPIRY_STEP_MS > sim->now_ms)
        return page->expiry->from_ms <= live->expires_ms + TOGETHER_MS;
    /* There is more than a turn can do. */
    return queue->host->expiry_work >= 4096 && timer_is_running(timer);
}

void queue_look_at_times(const struct sim *sim, const struct sim_queue *at)
{
    for (size_t i = 0; i < at->count; i++) {
        const struct live_message *live = &at->messages[i];
        if (live->expires_ms == 0 || live->expires_ms + EXPIRY_STEP_MS > sim->now_ms ||
            queue_state_at(at->queue, live->position) != MESSAGE_READY)
            continue;
        CHECK(sim, may_be_late(sim, at->queue, live), "queue %u keeps %llu, which expired at %llu",
              at->name, (unsigned long long)live->position, (unsigned long long)live->expires_ms);
    }
}

void queue_look(const struct sim *sim, const struct sim_queue *at)
{
    const struct queue *queue = at->queue;
    struct sums sums = {0};
    uint64_t unacked = 0;

    for (size_t i = 0; i < at->count; i++) {
        const struct live_message *live = &at->messages[i];
        unacked += live->is_unacked;
        sums.returned += !live->is_unacked && live->position < queue->next;
        CHECK(sim, knows_expiry(queue, live), "queue %u: a page does not know of the end of %llu",
              at->name, (unsigned long long)live->position);
        CHECK(sim, is_flagged(queue, live->position) == live->is_redelivered,
              "queue %u: message %u at %llu is %sflagged redelivered", at->name, live->number,
              (unsigned long long)live->position, live->is_redelivered ? "not " : "");
    }
    add_up(sim, queue, &sums);
    CHECK(sim, sums.live == at->count, "queue %u has %llu messages instead of %zu", at->name,
          (unsigned long long)sums.live, at->count);
    CHECK(sim, unacked == sums.unacked && unacked == queue->unacked,
          "queue %u has %llu unacknowledged, counted %llu, instead of %llu", at->name,
          (unsigned long long)sums.unacked, (unsigned long long)queue->unacked,
          (unsigned long long)unacked);
    CHECK(sim, queue->ready == at->count - unacked, "queue %u has %llu ready instead of %llu",
          at->name, (unsigned long long)queue->ready, (unsigned long long)(at->count - unacked));
    CHECK(sim, count_returned(queue) == sums.returned, "queue %u: %llu came back, noted %llu",
          at->name, (unsigned long long)sums.returned, (unsigned long long)count_returned(queue));
    CHECK(sim, queue->ready_bytes == sums.ready_bytes,
          "queue %u has %llu octets ready, counted %llu", at->name,
          (unsigned long long)sums.ready_bytes, (unsigned long long)queue->ready_bytes);
    CHECK(sim, !queue->getters || queue->host->loads > 0 || sim->is_unreadable,
          "queue %u: a get waits for nothing", at->name);
}

/* Without pages the sum is that of the messages. */
static void look_at_bytes(const struct sim *sim, const struct sim_queue *at)
{
    uint64_t bytes = 0;

    if (at->queue->entries.page_count > 0)
        return;
    for (size_t i = 0; i < at->count; i++)
        bytes += at->messages[i].is_unacked ? 0 : body_bytes(at->messages[i].number);
    CHECK(sim, bytes == at->queue->ready_bytes, "queue %u: %llu octets are ready, counted %llu",
          at->name, (unsigned long long)bytes, (unsigned long long)at->queue->ready_bytes);
}

static void look_at_host(const struct sim *sim, uint16_t shard)
{
    uint64_t messages = 0;

    for (int i = 0; i < SIM_QUEUES; i++) {
        if (!sim->queues[i].queue || sim->queues[i].queue->ref.shard != shard)
            continue;
        messages += sim->queues[i].count;
        look_at_bytes(sim, &sim->queues[i]);
    }
    CHECK(sim, sim->shards[shard].host.messages == messages, "a shard has %llu messages, not %llu",
          (unsigned long long)sim->shards[shard].host.messages, (unsigned long long)messages);
}

/* ---- out ---- */

struct page_counts {
    uint64_t all;
    uint64_t spilled; /* something of it is in the spill */
    uint64_t mixed;
};

static void count_page(const struct entry_page *page, struct page_counts *counts)
{
    bool is_spilled = page->spilled_in.first <= page->spilled_in.last;

    counts->all++;
    counts->spilled += is_spilled;
    counts->mixed += is_spilled && !(page->id & SPILLED);
}

static struct page_counts count_pages(const struct sim *sim)
{
    struct page_counts counts = {0};

    for (int i = 0; i < SIM_QUEUES; i++) {
        const struct queue *queue = sim->queues[i].queue;
        if (!queue || queue->entries.page_count == 0)
            continue;
        for (uint64_t p = queue->entries.head; p < queue->entries.tail; p += ENTRIES_PER_CHUNK)
            if (entries_page(&queue->entries, p))
                count_page(entries_page(&queue->entries, p), &counts);
    }
    return counts;
}

void page_out_random(struct sim *sim)
{
    uint16_t shard = (uint16_t)roll(sim, sim->shard_count);
    struct sim_shard *at = &sim->shards[shard];
    uint64_t bytes = hits(sim, 1, 2) ? UINT64_MAX : 1 + roll(sim, 100000);
    struct page_counts before = count_pages(sim);
    struct page_counts after;

    shard_current = at->shard;
    shard_make_room(sim, shard);
    if (hits(sim, 3, 4))
        at->host.page_pause = 0;
    spill_begin(sim, shard);
    queue_host_page_out(&at->host, bytes);
    after = count_pages(sim);
    torture_counts.pages += after.all - before.all;
    torture_counts.spilled_pages += after.spilled - before.spilled;
    torture_counts.mixed_pages += after.mixed - before.mixed;
    say(sim, "shard %u lets go of %llu octets: %llu pages, %llu of them spilled", shard,
        (unsigned long long)bytes, (unsigned long long)(after.all - before.all),
        (unsigned long long)(after.spilled - before.spilled));
    shard_settled(sim, shard);
    for (int i = 0; i < SIM_QUEUES; i++)
        if (sim->queues[i].queue && sim->queues[i].queue->ref.shard == shard)
            queue_look(sim, &sim->queues[i]);
    look_at_host(sim, shard);
}

/* ---- in ---- */

void fetched(struct sim *sim)
{
    uint64_t before = count_pages(sim).all;

    for (uint16_t i = 0; i < sim->shard_count; i++) {
        shard_current = sim->shards[i].shard;
        queue_host_fetched(&sim->shards[i].host);
        look_at_host(sim, i);
    }
    torture_counts.loaded += before - count_pages(sim).all;
}

void on_loaded(struct queue *queue)
{
    struct sim_queue *at = queue->getters;
    uint32_t getters = at->getters;

    at->getters = 0;
    queue->getters = NULL;
    while (getters-- > 0)
        operation_get(at->sim, at);
}

void on_unreadable(struct queue_host *host, const struct queue *queue, uint64_t id, int rc)
{
    struct sim *sim = CONTAINER_OF(host, struct sim_shard, host)->sim;
    bool is_excused = sim->has_failed_call || sim->spill.has_failed_call ||
                      disk_memory_is_cut(sim->disk) || sim->span.is_over ||
                      log_failure(sim->log) != 0;

    CHECK(sim, is_excused, "record %llx, for queue %.*s, cannot be read: %d",
          (unsigned long long)id, STR_ARG(queue->name), rc);
    sim->is_unreadable = true;
}

void forget_loads(struct sim *sim, uint16_t shard)
{
    shard_current = sim->shards[shard].shard;
    queue_host_drop_loads(&sim->shards[shard].host);
}
