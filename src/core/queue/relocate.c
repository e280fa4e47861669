/* SPDX-License-Identifier: Apache-2.0 */
/* Copying waiting messages from receive blocks into dense ones, oldest queue first. */
#include "core/queue/relocate.h"

#include "base/bug.h"

#include <string.h>

/* Receive blocks (1 MiB each) that waiting messages of one shard may keep. */
#define RECEIVE_BUDGET 16U
/* One copy batch of one queue. */
#define BATCH_BYTES (256U * 1024U)
#define BATCH_ENTRIES 4096U
/* Blocks of other shards cannot be counted from here, so entries in them move within this time. */
#define FOREIGN_WAIT_MS 100

struct batch {
    uint64_t from;
    uint64_t to;
    uint32_t bytes;
};

static bool is_in_receive(const struct message *message)
{
    if (message->flags & MESSAGE_SHARED)
        return message->shared->place.block->is_receive;
    return message->flags & MESSAGE_IN_RECEIVE;
}

/* The next run of entries of `queue` and the room they need. */
static struct batch measure(struct queue *queue)
{
    struct entries *entries = &queue->entries;
    struct batch batch = {.from = entries_next_resident(entries, queue->unmoved_from)};
    uint32_t seen = 0;

    for (batch.to = batch.from; batch.to < entries->tail; seen++) {
        struct message *message = entries_at(entries, batch.to);
        if (message && is_in_receive(message)) {
            if (batch.bytes > 0 && batch.bytes + message->length > BATCH_BYTES)
                break;
            batch.bytes += message->length;
        }
        if (seen >= BATCH_ENTRIES)
            break;
        batch.to = entries_next_resident(entries, batch.to + 1);
    }
    return batch;
}

static void move_entry(struct queue_host *host, struct message *message, struct block *into)
{
    struct block *old;
    uint32_t refs = 1;

    memcpy(into->data + into->used, message_image(message), message->length);
    block_ref(into, 1);
    if (message->flags & MESSAGE_SHARED) {
        old = message->shared->place.block;
        message->shared->place.block = into;
        message->shared->place.offset = into->used;
    } else {
        old = message->block;
        refs += message->spare;
        message->block = into;
        message->offset = into->used;
        message->spare = 0;
    }
    message->flags &= (uint8_t)~MESSAGE_IN_RECEIVE;
    into->used += message->length;
    block_unref(host->shard, old, refs);
}

/* Move one batch. Returns true when nothing of the queue is left to move. */
static bool relocate_batch(struct queue *queue)
{
    struct queue_host *host = queue->host;
    struct batch batch = measure(queue);
    struct block *into = batch.bytes > 0 ? block_new(host->shard, batch.bytes) : NULL;

    for (uint64_t p = batch.from; p < batch.to; p = entries_next_resident(&queue->entries, p + 1)) {
        struct message *message = entries_at(&queue->entries, p);
        if (message && is_in_receive(message))
            move_entry(host, message, into);
    }
    if (into)
        block_unref(host->shard, into, 1);
    queue->unmoved_from = batch.to;
    return batch.to >= queue->entries.tail;
}

static bool is_over_budget(const struct shard *shard)
{
    return shard->blocks.receive_in_use > shard->receive_owned + RECEIVE_BUDGET;
}

static void relocate_first(struct queue_host *host)
{
    struct queue *queue = CONTAINER_OF(host->unmoved.next, struct queue, unmoved);

    list_remove(&queue->unmoved);
    if (!relocate_batch(queue))
        list_push_back(&host->unmoved, &queue->unmoved);
}

void queue_host_relocate(struct queue_host *host)
{
    while (is_over_budget(host->shard) && !list_is_empty(&host->unmoved))
        relocate_first(host);
    if (!list_is_empty(&host->unmoved) && !timer_is_running(&host->relocate_timer))
        timer_start(&host->shard->timers, &host->relocate_timer,
                    host->shard->now_ms + FOREIGN_WAIT_MS);
}

void queue_relocate_timer(struct timer *timer)
{
    struct queue_host *host = CONTAINER_OF(timer, struct queue_host, relocate_timer);
    bool others_need_it = false;

    for (uint16_t i = 0; i < host->shard->count; i++)
        others_need_it |= i != host->shard->id &&
                          atomic_load_explicit(&host->shard->set->shards[i]->receive_pinned,
                                               memory_order_relaxed) > RECEIVE_BUDGET;
    for (uint32_t moved = 0; others_need_it && moved < 64 && !list_is_empty(&host->unmoved);
         moved++)
        relocate_first(host);
    queue_host_relocate(host);
}
