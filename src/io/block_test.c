/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of block.c: counting, recycling, and releases that travel home from other shards. */
#include "io/block.h"

#include "io/shard_fixture.h"

static void the_last_reference_frees(void **state)
{
    struct shard_set *set = shards_open(1);
    struct shard *shard = set->shards[0];
    struct block *block = block_new(shard, 1000);

    assert_int_equal(block->capacity, 1000);
    assert_false(block->is_receive);
    assert_int_equal(shard->blocks.bytes_in_use, 1000);
    block_ref(block, 5);
    block_unref(shard, block, 2);
    block_unref(shard, block, 3);
    assert_int_equal(shard->blocks.bytes_in_use, 1000);
    block->data[999] = 1;
    block_unref(shard, block, 1);
    assert_int_equal(shard->blocks.bytes_in_use, 0);
    shards_close(set);
}

static void receive_blocks_are_recycled_last_in_first_out(void **state)
{
    struct shard_set *set = shards_open(1);
    struct shard *shard = set->shards[0];
    struct block *first = block_new_receive(shard);
    struct block *second = block_new_receive(shard);

    assert_int_equal(first->capacity, BLOCK_RECEIVE_BYTES);
    assert_int_equal(shard->blocks.receive_in_use, 2);
    first->used = 7;
    block_unref(shard, second, 1);
    block_unref(shard, first, 1);
    assert_int_equal(shard->blocks.receive_in_use, 0);
    assert_int_equal(shard->blocks.free_receive_count, 2);
    assert_ptr_equal(block_new_receive(shard), first);
    assert_int_equal(first->used, 0);
    assert_int_equal(first->refs, 1);
    assert_ptr_equal(block_new_receive(shard), second);
    block_unref(shard, first, 1);
    block_unref(shard, second, 1);
    assert_int_equal(shards_settle(set), 0);
    shards_close(set);
}

/* Not more than 16 MiB wait for reuse. */
static void a_burst_goes_back_to_the_heap(void **state)
{
    enum { BURST = 70 };
    struct shard_set *set = shards_open(1);
    struct shard *shard = set->shards[0];
    struct block *blocks[BURST];

    for (int i = 0; i < BURST; i++)
        blocks[i] = block_new_receive(shard);
    assert_int_equal(shard->blocks.receive_in_use, BURST);
    for (int i = 0; i < BURST; i++)
        block_unref(shard, blocks[i], 1);
    assert_int_equal(shard->blocks.free_receive_count, 16);
    assert_int_equal(shards_settle(set), 0);
    shards_close(set);
}

static void releases_of_other_shards_come_by_mail(void **state)
{
    struct shard_set *set = shards_open(2);
    struct shard *home = shards_go(set, 0);
    struct shard *away;
    struct block *block = block_new(home, 100);

    block_ref(block, 9);
    away = shards_go(set, 1);
    block_unref(away, block, 4);
    block_unref(away, block, 5);
    /* Counted by the owner only: nothing has changed yet, and runs of one block are one mail. */
    assert_int_equal(block->refs, 10);
    assert_int_equal(away->releases[0].count, 9);
    assert_int_equal(shards_settle(set), 100);
    assert_int_equal(block->refs, 1);
    shards_go(set, 0);
    block_unref(home, block, 1);
    assert_int_equal(shards_settle(set), 0);
    shards_close(set);
}

/* Shards hand random references around and drop them in any order and any turn. */
static void random_releases_balance(void **state)
{
    enum { BLOCKS = 24, SHARDS = 3 };
    struct shard_set *set = shards_open(SHARDS);
    struct block *blocks[BLOCKS];
    uint32_t held[BLOCKS][SHARDS];
    struct dice dice = {5};
    uint64_t left = 0;

    for (int i = 0; i < BLOCKS; i++) {
        uint16_t home = (uint16_t)(i % SHARDS);
        blocks[i] = block_new(shards_go(set, home), 10);
        for (int s = 0; s < SHARDS; s++) {
            held[i][s] = (uint32_t)dice_roll(&dice, 40);
            block_ref(blocks[i], held[i][s]);
            left += held[i][s];
        }
        held[i][home]++;
        left++;
    }
    while (left > 0) {
        int i = (int)dice_roll(&dice, BLOCKS);
        uint16_t s = (uint16_t)dice_roll(&dice, SHARDS);
        uint32_t n = held[i][s] ? 1 + (uint32_t)dice_roll(&dice, held[i][s]) : 0;
        if (n > 0)
            block_unref(shards_go(set, s), blocks[i], n);
        held[i][s] -= n;
        left -= n;
        if (dice_roll(&dice, 20) == 0)
            shards_settle(set);
    }
    assert_int_equal(shards_settle(set), 0);
    shards_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(receive_blocks_are_recycled_last_in_first_out),
        cmocka_unit_test(a_burst_goes_back_to_the_heap),
        cmocka_unit_test(releases_of_other_shards_come_by_mail),
        cmocka_unit_test(random_releases_balance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
