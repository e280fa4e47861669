/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the catalog: the life of vhosts, exchanges, queues and bindings. */
#include "core/catalog/catalog_fixture.h"

static void a_vhost_has_the_predeclared_exchanges(void **state)
{
    static const struct {
        const char *name;
        enum exchange_type type;
    } expected[] = {
        {"", EXCHANGE_DIRECT},
        {"amq.direct", EXCHANGE_DIRECT},
        {"amq.fanout", EXCHANGE_FANOUT},
        {"amq.topic", EXCHANGE_TOPIC},
        {"amq.match", EXCHANGE_HEADERS},
        {"amq.headers", EXCHANGE_HEADERS},
        {"amq.rabbitmq.trace", EXCHANGE_TOPIC},
    };
    struct fixture f;
    fixture_start(&f, 1);
    assert_int_equal(view_of(&f)->exchanges.count, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const struct exchange *x = find_exchange(&f, expected[i].name);
        assert_non_null(x);
        assert_int_equal(x->type, expected[i].type);
        assert_true(x->durable && !x->auto_delete);
        assert_int_equal(x->internal, i == 6);
        assert_int_equal(delete_exchange(&f, expected[i].name, false), CATALOG_REFUSED);
    }
    fixture_stop(&f);
}

static void vhosts_come_and_go(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    struct catalog_command add = {.kind = CATALOG_VHOST_ADD, .vhost = STR("v")};
    struct catalog_command delete = {.kind = CATALOG_VHOST_DELETE, .vhost = STR("v")};
    struct catalog_command declare = {
        .kind = CATALOG_QUEUE_DECLARE, .vhost = STR("v"), .queue_declare = {.name = STR("q")}};
    assert_int_equal(run(&f, &declare), CATALOG_NO_VHOST);
    assert_int_equal(run(&f, &add), CATALOG_DONE);
    assert_null(catalog_find_vhost(f.catalog, STR("v"))); /* not committed */
    assert_int_equal(run(&f, &add), CATALOG_EXISTED);
    assert_int_equal(run(&f, &declare), CATALOG_DONE);
    catalog_commit(f.catalog);
    struct vhost *v = catalog_find_vhost(f.catalog, STR("v"));
    assert_int_equal(catalog_view(v)->queues.count, 1);
    assert_int_equal(catalog_view(f.vhost)->queues.count, 0);
    assert_int_equal(run(&f, &delete), CATALOG_DONE);
    assert_int_equal(f.result.queues_deleted, 1);
    assert_int_equal(run(&f, &delete), CATALOG_MISSING);
    catalog_commit(f.catalog);
    assert_null(catalog_find_vhost(f.catalog, STR("v")));
    assert_true(catalog_view(v)->deleted);
    assert_int_equal(catalog_view(v)->exchanges.count, 0);
    assert_int_equal(run(&f, &add), CATALOG_DONE);
    catalog_commit(f.catalog);
    assert_ptr_not_equal(catalog_find_vhost(f.catalog, STR("v")), v);
    assert_int_equal(catalog_vhosts(f.catalog)->count, 2);
    fixture_stop(&f);
}

static void a_vhost_goes_with_everything_in_it(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    for (int committed = 0; committed < 2; committed++) {
        declare_queue(&f, "q");
        bind_queue(&f, "amq.direct", "q", "a");
        bind_queue(&f, "amq.topic", "q", "a.*.#");
        bind_queue(&f, "amq.headers", "q", "");
        bind_exchange(&f, "amq.fanout", "amq.topic", "");
        if (committed)
            catalog_commit(f.catalog);
        assert_int_equal(run(&f, &(struct catalog_command){.kind = CATALOG_VHOST_DELETE}),
                         CATALOG_DONE);
        run(&f, &(struct catalog_command){.kind = CATALOG_VHOST_ADD});
        catalog_commit(f.catalog);
        f.vhost = catalog_find_vhost(f.catalog, STR("/"));
    }
    assert_int_equal(catalog_uncollected(f.catalog), 0);
    fixture_stop(&f);
}

