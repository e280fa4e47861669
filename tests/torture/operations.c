/* SPDX-License-Identifier: Apache-2.0 */
/* What clients do to queues: publish, get, consume, settle, purge; and what the node does by itself. */
#include "torture.h"

#include "base/bug.h"

/* ---- on the queue's shard ---- */

static bool has_expired(const struct sim_shard *at, const struct message *message)
{
    return message->expires_ms != 0 && message->expires_ms <= at->shard->now_ms;
}

void enqueue_here(struct sim *sim, struct sim_queue *queue, struct message *message,
                  uint32_t number)
{
    struct sim_shard *at = shard_of(sim, queue);
    struct live_message live = {.position = queue->queue->entries.tail,
                                .number = number,
                                .expires_ms = message->expires_ms};
    struct event event = {
        .kind = EVENT_ADD,
        .transaction = at->stage.transaction,
        .incarnation = queue->queue->ref.incarnation,
        .position = live.position,
        .expires_ms = stage_wall_ms(&at->stage, message->expires_ms),
        .number = number,
        .name = queue->name,
    };
    bool is_kept = (message->flags & MESSAGE_PERSISTENT) && queue->queue->settings.durable &&
                   !has_expired(at, message);

    shard_current = at->shard;
    shard_make_room(sim, queue->queue->ref.shard);
    (void)queue_remember(queue, &live); /* it may be delivered at once */
    (void)queue_enqueue(queue->queue, message);
    if (is_kept) {
        queue->messages[queue->count - 1].is_kept = true;
        shard_note(sim, queue->queue->ref.shard, event);
    }
    queue_observe(sim, queue);
}

void settle_here(struct sim *sim, struct sim_queue *queue, uint64_t first, uint64_t count,
                 enum queue_settle_how how, struct consumer_ref consumer)
{
    struct sim_shard *at = shard_of(sim, queue);

    shard_current = at->shard;
    shard_make_room(sim, queue->queue->ref.shard);
    (void)queue_settle(queue->queue, first, count, how, consumer_find(&at->host, consumer));
    for (size_t i = 0; i < queue->count; i++) {
        struct live_message *live = &queue->messages[i];
        if (live->position - first >= count || !live->is_unacked)
            continue;
        live->is_redelivered |= how == QUEUE_SETTLE_REQUEUE;
        live->must_go = how == QUEUE_SETTLE_ACK || how == QUEUE_SETTLE_REJECT;
    }
    queue_observe(sim, queue);
}

/* ---- publishing ---- */

static bool is_open(const struct sim *sim, const struct sim_queue *queue)
{
    return queue->queue && queue->count < sim->messages_max;
}

static void send_message(struct sim *sim, uint16_t shard, struct sim_queue *to,
                         struct message *message, uint32_t number, uint64_t transaction)
{
    struct sim_shard *at = &sim->shards[shard];
    struct sim_mail *mail;

    message_export(at->shard, &at->host.descriptors, message);
    mail = mail_send(sim, MAIL_ENQUEUE, shard, to, transaction);
    mail->message = *message;
    mail->number = number;
}

/* As the broker does: the body once in the log, far queues get references of their own. */
void publish_to(struct sim *sim, uint16_t shard, struct sim_queue **to, uint32_t count,
                struct message message, uint32_t number, uint64_t transaction)
{
    struct sim_shard *at = &sim->shards[shard];
    uint32_t durable = 0;

