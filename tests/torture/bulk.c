/* SPDX-License-Identifier: Apache-2.0 */
/* Many messages at once: bursts, queues that are read to their end, and what fills segments with little that lives. */
#include "torture.h"

/* ---- in ---- */

/* How messages of a burst expire. */
enum expiries {
    EXPIRE_FEW,      /* some, soon */
    EXPIRE_SOME,     /* one in ten, later */
    EXPIRE_TOGETHER, /* all, as by a queue's TTL */
    EXPIRE_ANY,      /* all, at any time */
};

struct burst {
    struct sim_queue *queue;
    uint64_t count;
    uint32_t sizes;  /* NUMBER_... */
    uint64_t any_of; /* one of so many has any size */
    uint64_t transient_of_60;
    enum expiries expiries;
    uint64_t ttl_ms;
};

static uint64_t expiry_of(struct sim *sim, const struct burst *burst)
{
    switch (burst->expiries) {
    case EXPIRE_FEW:
        return hits(sim, 1, 100) ? sim->now_ms + roll(sim, 200) : 0;
    case EXPIRE_SOME:
        return hits(sim, 1, 10) ? sim->now_ms + roll(sim, 4000) : 0;
    case EXPIRE_TOGETHER:
        return sim->now_ms + burst->ttl_ms;
    case EXPIRE_ANY:
        return sim->now_ms + roll(sim, 4000);
    }
    return 0;
}

static bool is_open(const struct sim *sim, const struct sim_queue *queue)
{
    return queue->queue && queue->count < sim->messages_max;
}

static void publish_burst(struct sim *sim, const struct burst *burst)
{
    struct sim_queue *queue = burst->queue;

    for (uint64_t i = 0; i < burst->count && is_open(sim, queue); i++) {
        uint16_t shard = queue->queue->ref.shard;
        uint32_t number = ++sim->next_number | (hits(sim, 1, burst->any_of) ? 0 : burst->sizes);
        struct message message;
        shard_current = sim->shards[shard].shard;
        message =
            body_make(sim, &sim->shards[shard], number, !hits(sim, burst->transient_of_60, 60));
        message.expires_ms = expiry_of(sim, burst);
        publish_to(sim, shard, &queue, 1, message, number, 0);
    }
}

static uint64_t random_transient(struct sim *sim)
{
    static const uint64_t of_60[] = {0, 0, 0, 2, 30, 60};
    return of_60[roll(sim, ARRAY_LEN(of_60))];
}

static struct sim_queue *random_queue(struct sim *sim)
{
    struct sim_queue *queue = &sim->queues[roll(sim, SIM_QUEUES)];
    return queue->queue && !is_left_alone(sim, queue->name) ? queue : NULL;
}

void burst_random(struct sim *sim)
{
    static const enum expiries expiries[] = {EXPIRE_FEW,  EXPIRE_FEW,      EXPIRE_FEW,
                                             EXPIRE_SOME, EXPIRE_TOGETHER, EXPIRE_ANY};
    struct burst burst = {
        .queue = random_queue(sim),
        .count = 1 + roll(sim, sim->messages_max),
        .sizes = NUMBER_SMALL,
        .any_of = sim->style == STYLE_MIXED ? 60 : 600,
        .transient_of_60 = random_transient(sim),
        .expiries = expiries[roll(sim, ARRAY_LEN(expiries))],
        .ttl_ms = roll(sim, 3000),
    };

    if (burst.queue)
        publish_burst(sim, &burst);
}

/* ---- out ---- */

/* False: the life ends. */
static bool await_loads(struct sim *sim, struct sim_queue *queue)
{
    CHECK(sim, queue->queue->host->loads > 0, "queue %u stands still at %llu ready messages",
          queue->name, (unsigned long long)queue->queue->ready);
    spill_wake(sim);
    for (uint16_t i = 0; i < sim->shard_count; i++) /* a body may be another shard's */
        shard_hand_over(sim, i, true);
    if (!write_some(sim))
        return false;
    fetched(sim);
    return !sim->is_unreadable;
}

