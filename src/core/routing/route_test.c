/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of routing: the simple types, exchanges bound to exchanges, alternates, no duplicates. */
#include "core/catalog/catalog_fixture.h"

#include "base/mem.h"

static void direct_compares_keys(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "a");
    declare_queue(&f, "b");
    bind_queue(&f, "amq.direct", "a", "k");
    bind_queue(&f, "amq.direct", "a", "");
    bind_queue(&f, "amq.direct", "b", "k");
    assert_int_equal(route_count(&f, "amq.direct", "k"), 2);
    assert_int_equal(route_count(&f, "amq.direct", ""), 1);
    assert_true(routed_to(&f, "a"));
    assert_int_equal(route_count(&f, "amq.direct", "kk"), 0);
    assert_false(f.route.depends_on_headers || f.route.reaches_exchanges);
    fixture_stop(&f);
}

static void default_routes_by_queue_name(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "a");
    assert_int_equal(route_count(&f, "", "a"), 1);
    assert_true(routed_to(&f, "a"));
    assert_int_equal(route_count(&f, "", "b"), 0);
    fixture_stop(&f);
}

static void each_queue_comes_once(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    declare_queue(&f, "r");
    bind_queue(&f, "amq.fanout", "q", "1");
    bind_queue(&f, "amq.fanout", "q", "2");
    bind_queue(&f, "amq.fanout", "r", "");
    assert_int_equal(route_count(&f, "amq.fanout", "x"), 2);
    bind_queue(&f, "amq.topic", "q", "a.*");
    bind_queue(&f, "amq.topic", "q", "#");
    bind_exchange(&f, "amq.topic", "amq.fanout", "a.b");
    assert_int_equal(route_count(&f, "amq.topic", "a.b"), 2);
    assert_true(f.route.reaches_exchanges);
    fixture_stop(&f);
}

static void cycles_end(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    declare_queue(&f, "r");
    for (int i = 0; i < 3; i++)
        declare_exchange(&f, (const char *[]){"a", "b", "c"}[i], EXCHANGE_FANOUT, false);
    bind_exchange(&f, "a", "b", "");
    bind_exchange(&f, "b", "c", "");
    bind_exchange(&f, "c", "a", "");
    bind_exchange(&f, "c", "c", "");
    bind_queue(&f, "b", "q", "");
    bind_queue(&f, "c", "r", "");
    for (int i = 0; i < 3; i++)
        assert_int_equal(route_count(&f, (const char *[]){"a", "b", "c"}[i], ""), 2);
    fixture_stop(&f);
}

static void an_alternate_gets_what_matches_nothing(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    struct catalog_command declare = {
        .kind = CATALOG_EXCHANGE_DECLARE,
        .exchange_declare = {.name = STR("x"),
                             .type = EXCHANGE_DIRECT,
                             .arguments = STR("\22alternate-exchangeS\0\0\0\1y")}};
    run(&f, &declare);
    declare_queue(&f, "q");
    declare_queue(&f, "lost");
    bind_queue(&f, "x", "q", "k");
    assert_int_equal(route_count(&f, "x", "other"), 0); /* the alternate is not there yet */
    assert_true(f.route.reaches_exchanges);
    declare_exchange(&f, "y", EXCHANGE_FANOUT, false);
    bind_queue(&f, "y", "lost", "");
    assert_int_equal(route_count(&f, "x", "k"), 1);
    assert_true(routed_to(&f, "q"));
    assert_int_equal(route_count(&f, "x", "other"), 1);
    assert_true(routed_to(&f, "lost"));
    fixture_stop(&f);
}

static void further_keys_add_without_duplicates(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    declare_queue(&f, "r");
    bind_exchange(&f, "amq.direct", "amq.topic", "1");
    bind_exchange(&f, "amq.direct", "amq.topic", "2");
    bind_queue(&f, "amq.topic", "q", "#");
    bind_queue(&f, "amq.topic", "r", "2");
    assert_int_equal(route_count(&f, "amq.direct", "1"), 1);
    route_more(view_of(&f), find_exchange(&f, "amq.direct"), STR("2"), STR(""), &f.route);
    assert_int_equal(f.route.count, 2); /* the same exchange again, by the other key */
    fixture_stop(&f);
}

static void rounds_may_run_out(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    assert_int_equal(route_count(&f, "", "q"), 1);
    f.route.round = UINT32_MAX / 2 - 2;
    for (int i = 0; i < 6; i++)
        assert_int_equal(route_count(&f, "", "q"), 1);
    assert_in_range(f.route.round, 1, 6);
    fixture_stop(&f);
}

static void a_large_fanout_allocates_once(void **state)
{
    struct fixture f;
    char name[16];
    fixture_start(&f, 1);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "q%d", i);
        declare_queue(&f, name);
        bind_queue(&f, "amq.fanout", name, "");
        bind_queue(&f, "amq.topic", name, "#");
    }
    bind_exchange(&f, "amq.topic", "amq.fanout", "*");
    for (int i = 0; i < 2; i++) /* the two lists of a walk take turns */
        assert_int_equal(route_count(&f, "amq.topic", "a"), 1000);
    uint64_t calls = mem_calls_of_thread();
    for (int i = 0; i < 10; i++)
        assert_int_equal(route_count(&f, "amq.topic", "a"), 1000);
    assert_int_equal(mem_calls_of_thread(), calls);
    fixture_stop(&f);
}

static void types_have_names(void **state)
{
    enum exchange_type type;
    assert_true(exchange_type_find(STR("topic"), &type));
    assert_int_equal(type, EXCHANGE_TOPIC);
    assert_true(exchange_type_find(STR("headers"), &type));
    assert_false(exchange_type_find(STR("Topic"), &type));
    assert_false(exchange_type_find(STR(""), &type));
    assert_string_equal(exchange_type_name(EXCHANGE_FANOUT), "fanout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(direct_compares_keys),
        cmocka_unit_test(default_routes_by_queue_name),
        cmocka_unit_test(each_queue_comes_once),
        cmocka_unit_test(cycles_end),
        cmocka_unit_test(an_alternate_gets_what_matches_nothing),
        cmocka_unit_test(further_keys_add_without_duplicates),
        cmocka_unit_test(rounds_may_run_out),
        cmocka_unit_test(a_large_fanout_allocates_once),
        cmocka_unit_test(types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
