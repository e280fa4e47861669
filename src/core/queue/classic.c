/* SPDX-License-Identifier: Apache-2.0 */
/* The classic queue: first in, first out, returned messages first, expiry at the head. */
#include "base/bug.h"
#include "core/queue/consumer.h"
#include "core/queue/queue.h"
#include "core/queue/relocate.h"

/* ---- commands: apply, and what of them is staged ---- */

static bool is_kept(const struct queue *queue, const struct message *message)
{
    return queue->settings.durable && (message->flags & MESSAGE_PERSISTENT);
}

static COLD lsn_t stage_command(struct queue *queue, enum queue_command_kind kind, uint64_t first,
                                uint64_t count, const struct message *message)
{
    struct queue_command command = {
        .version = QUEUE_COMMAND_VERSION,
        .kind = (uint8_t)kind,
        .queue = queue->ref,
        .first = first,
        .count = count,
        .time_ms = queue->host->shard->now_ms,
        .message = message,
    };
    return queue->host->stage->append(queue->host->stage, queue->host->shard, &command);
}

/* Forget an entry and release its bytes. */
static void drop(struct queue *queue, uint64_t position, const struct message *message)
{
    message_unref(queue->host->shard, &queue->host->descriptors, message);
    entries_drop(&queue->entries, &queue->host->chunks, position);
    queue->host->messages--;
}

/* ---- the ready messages, in order ---- */

static bool first_ready(const struct queue *queue, uint64_t *position)
{
    if (UNLIKELY(queue->returned.count > 0)) {
        *position = returned_lowest(&queue->returned);
        return true;
    }
    *position = queue->next;
    return queue->next < queue->entries.tail;
}

static void take_first(struct queue *queue, const struct message *message)
{
    queue->ready_bytes -= message->body_bytes;
    if (UNLIKELY(queue->returned.count > 0))
        returned_take_lowest(&queue->returned);
    else
        queue->next++;
}

static bool is_expired(const struct queue *queue, const struct message *message)
{
    return UNLIKELY(message->expires_ms != 0) && message->expires_ms <= queue->host->shard->now_ms;
}

/* Drop what has expired at the head. RabbitMQ too looks at the head only. */
static void expire_head(struct queue *queue)
{
    uint64_t position;

    while (first_ready(queue, &position)) {
        struct message *message = entries_at(&queue->entries, position);
        if (!is_expired(queue, message))
            return;
        if (is_kept(queue, message))
            stage_command(queue, QUEUE_EXPIRE, position, 1, NULL);
        take_first(queue, message);
        drop(queue, position, message);
        queue->stats.expired++;
    }
}

/* Wake when the message at the head is due. */
static void arm_expiry(struct queue *queue)
{
    uint64_t position;
    const struct message *message;

    if (!first_ready(queue, &position))
        return;
    message = entries_at(&queue->entries, position);
    if (message->expires_ms != 0 && queue->expiry.due_ms != message->expires_ms)
        timer_start(&queue->host->shard->timers, &queue->expiry, message->expires_ms);
}

/* ---- delivery ---- */

static HOT void deliver(struct queue *queue, struct consumer *consumer, uint64_t position,
                        struct message *message)
{
    take_first(queue, message);
    queue->stats.redelivered += (message->flags & MESSAGE_REDELIVERED) != 0;
    if (consumer->window != CONSUMER_NO_WINDOW)
        consumer->window--;
    if (consumer->no_ack) {
        queue->stats.delivered_no_ack++;
        if (is_kept(queue, message))
            stage_command(queue, QUEUE_SETTLE, position, 1, NULL);
        consumer->events->deliver(consumer, message, position);
        drop(queue, position, message);
    } else {
        queue->stats.delivered_ack++;
        message->state = MESSAGE_UNACKED;
        queue->unacked++;
        consumer->unacked++;
        consumer->events->deliver(consumer, message, position);
    }
    if (consumer->link.next != &queue->consumers)
        consumer_rotate(consumer);
}

static void note_behind(struct queue *queue, const struct message *message)
{
    if (queue->consumer_count == 0)
        return;
    queue->host->behind_turn = queue->host->shard->turns;
    queue->host->behind_length = message->length;
}

static HOT void classic_dispatch(struct queue *queue)
{
    uint64_t position;

    if (UNLIKELY(queue->state != QUEUE_LIVE))
        return;
    while (first_ready(queue, &position)) {
        struct message *message = entries_at(&queue->entries, position);
        struct consumer *consumer;
        if (is_expired(queue, message)) {
            expire_head(queue);
            continue;
        }
        consumer = consumer_next(queue);
        if (!consumer) {
            note_behind(queue, message);
            break;
        }
        deliver(queue, consumer, position, message);
    }
    if (UNLIKELY(queue->has_expiring))
        arm_expiry(queue);
}

/* A message with TTL 0 is delivered at once or not at all (RabbitMQ, TTL guide). */
static COLD bool deliver_at_once(struct queue *queue, const struct message *message)
{
    struct consumer *consumer;
    uint64_t position;

    classic_dispatch(queue);
    consumer = consumer_next(queue);
    if (queue_ready_count(queue) > 0 || !consumer)
        return false;
    position = entries_push(&queue->entries, &queue->host->chunks, message);
    queue->ready_bytes += message->body_bytes;
    queue->host->messages++;
    if (message->flags & MESSAGE_IN_RECEIVE)
        queue_note_unmoved(queue, position); /* it may wait for its acknowledgement */
    deliver(queue, consumer, position, entries_at(&queue->entries, position));
    return true;
}

