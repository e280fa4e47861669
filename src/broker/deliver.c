/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries: from the queue's consumer to the session's subscription, here or across shards. */
#include "broker/deliver.h"

#include "base/bug.h"
#include "base/mem.h"
#include "broker/mail.h"
#include "broker/operation.h"
#include "core/queue/consumer.h"

#include <stdio.h>

const uint8_t remote_consumer_gate = 0;

/* ---- one delivery ---- */

HOT void session_deliver(struct subscription *subscription, struct message *message,
                         uint64_t position)
{
    struct session *session = subscription->session;
    uint64_t tag = ++session->next_tag;

    if (!subscription->no_ack) {
        ledger_add(&session->ledger, tag, subscription->queue, subscription->consumer, position);
        if (UNLIKELY(session->session_prefetch > 0 &&
                     session->ledger.total >= session->session_prefetch))
            session->gate |= GATE_SESSION_LIMIT;
    }
    session->events->deliver(subscription, message, tag);
}

static HOT void deliver_local(struct consumer *consumer, struct message *message, uint64_t position)
{
    session_deliver(consumer->owner.context, message, position);
}

static void cancelled_local(struct consumer *consumer)
{
    struct subscription *subscription = consumer->owner.context;
    subscription->local = NULL;
    subscription->session->events->cancelled(subscription);
    session_free_subscription(subscription);
}

const struct consumer_events local_consumer_events = {
    .deliver = deliver_local,
    .cancelled = cancelled_local,
};

/* ---- across shards ---- */

static void deliver_remote(struct consumer *consumer, struct message *message, uint64_t position)
{
    mail_deliver(broker_of(consumer->queue->host->shard), consumer, message, position);
}

static void cancelled_remote(struct consumer *consumer)
{
    mail_cancelled(broker_of(shard_current), consumer);
}

const struct consumer_events remote_consumer_events = {
    .deliver = deliver_remote,
    .cancelled = cancelled_remote,
};

static struct subscription *find_by_id(struct broker_shard *here, uint32_t slot,
                                       uint32_t generation, uint32_t id)
{
    struct session *session = session_find(here, slot, generation);
    if (!session)
        return NULL;
    LIST_FOR_EACH (link, &session->subscriptions) {
        struct subscription *subscription = CONTAINER_OF(link, struct subscription, link);
        if (subscription->id == id)
            return subscription;
    }
    return NULL;
}

void subscription_grant(struct subscription *subscription)
{
    struct session *session = subscription->session;
    if (subscription->window_used == 0 || session->gate != 0 || subscription->is_returning)
        return;
    mail_credit(session->broker, subscription->queue.shard, subscription->consumer,
                subscription->window_used);
    subscription->window_used = 0;
}

/* The session cannot take it after all: its place in the queue is kept for it. */
static void give_back(struct subscription *subscription, uint64_t position)
{
    struct ledger_run run = {
        .position = position,
        .queue = subscription->queue,
        .consumer = subscription->consumer,
        .count = 1,
    };
    mail_settle(subscription->session->broker, &run, QUEUE_SETTLE_RETURN);
}

/* ---- a limit of the whole session (qos global), which other shards do not know ----
 *
 * What comes beyond the limit goes back to its place in the queue. So that nothing later overtakes it,
 * everything that is still on its way goes back too: the first return shuts the consumer's window over
 * there, and an operation that follows it on the same way and comes back tells that no more is on its
 * way here. Only then does the session take deliveries, and grants a whole window, again. */

static void on_returned(struct operation *operation, struct session *none)
{
    struct broker_shard *here = broker_of(shard_current);
    struct subscription *subscription = find_by_id(
        here, operation->reply_to.slot, operation->reply_to.generation, operation->subscription_id);

    (void)none;
    if (!subscription)
        return;
    subscription->is_returning = false;
    subscription->window_used = REMOTE_WINDOW;
    subscription_grant(subscription);
}

static void begin_returning(struct subscription *subscription)
{
    struct session *session = subscription->session;
    struct operation *operation;

    if (subscription->is_returning)
        return;
    subscription->is_returning = true;
    operation = operation_new_internal(session->broker, session->vhost, STR(""));
    operation->done = on_returned;
    operation->reply_to = session->ref;
    operation->subscription_id = subscription->id;
    operation_send(operation, session->broker, subscription->queue.shard, operation_return);
}

