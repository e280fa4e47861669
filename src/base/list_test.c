/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of list.h: order, unlinked links, moving whole lists, against an array. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int number;
    struct list link;
};

#define ITEMS 16

static void items_init(struct item *items)
{
    for (int i = 0; i < ITEMS; i++) {
        items[i].number = i;
        list_init(&items[i].link);
    }
}

/* The list holds exactly these numbers, read both ways. */
static void assert_holds(const struct list *head, const int *numbers, int count)
{
    int i = 0;
    LIST_FOR_EACH (link, head) {
        assert_true(i < count);
        assert_int_equal(CONTAINER_OF(link, struct item, link)->number, numbers[i++]);
    }
    assert_int_equal(i, count);
    for (const struct list *link = head->prev; link != head; link = link->prev)
        assert_int_equal(CONTAINER_OF(link, struct item, link)->number, numbers[--i]);
    assert_int_equal(i, 0);
    assert_int_equal(list_is_empty(head), count == 0);
}

static void both_ends_and_the_middle(void **state)
{
    struct item items[ITEMS];
    struct list head;

    items_init(items);
    list_init(&head);
    assert_holds(&head, NULL, 0);
    list_push_back(&head, &items[1].link);
    list_push_back(&head, &items[2].link);
    list_push_front(&head, &items[0].link);
    list_insert_before(&items[2].link, &items[9].link);
    assert_holds(&head, (int[]){0, 1, 9, 2}, 4);
    list_remove(&items[9].link);
    assert_holds(&head, (int[]){0, 1, 2}, 3);
    assert_ptr_equal(list_pop_front(&head), &items[0].link);
    assert_false(list_is_linked(&items[0].link));
    assert_true(list_is_linked(&items[1].link));
}

static void removing_an_unlinked_link_is_harmless(void **state)
{
    struct item items[ITEMS];
    struct list head;

    items_init(items);
    list_init(&head);
    list_push_back(&head, &items[0].link);
    list_remove(&items[1].link);
    list_remove(&items[0].link);
    list_remove(&items[0].link);
    assert_holds(&head, NULL, 0);
    assert_null(list_pop_front(&head));
}

static void take_all_moves_everything(void **state)
{
    struct item items[ITEMS];
    struct list from;
    struct list to;

    items_init(items);
    list_init(&from);
    list_take_all(&to, &from);
    assert_holds(&to, NULL, 0);
    for (int i = 0; i < 3; i++)
        list_push_back(&from, &items[i].link);
    list_take_all(&to, &from);
    assert_holds(&from, NULL, 0);
    assert_holds(&to, (int[]){0, 1, 2}, 3);
    list_push_back(&from, &items[3].link);
    assert_holds(&from, (int[]){3}, 1);
}

static void the_safe_walk_allows_removal(void **state)
{
    struct item items[ITEMS];
    struct list head;

    items_init(items);
    list_init(&head);
    for (int i = 0; i < 6; i++)
        list_push_back(&head, &items[i].link);
    LIST_FOR_EACH_SAFE (link, &head)
        if (CONTAINER_OF(link, struct item, link)->number % 2 == 0)
            list_remove(link);
    assert_holds(&head, (int[]){1, 3, 5}, 3);
}

/* 20,000 random steps; the same ones on an array of numbers. */
static void agrees_with_an_array(void **state)
{
    struct item items[ITEMS];
    struct list head;
    int model[ITEMS];
    int count = 0;
    uint32_t random = 1;

    items_init(items);
    list_init(&head);
    for (int step = 0; step < 20000; step++) {
        int pick;
        int at = 0;
        random = random * 1664525U + 1013904223U;
        pick = (int)(random >> 16) % ITEMS;
        while (at < count && model[at] != pick)
            at++;
        if (at < count) {
            list_remove(&items[pick].link);
            count--;
            for (int i = at; i < count; i++)
                model[i] = model[i + 1];
        } else if (random & 0x100) {
            list_push_back(&head, &items[pick].link);
            model[count++] = pick;
        } else {
            list_push_front(&head, &items[pick].link);
            for (int i = count++; i > 0; i--)
                model[i] = model[i - 1];
            model[0] = pick;
        }
        assert_holds(&head, model, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_and_the_middle),
        cmocka_unit_test(removing_an_unlinked_link_is_harmless),
        cmocka_unit_test(take_all_moves_everything),
        cmocka_unit_test(the_safe_walk_allows_removal),
        cmocka_unit_test(agrees_with_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
