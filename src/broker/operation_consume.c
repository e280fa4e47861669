/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of consumers: consume, cancel, get; and the barrier that ends a session. */
#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/deliver.h"
#include "broker/operation.h"
#include "broker/transaction.h"
#include "core/queue/consumer.h"

/* ---- consume ---- */

static struct consumer_settings settings_for(const struct operation *op, bool is_local)
{
    return (struct consumer_settings){
        .no_ack = op->no_ack,
        .exclusive = op->exclusive,
        .priority = op->priority,
        .prefetch = op->no_ack ? 0 : op->prefetch,
        .window = is_local ? CONSUMER_NO_WINDOW : REMOTE_WINDOW,
        .gate = is_local ? &op->session->gate : &remote_consumer_gate,
        .events = is_local ? &local_consumer_events : &remote_consumer_events,
        .owner =
            {
                .context = op->subscription,
                .shard = op->origin,
                .session_slot = op->session->ref.slot,
                .session_generation = op->session->ref.generation,
                .subscription_id = op->subscription_id,
            },
    };
}

static void consume_finish(struct operation *op, struct broker_shard *here)
{
    struct subscription *subscription = op->subscription;

    if (op->refusal.code != 0) {
        session_free_subscription(subscription);
        op->subscription = NULL;
    } else {
        subscription->queue = op->queue;
        subscription->consumer = op->consumer;
    }
    operation_return(op, here);
}

/* On the queue's shard. The session's table slot and gate are immutable and of stable address for as
 * long as an operation of it is under way. */
static void consume_look(struct operation *op, struct broker_shard *here)
{
    struct queue *queue = queue_find(&here->queues, op->queue);
    bool is_local = here->shard->id == op->origin;
    struct consumer_settings settings = settings_for(op, is_local);
    struct consumer *consumer;

    if (!queue || queue->state != QUEUE_LIVE) {
        refuse_no_queue(&op->refusal, op->name, op->vhost->name);
    } else if (consumer_add(queue, &settings, &consumer) != 0) {
        refuse(&op->refusal, REFUSAL_ACCESS_REFUSED,
               "queue '%.*s' in vhost '%.*s' in exclusive use", STR_ARG(op->name),
               STR_ARG(op->vhost->name));
    } else {
        op->consumer = consumer->ref;
        if (is_local)
            op->subscription->local = consumer;
    }
    operation_send(op, here, op->origin, consume_finish);
}

void operation_consume(struct operation *op)
{
    struct broker_shard *here = op->session->broker;

    if (!operation_finds_readable(op, here))
        return;
    op->subscription = session_add_subscription(op->session, op->key, op->no_ack);
    op->subscription_id = op->subscription->id;
    op->session->touched |= 1ULL << op->queue.shard;
    operation_send(op, here, op->queue.shard, consume_look);
}

/* ---- cancel ---- */

static void cancel_finish(struct operation *op, struct broker_shard *here)
{
    session_free_subscription(op->subscription);
    op->subscription = NULL;
    operation_return(op, here);
}

static void cancel_look(struct operation *op, struct broker_shard *here)
{
    struct consumer *consumer = consumer_find(&here->queues, op->consumer);

    if (consumer)
        consumer_cancel(consumer);
    operation_send(op, here, op->origin, cancel_finish);
}

void operation_cancel(struct operation *op, struct subscription *subscription)
{
    struct broker_shard *here = op->session->broker;

    op->subscription = subscription;
    op->consumer = subscription->consumer;
    subscription->is_cancelling = true;
    subscription->local = NULL;
    if (subscription->is_reply)
        cancel_finish(op, here);
    else
        operation_send(op, here, subscription->queue.shard, cancel_look);
}

/* ---- get ---- */

static void get_finish(struct operation *op, struct broker_shard *here)
{
    if (op->found && here->shard->id != op->queue.shard)
        message_import(&here->queues.descriptors, &op->message);
    operation_return(op, here);
}