/* It is read to its end, through everything that is not there. False: the life ends. */
static bool drain(struct sim *sim, struct sim_queue *queue, bool no_ack)
{
    bool goes_on = true;

    shard_current = shard_of(sim, queue)->shard;
    if (queue->consumer)
        operation_cancel(sim, queue);
    operation_consume(sim, queue, 0, no_ack);
    while (goes_on) {
        shard_current = shard_of(sim, queue)->shard;
        operation_dispatch(sim, queue);
        if (queue->queue->ready == 0)
            break;
        goes_on = await_loads(sim, queue);
    }
    torture_counts.drained += goes_on;
    return goes_on;
}

void drain_random(struct sim *sim)
{
    struct sim_queue *queue = random_queue(sim);

    if (queue)
        (void)drain(sim, queue, hits(sim, 1, 2));
}

/* So many until the next one that is kept. */
static uint64_t until_kept(struct sim *sim, uint64_t keep)
{
    uint64_t count = 0;

    while (count < 400 && !hits(sim, keep, 100))
        count++;
    return count;
}

/* Of what is delivered, `keep` in 100 stay so, the others are acknowledged. */
static void acknowledge(struct sim *sim, struct sim_queue *queue, uint64_t keep)
{
    size_t i = 0;

    while (i < queue->count) {
        uint64_t max = until_kept(sim, keep);
        uint64_t count = max > 0 ? settle_run_from(queue, i, max) : 0;
        struct live_message first = queue->messages[i];
        if (count > 0)
            settle_here(sim, queue, first.position, count, QUEUE_SETTLE_ACK, first.consumer);
        else
            i++;
    }
}

/* ---- styles ---- */

bool is_left_alone(const struct sim *sim, uint8_t name)
{
    return sim->style == STYLE_KEEPER && name == 0;
}

static void fill(struct sim *sim, struct sim_queue *queue, uint64_t count)
{
    struct burst burst = {
        .queue = queue,
        .count = count,
        .sizes = hits(sim, 1, 4) ? NUMBER_SMALL : NUMBER_MIDDLE,
        .any_of = 600,
        .transient_of_60 = sim->transient_of_60,
    };

    publish_burst(sim, &burst);
    if (hits(sim, 1, sim->transient_of_60 > 0 ? 1 : 3))
        page_out_random(sim);
}

/* One message for the queue that nobody reads, and many that come and go. */
static void keep_one(struct sim *sim, struct sim_queue *queue)
{
    if (sim->queues[0].queue)
        fill(sim, &sim->queues[0], 1 + roll(sim, 2));
    fill(sim, queue, 40 + roll(sim, 80));
    (void)drain(sim, queue, true);
}

static void scatter(struct sim *sim, struct sim_queue *queue, uint64_t keep)
{
    fill(sim, queue, 40 + roll(sim, 160));
    if (!drain(sim, queue, false))
        return;
    shard_current = shard_of(sim, queue)->shard;
    acknowledge(sim, queue, keep);
    if (hits(sim, 1, 3))
        page_out_random(sim);
}

static void fan_out(struct sim *sim)
{
    uint16_t shard = (uint16_t)roll(sim, sim->shard_count);

    for (uint64_t i = 10 + roll(sim, 30); i > 0; i--) {
        struct sim_queue *to[SIM_QUEUES];
        uint32_t number = ++sim->next_number | NUMBER_MIDDLE;
        uint32_t count = 0;
        for (int k = 0; k < SIM_QUEUES; k++)
            if (is_open(sim, &sim->queues[k]))
                to[count++] = &sim->queues[k];
        if (count == 0)
            return;
        shard_current = sim->shards[shard].shard;
        publish_to(sim, shard, to, count, body_make(sim, &sim->shards[shard], number, true), number,
                   0);
    }
    operation_end_turns(sim);
    mail_deliver_some(sim);
}

void bulk_random(struct sim *sim)
{
    struct sim_queue *queue = random_queue(sim);

    if (!queue)
        return;
    switch (sim->style) {
    case STYLE_MIXED:
    case STYLES:
        break;
    case STYLE_KEEPER:
        keep_one(sim, queue);
        break;
    case STYLE_SCATTERED:
        scatter(sim, queue, 30);
        break;
    case STYLE_FANOUT:
        fan_out(sim);
        if (hits(sim, 1, 2))
            scatter(sim, queue, 0);
        break;
    case STYLE_HELD:
        scatter(sim, queue, 2);
        break;
    }
    operation_end_turns(sim);
}
