/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of message.c: who holds which reference, and messages that cross shards, leak-free. */
#include "core/message.h"

#include "base/mem.h"
#include "core/message_fixture.h"

struct stage_of_two {
    struct shard_set *set;
    struct pool pools[3]; /* descriptors, one pool for each shard */
};

static void begin(struct stage_of_two *two, uint16_t shards)
{
    two->set = shards_open(shards);
    for (uint16_t i = 0; i < 3; i++)
        pool_init(&two->pools[i], sizeof(struct message_shared), 16);
}

/* Nothing is left: every block released, every descriptor given back. */
static void end(struct stage_of_two *two)
{
    assert_int_equal(shards_settle(two->set), 0);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(two->pools[i].in_use, 0);
        pool_fini(&two->pools[i]);
    }
    shards_close(two->set);
}

static void drop(struct stage_of_two *two, uint16_t shard, const struct message *message)
{
    message_unref(shards_go(two->set, shard), &two->pools[shard], message);
}

/* From shard `from` to shard `to`, as one mail carries it. */
static struct message carry(struct stage_of_two *two, uint16_t from, uint16_t to,
                            struct message message)
{
    message_export(shards_go(two->set, from), &two->pools[from], &message);
    shards_go(two->set, to);
    message_import(&two->pools[to], &message);
    return message;
}

static void reads_its_image(void **state)
{
    struct stage_of_two two;
    struct message message;

    begin(&two, 1);
    message = message_make(two.set->shards[0], 42);
    assert_image(&message, 42);
    assert_int_equal(message_content_len(&message), FIXTURE_HEADER_LEN + 8 + 42);
    assert_ptr_equal(message_content(&message), message_image(&message) + 8);
    drop(&two, 0, &message);
    end(&two);
}

static void entries_of_one_descriptor_are_counted(void **state)
{
    struct stage_of_two two;
    struct message message;
    struct block *held;

    begin(&two, 1);
    message = message_make(two.set->shards[0], 7);
    message_share(&message, &two.pools[0]);
    message_share(&message, &two.pools[0]); /* already is */
    assert_int_equal(two.pools[0].in_use, 1);
    assert_int_equal(message.shared->refs, 1);
    message_ref(&message, 2);
    assert_image(&message, 7);
    held = message_hold(two.set->shards[0], &message);
    assert_ptr_equal(held, message.shared->place.block);
    drop(&two, 0, &message);
    drop(&two, 0, &message);
    assert_image(&message, 7);
    drop(&two, 0, &message);
    assert_int_equal(two.pools[0].in_use, 0);
    assert_int_equal(held->refs, 1);
    block_unref(two.set->shards[0], held, 1);
    end(&two);
}

static void holding_at_home_counts_the_block(void **state)
{
    struct stage_of_two two;
    struct message message;
    struct message copy;

    begin(&two, 1);
    message = message_make(two.set->shards[0], 8);
    assert_ptr_equal(message_hold(two.set->shards[0], &message), message.block);
    assert_int_equal(message.block->refs, 2);
    copy = message_reference(two.set->shards[0], &message);
    assert_int_equal(message.block->refs, 3);
    block_unref(two.set->shards[0], message.block, 1);
    drop(&two, 0, &message);
    assert_image(&copy, 8);
    drop(&two, 0, &copy);
    end(&two);
}

/* Abroad a block cannot be counted: the spare references that came along are used up first, then
 * the bytes move to a block of the holder. */
static void holding_abroad_uses_spares_then_copies(void **state)
{
    struct stage_of_two two;
    struct message message;
    struct block *origin;
    struct shard *abroad;

    begin(&two, 2);
    message = message_make(two.set->shards[0], 99);
    origin = message.block;
    message = carry(&two, 0, 1, message);
    abroad = two.set->shards[1];
    assert_int_equal(message.spare, MESSAGE_SPARE_EXPORTED);
    assert_int_equal(origin->refs, 1 + MESSAGE_SPARE_EXPORTED);
    for (int i = 0; i < MESSAGE_SPARE_EXPORTED; i++) {
        assert_ptr_equal(message_hold(abroad, &message), origin);
        block_unref(abroad, origin, 1);
    }
    assert_int_equal(message.spare, 0);
    assert_int_equal(message_hold(abroad, &message)->shard, 1);
    assert_ptr_not_equal(message.block, origin);
    assert_image(&message, 99);
    assert_int_equal(shards_settle(two.set), message.block->capacity); /* the origin is gone */
    block_unref(shards_go(two.set, 1), message.block, 1);
    drop(&two, 1, &message);
    end(&two);
}