/* Behind those that wait already: who asked first gets the first message. */
static void wait_for_load(struct operation *op, struct queue *queue)
{
    struct operation *last = queue->getters;

    op->next = NULL;
    while (last && last->next)
        last = last->next;
    if (last)
        last->next = op;
    else
        queue->getters = op;
}

/* Give the session a message with a reference of its own: with no_ack the entry's, else one more. */
static void take_message(struct operation *op, struct broker_shard *here, struct queue *queue,
                         enum queue_got got)
{
    struct message *entry;

    op->found = got == QUEUE_GOT_MESSAGE;
    op->message_count = (uint32_t)MIN(queue_ready_count(queue), (uint64_t)UINT32_MAX);
    queue_touch(queue);
    if (!op->found)
        return;
    if (!op->no_ack) {
        entry = entries_at(&queue->entries, op->position);
        op->message = message_reference(here->shard, entry);
    }
    if (here->shard->id != op->origin)
        message_export(here->shard, &here->queues.descriptors, &op->message);
}

static void get_look(struct operation *op, struct broker_shard *here)
{
    struct queue *queue = queue_find(&here->queues, op->queue);
    enum queue_got got;

    if (!queue || queue->state != QUEUE_LIVE) {
        refuse_no_queue(&op->refusal, op->name, op->vhost->name);
        operation_send(op, here, op->origin, get_finish);
        return;
    }
    got = queue_get(queue, op->no_ack, &op->message, &op->position);
    if (got == QUEUE_GOT_LATER && !node_has_failed(here->node)) {
        wait_for_load(op, queue);
        return;
    }
    if (got == QUEUE_GOT_LATER)
        refuse(&op->refusal, REFUSAL_INTERNAL_ERROR, "the broker cannot read its disk");
    else
        take_message(op, here, queue, got);
    operation_send(op, here, op->origin, get_finish);
}

void operation_get_again(struct queue *queue)
{
    struct broker_shard *here = CONTAINER_OF(queue->host, struct broker_shard, queues);
    struct operation *list = queue->getters;

    queue->getters = NULL;
    while (list) {
        struct operation *op = list;
        list = op->next;
        op->next = NULL;
        get_look(op, here);
    }
}

void operation_get(struct operation *op)
{
    struct broker_shard *here = op->session->broker;

    if (!operation_finds_readable(op, here))
        return;
    op->session->touched |= 1ULL << op->queue.shard;
    operation_send(op, here, op->queue.shard, get_look);
}

/* ---- direct reply-to ---- */

static void reply_address_look(struct operation *op, struct broker_shard *here)
{
    if (reply_address_lives(here, op->reply_to, op->reply_token))
        op->consumer_count = 1;
    else
        refuse_no_queue(&op->refusal, op->name, op->vhost->name);
    operation_return(op, here);
}

void operation_reply_address(struct operation *op)
{
    struct broker_shard *here = op->session->broker;

    if (reply_address_parse(op->name, &op->reply_to, &op->reply_token) &&
        op->reply_to.shard < here->shard->count) {
        operation_send(op, here, op->reply_to.shard, reply_address_look);
        return;
    }
    refuse_no_queue(&op->refusal, op->name, op->vhost->name);
    operation_return(op, here);
}

/* ---- barrier ----
 *
 * Goes through the touched shards one after the other; what the session posted to a shard is in that
 * ring before the barrier, so it has been handled when the barrier gets there. */

static void barrier_step(struct operation *op, struct broker_shard *here)
{
    uint16_t next;

    if (here->shard->id == op->origin && op->shards_left == 0) {
        if (op->transaction != 0)
            transaction_commit(op, here);
        operation_return(op, here);
        return;
    }
    if (here->shard->id != op->origin) {
        operation_send(op, here, op->origin, barrier_step);
        return;
    }
    next = (uint16_t)__builtin_ctzll(op->shards_left);
    op->shards_left &= op->shards_left - 1;
    operation_send(op, here, next, barrier_step);
}

void operation_barrier(struct operation *op)
{
    struct session *session = op->session;

    op->shards_left = session->touched & ~(1ULL << session->broker->shard->id);
    barrier_step(op, session->broker);
}
