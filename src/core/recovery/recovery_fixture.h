/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: records handed to recovery as by the log, and what is left of one queue. */
#ifndef TOKKI_CORE_RECOVERY_RECOVERY_FIXTURE_H
#define TOKKI_CORE_RECOVERY_RECOVERY_FIXTURE_H

#include "core/recovery/recovery.h"

#include "base/err.h"
#include "core/catalog/command_codec.h"
#include "core/recovery/queue_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define QUEUE 20U

/* Records as the log hands them on: each has the next identity. */
struct fixture {
    struct recovery recovery;
    uint64_t id;
    int rc; /* of the last one */
};

static inline void begin(struct fixture *f)
{
    *f = (struct fixture){.id = record_id(5, 0)};
    recovery_init(&f->recovery);
}

static inline void end(struct fixture *f)
{
    recovery_free(&f->recovery);
}

static inline void hand_on(struct fixture *f, uint8_t kind, const uint8_t *payload, size_t octets)
{
    struct record_header header = {
        .octets = (uint32_t)octets, .kind = kind, .version = RECORD_VERSION};
    f->rc = recovery_record(&f->recovery, f->id++, &header, payload);
}

/* A record of 64-bit numbers. */
static inline void numbers(struct fixture *f, enum record_kind kind, const uint64_t *all,
                           size_t count)
{
    uint8_t payload[256];
    struct writer w = writer_of(payload, sizeof payload);

    for (size_t i = 0; i < count; i++)
        writer_u64(&w, all[i]);
    hand_on(f, (uint8_t)kind, payload, writer_len(&w));
}

#define RECORD(f, kind, ...)                                                                       \
    numbers(f, kind, (const uint64_t[]){__VA_ARGS__},                                              \
            sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static inline void add_in(struct fixture *f, uint64_t sequence, uint64_t position,
                          uint64_t transaction)
{
    RECORD(f, RECORD_ENQUEUE_REF, QUEUE, 0, sequence, transaction, position, 0, 1000 + position, 0,
           0);
}

static inline void add(struct fixture *f, uint64_t sequence, uint64_t position)
{
    add_in(f, sequence, position, 0);
}

static inline void settle_in(struct fixture *f, uint64_t sequence, uint64_t first, uint64_t count,
                             uint64_t transaction)
{
    RECORD(f, RECORD_SETTLE, QUEUE, 0, sequence, transaction, first, count);
}

/* A state of QUEUE with the positions [first, first + count). */
static inline void state_of(struct fixture *f, uint64_t sequence, uint64_t tail, uint64_t first,
                            uint32_t count)
{
    uint8_t payload[1024];
    struct writer w = writer_of(payload, sizeof payload);

    writer_u64(&w, QUEUE);
    writer_u64(&w, sequence);
    writer_u64(&w, tail);
    writer_u64(&w, 0);
    writer_u64(&w, 0);
    writer_u32(&w, count);
    writer_u32(&w, 0);
    for (uint32_t i = 0; i < count; i++) {
        writer_u64(&w, first + i);
        writer_u64(&w, 0);
        writer_u64(&w, 1000 + first + i);
        writer_u64(&w, 0);
        writer_u64(&w, 0);
    }
    hand_on(f, RECORD_QUEUE_STATE, payload, writer_len(&w));
}

static inline void command(struct fixture *f, const struct catalog_command *command)
{
    uint8_t payload[512];
    struct writer w = writer_of(payload, sizeof payload);

    catalog_command_encode(command, &w);
    hand_on(f, RECORD_CATALOG, payload, writer_len(&w));
}

static inline void add_vhost(struct fixture *f)
{
    struct catalog_command vhost = {.version = CATALOG_COMMAND_VERSION,
                                    .kind = CATALOG_VHOST_ADD,
                                    .vhost = STR("/"),
                                    .vhost_add.incarnation = 1};
    command(f, &vhost);
    assert_int_equal(f->rc, 0);
}

/* Queue "q", once more or with another incarnation, too: f->rc is for the caller to look at. */
static inline void declare_as(struct fixture *f, uint64_t incarnation)
{
    struct catalog_command queue = {
        .version = CATALOG_COMMAND_VERSION,
        .kind = CATALOG_QUEUE_DECLARE,
        .vhost = STR("/"),
        .queue_declare = {.name = STR("q"), .incarnation = incarnation, .durable = true},
    };
    command(f, &queue);
}

static inline void declare(struct fixture *f, uint64_t incarnation)
{
    declare_as(f, incarnation);
    assert_int_equal(f->rc, 0);
}

/* The positions of QUEUE that are there, as text. */
static inline const char *left(struct fixture *f)
{
    static char text[256];
    const struct recovered_queue *queue = recovery_find(&f->recovery, QUEUE);
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; queue && i < queue->count; i++)
        if (!queue->entries[i].is_gone)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu", at ? " " : "",
                                   (unsigned long long)queue->entries[i].position);
    return text;
}

#endif
