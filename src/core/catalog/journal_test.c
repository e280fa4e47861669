/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recording: what is journaled and what not, replay, incarnations. */
#include "core/catalog/journal_fixture.h"

static void declare_transient_queue(struct fixture *f, const char *name)
{
    run(f, &(struct catalog_command){.kind = CATALOG_QUEUE_DECLARE,
                                     .queue_declare = {.name = str_from_c(name)}});
}

static void declare_transient_exchange(struct fixture *f, const char *name, bool auto_delete)
{
    run(f, &(struct catalog_command){
               .kind = CATALOG_EXCHANGE_DECLARE,
               .exchange_declare = {.name = str_from_c(name), .auto_delete = auto_delete}});
}

/* The kind of record `i`, and the incarnation in it where it makes something. */
static struct catalog_command record_at(const struct record_list *list, size_t i)
{
    static struct catalog_command_scratch scratch;
    struct catalog_command command;
    assert_true(i < list->count);
    assert_int_equal(catalog_command_decode(list->records[i], &command, &scratch), 0);
    return command;
}

static void a_record_has_the_incarnation_that_was_given(void **state)
{
    struct fixture f;
    struct record_list log;
    start_journaled(&f, &log);
    declare_exchange(&f, "x", EXCHANGE_TOPIC, true);
    assert_int_equal(record_at(&log, 1).exchange_declare.incarnation,
                     f.result.exchange->incarnation);
    declare_queue(&f, "q");
    assert_int_equal(record_at(&log, 2).queue_declare.incarnation, f.result.queue->ref.incarnation);
    assert_int_equal(f.result.queue->ref.incarnation, catalog_last_incarnation(f.catalog));
    assert_int_equal(record_at(&log, 0).vhost_add.incarnation, f.vhost->incarnation);
    assert_int_equal(log.count, 3);
    list_fini(&log);
    fixture_stop(&f);
}

static void what_changes_nothing_durable_leaves_no_record(void **state)
{
    struct fixture f;
    struct record_list log;
    start_journaled(&f, &log);
    declare_queue(&f, "q");
    declare_exchange(&f, "x", EXCHANGE_DIRECT, false);
    bind_queue(&f, "x", "q", "k");
    assert_int_equal(log.count, 4);
    run(&f, &(struct catalog_command){.kind = CATALOG_VHOST_ADD});
    run(&f, &(struct catalog_command){.kind = CATALOG_VHOST_DELETE, .vhost = STR("none")});
    declare_queue(&f, "q");
    declare_exchange(&f, "x", EXCHANGE_DIRECT, false);
    bind_queue(&f, "x", "q", "k");
    delete_queue(&f, "none");
    delete_exchange(&f, "none", false);
    delete_exchange(&f, "x", true); /* in use */
    delete_exchange(&f, "amq.topic", false);
    bind_queue(&f, "", "q", "q");
    bind_queue(&f, "x", "none", "");
    unbind_queue(&f, "x", "q", "other");
    declare_transient_queue(&f, "t");
    declare_transient_exchange(&f, "y", true);
    bind_queue(&f, "x", "t", "k");
    bind_queue(&f, "y", "q", "k");
    bind_exchange(&f, "y", "x", "k");
    bind_exchange(&f, "x", "y", "k");
    unbind_queue(&f, "y", "q", "k");
    unbind_exchange(&f, "y", "x", "k"); /* y goes */
    assert_null(find_exchange(&f, "y"));
    delete_queue(&f, "t");
    assert_int_equal(log.count, 4);
    list_fini(&log);
    fixture_stop(&f);
}

static void a_cascade_is_recorded_exchange_by_exchange(void **state)
{
    struct fixture f;
    struct fixture g;
    struct record_list log;
    start_journaled(&f, &log);
    declare_queue(&f, "q");
    declare_exchange(&f, "lower", EXCHANGE_FANOUT, true);
    declare_transient_exchange(&f, "middle", true);
    declare_exchange(&f, "upper", EXCHANGE_FANOUT, true);
    bind_queue(&f, "lower", "q", "");
    bind_exchange(&f, "middle", "lower", "");
    bind_exchange(&f, "upper", "middle", "");
    size_t before = log.count;
    delete_queue(&f, "q");
    assert_int_equal(f.result.exchanges_auto_deleted, 3);
    assert_int_equal(log.count, before + 3);
    assert_int_equal(record_at(&log, before).kind, CATALOG_QUEUES_DELETE);
    assert_int_equal(record_at(&log, before).queues_delete.count, 1);
    assert_true(str_equals(record_at(&log, before + 1).exchange_delete.name, STR("lower")));
    assert_true(str_equals(record_at(&log, before + 2).exchange_delete.name, STR("upper")));
    start_empty(&g, 1);
    replay(&g, &log, 0);
    assert_same_content(f.catalog, g.catalog);
    list_fini(&log);
    fixture_stop(&f);
    fixture_stop(&g);
}

