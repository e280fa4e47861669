/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of slab.c: size classes, alignment, and that given memory is taken again. */
#include "base/slab.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Every size up to beyond the largest class: filled whole, none runs into another. */
static void objects_of_all_sizes_stand_apart(void **state)
{
    enum { SIZES = SLAB_OBJECT_MAX + 200, EACH = 3 };
    static unsigned char *objects[SIZES][EACH];
    struct slab slab;

    slab_init(&slab);
    for (size_t bytes = 0; bytes < SIZES; bytes++)
        for (size_t i = 0; i < EACH; i++) {
            objects[bytes][i] = slab_take(&slab, bytes);
            memset(objects[bytes][i], (int)(bytes + i), bytes);
        }
    for (size_t bytes = 0; bytes < SIZES; bytes++)
        for (size_t i = 0; i < EACH; i++) {
            for (size_t at = 0; at < bytes; at++)
                assert_int_equal(objects[bytes][i][at], (unsigned char)(bytes + i));
            slab_give(&slab, objects[bytes][i], bytes);
        }
    slab_fini(&slab);
}

#if !POOL_USES_MALLOC
static void whole_lines_begin_on_a_line(void **state)
{
    struct slab slab;

    slab_init(&slab);
    for (size_t bytes = 64; bytes <= SLAB_OBJECT_MAX; bytes += 64) {
        void *first = slab_take(&slab, bytes);
        void *second = slab_take(&slab, bytes);
        assert_int_equal((uintptr_t)first % 64, 0);
        assert_int_equal((uintptr_t)second % 64, 0);
        slab_give(&slab, first, bytes);
        slab_give(&slab, second, bytes);
    }
    slab_fini(&slab);
}

/* Also for another size of the same class. */
static void what_is_given_is_taken_again(void **state)
{
    struct slab slab;
    void *object;
    uint64_t calls;

    slab_init(&slab);
    object = slab_take(&slab, 100);
    slab_give(&slab, object, 100);
    calls = mem_calls_of_thread();
    assert_ptr_equal(slab_take(&slab, 112), object);
    assert_int_equal(mem_calls_of_thread(), calls);
    slab_give(&slab, object, 112);
    slab_fini(&slab);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_of_all_sizes_stand_apart),
#if !POOL_USES_MALLOC
        cmocka_unit_test(whole_lines_begin_on_a_line),
        cmocka_unit_test(what_is_given_is_taken_again),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
