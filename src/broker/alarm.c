/* SPDX-License-Identifier: Apache-2.0 */
/* The memory watermark, and the connections it holds back.
 *
 * What counts is what we hold for clients, not the resident size: freed blocks are kept for reuse, so
 * the resident size stays high after a backlog is gone and the alarm would never end. */
#include "broker/alarm.h"

#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

/* How often blocked connections look whether they may go on. */
#define BLOCK_LOOK_MS 20

uint64_t node_bytes_in_use(const struct node *node)
{
    uint64_t sum = 0;
    for (uint16_t i = 0; i < node->shards->count; i++)
        sum += atomic_load_explicit(&node->shards->shards[i]->bytes_in_use, memory_order_relaxed);
    return sum;
}

uint64_t node_queue_bytes(const struct node *node)
{
    uint64_t sum = 0;
    for (uint16_t i = 0; i < node->shards->count; i++)
        sum += atomic_load_explicit(&node->shards->shards[i]->queue_bytes, memory_order_relaxed);
    return sum;
}

/* Without the blocks that connections receive into at present. What is left of pages can leave no more: it counts up to
 * half of what there may be, so that however long queues are there is room for what is on its way. */
static uint64_t queue_bytes(const struct broker_shard *broker)
{
    const struct shard *shard = broker->shard;
    uint64_t receiving = (uint64_t)shard->receive_owned * BLOCK_RECEIVE_BYTES;
    uint64_t pages = queue_host_page_bytes(&broker->queues);
    uint64_t half = broker->node->settings.queue_memory_bytes / 2 / shard->count;

    return shard->blocks.bytes_in_use - MIN(receiving, shard->blocks.bytes_in_use) +
           queue_host_bytes(&broker->queues) - pages + MIN(pages, half);
}

static uint64_t shard_bytes(const struct broker_shard *broker)
{
    const struct shard *shard = broker->shard;
    uint64_t overflow = 0;

    for (uint16_t to = 0; to < shard->count; to++)
        if (to != shard->id)
            overflow += shard->outbox[to]->overflow_capacity * MAIL_BYTES;
    if (broker->stage.stream)
        overflow += log_under_way(broker->stage.stream);
    if (broker->spill.stream)
        overflow += log_under_way(broker->spill.stream);
    return overflow + shard->blocks.bytes_in_use + shard->carry_bytes + broker->other_bytes +
           shard->stream_pools.chunks.in_use * STREAM_CHUNK_BYTES +
           queue_host_bytes(&broker->queues);
}

bool alarm_change(struct node *node, enum alarm alarm, bool on)
{
    uint32_t bit = (uint32_t)alarm;
    uint32_t before =
        on ? atomic_fetch_or(&node->alarms, bit) : atomic_fetch_and(&node->alarms, ~bit);

    if (((before & bit) != 0) == on)
        return false;
    if (on)
        atomic_fetch_add(&node->alarm_counts[__builtin_ctz(bit)], 1);
    return true;
}

static void set_alarm(struct node *node, bool on, uint64_t used)
{
    if (!alarm_change(node, ALARM_MEMORY, on))
        return; /* another shard was faster */
    if (on)
        log_warn("memory resource limit alarm set: publishers will be blocked until it clears",
                 "used_bytes=%llu limit_bytes=%llu", (unsigned long long)used,
                 (unsigned long long)node->settings.memory_limit_bytes);
    else
        log_warn("memory resource limit alarm cleared", "used_bytes=%llu",
                 (unsigned long long)used);
}

void alarm_measure(struct broker_shard *broker)
{
    struct shard *shard = broker->shard;
    struct node *node = broker->node;
    uint64_t used;
    bool on;

    atomic_store_explicit(&shard->bytes_in_use, shard_bytes(broker), memory_order_relaxed);
    atomic_store_explicit(&shard->queue_bytes, queue_bytes(broker), memory_order_relaxed);
    atomic_store_explicit(&shard->receive_pinned,
                          shard->blocks.receive_in_use - shard->receive_owned,
                          memory_order_relaxed);
    used = node_bytes_in_use(node);
    on = (node_alarms(node) & ALARM_MEMORY) != 0;
    if (UNLIKELY(!on && used > node->settings.memory_limit_bytes))
        set_alarm(node, true, used);
    else if (UNLIKELY(on && used <= node->settings.memory_limit_bytes))
        set_alarm(node, false, used);
}

const char *alarm_reason(uint32_t alarms)
{
    bool is_disk = (alarms & (ALARM_DISK | ALARM_SPILL | ALARM_DISK_FREE)) != 0;

    if (alarms & ALARM_MEMORY)
        return is_disk ? "low on memory & disk" : "low on memory";
    return is_disk ? "low on disk" : "";
}

void broker_block(struct broker_shard *broker, struct connection *connection)
{
    if (!list_is_linked(&connection->blocked))
        list_push_back(&broker->blocked, &connection->blocked);
    if (!timer_is_running(&broker->block_timer))
        timer_start(&broker->shard->timers, &broker->block_timer,
                    broker->shard->now_ms + BLOCK_LOOK_MS);
}

void alarm_on_timer(struct timer *timer)
{
    struct broker_shard *broker = CONTAINER_OF(timer, struct broker_shard, block_timer);

    alarm_measure(broker);
    alarm_recheck(broker);
}

void alarm_recheck(struct broker_shard *broker)
{
    struct list waiting;
    struct list *link;

    list_take_all(&waiting, &broker->blocked);
    while ((link = list_pop_front(&waiting))) {
        struct connection *connection = CONTAINER_OF(link, struct connection, blocked);
        connection->unblock(connection); /* it blocks again when it must */
    }
}

/* ---- how much memory there is ---- */

static uint64_t read_limit(const char *path)
{
    unsigned long long limit = UINT64_MAX;
    FILE *file = fopen(path, "re");

    if (!file)
        return UINT64_MAX;
    /* "max" in cgroup v2 leaves it unlimited. */
    if (fscanf(file, "%llu", &limit) != 1)
        limit = UINT64_MAX;
    fclose(file);
    return limit;
}

uint64_t memory_total(void)
{
    uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    total = MIN(total, read_limit("/sys/fs/cgroup/memory.max"));
    return MIN(total, read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
}

uint64_t memory_limit_default(void)
{
    return memory_total() / 10 * 4;
}