/* Without the transient binding, replay alone would take the exchange for unbound. */
static void replay_keeps_what_a_transient_binding_held(void **state)
{
    struct fixture f;
    struct fixture g;
    struct record_list log;
    start_journaled(&f, &log);
    declare_queue(&f, "q");
    declare_transient_queue(&f, "t");
    declare_exchange(&f, "x", EXCHANGE_FANOUT, true);
    bind_queue(&f, "x", "t", "");
    bind_queue(&f, "x", "q", "");
    unbind_queue(&f, "x", "q", "");
    assert_non_null(find_exchange(&f, "x"));
    start_empty(&g, 1);
    replay(&g, &log, 0);
    assert_non_null(find_exchange(&g, "x"));
    assert_same_content(f.catalog, g.catalog);
    declare_queue(&g, "q2"); /* auto-delete works again */
    bind_queue(&g, "x", "q2", "");
    unbind_queue(&g, "x", "q2", "");
    assert_null(find_exchange(&g, "x"));
    list_fini(&log);
    fixture_stop(&f);
    fixture_stop(&g);
}

static void a_replaying_catalog_is_silent(void **state)
{
    struct fixture f;
    struct record_list log;
    start_journaled(&f, &log);
    catalog_set_replaying(f.catalog, true);
    declare_queue(&f, "q");
    delete_queue(&f, "q");
    assert_int_equal(log.count, 1);
    catalog_set_replaying(f.catalog, false);
    declare_queue(&f, "q");
    assert_int_equal(log.count, 2);
    catalog_set_journal(f.catalog, NULL, NULL);
    delete_queue(&f, "q");
    assert_int_equal(log.count, 2);
    list_fini(&log);
    fixture_stop(&f);
}

static void only_durable_queues_of_a_deletion_are_recorded(void **state)
{
    enum { QUEUES = 2 * CATALOG_RECORD_QUEUES_MAX + 2 };
    static struct catalog_queue_id ids[QUEUES];
    static char names[QUEUES][16];
    struct fixture f;
    struct record_list log;
    start_journaled(&f, &log);
    for (int i = 0; i < QUEUES; i++) {
        snprintf(names[i], sizeof names[i], "q%d", i);
        if (i < QUEUES - 1)
            declare_queue(&f, names[i]);
        else
            declare_transient_queue(&f, names[i]);
        ids[i] = (struct catalog_queue_id){str_from_c(names[i]), f.result.queue->ref.incarnation};
    }
    size_t before = log.count;
    /* The last is transient, the one before has another incarnation. */
    ids[QUEUES - 2].incarnation--;
    struct catalog_command delete = {.kind = CATALOG_QUEUES_DELETE, .queues_delete = {ids, QUEUES}};
    run(&f, &delete);
    assert_int_equal(f.result.queues_deleted, QUEUES - 1);
    assert_int_equal(log.count, before + 2);
    assert_int_equal(record_at(&log, before).queues_delete.count, CATALOG_RECORD_QUEUES_MAX);
    assert_int_equal(record_at(&log, before + 1).queues_delete.count, CATALOG_RECORD_QUEUES_MAX);
    assert_true(str_equals(record_at(&log, before + 1).queues_delete.queues[0].name, STR("q256")));
    list_fini(&log);
    fixture_stop(&f);
}

static void count_records(void *context, const struct catalog_command *record)
{
    size_t *count = context;
    (*count)++;
}

/* Heap calls of declaring, binding and deleting a queue. */
static uint64_t heap_calls(struct fixture *f)
{
    uint64_t before = mem_calls_of_thread();
    declare_queue(f, "q");
    bind_queue(f, "amq.direct", "q", "k");
    delete_queue(f, "q");
    uint64_t calls = mem_calls_of_thread() - before;
    catalog_commit(f->catalog);
    return calls;
}

