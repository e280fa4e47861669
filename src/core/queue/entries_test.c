/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of entries.c and returned.c against plain arrays. */
#include "core/queue/entries.h"

#include "core/queue/returned.h"
#include "io/shard_fixture.h"

#include <stdlib.h>

#define POSITIONS 20000

struct fixture {
    struct entries entries;
    struct entry_store store;
    bool *live; /* the model */
    uint64_t tail;
};

static void begin(struct fixture *f)
{
    f->entries = (struct entries){0};
    entry_store_init(&f->store, NULL, NULL, NULL);
    f->live = calloc(POSITIONS, sizeof *f->live);
    f->tail = 0;
}

/* Chunks and pages. */
static size_t in_use(const struct fixture *f)
{
    return f->store.chunks.in_use + f->store.pages.in_use;
}

static void end(struct fixture *f)
{
    (void)entries_fini(&f->entries, &f->store);
    assert_int_equal(in_use(f), 0);
    assert_true(list_is_empty(&f->store.resident));
    entry_store_fini(&f->store);
    free(f->live);
}

static void push(struct fixture *f)
{
    struct message message = {.offset = (uint32_t)f->tail, .state = MESSAGE_READY};
    assert_int_equal(entries_push(&f->entries, &f->store, &message), f->tail);
    f->live[f->tail++] = true;
}

static void drop(struct fixture *f, uint64_t position)
{
    struct entry_page *page = entries_page(&f->entries, position);
    uint32_t index = (uint32_t)(position % ENTRIES_PER_CHUNK);
    struct entry_bits bit = bits_range(index, index + 1);

    if (page) {
        page_take(page, &bit);
        if (bits_count(&page->live) == 0)
            entries_free_page(&f->entries, &f->store, position / ENTRIES_PER_CHUNK);
    } else {
        entries_drop(&f->entries, &f->store, position);
    }
    f->live[position] = false;
}

/* The chunk of `position` becomes a page, or a page a chunk again. */
static void turn(struct fixture *f, uint64_t position)
{
    uint64_t base = position - position % ENTRIES_PER_CHUNK;
    struct entry_chunk *chunk = entries_chunk(&f->entries, position);
    struct entry_page page = {.id = base + 1};

    if (base + ENTRIES_PER_CHUNK > f->tail)
        return;
    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK; i++)
        if (f->live[base + i])
            bits_set(&page.live, i);
    if (chunk) {
        entries_set_page(&f->entries, &f->store, base / ENTRIES_PER_CHUNK, &page);
        return;
    }
    if (!entries_page(&f->entries, position))
        return;
    assert_int_equal(entries_page(&f->entries, position)->id, page.id);
    assert_memory_equal(&entries_page(&f->entries, position)->live, &page.live, sizeof page.live);
    chunk = entries_unset_page(&f->entries, &f->store, base / ENTRIES_PER_CHUNK);
    for (uint32_t i = bits_next(&page.live, 0); i < ENTRIES_PER_CHUNK;
         i = bits_next(&page.live, i + 1)) {
        chunk->messages[i] =
            (struct message){.offset = (uint32_t)(base + i), .state = MESSAGE_READY};
        chunk->live++;
    }
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
    if (entries_page(&f->entries, position)) {
        assert_null(message);
        assert_int_equal(bits_has(&entries_page(&f->entries, position)->live,
                                  (uint32_t)(position % ENTRIES_PER_CHUNK)),
                         f->live[position]);
    } else if (position < f->tail && f->live[position]) {
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
    assert_int_equal(in_use(f), chunks);
    assert_int_equal(f->entries.head == f->entries.tail, chunks == 0);
    if (chunks > 0)
        assert_int_equal(f->entries.head % ENTRIES_PER_CHUNK, 0);
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
        assert_true(in_use(&f) <= 4);
    }
    assert_int_equal(f.entries.ring_capacity, 4);
    while (head < f.tail)
        drop(&f, head++);
    assert_int_equal(in_use(&f), 0);
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
    assert_int_equal(in_use(&f), 1);
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
            for (uint64_t n = seed % 3 ? dice_roll(&dice, 4) : 0; n > 0 && f.tail > 0; n--)
                turn(&f, dice_roll(&dice, f.tail));
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
            if (f.tail > 0)
                turn(&f, dice_roll(&dice, f.tail));
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

static void bits_of_ranges(void **state)
{
    for (uint32_t first = 0; first <= ENTRIES_PER_CHUNK; first++)
        for (uint32_t end = first; end <= ENTRIES_PER_CHUNK; end++) {
            struct entry_bits bits = bits_range(first, end);
            assert_int_equal(bits_count(&bits), end - first);
            assert_int_equal(bits_next(&bits, 0), first == end ? ENTRIES_PER_CHUNK : first);
            assert_int_equal(bits_next(&bits, end), ENTRIES_PER_CHUNK);
            for (uint32_t i = first; i < end; i++)
                assert_true(bits_has(&bits, i));
        }
}

/* What is taken in any pieces adds up to the whole. */
static void octets_of_a_page_are_taken_to_the_last(void **state)
{
    struct entry_page page = {.live = bits_range(0, ENTRIES_PER_CHUNK), .body_bytes = 1000003};
    struct entry_bits none = {0};
    struct entry_bits third = bits_range(5, 48);
    struct entry_bits rest;

    page_take(&page, &none);
    assert_int_equal(page.body_bytes, 1000003);
    page_take(&page, &third);
    assert_int_equal(bits_count(&page.live), ENTRIES_PER_CHUNK - 43);
    assert_true(page.body_bytes > 660000 && page.body_bytes < 670000);
    rest = page.live;
    page_take(&page, &rest);
    assert_int_equal(page.body_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifo_use_keeps_few_chunks),
        cmocka_unit_test(an_old_entry_holds_one_chunk),
        cmocka_unit_test(random_use_agrees_with_an_array),
        cmocka_unit_test(passing_over_positions_leaves_no_stale_chunk),
        cmocka_unit_test(returned_positions_come_lowest_first),
        cmocka_unit_test(bits_of_ranges),
        cmocka_unit_test(octets_of_a_page_are_taken_to_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
