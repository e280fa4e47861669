/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a queue: made by the catalog's writer, run and ended by its shard. */
#include "core/queue/queue.h"

#include "base/bug.h"
#include "base/mem.h"
#include "core/queue/consumer.h"
#include "core/queue/expiry.h"

static void on_idle(struct timer *timer)
{
    struct queue *queue = CONTAINER_OF(timer, struct queue, idle_timer);
    if (queue->state == QUEUE_LIVE && queue->consumer_count == 0)
        queue->host->events->idle(queue);
}

struct queue *queue_new(struct queue_host *host, struct queue_ref ref, struct str vhost,
                        struct str name, const struct queue_settings *settings)
{
    struct queue *queue = mem_alloc_zero(sizeof *queue);

    queue->ops = &classic_queue_ops;
    queue->host = host;
    queue->ref = ref;
    queue->settings = *settings;
    queue->name = str_dup(name);
    queue->vhost = str_dup(vhost);
    list_init(&queue->consumers);
    list_init(&queue->blocked);
    list_init(&queue->dirty);
    list_init(&queue->unmoved);
    list_init(&queue->exclusive);
    timer_init(&queue->idle_timer, on_idle);
    return queue;
}

void queue_attach(struct queue *queue)
{
    queue_touch(queue);
}

void queue_touch(struct queue *queue)
{
    struct shard *shard = queue->host->shard;

    assert_on_shard(shard);
    if (queue->settings.expires_ms == QUEUE_NO_TTL || queue->consumer_count > 0)
        return;
    timer_start(&shard->timers, &queue->idle_timer, shard->now_ms + queue->settings.expires_ms);
}

void queue_begin_delete(struct queue *queue)
{
    assert_on_shard(queue->host->shard);
    BUG_ON(queue->state != QUEUE_LIVE, "queue %.*s deleted twice", STR_ARG(queue->name));
    queue->state = QUEUE_DELETING;
    /* For the cleaners: what of it was where is not looked at. */
    if (queue->settings.durable && stage_keeps(queue->host->stage))
        log_settled(queue->host->stage->stream, queue->ready + queue->unacked);
    if (queue->host->spill)
        log_settled(queue->host->spill->stream, queue->ready + queue->unacked);
}

void queue_free(struct queue *queue)
{
    struct timer_wheel *timers = &queue->host->shard->timers;

    BUG_ON(queue->consumer_count > 0 || queue->waiters || queue->getters, "queue %.*s freed in use",
           STR_ARG(queue->name));
    queue->ops->clear(queue);
    timer_stop(timers, &queue->idle_timer);
    list_remove(&queue->dirty);
    list_remove(&queue->unmoved);
    mem_free((void *)(uintptr_t)queue->name.data);
    mem_free((void *)(uintptr_t)queue->vhost.data);
    mem_free(queue);
}

void queue_restore_page(struct queue *queue, uint64_t first, const struct entry_page *page)
{
    struct entry_store *store = &queue->host->store;
    uint32_t live = bits_count(&page->live);
    struct entry_page copy = *page;

    if (page->expires_ms != 0) {
        copy.expiry =
            page_expiry_unread(store, &queue->entries, first / ENTRIES_PER_CHUNK, page->expires_ms);
        expiry_wake(store, &copy.expiry->timer, page->expires_ms);
    }
    entries_push_page(&queue->entries, store, first, &copy);
    queue->ready += live;
    queue->ready_bytes += page_ready_bytes(page);
    queue->host->messages += live;
}

/* All of it is ready, whoever had it; between its positions there may be gaps. */
void queue_restore_end(struct queue *queue, uint64_t tail, uint64_t sequence)
{
    struct entries *entries = &queue->entries;

    queue->sequence = sequence;
    if (tail > entries->tail)
        entries_skip_to(entries, tail);
    queue->next = entries_next_live(entries, 0);
    queue->has_gaps = queue->next < entries->tail;
}

lsn_t queue_settle(struct queue *queue, uint64_t first, uint64_t count, enum queue_settle_how how,
                   struct consumer *consumer)
{
    lsn_t lsn;

    assert_on_shard(queue->host->shard);
    lsn = queue->ops->settle(queue, first, count, how);
    if (consumer)
        consumer_settled(queue->host, consumer, (uint32_t)count);
    return lsn;
}