static void unused_spares_go_home_with_the_last_reference(void **state)
{
    struct stage_of_two two;
    struct message message;
    struct message copy;

    begin(&two, 2);
    message = carry(&two, 0, 1, message_make(two.set->shards[0], 3));
    copy = message_reference(two.set->shards[1], &message);
    assert_int_equal(copy.spare, 0);
    drop(&two, 1, &message);
    assert_image(&copy, 3);
    drop(&two, 1, &copy);
    end(&two);
}

/* Published on 0 to a queue of 1 whose consumer is on 2, and back on 0: each hop may hold it. */
static void messages_travel_on(void **state)
{
    for (int holds = 0; holds < 6; holds++) {
        struct stage_of_two two;
        struct message message;
        struct message copy;
        begin(&two, 3);
        message = carry(&two, 0, 1, message_make(two.set->shards[0], 55));
        for (int i = 0; i < holds; i++)
            block_unref(two.set->shards[1], message_hold(two.set->shards[1], &message), 1);
        copy = carry(&two, 1, 2, message_reference(two.set->shards[1], &message));
        block_unref(two.set->shards[2], message_hold(two.set->shards[2], &copy), 1);
        assert_image(&copy, 55);
        copy = carry(&two, 2, 0, copy);
        block_unref(two.set->shards[0], message_hold(two.set->shards[0], &copy), 1);
        assert_image(&copy, 55);
        assert_image(&message, 55);
        drop(&two, 0, &copy);
        drop(&two, 1, &message);
        end(&two);
    }
}

/* A fan-out: some queues here share a descriptor, others on two shards get blocks of their own. */
static void a_shared_message_leaves_its_shard(void **state)
{
    for (uint32_t exports = 1; exports <= 3; exports++) {
        struct stage_of_two two;
        struct message message;
        struct message abroad[3];
        begin(&two, 3);
        message = message_make(two.set->shards[0], 77);
        message_share(&message, &two.pools[0]);
        message_ref(&message, 2);
        for (uint32_t i = 0; i < exports; i++)
            abroad[i] = carry(&two, 0, (uint16_t)(1 + i % 2), message);
        assert_int_equal(two.pools[0].in_use, exports < 3);
        for (uint32_t i = 0; i < exports; i++) {
            assert_false(abroad[i].flags & MESSAGE_SHARED);
            assert_image(&abroad[i], 77);
            drop(&two, (uint16_t)(1 + i % 2), &abroad[i]);
        }
        for (uint32_t i = exports; i < 3; i++)
            drop(&two, 0, &message);
        end(&two);
    }
}

/* An imported message in several queues of its new shard. */
static void an_imported_message_is_shared_abroad(void **state)
{
    struct stage_of_two two;
    struct message message;
    struct message further;
    struct block *held;

    begin(&two, 3);
    message = message_make(two.set->shards[0], 12);
    message_share(&message, &two.pools[0]);
    message_ref(&message, 1);
    drop(&two, 0, &message);
    message = carry(&two, 0, 1, message);
    message_share(&message, &two.pools[1]);
    message_ref(&message, 1);
    /* Both go on while the bytes are still those of shard 0: one by a copy, one as they are. */
    further = carry(&two, 1, 2, message);
    assert_image(&further, 12);
    held = message_hold(shards_go(two.set, 1), &message);
    assert_int_equal(held->shard, 1);
    block_unref(two.set->shards[1], held, 1);
    assert_image(&message, 12);
    drop(&two, 2, &further);
    drop(&two, 1, &message);
    end(&two);
}

/* A body in three chunks beside a short image. */
static struct message make_chained(struct stage_of_two *two, uint32_t number)
{
    struct shard *shard = shards_go(two->set, 0);
    struct message message = message_make(shard, number);

    message_share(&message, &two->pools[0]);
    message.flags |= MESSAGE_CHAINED;
    message.shared->chunk_count = 3;
    message.shared->chunks = mem_alloc(3 * sizeof *message.shared->chunks);
    for (uint32_t i = 0; i < 3; i++) {
        struct block *block = block_new(shard, 50 + i);
        memset(block->data, (int)(number + i), 50 + i);
        message.shared->chunks[i] = (struct message_chunk){block, 50 + i};
    }
    return message;
}

static void assert_chain(const struct message *message, uint32_t number)
{
    assert_image(message, number);
    assert_true(message->flags & MESSAGE_CHAINED);
    assert_int_equal(message->shared->chunk_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct message_chunk *chunk = &message->shared->chunks[i];
        assert_int_equal(chunk->length, 50 + i);
        for (uint32_t j = 0; j < chunk->length; j++)
            assert_int_equal(chunk->block->data[j], number + i);
    }
}

