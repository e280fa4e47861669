/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of destination sets against a plain model, small and large, with old versions. */
#include "core/routing/route_internal.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MARKS 3000

struct world {
    struct reclaim *reclaim;
    struct edit edit;
    struct dest_set set;
    unsigned uses[MARKS];
    unsigned count;
    uint64_t random;
};

static unsigned next_random(struct world *w, unsigned below)
{
    w->random = w->random * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)((w->random >> 33) % below);
}

static void add(struct world *w, uint32_t mark)
{
    struct destination dest = {.queue = {.incarnation = mark + 1U}, .mark = mark};
    bool is_new = w->uses[mark]++ == 0;
    w->count += is_new;
    assert_int_equal(dest_set_add(&w->set, &w->edit, &dest), is_new);
}

static void take(struct world *w, uint32_t mark)
{
    if (w->uses[mark] == 0)
        return;
    bool is_last = --w->uses[mark] == 0;
    w->count -= is_last;
    assert_int_equal(dest_set_remove(&w->set, &w->edit, mark), is_last);
}

/* The marks of a set, as routing reads them. */
static void check(const struct dest_set *set, const unsigned *uses, unsigned count)
{
    struct route_result out;
    route_result_init(&out);
    out.marks = mem_alloc_zero(MARKS * sizeof *out.marks);
    out.marks_capacity = MARKS;
    out.round = out.first_round = 1;
    dest_set_route(set, &out);
    assert_int_equal(set->count, count);
    assert_int_equal(out.count, count);
    assert_int_equal(out.matches, count); /* none twice */
    for (uint32_t i = 0; i < out.count; i++)
        assert_true(uses[out.queues[i].incarnation - 1] > 0);
    route_result_fini(&out);
}

static void random_changes(struct world *w, unsigned changes, unsigned add_percent, unsigned marks)
{
    for (unsigned i = 0; i < changes; i++) {
        uint32_t mark = next_random(w, marks);
        if (next_random(w, 100) < add_percent)
            add(w, mark);
        else
            take(w, mark);
        if (next_random(w, 40) == 0)
            w->edit.stamp++;
    }
}

static struct world world_new(void)
{
    struct world w = {.reclaim = reclaim_new(1), .random = 3};
    w.edit = (struct edit){w.reclaim, 1};
    return w;
}

static void behaves_as_a_set(void **state)
{
    static const unsigned sizes[] = {3, 20, 40, 100, MARKS};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct world w = world_new();
        for (int round = 0; round < 40; round++) {
            random_changes(&w, 200, round < 20 ? 70 : 30, sizes[s]);
            check(&w.set, w.uses, w.count);
            reclaim_advance(w.reclaim);
        }
        for (uint32_t mark = 0; mark < MARKS; mark++)
            while (w.uses[mark] > 0)
                take(&w, mark);
        check(&w.set, w.uses, 0);
        w.edit.stamp++;
        reclaim_advance(w.reclaim);
        assert_int_equal(reclaim_pending(w.reclaim), 0);
        reclaim_free(w.reclaim);
    }
}

static void old_versions_stay_intact(void **state)
{
    static unsigned models[20][MARKS];
    struct dest_set versions[20];
    unsigned counts[20];
    struct world w = world_new();
    reclaim_reader_online(w.reclaim, 0);
    for (int i = 0; i < 20; i++) {
        random_changes(&w, 300, i < 10 ? 80 : 20, 500);
        versions[i] = w.set;
        counts[i] = w.count;
        memcpy(models[i], w.uses, sizeof w.uses);
        w.edit.stamp++;
        reclaim_advance(w.reclaim);
    }
    for (int i = 0; i < 20; i++)
        check(&versions[i], models[i], counts[i]);
    reclaim_reader_offline(w.reclaim, 0);
    dest_set_clear(&w.set, &w.edit);
    reclaim_free(w.reclaim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_a_set),
        cmocka_unit_test(old_versions_stay_intact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