static COLD void set_expiry(struct queue *queue, struct message *message)
{
    uint64_t now = queue->host->shard->now_ms;
    if (queue->settings.ttl_ms != QUEUE_NO_TTL) {
        uint64_t limit = now + queue->settings.ttl_ms;
        if (message->expires_ms == 0 || message->expires_ms > limit)
            message->expires_ms = limit;
    }
    queue->has_expiring = true;
}

static HOT lsn_t classic_enqueue(struct queue *queue, const struct message *from)
{
    struct message message = *from;
    uint64_t position;

    assert_on_shard(queue->host->shard);
    message.state = MESSAGE_READY;
    queue->stats.published++;
    if (UNLIKELY(message.expires_ms != 0 || queue->settings.ttl_ms != QUEUE_NO_TTL)) {
        set_expiry(queue, &message);
        if (is_expired(queue, &message)) {
            if (!deliver_at_once(queue, &message)) {
                queue->stats.expired++;
                message_unref(queue->host->shard, &queue->host->descriptors, &message);
            }
            return 0;
        }
    }
    position = entries_push(&queue->entries, &queue->host->chunks, &message);
    queue->ready_bytes += message.body_bytes;
    queue->host->messages++;
    if (message.flags & MESSAGE_IN_RECEIVE)
        queue_note_unmoved(queue, position);
    queue_mark_dirty(queue);
    return is_kept(queue, &message) ? stage_command(queue, QUEUE_ENQUEUE, position, 1, &message)
                                    : 0;
}

/* ---- settling ---- */

struct settle_run {
    uint64_t first;
    uint64_t count;
    lsn_t lsn;
};

/* Requeued positions are contiguous most of the time: gather them into runs. */
static void requeue_one(struct queue *queue, struct settle_run *run, uint64_t position,
                        struct message *message)
{
    message->state = MESSAGE_READY;
    queue->ready_bytes += message->body_bytes;
    if (run->count > 0 && run->first + run->count == position) {
        run->count++;
        return;
    }
    if (run->count > 0)
        returned_add(&queue->returned, run->first, run->count);
    run->first = position;
    run->count = 1;
}

static lsn_t classic_settle(struct queue *queue, uint64_t first, uint64_t count,
                            enum queue_settle_how how)
{
    struct settle_run run = {0};
    lsn_t lsn = 0;

    for (uint64_t position = first; position < first + count; position++) {
        struct message *message = entries_at(&queue->entries, position);
        if (!message || message->state != MESSAGE_UNACKED)
            continue;
        queue->unacked--;
        if (how == QUEUE_SETTLE_REQUEUE || how == QUEUE_SETTLE_RETURN) {
            if (how == QUEUE_SETTLE_REQUEUE)
                message->flags |= MESSAGE_REDELIVERED;
            requeue_one(queue, &run, position, message);
            continue;
        }
        queue->stats.acked++;
        if (is_kept(queue, message))
            lsn = stage_command(queue, QUEUE_SETTLE, position, 1, NULL);
        drop(queue, position, message);
    }
    if (run.count > 0) {
        returned_add(&queue->returned, run.first, run.count);
        queue_mark_dirty(queue);
    }
    return lsn;
}

/* ---- the other operations ---- */

static bool classic_get(struct queue *queue, bool no_ack, struct message *out, uint64_t *position)
{
    struct message *message;

    /* Consumers have the first claim on what is ready. */
    classic_dispatch(queue);
    expire_head(queue);
    if (!first_ready(queue, position))
        return false;
    message = entries_at(&queue->entries, *position);
    take_first(queue, message);
    queue->stats.got++;
    if (UNLIKELY(queue->has_expiring))
        arm_expiry(queue); /* there is another head now */
    *out = *message;
    if (!no_ack) {
        message->state = MESSAGE_UNACKED;
        queue->unacked++;
        return true;
    }
    if (is_kept(queue, message))
        stage_command(queue, QUEUE_SETTLE, *position, 1, NULL);
    entries_drop(&queue->entries, &queue->host->chunks, *position);
    queue->host->messages--;
    return true;
}

static uint64_t classic_purge(struct queue *queue)
{
    uint64_t position;
    uint64_t purged = 0;

    expire_head(queue);
    while (first_ready(queue, &position)) {
        struct message *message = entries_at(&queue->entries, position);
        if (is_kept(queue, message))
            stage_command(queue, QUEUE_SETTLE, position, 1, NULL);
        take_first(queue, message);
        drop(queue, position, message);
        purged++;
    }
    return purged;
}

static void classic_clear(struct queue *queue)
{
    struct entries *entries = &queue->entries;

    for (uint64_t p = entries_next_live(entries, 0); p < entries->tail;
         p = entries_next_live(entries, p + 1))
        drop(queue, p, entries_at(entries, p));
    entries_fini(entries, &queue->host->chunks);
    returned_fini(&queue->returned);
}

const struct queue_ops classic_queue_ops = {
    .name = "classic",
    .enqueue = classic_enqueue,
    .settle = classic_settle,
    .dispatch = classic_dispatch,
    .get = classic_get,
    .purge = classic_purge,
    .clear = classic_clear,
};