static void declaring_again_changes_nothing(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    struct catalog_command declare = {.kind = CATALOG_QUEUE_DECLARE,
                                      .queue_declare = {.name = STR("q"),
                                                        .exclusive = true,
                                                        .owner = 77,
                                                        .shard = 3,
                                                        .slot = 9,
                                                        .arguments = STR("\1xt\1")}};
    assert_int_equal(run(&f, &declare), CATALOG_DONE);
    const struct queue_record *queue = f.result.queue;
    assert_true(str_equals(queue->name, STR("q")));
    assert_true(str_equals(queue->arguments, STR("\1xt\1")));
    assert_true(queue->exclusive && !queue->durable && !queue->auto_delete);
    assert_int_equal(queue->owner, 77);
    assert_int_equal(queue->ref.shard, 3);
    assert_int_equal(queue->ref.slot, 9);
    assert_int_not_equal(queue->ref.incarnation, 0);
    catalog_commit(f.catalog);
    uint64_t version = catalog_view(f.vhost)->version;
    assert_int_equal(run(&f, &declare), CATALOG_EXISTED);
    assert_ptr_equal(f.result.queue, queue);
    assert_int_equal(declare_exchange(&f, "amq.topic", EXCHANGE_FANOUT, false), CATALOG_EXISTED);
    assert_int_equal(f.result.exchange->type, EXCHANGE_TOPIC);
    catalog_commit(f.catalog);
    assert_int_equal(catalog_view(f.vhost)->version, version);
    fixture_stop(&f);
}

static void readers_see_commits_only(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    reclaim_reader_online(f.reclaim, 0);
    const struct vhost_view *before = catalog_view(f.vhost);
    declare_queue(&f, "q");
    bind_queue(&f, "amq.direct", "q", "k");
    assert_ptr_equal(catalog_view(f.vhost), before);
    catalog_commit(f.catalog);
    const struct vhost_view *after = catalog_view(f.vhost);
    assert_true(after->version > before->version);
    assert_non_null(view_find_queue(after, STR("q")));
    assert_null(view_find_queue(before, STR("q")));
    assert_int_equal(view_find_exchange(before, STR("amq.direct"))->bindings_from.count, 0);
    assert_int_equal(view_find_exchange(after, STR("amq.direct"))->bindings_from.count, 1);
    assert_true(catalog_uncollected(f.catalog) > 0);
    reclaim_reader_quiescent(f.reclaim, 0);
    catalog_commit(f.catalog);
    assert_int_equal(catalog_uncollected(f.catalog), 0);
    assert_ptr_equal(catalog_view(f.vhost), after);
    reclaim_reader_offline(f.reclaim, 0);
    fixture_stop(&f);
}

static void bind_names_what_is_missing(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    assert_int_equal(bind_queue(&f, "none", "q", ""), CATALOG_SOURCE_NOT_FOUND);
    assert_int_equal(bind_queue(&f, "none", "none", ""), CATALOG_SOURCE_NOT_FOUND);
    assert_int_equal(bind_queue(&f, "amq.direct", "none", ""), CATALOG_DESTINATION_NOT_FOUND);
    assert_int_equal(bind_exchange(&f, "amq.direct", "q", ""), CATALOG_DESTINATION_NOT_FOUND);
    assert_int_equal(bind_queue(&f, "", "q", "q"), CATALOG_REFUSED);
    assert_int_equal(bind_exchange(&f, "amq.direct", "", "q"), CATALOG_REFUSED);
    assert_int_equal(unbind_queue(&f, "", "q", "q"), CATALOG_REFUSED);
    assert_int_equal(unbind_queue(&f, "none", "q", ""), CATALOG_MISSING);
    assert_int_equal(unbind_queue(&f, "amq.direct", "none", ""), CATALOG_MISSING);
    assert_int_equal(unbind_queue(&f, "amq.direct", "q", ""), CATALOG_MISSING);
    fixture_stop(&f);
}

