/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: shards without threads; the test is all of them in turn. */
#ifndef TOKKI_IO_SHARD_FIXTURE_H
#define TOKKI_IO_SHARD_FIXTURE_H

#include "io/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Numbers of a model test: xorshift64, the same in every run. */
struct dice {
    uint64_t state;
};

static inline uint64_t dice_roll(struct dice *dice, uint64_t sides)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return dice->state % sides;
}

static inline void fixture_ignore(struct shard *shard)
{
    (void)shard;
}

static inline void fixture_mail(struct shard *shard, uint16_t from, const void *entry)
{
    (void)shard;
    (void)from;
    (void)entry;
}

static inline bool fixture_no(struct shard *shard)
{
    (void)shard;
    return false;
}

/* `count` shards; this thread stands on the first. */
static inline struct shard_set *shards_open(uint16_t count)
{
    static const struct shard_hooks hooks = {
        .awake = fixture_ignore,
        .owed = fixture_ignore,
        .mail = fixture_mail,
        .conclude = fixture_ignore,
        .hand_over = fixture_ignore,
        .has_work = fixture_no,
        .asleep = fixture_ignore,
        .stop = fixture_ignore,
        .is_stopped = fixture_no,
    };
    struct shard_set *set;

    assert_int_equal(shard_set_new(count, 0, &hooks, &set), 0);
    shard_current = set->shards[0];
    return set;
}

/* This thread goes on as shard `id`. */
static inline struct shard *shards_go(struct shard_set *set, uint16_t id)
{
    shard_current = set->shards[id];
    return shard_current;
}

/* Let releases travel home. Returns the bytes still held in blocks by all shards. */
static inline uint64_t shards_settle(struct shard_set *set)
{
    uint64_t bytes = 0;
    shard_set_drain_mail(set);
    for (uint16_t i = 0; i < set->count; i++)
        bytes += set->shards[i]->blocks.bytes_in_use;
    return bytes;
}

static inline void shards_close(struct shard_set *set)
{
    shard_set_free(set);
    shard_current = NULL;
}

/* The shard's clock reaches `now_ms`: what is due fires, as in a turn. */
static inline void shard_advance(struct shard *shard, uint64_t now_ms)
{
    shard->now_ms = now_ms;
    timer_wheel_advance(&shard->timers, now_ms);
}

#endif
