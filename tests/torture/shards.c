/* SPDX-License-Identifier: Apache-2.0 */
/* Shards of the simulated node: what they stage, and the queues on them. */
#include "torture.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/reclaim.h"
#include "core/catalog/command_codec.h"
#include "storage/log_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- what was staged, and when it is handed over ---- */

void shard_note(struct sim *sim, uint16_t shard, struct event event)
{
    struct stage *stage = &sim->shards[shard].stage;

    event.stream = shard;
    event.part = stage->stream->last;
    events_add(&sim->shards[shard].staged, &event);
}

/* The parts that are not open any more are in the log's hands: the order of these calls is its order. */
void shard_settled(struct sim *sim, uint16_t shard)
{
    struct events *staged = &sim->shards[shard].staged;
    struct log_stream *stream = sim->shards[shard].stage.stream;
    uint64_t open = log_staged(stream) > 0 ? record_id_part(log_next_id(stream)) : 0;
    size_t done = 0;

    while (done < staged->count && staged->all[done].part != open)
        events_add(&sim->model.events, &staged->all[done++]);
    staged->count -= done;
    if (staged->count > 0)
        memmove(staged->all, staged->all + done, staged->count * sizeof *staged->all);
    if (open == 0)
        for (int i = 0; i < SIM_TRANSACTIONS; i++)
            sim->transactions[i].touched &= ~(1ULL << shard);
}

/* Records of what one operation takes away: of at most 64 octets for each run of neighbours. */
#define ROOM_BYTES (20U * 1024U)

void shard_make_room(struct sim *sim, uint16_t shard)
{
    struct log_stream *stream = sim->shards[shard].stage.stream;

    if (stream->open && log_staged(stream) + ROOM_BYTES > stream->open->capacity)
        log_submit(stream);
    shard_settled(sim, shard);
}

void shard_hand_over(struct sim *sim, uint16_t shard, bool is_due)
{
    spill_hand_over(sim, shard);
    (void)stage_submit(&sim->shards[shard].stage, is_due);
    shard_settled(sim, shard);
}

/* ---- the catalog's journal ---- */

/* As node.c does. A command of this program has one durable effect at most. */
void journal(void *context, const struct catalog_command *command)
{
    struct sim *sim = context;
    uint32_t octets = (uint32_t)catalog_command_size(command);
    struct writer w;
    uint8_t *at;

    (void)stage_catalog(&sim->shards[0].stage, octets, &at);
    w = writer_of(at, octets);
    catalog_command_encode(command, &w);
    BUG_ON(w.failed, "catalog command of kind %u for the log", command->kind);
    CHECK(sim, sim->catalog_event, "a record without an effect");
    if (command->kind == CATALOG_QUEUE_DECLARE)
        sim->catalog_event->incarnation = command->queue_declare.incarnation;
    shard_note(sim, 0, *sim->catalog_event);
    sim->catalog_event = NULL;
}

/* ---- shards ---- */

static void ignore(struct shard *shard)
{
    (void)shard;
}

static void ignore_mail(struct shard *shard, uint16_t from, const void *entry)
{
    (void)shard;
    (void)from;
    (void)entry;
}

static bool no(struct shard *shard)
{
    (void)shard;
    return false;
}

static void ignore_idle(struct queue *queue)
{
    (void)queue;
}

void open_shards(struct sim *sim)
{
    static const struct shard_hooks hooks = {ignore, ignore, ignore_mail, ignore, ignore,
                                             no,     ignore, ignore,      no};
    static const struct queue_host_events events = {ignore_idle, on_loaded, on_unreadable};
    int rc = shard_set_new(sim->shard_count, 0, &hooks, &sim->set);

    BUG_ON(rc != 0, "shards: %s", err_text(rc));
    for (uint16_t i = 0; i < sim->shard_count; i++) {
        struct sim_shard *at = &sim->shards[i];
        at->sim = sim;
        at->shard = sim->set->shards[i];
        at->shard->now_ms = sim->now_ms;
        timer_wheel_init(&at->shard->timers, sim->now_ms);
        at->stage = (struct stage){.wall_offset_ms = SIM_WALL_OFFSET};
        at->stage.stream = log_stream(sim->log, i);
        at->slots = 0;
        queue_host_init(&at->host, at->shard, &at->stage, &events);
    }
    sim->reclaim = reclaim_new(1);
    sim->catalog = catalog_new(sim->reclaim, 1);
}

