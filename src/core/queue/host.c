/* SPDX-License-Identifier: Apache-2.0 */
/* One shard's queues: slots, pools, and the work lists that a turn walks. */
#include "core/queue/host.h"

#include "base/bug.h"
#include "base/mem.h"
#include "core/queue/consumer.h"
#include "core/queue/relocate.h"

void queue_host_init(struct queue_host *host, struct shard *shard, struct stage *stage,
                     const struct queue_host_events *events)
{
    *host = (struct queue_host){
        .shard = shard, .stage = stage, .events = events, .consumer_free = UINT32_MAX};
    host->table = mem_alloc_zero(sizeof *host->table);
    entry_store_init(&host->store, &shard->timers, queue_chunk_due, queue_page_due);
    pool_init(&host->descriptors, sizeof(struct message_shared), 256);
    pool_init(&host->consumers, sizeof(struct consumer), 64);
    list_init(&host->dirty);
    list_init(&host->unmoved);
    timer_init(&host->relocate_timer, queue_relocate_timer);
}

void queue_host_fini(struct queue_host *host)
{
    for (uint32_t i = 0; i < QUEUE_TABLE_PAGES; i++)
        mem_free(atomic_load(&host->table->pages[i]));
    mem_free(host->table);
    mem_free(host->consumer_slots);
    entry_store_fini(&host->store);
    pool_fini(&host->descriptors);
    pool_fini(&host->consumers);
}

void queue_table_set(struct queue_table *table, uint32_t slot, struct queue *queue)
{
    uint32_t number = slot / QUEUE_TABLE_PAGE;
    _Atomic(struct queue *) *page;

    BUG_ON(number >= QUEUE_TABLE_PAGES, "queue slot %u", slot);
    page = atomic_load_explicit(&table->pages[number], memory_order_relaxed);
    if (!page) {
        page = mem_alloc_zero(QUEUE_TABLE_PAGE * sizeof *page);
        atomic_store_explicit(&table->pages[number], page, memory_order_release);
    }
    atomic_store_explicit(&page[slot % QUEUE_TABLE_PAGE], queue, memory_order_release);
}

void queue_host_dispatch(struct queue_host *host)
{
    struct list dirty;
    struct list *link;

    list_take_all(&dirty, &host->dirty);
    while ((link = list_pop_front(&dirty))) {
        struct queue *queue = CONTAINER_OF(link, struct queue, dirty);
        queue->ops->dispatch(queue);
    }
}

uint64_t queue_host_page_bytes(const struct queue_host *host)
{
    return host->store.pages.in_use * host->store.pages.object_bytes + host->store.expiry_bytes;
}

uint64_t queue_host_bytes(const struct queue_host *host)
{
    return host->store.chunks.in_use * host->store.chunks.object_bytes +
           queue_host_page_bytes(host) + host->descriptors.in_use * host->descriptors.object_bytes +
           host->consumers.in_use * host->consumers.object_bytes;
}
