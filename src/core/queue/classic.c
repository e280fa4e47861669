/* SPDX-License-Identifier: Apache-2.0 */
/* The classic queue: first in, first out, returned messages first. */
#include "base/bug.h"
#include "core/queue/classic_internal.h"
#include "core/queue/consumer.h"
#include "core/queue/loader.h"
#include "core/queue/relocate.h"

/* Deliveries in one dispatch from which on the mark runs ahead, and how far. */
#define MARK_BURST 64U
#define MARK_AHEAD_MAX 65536U

/* Tell the log how far deliveries went, so that what comes back after a crash is marked redelivered. Under
 * load the mark runs ahead, and so is seldom late and seldom written; it may mark too much, never needs
 * to be durable for anybody. */
static COLD void mark_delivered(struct queue *queue)
{
    uint64_t burst = queue->stats.delivered_ack - queue->delivered_before;
    uint64_t ahead = burst < MARK_BURST ? 0 : MIN(4 * burst, (uint64_t)MARK_AHEAD_MAX);

    queue->delivered_before = queue->stats.delivered_ack;
    queue->marked = queue->to_mark + ahead;
    stage_delivered(queue->host->stage, queue->ref.incarnation, queue->marked);
}

/* ---- delivery ---- */

static HOT void deliver(struct queue *queue, struct consumer *consumer, uint64_t position,
                        struct message *message, struct gone_run *gone)
{
    take_first(queue, position, message);
    queue->stats.redelivered += (message->flags & MESSAGE_REDELIVERED) != 0;
    if (consumer->window != CONSUMER_NO_WINDOW)
        consumer->window--;
    if (consumer->no_ack) {
        queue->stats.delivered_no_ack++;
        note_gone(queue, gone, position, message);
        consumer->events->deliver(consumer, message, position);
        drop(queue, position, message);
    } else {
        queue->stats.delivered_ack++;
        if (is_kept(queue, message))
            queue->to_mark = MAX(queue->to_mark, position + 1);
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
    if (queue->consumer_count == 0 || !message)
        return;
    queue->host->behind_turn = queue->host->shard->turns;
    queue->host->behind_length = message->length;
}

static HOT void classic_dispatch(struct queue *queue)
{
    struct gone_run gone = {.kind = RECORD_SETTLE};
    uint64_t position;

    if (UNLIKELY(queue->state != QUEUE_LIVE))
        return;
    while (first_ready(queue, &position)) {
        struct message *message = entries_at(&queue->entries, position);
        struct consumer *consumer;
        if (LIKELY(message) && is_expired(queue, message)) {
            expire_head(queue);
            continue;
        }
        consumer = consumer_next(queue);
        if (!consumer) {
            note_behind(queue, message);
            break;
        }
        if (UNLIKELY(!message || (message->flags & MESSAGE_OUT))) {
            queue_load(queue, position, true);
            break;
        }
        deliver(queue, consumer, position, message, &gone);
    }
    if (UNLIKELY(queue->ahead_to != 0))
        queue_read_ahead(queue);
    if (UNLIKELY(gone.count > 0))
        flush_gone(queue, &gone);
    if (UNLIKELY(queue->to_mark > queue->marked))
        mark_delivered(queue);
}

/* A message with TTL 0 is delivered at once or not at all (RabbitMQ, TTL guide). */
static COLD bool deliver_at_once(struct queue *queue, const struct message *message)
{
    struct gone_run none = {.kind = RECORD_SETTLE};
    struct consumer *consumer;
    uint64_t position;

    classic_dispatch(queue);
    consumer = consumer_next(queue);
    if (queue_ready_count(queue) > 0 || !consumer)
        return false;
    position = entries_push(&queue->entries, &queue->host->store, message);
    queue->ready++;
    queue->ready_bytes += message->body_bytes;
    queue->host->messages++;
    if (message->flags & MESSAGE_IN_RECEIVE)
        queue_note_unmoved(queue, position); /* it may wait for its acknowledgement */
    /* It was never logged, so nothing of it needs to be. */
    deliver(queue, consumer, position, entries_at(&queue->entries, position), &none);
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
}

static lsn_t keep(struct queue *queue, uint64_t position, const struct message *message)
{
    struct queue_identity identity = identity_of(queue);
    uint64_t body;
    lsn_t lsn = stage_enqueue(queue->host->stage, &identity, position, message, &body);

    entries_set_body(&queue->entries, position, body);
    return lsn;
}

/* The message is copied once, from where it was made into its entry: a copy on the stack that is changed and copied
 * on waits until what was written in small parts can be read in large ones. There were four such waits per
 * publish, 15 to 20 ns in all. */
static inline lsn_t append(struct queue *queue, const struct message *message)
{
    uint64_t position = entries_push(&queue->entries, &queue->host->store, message);

    queue->ready++;
    queue->ready_bytes += message->body_bytes;
    queue->host->messages++;
    if (UNLIKELY(message->expires_ms != 0))
        arm_entry(queue, position, message->expires_ms);
    if (message->flags & MESSAGE_IN_RECEIVE)
        queue_note_unmoved(queue, position);
    queue_mark_dirty(queue);
    return is_kept(queue, message) ? keep(queue, position, message) : 0;
}

static lsn_t append_dated(struct queue *queue, const struct message *from)
{
    struct message message = *from;

    set_expiry(queue, &message);
    if (!is_expired(queue, &message))
        return append(queue, &message);
    if (!deliver_at_once(queue, &message)) {
        queue->stats.expired++;
        message_unref(queue->host->shard, &queue->host->descriptors, &message);
    }
    return 0;
}

static HOT lsn_t classic_enqueue(struct queue *queue, const struct message *message)
{
    assert_on_shard(queue->host->shard);
    DEBUG_BUG_ON(message->state != MESSAGE_READY, "a message arrives in state %u", message->state);
    queue->stats.published++;
    if (UNLIKELY(message->expires_ms != 0 || queue->settings.ttl_ms != QUEUE_NO_TTL))
        return append_dated(queue, message);
    return append(queue, message);
}

/* After a restart. All of it is ready: who had it is gone. */
static void classic_restore(struct queue *queue, uint64_t position, uint64_t body,
                            const struct message *message)
{
    struct entry_chunk *chunk;

    entries_skip_to(&queue->entries, position);
    (void)entries_push(&queue->entries, &queue->host->store, message);
    entries_set_body(&queue->entries, position, body);
    if (message->flags & MESSAGE_OUT) {
        chunk = entries_chunk(&queue->entries, position);
        chunk->out++;
        chunk->out_bytes += queue_out_bytes(message);
    }
    queue->ready++;
    queue->ready_bytes += message->body_bytes;
    queue->host->messages++;
    if (message->expires_ms != 0)
        arm_entry(queue, position, message->expires_ms);
}

/* ---- the other operations ---- */

static enum queue_got classic_get(struct queue *queue, bool no_ack, struct message *out,
                                  uint64_t *position)
{
    struct gone_run gone = {.kind = RECORD_SETTLE};
    struct message *message;

    /* Consumers have the first claim on what is ready. */
    classic_dispatch(queue);
    expire_head(queue);
    if (!first_ready(queue, position))
        return QUEUE_GOT_NONE;
    message = entries_at(&queue->entries, *position);
    if (UNLIKELY(!message || (message->flags & MESSAGE_OUT))) {
        queue_load(queue, *position, true);
        return QUEUE_GOT_LATER;
    }
    take_first(queue, *position, message);
    queue->stats.got++;
    *out = *message;
    if (!no_ack) {
        message->state = MESSAGE_UNACKED;
        queue->unacked++;
        if (is_kept(queue, message) && *position >= queue->marked) {
            queue->to_mark = *position + 1;
            mark_delivered(queue);
        }
        return QUEUE_GOT_MESSAGE;
    }
    note_gone(queue, &gone, *position, message);
    flush_gone(queue, &gone);
    if (UNLIKELY(queue->host->spill != NULL))
        note_spilled_gone(queue, *position);
    entries_drop(&queue->entries, &queue->host->store, *position);
    queue->host->messages--;
    return QUEUE_GOT_MESSAGE;
}

const struct queue_ops classic_queue_ops = {
    .name = "classic",
    .enqueue = classic_enqueue,
    .restore = classic_restore,
    .settle = classic_settle,
    .dispatch = classic_dispatch,
    .get = classic_get,
    .purge = classic_purge,
    .clear = classic_clear,
};