static void a_journal_costs_no_memory(void **state)
{
    struct fixture f;
    size_t count = 0;
    fixture_start(&f, 1);
    heap_calls(&f); /* scratch memory grows once */
    uint64_t without = heap_calls(&f);
    catalog_set_journal(f.catalog, count_records, &count);
    assert_int_equal(heap_calls(&f), without);
    assert_int_equal(count, 3);
    fixture_stop(&f);
}

static void given_incarnations_are_used_and_not_repeated(void **state)
{
    struct fixture f;
    start_empty(&f, 3);
    assert_int_equal(catalog_last_incarnation(f.catalog), 0);
    struct catalog_command add = {.kind = CATALOG_VHOST_ADD, .vhost_add.incarnation = 500};
    run(&f, &add);
    add_vhost(&f); /* exists; finds it */
    assert_int_equal(f.vhost->incarnation, 500);
    assert_int_equal(catalog_last_incarnation(f.catalog), 500 + view_of(&f)->exchanges.count);
    struct catalog_command low = {.kind = CATALOG_EXCHANGE_DECLARE,
                                  .exchange_declare = {.name = STR("x"), .incarnation = 20}};
    run(&f, &low);
    assert_int_equal(f.result.exchange->incarnation, 20);
    assert_int_equal(catalog_last_incarnation(f.catalog), 507);
    struct catalog_command high = {.kind = CATALOG_QUEUE_DECLARE,
                                   .queue_declare = {.name = STR("q"), .incarnation = 1000}};
    run(&f, &high);
    assert_int_equal(f.result.queue->ref.incarnation, 1000);
    declare_queue(&f, "next");
    assert_int_equal(f.result.queue->ref.incarnation, 1001);
    catalog_reserve_incarnations(f.catalog, 2000);
    catalog_reserve_incarnations(f.catalog, 1500);
    assert_int_equal(catalog_last_incarnation(f.catalog), 2000);
    declare_exchange(&f, "y", EXCHANGE_DIRECT, false);
    assert_int_equal(f.result.exchange->incarnation, 2001);
    fixture_stop(&f);
}

/* Vhosts come back in any order; the numbers of their predeclared exchanges must not meet others. */
static void predeclared_exchanges_keep_their_incarnations(void **state)
{
    static const char *const names[] = {"/", "a", "b", "c", "d"};
    struct fixture f;
    struct fixture g;
    struct record_list all = {0};
    start_empty(&f, 1);
    start_empty(&g, 2);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        run(&f,
            &(struct catalog_command){.kind = CATALOG_VHOST_ADD, .vhost = str_from_c(names[i])});
    catalog_emit(f.catalog, list_add, &all);
    assert_int_equal(all.count, ARRAY_LEN(names));
    replay(&g, &all, 0);
    catalog_commit(f.catalog);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct hamt_iter iter;
        const struct exchange *x;
        f.vhost = catalog_find_vhost(f.catalog, str_from_c(names[i]));
        g.vhost = catalog_find_vhost(g.catalog, str_from_c(names[i]));
        hamt_iter_init(&iter, &view_of(&f)->exchanges);
        while ((x = view_next_exchange(&iter)))
            assert_int_equal(x->incarnation, view_find_exchange(view_of(&g), x->name)->incarnation);
    }
    assert_int_equal(catalog_last_incarnation(f.catalog), catalog_last_incarnation(g.catalog));
    list_fini(&all);
    fixture_stop(&f);
    fixture_stop(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_has_the_incarnation_that_was_given),
        cmocka_unit_test(what_changes_nothing_durable_leaves_no_record),
        cmocka_unit_test(a_cascade_is_recorded_exchange_by_exchange),
        cmocka_unit_test(replay_keeps_what_a_transient_binding_held),
        cmocka_unit_test(a_replaying_catalog_is_silent),
        cmocka_unit_test(only_durable_queues_of_a_deletion_are_recorded),
        cmocka_unit_test(a_journal_costs_no_memory),
        cmocka_unit_test(given_incarnations_are_used_and_not_repeated),
        cmocka_unit_test(predeclared_exchanges_keep_their_incarnations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