static void chains_are_released_with_the_message(void **state)
{
    struct stage_of_two two;
    struct message message;
    struct block *held;

    begin(&two, 1);
    message = make_chained(&two, 20);
    assert_chain(&message, 20);
    held = message_hold_chunk(two.set->shards[0], &message, 1);
    assert_ptr_equal(held, message.shared->chunks[1].block);
    drop(&two, 0, &message);
    assert_int_equal(held->refs, 1);
    block_unref(two.set->shards[0], held, 1);
    end(&two);
}

static void chains_cross_shards(void **state)
{
    for (uint32_t others = 0; others < 2; others++) {
        struct stage_of_two two;
        struct message message;
        struct message abroad;
        struct message copy;
        begin(&two, 3);
        message = make_chained(&two, 30);
        message_ref(&message, others);
        abroad = carry(&two, 0, 1, message);
        assert_chain(&abroad, 30);
        /* Holding one chunk abroad brings that chunk over, the others stay. */
        block_unref(two.set->shards[1], message_hold_chunk(two.set->shards[1], &abroad, 2), 1);
        assert_int_equal(abroad.shared->chunks[2].block->shard, 1);
        assert_int_equal(abroad.shared->chunks[0].block->shard, 0);
        assert_chain(&abroad, 30);
        /* One more reference leaves for a third shard: chunks of others are copied for it. */
        copy = carry(&two, 1, 2, message_reference(two.set->shards[1], &abroad));
        assert_chain(&copy, 30);
        assert_chain(&abroad, 30);
        drop(&two, 1, &abroad);
        assert_chain(&copy, 30);
        drop(&two, 2, &copy);
        if (others > 0) {
            assert_chain(&message, 30);
            drop(&two, 0, &message);
        }
        end(&two);
    }
}

/* Messages wander over three shards, are referenced, shared, held and dropped at random. */
static void random_journeys_leak_nothing(void **state)
{
    enum { LIVE = 20, STEPS = 30000 };
    struct stage_of_two two;
    struct message messages[LIVE];
    uint32_t numbers[LIVE];
    uint16_t where[LIVE];
    int live = 0;
    struct dice dice = {2};

    begin(&two, 3);
    for (int step = 0; step < STEPS; step++) {
        int i = live ? (int)dice_roll(&dice, (uint64_t)live) : 0;
        struct message *message = &messages[i];
        struct shard *shard;
        uint64_t what = live < 2 ? 0 : live == LIVE ? 1 : dice_roll(&dice, 7);
        if (what == 0) {
            numbers[live] = (uint32_t)step % 97;
            where[live] = 0;
            messages[live] = dice_roll(&dice, 3)
                                 ? message_make(shards_go(two.set, 0), numbers[live])
                                 : make_chained(&two, numbers[live]);
            live++;
            continue;
        }
        shard = shards_go(two.set, where[i]);
        assert_image(message, numbers[i]);
        if (what == 1) {
            drop(&two, where[i], message);
            live--;
            messages[i] = messages[live];
            numbers[i] = numbers[live];
            where[i] = where[live];
        } else if (what == 2) {
            messages[live] = message_reference(shard, message);
            numbers[live] = numbers[i];
            where[live++] = where[i];
        } else if (what == 3) {
            block_unref(shard, message_hold(shard, message), 1);
        } else if (what == 4 && message->spare == 0) {
            message_share(message, &two.pools[where[i]]);
        } else if (what == 5 && (message->flags & MESSAGE_CHAINED)) {
            block_unref(shard, message_hold_chunk(shard, message, (uint32_t)step % 3), 1);
        } else if (what == 6) {
            uint16_t to = (uint16_t)((where[i] + 1 + dice_roll(&dice, 2)) % 3);
            *message = carry(&two, where[i], to, *message);
            where[i] = to;
        }
        if (dice_roll(&dice, 50) == 0)
            shards_settle(two.set);
    }
    for (int i = 0; i < live; i++)
        drop(&two, where[i], &messages[i]);
    end(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_its_image),
        cmocka_unit_test(entries_of_one_descriptor_are_counted),
        cmocka_unit_test(holding_at_home_counts_the_block),
        cmocka_unit_test(holding_abroad_uses_spares_then_copies),
        cmocka_unit_test(unused_spares_go_home_with_the_last_reference),
        cmocka_unit_test(messages_travel_on),
        cmocka_unit_test(a_shared_message_leaves_its_shard),
        cmocka_unit_test(an_imported_message_is_shared_abroad),
        cmocka_unit_test(chains_are_released_with_the_message),
        cmocka_unit_test(chains_cross_shards),
        cmocka_unit_test(random_journeys_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