    for (uint32_t i = 0; i < count; i++)
        durable += to[i]->queue->settings.durable;
    say(sim, "message %u from shard %u to %u queues, first %u%s, transaction %llu", number, shard,
        count, to[0]->name, message.flags & MESSAGE_PERSISTENT ? "" : ", transient",
        (unsigned long long)transaction);
    if (count > 1) {
        message_share(&message, &at->host.descriptors);
        if ((message.flags & MESSAGE_PERSISTENT) && durable > 1)
            stage_body(&at->stage, &message);
        message_ref(&message, count - 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct message copy = message;
        if (to[i]->queue->ref.shard != shard)
            send_message(sim, shard, to[i], &copy, number, transaction);
    }
    for (uint32_t i = 0; i < count; i++)
        if (to[i]->queue->ref.shard == shard)
            enqueue_here(sim, to[i], &message, number);
    shard_settled(sim, shard);
}

void publish_random(struct sim *sim, uint16_t shard, uint64_t transaction)
{
    struct sim_queue *to[SIM_QUEUES];
    uint64_t wanted = hits(sim, 1, 6) ? 1 + roll(sim, SIM_QUEUES) : 1;
    uint64_t from = roll(sim, SIM_QUEUES);
    bool is_any = sim->style == STYLE_MIXED || hits(sim, 1, 12);
    uint32_t number = ++sim->next_number | (is_any ? 0 : NUMBER_MIDDLE);
    uint32_t count = 0;
    struct message message;

    shard_current = sim->shards[shard].shard;
    for (uint64_t i = 0; i < SIM_QUEUES && count < wanted; i++) {
        struct sim_queue *queue = &sim->queues[(from + i) % SIM_QUEUES];
        if (is_open(sim, queue))
            to[count++] = queue;
    }
    if (count == 0)
        return;
    message = body_make(sim, &sim->shards[shard], number, !hits(sim, 1, 8));
    if (hits(sim, 1, 8))
        message.expires_ms = sim->now_ms + roll(sim, hits(sim, 1, 2) ? 200 : 4000);
    publish_to(sim, shard, to, count, message, number, transaction);
}

/* ---- settling ---- */

static bool is_settleable(const struct live_message *live)
{
    return live->is_unacked && !live->is_leaving;
}

uint64_t settle_run_from(const struct sim_queue *queue, size_t first, uint64_t max)
{
    const struct live_message *head = &queue->messages[first];
    uint64_t count = 1;

    if (!is_settleable(head))
        return 0;
    while (count < max && first + count < queue->count &&
           is_settleable(&queue->messages[first + count]) &&
           queue->messages[first + count].position == head->position + count &&
           queue->messages[first + count].consumer.generation == head->consumer.generation &&
           queue->messages[first + count].consumer.slot == head->consumer.slot)
        count++;
    return count;
}

static void settle_run(struct sim *sim, struct sim_queue *queue, size_t first, uint16_t shard,
                       uint64_t transaction)
{
    static const enum queue_settle_how hows[] = {QUEUE_SETTLE_ACK,     QUEUE_SETTLE_ACK,
                                                 QUEUE_SETTLE_ACK,     QUEUE_SETTLE_REJECT,
                                                 QUEUE_SETTLE_REQUEUE, QUEUE_SETTLE_RETURN};
    enum queue_settle_how how = hows[roll(sim, ARRAY_LEN(hows))];
    uint64_t position = queue->messages[first].position;
    struct consumer_ref consumer = queue->messages[first].consumer;
    uint64_t count = settle_run_from(queue, first, 1 + roll(sim, hits(sim, 1, 3) ? 400 : 12));
    struct sim_mail *mail;

    say(sim, "settle %d of %llu at %llu in queue %u from shard %u, transaction %llu", how,
        (unsigned long long)count, (unsigned long long)position, queue->name, shard,
        (unsigned long long)transaction);
    if (queue->queue->ref.shard == shard) {
        settle_here(sim, queue, position, count, how, consumer);
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        queue->messages[first + i].is_leaving = true;
    mail = mail_send(sim, MAIL_SETTLE, shard, queue, transaction);
    mail->first = position;
    mail->count = count;
    mail->how = how;
    mail->consumer = consumer;
}

void settle_random(struct sim *sim, uint16_t shard, uint64_t transaction)
{
    struct sim_queue *queue = &sim->queues[roll(sim, SIM_QUEUES)];
    size_t from = queue->count > 0 ? (size_t)roll(sim, queue->count) : 0;

    if (!queue->queue || is_left_alone(sim, queue->name))
        return;
    for (size_t i = 0; i < queue->count; i++) {
        size_t at = (from + i) % queue->count;
        if (!is_settleable(&queue->messages[at]))
            continue;
        settle_run(sim, queue, at, shard, transaction);
        return;
    }
}

/* ---- consuming ---- */

static void on_deliver(struct consumer *consumer, struct message *message, uint64_t position)
{
    struct live_message *live = queue_gives(consumer->owner.context, message, position);

    live->consumer = consumer->ref;
    live->is_unacked = !consumer->no_ack;
    live->must_go = consumer->no_ack;
}

static void on_cancelled(struct consumer *consumer)
{
    (void)consumer;
}

void operation_cancel(struct sim *sim, struct sim_queue *queue)
{
    say(sim, "queue %u loses its consumer", queue->name);
    consumer_cancel(queue->consumer);
    queue->consumer = NULL;
}

void operation_consume(struct sim *sim, struct sim_queue *queue, uint32_t prefetch, bool no_ack)
{
    static const struct consumer_events events = {on_deliver, on_cancelled};
    static const uint8_t open = 0;
    struct consumer_settings settings = {
        .no_ack = no_ack,
        .prefetch = prefetch,
        .window = CONSUMER_NO_WINDOW,
        .gate = &open,
        .events = &events,
        .owner = {.context = queue},
    };

    say(sim, "queue %u gets a consumer%s", queue->name, settings.no_ack ? " without acks" : "");
    if (consumer_add(queue->queue, &settings, &queue->consumer) != 0)
        torture_fail(sim, "queue %u takes no consumer", queue->name);
}

static void change_consumer(struct sim *sim, struct sim_queue *queue)
{
    if (queue->consumer)
        operation_cancel(sim, queue);
    else
        operation_consume(sim, queue, hits(sim, 1, 4) ? 0 : (uint32_t)(1 + roll(sim, 20)),
                          hits(sim, 1, 4));
}

/* It asks again when it is told. */
static void wait_for_load(struct sim *sim, struct sim_queue *queue)
{
    say(sim, "a get waits in queue %u", queue->name);
    CHECK(sim, shard_of(sim, queue)->host.loads > 0, "queue %u: a get waits for nothing",
          queue->name);
    torture_counts.later++;
    queue->getters++;
    queue->queue->getters = queue;
}

void operation_get(struct sim *sim, struct sim_queue *queue)
{
    struct sim_shard *at = shard_of(sim, queue);
    bool no_ack = hits(sim, 1, 3);
    struct live_message *live;
    struct message message;
    uint64_t position;
    enum queue_got got;

    shard_make_room(sim, queue->queue->ref.shard);
    got = queue_get(queue->queue, no_ack, &message, &position);
    if (got == QUEUE_GOT_LATER && !sim->is_unreadable)
        wait_for_load(sim, queue);
    if (got != QUEUE_GOT_MESSAGE) {
        queue_observe(sim, queue); /* what had expired is gone */
        return;
    }
    live = queue_gives(queue, &message, position);
    live->consumer = (struct consumer_ref){0};
    live->is_unacked = !no_ack;
    live->must_go = no_ack;
    say(sim, "got %llu of queue %u%s", (unsigned long long)position, queue->name,
        no_ack ? " without ack" : "");
    if (no_ack)
        message_unref(at->shard, &at->host.descriptors, &message);
    queue_observe(sim, queue);
}

static void purge(struct sim *sim, struct sim_queue *queue)
{
    lsn_t lsn;

    say(sim, "queue %u is purged", queue->name);
    shard_make_room(sim, queue->queue->ref.shard);
    for (size_t i = 0; i < queue->count; i++)
        queue->messages[i].must_go = !queue->messages[i].is_unacked;
    (void)queue_purge(queue->queue, &lsn);
    queue_observe(sim, queue);
}

/* A turn may leave its records for the next. */
void operation_dispatch(struct sim *sim, struct sim_queue *queue)
{
    shard_make_room(sim, queue->queue->ref.shard);
    queue->queue->ops->dispatch(queue->queue);
    queue_observe(sim, queue);
}

/* ---- all of it ---- */

static void queue_random(struct sim *sim)
{
    struct sim_queue *queue = &sim->queues[roll(sim, SIM_QUEUES)];

    if (!queue->queue || is_left_alone(sim, queue->name))
        return;
    shard_current = shard_of(sim, queue)->shard;
    switch (roll(sim, 16)) {
    case 0:
        if (hits(sim, 1, 3))
            purge(sim, queue);
        break;
    case 1:
    case 2:
        change_consumer(sim, queue);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        operation_get(sim, queue);
        break;
    default:
        operation_dispatch(sim, queue);
    }
}

/* Turns end: mail leaves only when what it tells of was handed over. */
void operation_end_turns(struct sim *sim)
{
    for (uint16_t i = 0; i < sim->shard_count; i++)
        if ((sim->senders >> i & 1) || hits(sim, 1, 6))
            shard_hand_over(sim, i, hits(sim, 1, 4));
    sim->senders = 0;
}

static void note_paged(struct sim_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++) {
        struct live_message *live = &queue->messages[i];
        live->is_paged = live->expires_ms != 0 && !live->is_unacked &&
                         entries_page(&queue->queue->entries, live->position);
    }
}

/* Timers fire: what has expired goes. */
static void pass_time(struct sim *sim)
{
    sim->now_ms += 1 + roll(sim, hits(sim, 1, 6) ? 1500 : 60);
    for (uint8_t i = 0; i < SIM_QUEUES; i++)
        if (sim->queues[i].queue)
            note_paged(&sim->queues[i]);
    for (uint16_t i = 0; i < sim->shard_count; i++) {
        struct shard *shard = sim->shards[i].shard;
        shard_current = shard;
        shard_make_room(sim, i);
        shard->now_ms = sim->now_ms;
        shard->turns++;
        timer_wheel_advance(&shard->timers, sim->now_ms);
    }
    for (uint8_t i = 0; i < SIM_QUEUES; i++) {
        if (!sim->queues[i].queue)
            continue;
        queue_observe(sim, &sim->queues[i]);
        queue_look_at_times(sim, &sim->queues[i]);
    }
}

void operation_random(struct sim *sim)
{
    uint16_t shard = (uint16_t)roll(sim, sim->shard_count);
    uint64_t what = roll(sim, 100);

    if (what < 34)
        publish_random(sim, shard, 0);
    else if (what < 36)
        burst_random(sim);
    else if (what < 37)
        drain_random(sim);
    else if (what < 41)
        page_out_random(sim);
    else if (what < 55)
        settle_random(sim, shard, 0);
    else if (what < 75)
        queue_random(sim);
    else if (what < 80)
        transaction_random(sim);
    else if (what < 86)
        catalog_random(sim);
    else if (what < 95)
        mail_deliver_some(sim);
    else
        pass_time(sim);
    transactions_go_on(sim);
    operation_end_turns(sim);
}
