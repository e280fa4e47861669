/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of entries.c and returned.c against plain arrays. */
#include "core/queue/entries.h"

#include "core/queue/returned.h"
#include "io/shard_fixture.h"

#include <stdlib.h>

#define POSITIONS 20000

struct fixture {
    struct entries entries;
    struct pool pool;
    bool *live; /* the model */
    uint64_t tail;
};

static void begin(struct fixture *f)
{
    f->entries = (struct entries){0};
    pool_init(&f->pool, sizeof(struct entry_chunk), 4);
    f->live = calloc(POSITIONS, sizeof *f->live);
    f->tail = 0;
}

static void end(struct fixture *f)
{
    entries_fini(&f->entries, &f->pool);
    assert_int_equal(f->pool.in_use, 0);
    pool_fini(&f->pool);
    free(f->live);
}

static void push(struct fixture *f)
{
    struct message message = {.offset = (uint32_t)f->tail, .state = MESSAGE_READY};
    assert_int_equal(entries_push(&f->entries, &f->pool, &message), f->tail);
    f->live[f->tail++] = true;
}

static void drop(struct fixture *f, uint64_t position)
{
    entries_drop(&f->entries, &f->pool, position);
    f->live[position] = false;
}

static uint64_t model_next(const struct fixture *f, uint64_t from)
{
    while (from < f->tail && !f->live[from])
        from++;
    return from;
}

static void assert_entry(const struct fixture *f, uint64_t position)
{
    const struct message *message = entries_at(&f->entries, position);
    if (position < f->tail && f->live[position]) {
        assert_non_null(message);
        assert_int_equal(message->offset, position);
    } else {
        assert_null(message);
    }
}

/* One chunk for every 128 positions with a live entry, and no other. */
static void assert_chunks(const struct fixture *f)
{
    size_t chunks = 0;
    uint64_t last = UINT64_MAX;
    for (uint64_t p = model_next(f, 0); p < f->tail; p = model_next(f, p + 1)) {
        chunks += p / ENTRIES_PER_CHUNK != last;
        last = p / ENTRIES_PER_CHUNK;
    }
    assert_int_equal(f->pool.in_use, chunks);
    assert_int_equal(f->entries.head == f->entries.tail, chunks == 0);
}

static void fifo_use_keeps_few_chunks(void **state)
{
    struct fixture f;
    uint64_t head = 0;

    begin(&f);
    assert_null(entries_at(&f.entries, 0));
    assert_int_equal(entries_next_live(&f.entries, 0), 0);
    for (int i = 0; i < POSITIONS - 500; i++) {
        push(&f);
        if (i >= 300)
            drop(&f, head++);
        assert_true(f.pool.in_use <= 4);
    }
    assert_int_equal(f.entries.ring_capacity, 4);
    while (head < f.tail)
        drop(&f, head++);
    assert_int_equal(f.pool.in_use, 0);
    push(&f);
    assert_entry(&f, f.tail - 1);
    end(&f);
}

/* An old unacknowledged message holds its own 4 KiB, not everything behind it. */
static void an_old_entry_holds_one_chunk(void **state)
{
    struct fixture f;

    begin(&f);
    for (int i = 0; i < POSITIONS; i++)
        push(&f);
    for (uint64_t p = 1; p < POSITIONS; p++)
        drop(&f, p);
    assert_int_equal(f.pool.in_use, 1);
    assert_entry(&f, 0);
    assert_int_equal(entries_next_live(&f.entries, 1), POSITIONS);
    end(&f);
}

static void random_use_agrees_with_an_array(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct fixture f;
        struct dice dice = {seed};
        begin(&f);
        while (f.tail < POSITIONS / 4) {
            /* Phases of growing and of shrinking; drops near the head and anywhere. */
            bool grows = f.tail / 700 % 2 == seed % 2;
            uint64_t from;
            for (uint64_t n = dice_roll(&dice, grows ? 60 : 15); n > 0; n--)
                push(&f);
            for (uint64_t n = dice_roll(&dice, grows ? 20 : 60); n > 0 && f.tail > 0; n--) {
                uint64_t p = dice_roll(&dice, 3) ? model_next(&f, 0)
                                                 : model_next(&f, dice_roll(&dice, f.tail));
                if (p < f.tail)
                    drop(&f, p);
            }
            from = dice_roll(&dice, f.tail + 2);
            assert_int_equal(entries_next_live(&f.entries, from),
                             MIN(model_next(&f, from), f.tail));
            assert_entry(&f, from);
            assert_chunks(&f);
        }
        for (uint64_t p = 0; p < f.tail + 3; p++)
            assert_entry(&f, p);
        end(&f);
    }
}

/* Gaps of any size, as a queue has them that comes back from the log. */
static void passing_over_positions_leaves_no_stale_chunk(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture f;
        struct dice dice = {seed};
        begin(&f);
        while (f.tail < POSITIONS / 2) {
            uint64_t to = f.tail + dice_roll(&dice, dice_roll(&dice, 2) ? 3000 : 200);
            entries_skip_to(&f.entries, to);
            f.tail = to;
            for (uint64_t n = dice_roll(&dice, 300); n > 0; n--)
                push(&f);
            for (uint64_t n = dice_roll(&dice, 200); n > 0; n--) {
                uint64_t p = model_next(&f, dice_roll(&dice, 2) ? 0 : dice_roll(&dice, f.tail + 1));
                if (p < f.tail)
                    drop(&f, p);
            }
            assert_chunks(&f);
        }
        for (uint64_t p = 0; p < f.tail + 3; p++)
            assert_entry(&f, p);
        for (uint64_t p = model_next(&f, 0); p < f.tail; p = model_next(&f, p)) {
            assert_int_equal(entries_next_live(&f.entries, 0), p);
            drop(&f, p);
        }
        assert_int_equal(f.entries.head, f.entries.tail);
        end(&f);
    }
}

static void returned_positions_come_lowest_first(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct returned set = {0};
        bool model[2000] = {false};
        uint64_t count = 0;
        struct dice dice = {seed};
        for (int step = 0; step < 4000; step++) {
            uint64_t first = dice_roll(&dice, ARRAY_LEN(model));
            uint64_t n = 0;
            while (dice_roll(&dice, 3) && first + n < ARRAY_LEN(model) && !model[first + n])
                model[first + n++] = true;
            if (n > 0)
                returned_add(&set, first, n);
            count += n;
            assert_int_equal(set.count, count);
            if (count > 0 && dice_roll(&dice, 5)) {
                uint64_t lowest = 0;
                while (!model[lowest])
                    lowest++;
                assert_int_equal(returned_lowest(&set), lowest);
                returned_take_lowest(&set);
                model[lowest] = false;
                count--;
            }
        }
        while (set.count > 0)
            returned_take_lowest(&set);
        assert_null(set.runs); /* an empty set owns nothing */
        returned_fini(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifo_use_keeps_few_chunks),
        cmocka_unit_test(an_old_entry_holds_one_chunk),
        cmocka_unit_test(random_use_agrees_with_an_array),
        cmocka_unit_test(passing_over_positions_leaves_no_stale_chunk),
        cmocka_unit_test(returned_positions_come_lowest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
