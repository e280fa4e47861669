/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of pool.c, with its free list also where a sanitizer would make it use malloc. */
/* Sanitizers watch the pool through malloc; here the free list itself is the subject. */
#define POOL_USES_MALLOC 0
#include "pool.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define OBJECTS 200

static void objects_do_not_overlap(void **state)
{
    static const size_t sizes[] = {1, 8, 16, 24, 100, 4096};

    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct pool pool;
        unsigned char *objects[OBJECTS];
        pool_init(&pool, sizes[s], 7);
        for (int i = 0; i < OBJECTS; i++) {
            objects[i] = pool_take(&pool);
            assert_int_equal((uintptr_t)objects[i] % 16, 0);
            memset(objects[i], i, sizes[s]);
        }
        assert_int_equal(pool.in_use, OBJECTS);
        for (int i = 0; i < OBJECTS; i++)
            for (size_t byte = 0; byte < sizes[s]; byte++)
                assert_int_equal(objects[i][byte], i);
        for (int i = 0; i < OBJECTS; i++)
            pool_give(&pool, objects[i]);
        assert_int_equal(pool.in_use, 0);
        pool_fini(&pool);
    }
}

static void the_last_given_is_the_next_taken(void **state)
{
    struct pool pool;
    void *first;
    void *second;

    pool_init(&pool, 40, 4);
    first = pool_take(&pool);
    second = pool_take(&pool);
    pool_give(&pool, first);
    pool_give(&pool, second);
    assert_ptr_equal(pool_take(&pool), second);
    assert_ptr_equal(pool_take(&pool), first);
    pool_fini(&pool);
}

/* A warm pool is the hot path's promise: no call of the allocator. */
static void a_warm_pool_does_not_allocate(void **state)
{
    struct pool pool;
    void *objects[OBJECTS];
    uint64_t calls;

    pool_init(&pool, 64, 32);
    for (int i = 0; i < OBJECTS; i++)
        objects[i] = pool_take(&pool);
    for (int i = 0; i < OBJECTS; i++)
        pool_give(&pool, objects[i]);
    calls = mem_calls_of_thread();
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < OBJECTS; i++)
            objects[i] = pool_take(&pool);
        for (int i = 0; i < OBJECTS; i++)
            pool_give(&pool, objects[i]);
    }
    assert_int_equal(mem_calls_of_thread(), calls);
    pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_do_not_overlap),
        cmocka_unit_test(the_last_given_is_the_next_taken),
        cmocka_unit_test(a_warm_pool_does_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
