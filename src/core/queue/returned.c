/* SPDX-License-Identifier: Apache-2.0 */
/* Min-heap of position runs. */
#include "core/queue/returned.h"

#include "base/bug.h"
#include "base/mem.h"

static void swap_runs(struct position_run *a, struct position_run *b)
{
    struct position_run t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(struct returned *set, uint32_t i)
{
    while (i > 0 && set->runs[i].first < set->runs[(i - 1) / 2].first) {
        swap_runs(&set->runs[i], &set->runs[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct returned *set, uint32_t i)
{
    for (;;) {
        uint32_t least = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < set->run_count; child++)
            if (set->runs[child].first < set->runs[least].first)
                least = child;
        if (least == i)
            return;
        swap_runs(&set->runs[i], &set->runs[least]);
        i = least;
    }
}

void returned_add(struct returned *set, uint64_t first, uint64_t count)
{
    if (set->run_count == set->capacity) {
        set->capacity = MAX(set->capacity * 2, 8U);
        set->runs = mem_resize(set->runs, set->capacity * sizeof *set->runs);
    }
    set->runs[set->run_count++] = (struct position_run){first, count};
    set->count += count;
    sift_up(set, set->run_count - 1);
}

void returned_take_lowest(struct returned *set)
{
    struct position_run *top = set->runs;

    DEBUG_BUG_ON(set->count == 0, "took from an empty set of returned positions");
    set->count--;
    top->first++;
    if (--top->count > 0)
        return;
    *top = set->runs[--set->run_count];
    sift_down(set, 0);
    if (set->run_count == 0)
        returned_fini(set);
}

void returned_fini(struct returned *set)
{
    mem_free(set->runs);
    *set = (struct returned){0};
}