static void a_binding_is_its_ends_key_and_arguments(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    struct str ab = STR("\1aI\0\0\0\1\1bt\1");
    struct str ba = STR("\1bt\1\1aI\0\0\0\1"); /* the same in another order */
    struct str ac = STR("\1aI\0\0\0\2\1bt\1");
    const enum destination_kind to = DESTINATION_QUEUE;
    assert_int_equal(bind_queue(&f, "amq.direct", "q", "k"), CATALOG_DONE);
    assert_int_equal(bind_queue(&f, "amq.direct", "q", "k"), CATALOG_EXISTED);
    assert_int_equal(bind_queue(&f, "amq.direct", "q", "l"), CATALOG_DONE);
    assert_int_equal(change_binding(&f, CATALOG_BIND, to, "amq.direct", "q", "k", ab),
                     CATALOG_DONE);
    assert_int_equal(change_binding(&f, CATALOG_BIND, to, "amq.direct", "q", "k", ba),
                     CATALOG_EXISTED);
    assert_int_equal(change_binding(&f, CATALOG_BIND, to, "amq.direct", "q", "k", ac),
                     CATALOG_DONE);
    assert_int_equal(find_exchange(&f, "amq.direct")->bindings_from.count, 4);
    assert_int_equal(view_find_queue(view_of(&f), STR("q"))->bindings_to.count, 4);
    assert_int_equal(route_count(&f, "amq.direct", "k"), 1); /* three bindings, one queue */
    assert_int_equal(unbind_queue(&f, "amq.direct", "q", "k"), CATALOG_DONE);
    assert_int_equal(route_count(&f, "amq.direct", "k"), 1);
    change_binding(&f, CATALOG_UNBIND, to, "amq.direct", "q", "k", ba);
    change_binding(&f, CATALOG_UNBIND, to, "amq.direct", "q", "k", ac);
    assert_int_equal(route_count(&f, "amq.direct", "k"), 0);
    assert_int_equal(route_count(&f, "amq.direct", "l"), 1);
    fixture_stop(&f);
}

static void bindings_are_listed_from_both_ends(void **state)
{
    struct fixture f;
    struct hamt_iter iter;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    bind_exchange(&f, "amq.topic", "amq.fanout", "a.#");
    bind_queue(&f, "amq.fanout", "q", "key");
    hamt_iter_init(&iter, &find_exchange(&f, "amq.fanout")->bindings_to);
    const struct binding *binding = view_next_binding(&iter);
    assert_int_equal(binding->kind, DESTINATION_EXCHANGE);
    assert_true(str_equals(binding->source, STR("amq.topic")));
    assert_true(str_equals(binding->destination, STR("amq.fanout")));
    assert_true(str_equals(binding->routing_key, STR("a.#")));
    assert_true(binding->durable);
    assert_null(view_next_binding(&iter));
    hamt_iter_init(&iter, &view_find_queue(view_of(&f), STR("q"))->bindings_to);
    binding = view_next_binding(&iter);
    assert_int_equal(binding->kind, DESTINATION_QUEUE);
    assert_true(str_equals(binding->source, STR("amq.fanout")));
    assert_true(str_equals(binding->routing_key, STR("key")));
    assert_int_equal(binding->arguments.len, 0);
    fixture_stop(&f);
}

static void a_binding_is_durable_when_both_ends_are(void **state)
{
    struct fixture f;
    struct hamt_iter iter;
    fixture_start(&f, 1);
    struct catalog_command declare = {.kind = CATALOG_QUEUE_DECLARE,
                                      .queue_declare = {.name = STR("transient")}};
    run(&f, &declare);
    bind_queue(&f, "amq.direct", "transient", "k");
    hamt_iter_init(&iter, &find_exchange(&f, "amq.direct")->bindings_from);
    assert_false(view_next_binding(&iter)->durable);
    declare_queue(&f, "durable");
    bind_queue(&f, "amq.fanout", "durable", "k");
    hamt_iter_init(&iter, &find_exchange(&f, "amq.fanout")->bindings_from);
    assert_true(view_next_binding(&iter)->durable);
    fixture_stop(&f);
}

