/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a session: its place in the shard's table, its subscriptions, its orderly end. */
#include "broker/session.h"

#include "base/bug.h"
#include "base/mem.h"
#include "broker/mail.h"
#include "broker/operation.h"

#define NO_SLOT UINT32_MAX

/* ---- the table ---- */

static COLD void grow_slots(struct broker_shard *broker)
{
    uint32_t old = broker->session_capacity;
    uint32_t capacity = MAX(old * 2, 64U);

    broker->session_slots =
        mem_resize(broker->session_slots, capacity * sizeof *broker->session_slots);
    for (uint32_t i = capacity; i-- > old;) {
        broker->session_slots[i] = (struct session_slot){NULL, 1, broker->session_free};
        broker->session_free = i;
    }
    broker->session_capacity = capacity;
}

void session_attach(struct session *session, struct broker_shard *broker)
{
    struct session_slot *slot;

    if (broker->session_free == NO_SLOT)
        grow_slots(broker);
    session->broker = broker;
    session->ref.shard = broker->shard->id;
    session->ref.slot = broker->session_free;
    slot = &broker->session_slots[session->ref.slot];
    broker->session_free = slot->next_free;
    slot->session = session;
    session->ref.generation = slot->generation;
    broker->channel_count++;
}

void session_detach(struct session *session)
{
    struct broker_shard *broker = session->broker;
    struct session_slot *slot = &broker->session_slots[session->ref.slot];

    list_remove(&session->confirming);
    slot->session = NULL;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = broker->session_free;
    broker->session_free = session->ref.slot;
    broker->channel_count--;
}

struct session *session_find(struct broker_shard *broker, uint32_t slot, uint32_t generation)
{
    if (slot >= broker->session_capacity || broker->session_slots[slot].generation != generation)
        return NULL;
    return broker->session_slots[slot].session;
}

void session_open(struct session *session, struct broker_shard *broker,
                  struct connection *connection, struct vhost *vhost,
                  const struct identity *identity, const struct session_events *events)
{
    memset(session, 0, sizeof *session);
    session->events = events;
    session->vhost = vhost;
    session->identity = identity;
    session->connection = connection;
    list_init(&session->subscriptions);
    list_init(&session->confirming);
    confirms_init(&session->confirms);
    session_attach(session, broker);
}

/* ---- subscriptions ---- */

struct subscription *session_find_subscription(struct session *session, struct str tag)
{
    LIST_FOR_EACH (link, &session->subscriptions) {
        struct subscription *subscription = CONTAINER_OF(link, struct subscription, link);
        if (str_equals(subscription->tag, tag))
            return subscription;
    }
    return NULL;
}

struct subscription *session_add_subscription(struct session *session, struct str tag, bool no_ack)
{
    struct subscription *subscription = mem_alloc_zero(sizeof *subscription);

    subscription->session = session;
    subscription->tag = str_dup(tag);
    subscription->id = ++session->next_subscription;
    subscription->no_ack = no_ack;
    list_push_back(&session->subscriptions, &subscription->link);
    return subscription;
}

void session_free_subscription(struct subscription *subscription)
{
    if (subscription->session->reply == subscription)
        subscription->session->reply = NULL;
    list_remove(&subscription->link);
    mem_free((void *)(uintptr_t)subscription->tag.data);
    mem_free(subscription->context);
    mem_free(subscription);
}

/* ---- the end ----
 *
 * 1. cancel every consumer, and wait until their shards have answered: no delivery comes after that
 * 2. requeue what is unacknowledged
 * 3. a barrier over all shards that this session has sent work to: after it, what the session did is
 *    true for whoever is told of its end
 */

struct closing {
    struct session *session;
    uint32_t waiting; /* operations under way */
    void (*done)(struct broker_shard *, void *context);
    void *context;
};

static void free_session(struct session *session)
{
    session_detach(session);
    ledger_fini(&session->ledger);
    confirms_fini(&session->confirms);
    if (session->route) {
        if (session->route->targets != &session->route->single)
            mem_free(session->route->targets);
        mem_free(session->route);
        session->route = NULL;
    }
}

static void on_barrier(struct operation *operation, struct session *session)
{
    struct closing *closing = operation->context;
    struct broker_shard *broker = session->broker;

    free_session(session);
    closing->done(broker, closing->context);
    mem_free(closing);
}

static void requeue_and_wait(struct closing *closing)
{
    struct operation *barrier;

    session_recover(closing->session);
    barrier = operation_new(closing->session, STR(""), STR(""), STR(""), STR(""), on_barrier);
    barrier->context = closing;
    operation_barrier(barrier);
}

static void on_cancelled(struct operation *operation, struct session *session)
{
    struct closing *closing = operation->context;
    (void)session;
    if (--closing->waiting == 0)
        requeue_and_wait(closing);
}

static void cancel_one(struct closing *closing, struct subscription *subscription)
{
    struct operation *cancel =
        operation_new(closing->session, STR(""), STR(""), subscription->tag, STR(""), on_cancelled);
    cancel->context = closing;
    closing->waiting++;
    operation_cancel(cancel, subscription);
}

void session_close(struct session *session, void (*done)(struct broker_shard *, void *context),
                   void *context)
{
    struct closing *closing = mem_alloc_zero(sizeof *closing);

    BUG_ON(session->is_closing, "session closed twice");
    session->is_closing = true;
    session->gate |= GATE_CLOSING;
    *closing = (struct closing){.session = session, .waiting = 1, .done = done, .context = context};
    LIST_FOR_EACH_SAFE (link, &session->subscriptions)
        cancel_one(closing, CONTAINER_OF(link, struct subscription, link));
    if (--closing->waiting == 0)
        requeue_and_wait(closing);
}
