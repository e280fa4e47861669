/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of places.c: against a plain array, through growth, moves, sweeps and shrinking. */
#include "storage/places.h"

#include "storage/chance.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NUMBERS 20000U

/* Index: the number; octets 0: not there. */
struct model {
    struct part_place places[NUMBERS];
    size_t count;
};

static struct part_place random_place(struct chance *chance, uint64_t number)
{
    return (struct part_place){
        .number = number,
        .segment = (uint32_t)chance_below(chance, 1000),
        .offset = (uint32_t)chance_below(chance, 1U << 28) * 8,
        .octets = (uint32_t)chance_below(chance, 1U << 17) * 8 + 8,
        .is_packed = chance_below(chance, 2) == 0,
    };
}

static bool same(const struct part_place *a, const struct part_place *b)
{
    return a->number == b->number && a->segment == b->segment && a->offset == b->offset &&
           a->octets == b->octets && a->is_packed == b->is_packed;
}

static void check_all(const struct places *places, const struct model *model)
{
    assert_int_equal(places->count, model->count);
    for (uint64_t number = 1; number < NUMBERS; number++) {
        struct part_place found;
        bool is_there = model->places[number].octets != 0;
        assert_int_equal(places_find(places, number, &found), is_there);
        if (is_there)
            assert_true(same(&found, &model->places[number]));
    }
}

static void put(struct places *places, struct model *model, const struct part_place *place)
{
    struct part_place *known = &model->places[place->number];
    struct part_place old;

    if (places_put(places, place, &old)) {
        assert_int_not_equal(known->octets, 0);
        assert_true(same(&old, known));
    } else {
        assert_int_equal(known->octets, 0);
        model->count++;
    }
    *known = *place;
}

struct chooser {
    struct model *model;
    uint32_t below; /* segments to forget */
};

static bool keep(void *context, const struct part_place *place)
{
    struct chooser *chooser = context;

    assert_true(same(place, &chooser->model->places[place->number]));
    if (place->segment >= chooser->below)
        return true;
    chooser->model->places[place->number].octets = 0;
    chooser->model->count--;
    return false;
}

/* Stretches of a random length; each place below must be gone afterwards. */
static void sweep(struct places *places, struct model *model, struct chance *chance, uint32_t below)
{
    struct chooser chooser = {model, below};
    size_t at = 0;

    while (at < places->capacity)
        at = places_sweep(places, at, 1 + chance_below(chance, 500), keep, &chooser);
    for (uint64_t number = 1; number < NUMBERS; number++)
        if (model->places[number].octets != 0)
            assert_true(model->places[number].segment >= below);
}

static void holds_what_was_put(void **state)
{
    (void)state;
    struct model *model = mem_alloc_zero(sizeof *model);
    struct chance chance = {.state = 7};
    struct places places = {0};

    check_all(&places, model);
    for (int turn = 0; turn < 40; turn++) {
        uint64_t first = 1 + chance_below(&chance, NUMBERS - 1);
        uint64_t count = chance_below(&chance, NUMBERS - first);
        for (uint64_t number = first; number < first + count; number++) {
            struct part_place place = random_place(&chance, number);
            put(&places, model, &place);
        }
        check_all(&places, model);
        sweep(&places, model, &chance, (uint32_t)chance_below(&chance, 1001));
        places_shrink(&places);
        check_all(&places, model);
    }
    places_fini(&places);
    mem_free(model);
}

/* What a node with many parts pays; and a table that was emptied is small again. */
static void takes_little_memory(void **state)
{
    (void)state;
    struct places places = {0};
    struct part_place old;

    for (uint64_t number = 1; number <= 300000; number++) {
        struct part_place place = {number, 1, 4096, 8, false};
        assert_false(places_put(&places, &place, &old));
        if (number > 100)
            assert_true(places.capacity * 16 <= number * 32);
    }
    places_fini(&places);
}

static bool keep_few(void *context, const struct part_place *place)
{
    (void)context;
    return place->number % 1000 == 0;
}

static void gives_memory_back(void **state)
{
    (void)state;
    struct places places = {0};
    struct part_place place = {0, 1, 4096, 8, false};
    struct part_place old;
    size_t full;

    for (place.number = 1; place.number <= 100000; place.number++)
        assert_false(places_put(&places, &place, &old));
    full = places.capacity;
    assert_int_equal(places_sweep(&places, 0, SIZE_MAX, keep_few, NULL), full);
    places_shrink(&places);
    assert_int_equal(places.count, 100);
    assert_true(places.capacity < full / 100);
    for (uint64_t number = 1000; number <= 100000; number += 1000)
        assert_true(places_find(&places, number, &place));
    places_fini(&places);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_put),
        cmocka_unit_test(takes_little_memory),
        cmocka_unit_test(gives_memory_back),
    };
    return cmocka_run_group_tests_name("storage-places", tests, NULL, NULL);
}