static void deleting_a_queue_takes_its_bindings(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    declare_queue(&f, "other");
    bind_queue(&f, "amq.direct", "q", "k");
    bind_queue(&f, "amq.direct", "other", "k");
    bind_queue(&f, "amq.fanout", "q", "");
    bind_queue(&f, "amq.topic", "q", "a.*");
    uint64_t topic = find_exchange(&f, "amq.topic")->generation;
    uint64_t headers = find_exchange(&f, "amq.headers")->generation;
    catalog_commit(f.catalog);
    assert_int_equal(delete_queue(&f, "q"), CATALOG_DONE);
    assert_int_equal(f.result.queues_deleted, 1);
    assert_int_equal(f.result.bindings_deleted, 3);
    assert_int_equal(route_count(&f, "amq.direct", "k"), 1);
    assert_true(routed_to(&f, "other"));
    assert_int_equal(route_count(&f, "amq.fanout", "k"), 0);
    assert_int_equal(route_count(&f, "amq.topic", "a.b"), 0);
    assert_int_equal(route_count(&f, "", "q"), 0);
    assert_int_not_equal(find_exchange(&f, "amq.topic")->generation, topic);
    assert_int_equal(find_exchange(&f, "amq.headers")->generation, headers);
    assert_int_equal(delete_queue(&f, "q"), CATALOG_MISSING);
    fixture_stop(&f);
}

static void a_wrong_incarnation_is_left_alone(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "a");
    declare_queue(&f, "b");
    uint64_t first = view_find_queue(view_of(&f), STR("a"))->ref.incarnation;
    delete_queue(&f, "a");
    declare_queue(&f, "a");
    assert_true(view_find_queue(view_of(&f), STR("a"))->ref.incarnation > first);
    struct catalog_queue_id ids[] = {
        {STR("a"), first},
        {STR("none"), 1},
        {STR("b"), view_find_queue(view_of(&f), STR("b"))->ref.incarnation}};
    struct catalog_command delete = {.kind = CATALOG_QUEUES_DELETE, .queues_delete = {ids, 3}};
    assert_int_equal(run(&f, &delete), CATALOG_DONE);
    assert_int_equal(f.result.queues_deleted, 1);
    assert_non_null(view_find_queue(view_of(&f), STR("a")));
    assert_null(view_find_queue(view_of(&f), STR("b")));
    assert_int_equal(run(&f, &delete), CATALOG_MISSING);
    fixture_stop(&f);
}

static void an_auto_delete_exchange_goes_with_its_last_binding(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    declare_exchange(&f, "x", EXCHANGE_DIRECT, true);
    declare_exchange(&f, "never-bound", EXCHANGE_DIRECT, true);
    declare_exchange(&f, "only-destination", EXCHANGE_FANOUT, true);
    bind_exchange(&f, "amq.direct", "only-destination", "");
    unbind_exchange(&f, "amq.direct", "only-destination", "");
    bind_queue(&f, "x", "q", "a");
    bind_queue(&f, "x", "q", "b");
    unbind_queue(&f, "x", "q", "a");
    assert_non_null(find_exchange(&f, "x"));
    assert_int_equal(unbind_queue(&f, "x", "q", "b"), CATALOG_DONE);
    assert_int_equal(f.result.exchanges_auto_deleted, 1);
    assert_null(find_exchange(&f, "x"));
    assert_non_null(find_exchange(&f, "never-bound"));
    assert_non_null(find_exchange(&f, "only-destination"));
    fixture_stop(&f);
}

