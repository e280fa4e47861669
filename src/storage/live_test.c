/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of live.c: ranges of parts against a plain set. */
#include "storage/chance.h"
#include "storage/log_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PARTS 500U

static void ranges_are_the_set(void **state)
{
    struct chance chance = {.state = 3};
    (void)state;

    for (int turn = 0; turn < 500; turn++) {
        struct log_gather gather = {0};
        bool is_live[PARTS] = {false};
        uint64_t ranges = chance_below(&chance, 30);

        while (ranges-- > 0) {
            uint64_t first = 1 + chance_below(&chance, PARTS - 1);
            uint64_t last = MIN(first + chance_below(&chance, 20), (uint64_t)PARTS - 1);
            log_gather_live(&gather, first, last);
            for (uint64_t part = first; part <= last; part++)
                is_live[part] = true;
        }
        live_sort(&gather);
        for (size_t i = 1; i < gather.live.count; i++)
            assert_true(gather.live.all[i].first > gather.live.all[i - 1].last + 1);
        for (uint64_t part = 0; part < PARTS; part++)
            assert_int_equal(live_has(&gather.live, part), is_live[part]);
        log_gather_free(&gather);
    }
}

/* A queue in order takes one range, however long it is. */
static void neighbours_are_one(void **state)
{
    struct log_gather gather = {0};
    (void)state;

    for (uint64_t part = 1; part < 100000; part++)
        log_gather_live(&gather, part, part + part % 3);
    assert_int_equal(gather.live.count, 1);
    log_gather_free(&gather);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_the_set),
        cmocka_unit_test(neighbours_are_one),
    };
    return cmocka_run_group_tests_name("storage-live", tests, NULL, NULL);
}