struct live_message *queue_remember(struct sim_queue *queue, const struct live_message *message)
{
    if (queue->count == queue->capacity) {
        queue->capacity = MAX(queue->capacity * 2, (size_t)16);
        queue->messages = mem_resize(queue->messages, queue->capacity * sizeof *queue->messages);
    }
    queue->messages[queue->count] = *message;
    return &queue->messages[queue->count++];
}

/* What left, left by the operation that ended just now, and its record was staged last: in the open part,
 * since the operation began with room (shard_make_room). Neither looks at what was staged. */
static void note_gone(struct sim *sim, const struct sim_queue *queue,
                      const struct live_message *live)
{
    uint16_t shard = queue->queue->ref.shard;
    struct event event = {
        .kind = EVENT_GONE,
        .transaction = sim->shards[shard].stage.transaction,
        .incarnation = queue->queue->ref.incarnation,
        .position = live->position,
        .number = live->number,
        .name = queue->name,
    };

    if (live->is_kept)
        shard_note(sim, shard, event);
}

/* `upto`: positions below have been delivered. The mark may run ahead, and is staged when it moves. */
static void note_delivered(struct sim *sim, struct sim_queue *queue, uint64_t upto)
{
    uint64_t marked = queue->queue->marked;
    struct event event = {
        .kind = EVENT_MARK,
        .incarnation = queue->queue->ref.incarnation,
        .position = marked,
        .name = queue->name,
    };

    CHECK(sim, upto <= marked, "queue %u delivered %llu, and has marked %llu", queue->name,
          (unsigned long long)upto - 1, (unsigned long long)marked);
    if (marked <= queue->marked)
        return;
    queue->marked = marked;
    shard_note(sim, queue->queue->ref.shard, event);
}

static void count_expired(const struct live_message *live)
{
    if (live->must_go)
        return;
    torture_counts.expired++;
    torture_counts.expired_paged += live->is_paged;
    torture_counts.expired_returned += live->is_redelivered;
}

void queue_observe(struct sim *sim, struct sim_queue *queue)
{
    uint64_t delivered = 0;
    size_t kept = 0;

    for (size_t i = 0; i < queue->count; i++) {
        struct live_message live = queue->messages[i];
        enum message_state state = queue_state_at(queue->queue, live.position);
        bool may_expire = live.expires_ms != 0 && live.expires_ms <= sim->now_ms &&
                          !(live.is_unacked && state == MESSAGE_GONE);
        CHECK(sim, state == MESSAGE_GONE || !live.must_go, "queue %u keeps message %u at %llu",
              queue->name, live.number, (unsigned long long)live.position);
        if (state == MESSAGE_GONE) {
            CHECK(sim, live.must_go || may_expire, "queue %u has lost message %u at %llu",
                  queue->name, live.number, (unsigned long long)live.position);
            note_gone(sim, queue, &live);
            count_expired(&live);
            continue;
        }
        live.is_unacked = state == MESSAGE_UNACKED;
        live.is_leaving &= live.is_unacked;
        live.is_paged = false;
        if (live.is_unacked && live.is_kept)
            delivered = live.position + 1;
        queue->messages[kept++] = live;
    }
    queue->count = kept;
    note_delivered(sim, queue, delivered);
    queue_look(sim, queue);
    shard_settled(sim, queue->queue->ref.shard);
}