static void auto_delete_goes_up_the_chain(void **state)
{
    enum { LENGTH = 2000 };
    struct fixture f;
    char name[16];
    char next[16];
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    for (int i = 0; i < LENGTH; i++) {
        snprintf(name, sizeof name, "x%d", i);
        declare_exchange(&f, name, EXCHANGE_FANOUT, true);
    }
    for (int i = 0; i + 1 < LENGTH; i++) {
        snprintf(name, sizeof name, "x%d", i);
        snprintf(next, sizeof next, "x%d", i + 1);
        bind_exchange(&f, name, next, "");
    }
    snprintf(name, sizeof name, "x%d", LENGTH - 1);
    bind_queue(&f, name, "q", "");
    assert_int_equal(route_count(&f, "x0", ""), 1);
    catalog_commit(f.catalog);
    assert_int_equal(delete_queue(&f, "q"), CATALOG_DONE);
    assert_int_equal(f.result.exchanges_auto_deleted, LENGTH);
    assert_int_equal(f.result.bindings_deleted, LENGTH);
    assert_int_equal(view_of(&f)->exchanges.count, 7);
    fixture_stop(&f);
}

static void deleting_an_exchange_takes_its_bindings_both_ways(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    declare_exchange(&f, "middle", EXCHANGE_FANOUT, false);
    declare_exchange(&f, "above", EXCHANGE_FANOUT, true);
    bind_exchange(&f, "above", "middle", "");
    bind_exchange(&f, "amq.topic", "middle", "#");
    bind_exchange(&f, "middle", "middle", ""); /* to itself */
    bind_queue(&f, "middle", "q", "");
    assert_true(find_exchange(&f, "amq.topic")->has_exchange_destinations);
    assert_int_equal(delete_exchange(&f, "middle", true), CATALOG_IN_USE);
    assert_int_equal(delete_exchange(&f, "middle", false), CATALOG_DONE);
    assert_int_equal(f.result.bindings_deleted, 4);
    assert_int_equal(f.result.exchanges_auto_deleted, 1);
    assert_null(find_exchange(&f, "above"));
    assert_false(find_exchange(&f, "amq.topic")->has_exchange_destinations);
    assert_int_equal(view_find_queue(view_of(&f), STR("q"))->bindings_to.count, 0);
    assert_int_equal(delete_exchange(&f, "middle", false), CATALOG_MISSING);
    fixture_stop(&f);
}

static void if_unused_asks_for_bindings_as_source(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_exchange(&f, "x", EXCHANGE_FANOUT, false);
    bind_exchange(&f, "amq.fanout", "x", "");
    assert_int_equal(delete_exchange(&f, "x", true), CATALOG_DONE);
    fixture_stop(&f);
}

static void an_auto_delete_exchange_bound_to_itself_goes_once(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_exchange(&f, "x", EXCHANGE_FANOUT, true);
    bind_exchange(&f, "x", "x", "");
    assert_int_equal(unbind_exchange(&f, "x", "x", ""), CATALOG_DONE);
    assert_int_equal(f.result.exchanges_auto_deleted, 1);
    declare_exchange(&f, "x", EXCHANGE_FANOUT, true);
    bind_exchange(&f, "x", "x", "");
    assert_int_equal(delete_exchange(&f, "x", false), CATALOG_DONE);
    assert_int_equal(f.result.exchanges_auto_deleted, 0);
    assert_int_equal(view_of(&f)->exchanges.count, 7);
    fixture_stop(&f);
}

static void marks_are_reused(void **state)
{
    struct fixture f;
    fixture_start(&f, 1);
    declare_queue(&f, "q");
    uint32_t limit = view_of(&f)->mark_limit;
    for (int i = 0; i < 1000; i++) {
        delete_queue(&f, "q");
        declare_queue(&f, "q");
        bind_queue(&f, "amq.fanout", "q", "");
        if (i % 3 == 0)
            catalog_commit(f.catalog);
    }
    assert_int_equal(view_of(&f)->mark_limit, limit);
    fixture_stop(&f);
}

