/* SPDX-License-Identifier: Apache-2.0 */
/* Who is next: round robin among the ready consumers of the highest priority. */
#include "core/queue/consumer.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"

#define NO_SLOT UINT32_MAX

/* ---- handles ---- */

static COLD void grow_slots(struct queue_host *host)
{
    uint32_t old = host->consumer_capacity;
    uint32_t capacity = MAX(old * 2, 64U);

    host->consumer_slots =
        mem_resize(host->consumer_slots, capacity * sizeof *host->consumer_slots);
    for (uint32_t i = capacity; i-- > old;) {
        host->consumer_slots[i] = (struct consumer_slot){NULL, 1, host->consumer_free};
        host->consumer_free = i;
    }
    host->consumer_capacity = capacity;
}

static struct consumer *new_consumer(struct queue_host *host)
{
    struct consumer *consumer = pool_take(&host->consumers);
    struct consumer_slot *slot;

    if (host->consumer_free == NO_SLOT)
        grow_slots(host);
    *consumer = (struct consumer){.ref.slot = host->consumer_free};
    slot = &host->consumer_slots[host->consumer_free];
    host->consumer_free = slot->next_free;
    slot->consumer = consumer;
    consumer->ref.generation = slot->generation;
    return consumer;
}

static void free_consumer(struct queue_host *host, struct consumer *consumer)
{
    struct consumer_slot *slot = &host->consumer_slots[consumer->ref.slot];

    slot->consumer = NULL;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = host->consumer_free;
    host->consumer_free = consumer->ref.slot;
    pool_give(&host->consumers, consumer);
}

struct consumer *consumer_find(const struct queue_host *host, struct consumer_ref ref)
{
    const struct consumer_slot *slot;
    if (ref.generation == 0 || ref.slot >= host->consumer_capacity)
        return NULL;
    slot = &host->consumer_slots[ref.slot];
    return slot->generation == ref.generation ? slot->consumer : NULL;
}

/* ---- order ---- */

/* Behind the last consumer of the same or a higher priority. */
static void insert_in_order(struct queue *queue, struct consumer *consumer)
{
    struct list *at = queue->consumers.prev;
    while (at != &queue->consumers &&
           CONTAINER_OF(at, struct consumer, link)->priority < consumer->priority)
        at = at->prev;
    list_insert_before(at->next, &consumer->link);
}

struct consumer *consumer_next(struct queue *queue)
{
    while (!list_is_empty(&queue->consumers)) {
        struct consumer *consumer = CONTAINER_OF(queue->consumers.next, struct consumer, link);
        if (LIKELY(consumer_is_ready(consumer)))
            return consumer;
        /* Looked at again only when something changes in its favour. */
        list_remove(&consumer->link);
        list_push_back(&queue->blocked, &consumer->link);
        consumer->is_blocked = true;
    }
    return NULL;
}

void consumer_rotate(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    if (!queue || consumer->link.next == &queue->consumers)
        return;
    list_remove(&consumer->link);
    insert_in_order(queue, consumer);
}

void consumer_wake(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;
    if (!queue || !consumer->is_blocked || !consumer_is_ready(consumer))
        return;
    consumer->is_blocked = false;
    list_remove(&consumer->link);
    insert_in_order(queue, consumer);
    queue_mark_dirty(queue);
}

/* ---- coming and going ---- */

int consumer_add(struct queue *queue, const struct consumer_settings *settings,
                 struct consumer **out)
{
    struct consumer *consumer;

    *out = NULL;
    if (queue->exclusive_consumer || (settings->exclusive && queue->consumer_count > 0))
        return ERR_REFUSED;
    consumer = new_consumer(queue->host);
    consumer->queue = queue;
    consumer->no_ack = settings->no_ack;
    consumer->is_exclusive = settings->exclusive;
    consumer->priority = settings->priority;
    consumer->prefetch = settings->prefetch;
    consumer->window = settings->window;
    consumer->gate = settings->gate;
    consumer->events = settings->events;
    consumer->owner = settings->owner;
    insert_in_order(queue, consumer);
    queue->consumer_count++;
    if (settings->exclusive)
        queue->exclusive_consumer = consumer;
    timer_stop(&queue->host->shard->timers, &queue->idle_timer);
    queue_mark_dirty(queue);
    *out = consumer;
    return 0;
}

static void detach(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;

    list_remove(&consumer->link);
    queue->consumer_count--;
    if (queue->exclusive_consumer == consumer)
        queue->exclusive_consumer = NULL;
    consumer->queue = NULL;
}

static void free_when_unused(struct queue_host *host, struct consumer *consumer)
{
    if (!consumer->queue && consumer->unacked == 0)
        free_consumer(host, consumer);
}

void consumer_cancel(struct consumer *consumer)
{
    struct queue *queue = consumer->queue;

    if (!queue)
        return;
    detach(consumer);
    free_when_unused(queue->host, consumer);
    if (queue->consumer_count > 0 || queue->state != QUEUE_LIVE)
        return;
    if (queue->settings.auto_delete)
        queue->host->events->idle(queue);
    else
        queue_touch(queue);
}

void consumer_settled(struct queue_host *host, struct consumer *consumer, uint32_t n)
{
    DEBUG_BUG_ON(consumer->unacked < n, "%u settled of %u", n, consumer->unacked);
    consumer->unacked -= n;
    if (consumer->queue)
        consumer_wake(consumer);
    else
        free_when_unused(host, consumer);
}

static void cancel_list(struct queue *queue, struct list *list)
{
    while (!list_is_empty(list)) {
        struct consumer *consumer = CONTAINER_OF(list->next, struct consumer, link);
        const struct consumer_events *events = consumer->events;
        detach(consumer);
        events->cancelled(consumer);
        free_when_unused(queue->host, consumer);
    }
}

void consumer_cancel_all(struct queue *queue)
{
    cancel_list(queue, &queue->consumers);
    cancel_list(queue, &queue->blocked);
}