struct live_message *queue_message(struct sim_queue *queue, uint64_t position)
{
    size_t low = 0;
    size_t high = queue->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (queue->messages[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    CHECK(queue->sim, low < queue->count && queue->messages[low].position == position,
          "queue %u gives a message at %llu that is not there", queue->name,
          (unsigned long long)position);
    return &queue->messages[low];
}

/* The right one: its octets, its flag, and nothing that is ready comes before it. */
struct live_message *queue_gives(struct sim_queue *queue, const struct message *message,
                                 uint64_t position)
{
    struct sim *sim = queue->sim;
    struct live_message *live = queue_message(queue, position);

    body_check(sim, message, live->number);
    CHECK(sim, !live->is_unacked && !live->must_go, "queue %u gives message %u twice", queue->name,
          live->number);
    CHECK(sim, ((message->flags & MESSAGE_REDELIVERED) != 0) == live->is_redelivered,
          "queue %u: message %u is %sflagged redelivered", queue->name, live->number,
          live->is_redelivered ? "not " : "");
    for (const struct live_message *before = queue->messages; before < live; before++)
        CHECK(sim,
              before->is_unacked || before->must_go ||
                  (before->expires_ms != 0 && before->expires_ms <= sim->now_ms),
              "queue %u gives %llu before %llu", queue->name, (unsigned long long)position,
              (unsigned long long)before->position);
    torture_counts.spilled_given += !live->is_kept && spill_has(queue->queue, position);
    return live;
}

struct sim_shard *shard_of(struct sim *sim, const struct sim_queue *queue)
{
    return &sim->shards[queue->queue->ref.shard];
}

void queue_begin(struct sim *sim, uint8_t name, struct queue *queue)
{
    struct sim_queue *at = &sim->queues[name];

    at->sim = sim;
    at->queue = queue;
    at->name = name;
    at->marked = queue->marked;
    at->count = 0;
    at->consumer = NULL;
    at->getters = 0;
}

void queue_end(struct sim *sim, uint8_t name)
{
    struct sim_queue *at = &sim->queues[name];
    struct sim_shard *shard = shard_of(sim, at);

    shard_current = shard->shard;
    if (at->consumer)
        consumer_cancel(at->consumer);
    for (size_t i = 0; i < at->count; i++)
        if (at->messages[i].is_unacked && at->messages[i].consumer.generation != 0)
            consumer_settled(&shard->host, consumer_find(&shard->host, at->messages[i].consumer),
                             1);
    at->queue->getters = NULL; /* they find that it goes */
    queue_table_set(shard->host.table, at->queue->ref.slot, NULL);
    queue_free(at->queue);
    mem_free(at->messages);
    *at = (struct sim_queue){0};
}

static uint64_t block_bytes(const struct sim *sim)
{
    uint64_t bytes = 0;

    for (uint16_t i = 0; i < sim->shard_count; i++)
        bytes += sim->set->shards[i]->blocks.bytes_in_use;
    return bytes;
}

/* A mailbox takes a thousand at a time. Returns what is left. */
static uint64_t take_releases(struct sim *sim)
{
    uint64_t before;
    uint64_t bytes = block_bytes(sim);

    do {
        before = bytes;
        shard_set_drain_mail(sim->set);
        bytes = block_bytes(sim);
    } while (bytes < before);
    return bytes;
}

void close_shards(struct sim *sim)
{
    uint64_t bytes;

    for (uint8_t name = 0; name < SIM_QUEUES; name++)
        if (sim->queues[name].queue)
            queue_end(sim, name);
    catalog_free(sim->catalog);
    reclaim_free(sim->reclaim);
    for (uint16_t i = 0; i < sim->shard_count; i++) {
        forget_loads(sim, i);
        CHECK(sim, sim->shards[i].host.messages == 0, "messages are left in no queue");
        CHECK(sim, queue_host_bytes(&sim->shards[i].host) == 0, "%llu octets are left of queues",
              (unsigned long long)queue_host_bytes(&sim->shards[i].host));
        timer_stop(&sim->shards[i].shard->timers, &sim->shards[i].host.relocate_timer);
        queue_host_fini(&sim->shards[i].host);
        mem_free(sim->shards[i].staged.all);
        sim->shards[i].staged = (struct events){0};
    }
    bytes = take_releases(sim);
    CHECK(sim, bytes == 0, "%llu octets of messages are never freed", (unsigned long long)bytes);
    shard_set_free(sim->set);
    shard_current = NULL;
    sim->set = NULL;
}