/* A random history applied twice gives equal catalogs, and nothing leaks on the way. */
static uint64_t random_history(struct fixture *f, uint64_t seed)
{
    static const char *const exchanges[] = {"a", "b", "c", "amq.topic", "amq.direct"};
    static const char *const queues[] = {"q", "r", "s", "t"};
    static const char *const keys[] = {"", "k", "k.l", "*.l", "#", "k.#"};
    for (int i = 0; i < 4000; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        unsigned pick = (unsigned)(seed >> 33);
        const char *x = exchanges[pick % 5];
        const char *y = exchanges[pick / 5 % 3];
        const char *q = queues[pick / 16 % 4];
        const char *key = keys[pick / 64 % 6];
        switch (pick / 512 % 10) {
        case 0:
            delete_exchange(f, y, pick % 2);
            break;
        case 1:
            delete_queue(f, q);
            break;
        case 2:
            unbind_queue(f, x, q, key);
            break;
        case 3:
            unbind_exchange(f, x, y, key);
            break;
        case 4:
            bind_exchange(f, x, y, key);
            break;
        case 5:
            declare_exchange(f, y, (enum exchange_type)(pick % 4), pick / 4 % 2);
            break;
        case 6:
            declare_queue(f, q);
            break;
        case 7:
            catalog_commit(f->catalog);
            break;
        default:
            bind_queue(f, x, q, key);
            break;
        }
        if (find_exchange(f, x))
            route_count(f, x, key);
    }
    return seed;
}

static void equal_histories_give_equal_catalogs(void **state)
{
    struct fixture f;
    struct fixture g;
    fixture_start(&f, 1);
    fixture_start(&g, 1);
    random_history(&f, 5);
    random_history(&g, 5);
    struct hamt_iter iter;
    const struct exchange *x;
    hamt_iter_init(&iter, &view_of(&f)->exchanges);
    assert_int_equal(view_of(&f)->exchanges.count, view_of(&g)->exchanges.count);
    assert_int_equal(view_of(&f)->queues.count, view_of(&g)->queues.count);
    while ((x = view_next_exchange(&iter))) {
        const struct exchange *y = view_find_exchange(view_of(&g), x->name);
        assert_int_equal(x->incarnation, y->incarnation);
        assert_int_equal(x->generation, y->generation);
        assert_int_equal(x->mark, y->mark);
        assert_int_equal(x->bindings_from.count, y->bindings_from.count);
        assert_int_equal(x->bindings_to.count, y->bindings_to.count);
    }
    fixture_stop(&f);
    fixture_stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vhost_has_the_predeclared_exchanges),
        cmocka_unit_test(vhosts_come_and_go),
        cmocka_unit_test(a_vhost_goes_with_everything_in_it),
        cmocka_unit_test(declaring_again_changes_nothing),
        cmocka_unit_test(readers_see_commits_only),
        cmocka_unit_test(bind_names_what_is_missing),
        cmocka_unit_test(a_binding_is_its_ends_key_and_arguments),
        cmocka_unit_test(bindings_are_listed_from_both_ends),
        cmocka_unit_test(a_binding_is_durable_when_both_ends_are),
        cmocka_unit_test(deleting_a_queue_takes_its_bindings),
        cmocka_unit_test(a_wrong_incarnation_is_left_alone),
        cmocka_unit_test(an_auto_delete_exchange_goes_with_its_last_binding),
        cmocka_unit_test(auto_delete_goes_up_the_chain),
        cmocka_unit_test(deleting_an_exchange_takes_its_bindings_both_ways),
        cmocka_unit_test(if_unused_asks_for_bindings_as_source),
        cmocka_unit_test(an_auto_delete_exchange_bound_to_itself_goes_once),
        cmocka_unit_test(marks_are_reused),
        cmocka_unit_test(equal_histories_give_equal_catalogs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