void deliver_from_afar(struct subscription *subscription, struct message *message,
                       uint64_t position)
{
    subscription->window_used++;
    if (!subscription->no_ack &&
        (subscription->is_cancelling || subscription->is_returning ||
         (subscription->session->gate & (GATE_SESSION_LIMIT | GATE_CLOSING)))) {
        give_back(subscription, position);
        begin_returning(subscription);
        return;
    }
    /* Without acks the queue has forgotten it: until the channel ends the client gets it. */
    if (!(subscription->session->gate & GATE_CLOSING))
        session_deliver(subscription, message, position);
    if (subscription->window_used >= REMOTE_WINDOW / 2)
        subscription_grant(subscription);
}

void cancelled_from_afar(struct broker_shard *here, uint32_t slot, uint32_t generation, uint32_t id)
{
    struct subscription *subscription = find_by_id(here, slot, generation, id);

    /* Crossing a cancel of the client's: that one answers. */
    if (!subscription || subscription->is_cancelling)
        return;
    subscription->session->events->cancelled(subscription);
    session_free_subscription(subscription);
}

void session_confirmed(struct session *session, uint64_t first, uint64_t count)
{
    confirms_done(&session->confirms, first, count);
    if (!list_is_linked(&session->confirming))
        list_push_back(&session->broker->confirming, &session->confirming);
}

/* ---- direct reply-to ---- */

struct str reply_address_format(const struct session *session, char text[REPLY_TO_MAX])
{
    int n = snprintf(text, REPLY_TO_MAX, REPLY_TO_PREFIX "%04x%08x%08x.%016llx", session->ref.shard,
                     session->ref.slot, session->ref.generation,
                     (unsigned long long)session->reply_token);
    return str_of(text, (size_t)n);
}

static bool parse_hex(struct str *rest, size_t digits, uint64_t *value)
{
    *value = 0;
    if (rest->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        char c = rest->data[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10U
                                                : 16U;
        if (digit > 15)
            return false;
        *value = *value << 4 | digit;
    }
    *rest = str_of(rest->data + digits, rest->len - digits);
    return true;
}

bool reply_address_parse(struct str address, struct session_ref *to, uint64_t *token)
{
    struct str prefix = STR(REPLY_TO_PREFIX);
    struct str rest;
    uint64_t shard;
    uint64_t slot;
    uint64_t generation;

    if (!str_starts_with(address, prefix))
        return false;
    rest = str_of(address.data + prefix.len, address.len - prefix.len);
    if (!parse_hex(&rest, 4, &shard) || !parse_hex(&rest, 8, &slot) ||
        !parse_hex(&rest, 8, &generation) || rest.len != 17 || rest.data[0] != '.')
        return false;
    rest = str_of(rest.data + 1, 16);
    if (!parse_hex(&rest, 16, token))
        return false;
    *to = (struct session_ref){(uint16_t)shard, (uint32_t)slot, (uint32_t)generation};
    return true;
}

bool reply_address_lives(struct broker_shard *here, struct session_ref to, uint64_t token)
{
    const struct session *session = session_find(here, to.slot, to.generation);
    return session && session->reply && session->reply_token == token;
}

void deliver_reply(struct broker_shard *here, struct session_ref to, uint64_t token,
                   struct message *message)
{
    struct session *session = session_find(here, to.slot, to.generation);

    if (session && session->reply && session->reply_token == token &&
        !(session->gate & GATE_CLOSING))
        session_deliver(session->reply, message, 0);
    message_unref(here->shard, &here->queues.descriptors, message);
}

/* ---- settles ---- */

void settle_here(struct broker_shard *here, const struct ledger_run *run, enum queue_settle_how how)
{
    struct queue *queue = queue_find(&here->queues, run->queue);
    struct consumer *consumer = consumer_find(&here->queues, run->consumer);

    if (how == QUEUE_SETTLE_RETURN && consumer && consumer->window != CONSUMER_NO_WINDOW)
        consumer->window = 0;
    if (queue)
        queue_settle(queue, run->position, run->count, how, consumer);
    else if (consumer)
        consumer_settled(&here->queues, consumer, run->count);
}
