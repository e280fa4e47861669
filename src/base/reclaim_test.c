/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of reclamation: what waits for whom, and readers that race with the writer. */
#include "base/reclaim.h"

#include "base/mem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static unsigned freed;

static void count_free(void *ptr)
{
    freed++;
    mem_free(ptr);
}

static void retire_one(struct reclaim *reclaim)
{
    reclaim_retire(reclaim, mem_alloc(8), count_free);
}

static void without_readers_all_goes_at_once(void **state)
{
    struct reclaim *reclaim = reclaim_new(3);
    freed = 0;
    for (int i = 0; i < 2000; i++)
        retire_one(reclaim);
    assert_int_equal(reclaim_pending(reclaim), 2000);
    assert_int_equal(freed, 0);
    assert_int_equal(reclaim_advance(reclaim), 2000);
    assert_int_equal(freed, 2000);
    assert_int_equal(reclaim_pending(reclaim), 0);
    assert_int_equal(reclaim_advance(reclaim), 0);
    reclaim_free(reclaim);
}

static void waits_for_every_reader_that_is_online(void **state)
{
    struct reclaim *reclaim = reclaim_new(2);
    freed = 0;
    reclaim_reader_online(reclaim, 0);
    reclaim_reader_online(reclaim, 1);
    retire_one(reclaim);
    assert_int_equal(reclaim_advance(reclaim), 0);
    reclaim_reader_quiescent(reclaim, 0);
    assert_int_equal(reclaim_advance(reclaim), 0);
    reclaim_reader_offline(reclaim, 1); /* asleep counts as passed */
    assert_int_equal(reclaim_advance(reclaim), 1);
    reclaim_reader_offline(reclaim, 0);
    reclaim_free(reclaim);
}

static void a_later_batch_waits_longer(void **state)
{
    struct reclaim *reclaim = reclaim_new(1);
    freed = 0;
    reclaim_reader_online(reclaim, 0);
    retire_one(reclaim);
    reclaim_advance(reclaim);
    reclaim_reader_quiescent(reclaim, 0);
    retire_one(reclaim); /* after the reader passed: it may hold this one */
    assert_int_equal(reclaim_advance(reclaim), 1);
    assert_int_equal(reclaim_pending(reclaim), 1);
    reclaim_reader_quiescent(reclaim, 0);
    assert_int_equal(reclaim_advance(reclaim), 1);
    reclaim_reader_offline(reclaim, 0);
    reclaim_free(reclaim);
}

static void free_takes_what_is_left(void **state)
{
    struct reclaim *reclaim = reclaim_new(1);
    freed = 0;
    reclaim_reader_online(reclaim, 0);
    retire_one(reclaim);
    reclaim_advance(reclaim);
    retire_one(reclaim);
    reclaim_reader_offline(reclaim, 0);
    reclaim_free(reclaim);
    assert_int_equal(freed, 2);
    reclaim_free(NULL);
}

static void an_edit_frees_only_its_own_at_once(void **state)
{
    struct reclaim *reclaim = reclaim_new(1);
    struct edit edit = {reclaim, 7};
    edit_dispose(&edit, mem_alloc(8), 7);
    assert_int_equal(reclaim_pending(reclaim), 0);
    edit_dispose(&edit, mem_alloc(8), 6);
    assert_int_equal(reclaim_pending(reclaim), 1);
    edit_give(&edit, edit_take(&edit, 40), 40, 7);
    assert_int_equal(reclaim_pending(reclaim), 1);
    edit_give(&edit, edit_take(&edit, 40), 40, 6);
    assert_int_equal(reclaim_pending(reclaim), 2);
    reclaim_free(reclaim); /* which finds that all of the slab was given back */
}

/* --- Threads: readers check a published pair, the writer replaces it all the time. --- */

#define READERS 3
#define ROUNDS 20000

struct pair {
    unsigned a;
    unsigned b; /* always ~a while the pair lives */
};

static struct reclaim *shared_reclaim;
static _Atomic(struct pair *) root;
static atomic_bool stop;
static atomic_uint torn;

static void poison(void *ptr)
{
    struct pair *pair = ptr;
    pair->b = pair->a; /* a reader that still looks sees it, and so does TSan */
    mem_free(pair);
}

static void *read_pairs(void *arg)
{
    unsigned slot = *(unsigned *)arg;
    unsigned turns = 0;
    reclaim_reader_online(shared_reclaim, slot);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int i = 0; i < 10; i++) {
            const struct pair *pair = atomic_load_explicit(&root, memory_order_acquire);
            if (pair->b != ~pair->a)
                atomic_fetch_add(&torn, 1);
        }
        if (++turns % 16 == 0) {
            reclaim_reader_offline(shared_reclaim, slot);
            reclaim_reader_online(shared_reclaim, slot);
        } else {
            reclaim_reader_quiescent(shared_reclaim, slot);
        }
    }
    reclaim_reader_offline(shared_reclaim, slot);
    return NULL;
}

static struct pair *pair_new(unsigned n)
{
    struct pair *pair = mem_alloc(sizeof *pair);
    *pair = (struct pair){n, ~n};
    return pair;
}

static void readers_never_see_freed_memory(void **state)
{
    pthread_t threads[READERS];
    unsigned slots[READERS];
    shared_reclaim = reclaim_new(READERS);
    atomic_store(&root, pair_new(0));
    for (unsigned i = 0; i < READERS; i++) {
        slots[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, read_pairs, &slots[i]), 0);
    }
    for (unsigned n = 1; n <= ROUNDS; n++) {
        struct pair *old = atomic_load_explicit(&root, memory_order_relaxed);
        reclaim_retire(shared_reclaim, old, poison);
        atomic_store_explicit(&root, pair_new(n), memory_order_release);
        reclaim_advance(shared_reclaim);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&torn), 0);
    reclaim_free(shared_reclaim);
    mem_free(atomic_load(&root));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_readers_all_goes_at_once),
        cmocka_unit_test(waits_for_every_reader_that_is_online),
        cmocka_unit_test(a_later_batch_waits_longer),
        cmocka_unit_test(free_takes_what_is_left),
        cmocka_unit_test(an_edit_frees_only_its_own_at_once),
        cmocka_unit_test(readers_never_see_freed_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
