/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: one classic queue on a shard without a thread, and consumers that keep notes. */
#ifndef TOKKI_CORE_QUEUE_QUEUE_FIXTURE_H
#define TOKKI_CORE_QUEUE_QUEUE_FIXTURE_H

#include "core/message_fixture.h"
#include "core/queue/consumer.h"

#define FAKE_LOG_MAX 4096

/* A client: what it was sent, in order. Messages are made so that number == position. */
struct fake {
    struct consumer *consumer;
    struct consumer_ref ref;
    uint8_t gate;
    bool was_cancelled;
    uint32_t count;
    uint64_t positions[FAKE_LOG_MAX];
    bool redelivered[FAKE_LOG_MAX];
};

struct queue_fixture {
    struct shard_set *set;
    struct shard *shard;
    struct stage stage; /* without a log */
    struct queue_host host;
    struct queue *queue;
};

static int fixture_idle_calls;

static inline void fixture_idle(struct queue *queue)
{
    (void)queue;
    fixture_idle_calls++;
}

static int fixture_loaded_calls;

static inline void fixture_loaded(struct queue *queue)
{
    (void)queue;
    fixture_loaded_calls++;
}

static inline void fixture_unreadable(struct queue_host *host, const struct queue *queue,
                                      uint64_t id, int rc)
{
    (void)host;
    (void)queue;
    fail_msg("record %llx cannot be read: %d", (unsigned long long)id, rc);
}

static inline void fake_deliver(struct consumer *consumer, struct message *message,
                                uint64_t position)
{
    struct fake *fake = consumer->owner.context;
    assert_image(message, (uint32_t)position);
    assert_true(fake->count < FAKE_LOG_MAX);
    fake->redelivered[fake->count] = (message->flags & MESSAGE_REDELIVERED) != 0;
    fake->positions[fake->count++] = position;
}

static inline void fake_cancelled(struct consumer *consumer)
{
    struct fake *fake = consumer->owner.context;
    fake->was_cancelled = true;
}

static const struct consumer_events fake_events = {fake_deliver, fake_cancelled};

static inline void fixture_open(struct queue_fixture *f, struct queue_settings settings)
{
    static const struct queue_host_events events = {fixture_idle, fixture_loaded,
                                                    fixture_unreadable};
    struct queue_ref ref = {.incarnation = 5, .slot = 3};

    fixture_idle_calls = 0;
    fixture_loaded_calls = 0;
    f->set = shards_open(1);
    f->shard = f->set->shards[0];
    f->stage = (struct stage){0};
    queue_host_init(&f->host, f->shard, &f->stage, &events);
    if (settings.ttl_ms == 0)
        settings.ttl_ms = QUEUE_NO_TTL;
    if (settings.expires_ms == 0)
        settings.expires_ms = QUEUE_NO_TTL;
    f->queue = queue_new(&f->host, ref, STR("/"), STR("q"), &settings);
    queue_table_set(f->host.table, ref.slot, f->queue);
    queue_attach(f->queue);
}

/* All consumers are cancelled; nothing may be left of messages, chunks and consumers. */
static inline void fixture_close(struct queue_fixture *f)
{
    queue_table_set(f->host.table, 3, NULL);
    queue_free(f->queue);
    timer_stop(&f->shard->timers, &f->host.relocate_timer);
    assert_int_equal(f->host.messages, 0);
    assert_int_equal(queue_host_bytes(&f->host), 0);
    queue_host_fini(&f->host);
    assert_int_equal(shards_settle(f->set), 0);
    shards_close(f->set);
}

/* Message number `tail` with this expiry; not dispatched. */
static inline void publish_expiring(struct queue_fixture *f, uint64_t expires_ms)
{
    struct message message = message_make(f->shard, (uint32_t)f->queue->entries.tail);
    message.expires_ms = expires_ms;
    assert_int_equal(queue_enqueue(f->queue, &message), 0);
}

static inline void publish(struct queue_fixture *f, int count)
{
    while (count-- > 0)
        publish_expiring(f, 0);
}

static inline void dispatch(struct queue_fixture *f)
{
    queue_host_dispatch(&f->host);
}

static inline int fake_try(struct queue_fixture *f, struct fake *fake,
                           struct consumer_settings settings)
{
    int rc;
    memset(fake, 0, sizeof *fake);
    settings.gate = &fake->gate;
    settings.events = &fake_events;
    settings.owner.context = fake;
    if (settings.window == 0)
        settings.window = CONSUMER_NO_WINDOW;
    rc = consumer_add(f->queue, &settings, &fake->consumer);
    if (rc == 0)
        fake->ref = fake->consumer->ref;
    return rc;
}

static inline void fake_consume(struct queue_fixture *f, struct fake *fake,
                                struct consumer_settings settings)
{
    assert_int_equal(fake_try(f, fake, settings), 0);
}

static inline void settle(struct queue_fixture *f, struct fake *fake, uint64_t first,
                          uint64_t count, enum queue_settle_how how)
{
    struct consumer *consumer = fake ? consumer_find(&f->host, fake->ref) : NULL;
    assert_int_equal(queue_settle(f->queue, first, count, how, consumer), 0);
}

/* The next delivery not looked at yet is this one. */
static inline void assert_log(const struct fake *fake, uint32_t i, uint64_t position,
                              bool redelivered)
{
    assert_true(i < fake->count);
    assert_int_equal(fake->positions[i], position);
    assert_int_equal(fake->redelivered[i], redelivered);
}

#endif
