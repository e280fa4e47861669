/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: a queue that leaves memory to a log that is not threaded, on a disk in memory. */
#ifndef TOKKI_CORE_QUEUE_PAGING_FIXTURE_H
#define TOKKI_CORE_QUEUE_PAGING_FIXTURE_H

#include "base/err.h"
#include "core/queue/loader.h"
#include "core/queue/pager.h"
#include "core/queue/queue_fixture.h"
#include "storage/disk_memory.h"

#define KIB 1024U
#define MIB (1024U * KIB)

struct paging {
    struct queue_fixture f; /* first */
    struct disk *disk;
    struct log *log;
    uint32_t unreadable;
    int unreadable_rc;
};

static struct paging *unreadable_at;

static inline void on_unreadable(struct queue_host *host, const struct queue *queue, uint64_t id,
                                 int rc)
{
    (void)host;
    (void)queue;
    (void)id;
    unreadable_at->unreadable++;
    unreadable_at->unreadable_rc = rc;
}

static inline int no_record(void *context, uint64_t id, const struct record_header *header,
                            const uint8_t *payload)
{
    (void)context;
    (void)id;
    (void)header;
    (void)payload;
    return -1;
}

static inline void begin(struct paging *p)
{
    static const struct queue_host_events events = {fixture_idle, fixture_loaded, on_unreadable};
    struct log_settings settings = {.segment_bytes = 4 * (uint64_t)MIB,
                                    .checkpoint_bytes = UINT64_MAX,
                                    .streams = 1,
                                    .seed = 42};
    struct log_error error;

    *p = (struct paging){.disk = disk_memory_new()};
    unreadable_at = p;
    assert_int_equal(log_open(p->disk, &settings, &p->log, &error), 0);
    assert_int_equal(log_replay(p->log, no_record, NULL, &error), 0);
    assert_int_equal(log_start(p->log, &error), 0);
    fixture_open(&p->f, (struct queue_settings){.durable = true});
    p->f.host.events = &events;
    p->f.stage = (struct stage){.stream = log_stream(p->log, 0), .wall_offset_ms = 1000000};
}

static inline void end(struct paging *p)
{
    p->f.queue->getters = NULL;
    log_stop(p->log);
    queue_host_drop_loads(&p->f.host);
    fixture_close(&p->f);
    log_free(p->log);
}

/* ---- what happens ---- */

static inline void put(struct paging *p, uint32_t count, uint32_t bytes, uint64_t expires_ms)
{
    while (count-- > 0) {
        uint32_t number = (uint32_t)p->f.queue->entries.tail;
        struct block *block = block_new(p->f.shard, bytes + 100);
        struct message message = message_into(block, number, bytes);
        block_unref(p->f.shard, block, 1);
        message.flags |= MESSAGE_PERSISTENT;
        message.expires_ms = expires_ms;
        assert_true(queue_enqueue(p->f.queue, &message) > 0);
    }
}

/* What a turn and the log's threads do. */
static inline void turn(struct paging *p)
{
    log_submit(p->f.stage.stream);
    assert_int_equal(log_step(p->log), 0);
    queue_host_fetched(&p->f.host);
    dispatch(&p->f);
}

static inline void turns(struct paging *p)
{
    for (int i = 0; i < 400; i++)
        turn(p);
    assert_int_equal(p->f.host.loads, 0);
}

/* Everything that may go, goes. */
static inline void page_out(struct paging *p)
{
    p->f.host.page_pause = 0;
    queue_host_page_out(&p->f.host, UINT64_MAX);
}

/* What is unacknowledged of [first, first + count). */
static inline lsn_t settle_all(struct paging *p, struct fake *fake, uint64_t first, uint64_t count,
                               enum queue_settle_how how)
{
    struct consumer *consumer = consumer_find(&p->f.host, fake->ref);
    uint64_t before = p->f.queue->unacked;
    lsn_t lsn = queue_settle(p->f.queue, first, count, how, NULL);

    if (consumer && p->f.queue->unacked < before)
        consumer_settled(&p->f.host, consumer, (uint32_t)(before - p->f.queue->unacked));
    return lsn;
}

/* The consumer goes, and what it has. */
static inline void leave(struct paging *p, struct fake *fake)
{
    consumer_cancel(fake->consumer);
    (void)settle_all(p, fake, 0, p->f.queue->entries.tail, QUEUE_SETTLE_ACK);
}

static inline void assert_counts(struct paging *p, uint64_t ready, uint64_t unacked, uint32_t pages)
{
    assert_int_equal(p->f.queue->ready, ready);
    assert_int_equal(p->f.queue->unacked, unacked);
    assert_int_equal(p->f.host.messages, ready + unacked);
    assert_int_equal(p->f.queue->entries.page_count, pages);
}

/* Octets of messages that are in memory. */
static inline uint64_t resident(struct paging *p)
{
    return p->f.shard->blocks.bytes_in_use;
}

#endif
