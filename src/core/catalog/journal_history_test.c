/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories of a catalog: replay of the journal and emission give its durable part back. */
#include "core/catalog/journal_fixture.h"

enum { VHOSTS = 2, QUEUES = 8, EXCHANGES = 8 };

struct history {
    struct fixture f;
    struct record_list log;
    uint64_t seed;
    uint64_t incarnations[VHOSTS][QUEUES]; /* of the last declaration */
    size_t cascades;                       /* exchanges that went by auto-delete */
};

static unsigned pick(struct history *h, unsigned below)
{
    h->seed = h->seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(h->seed >> 33) % below;
}

static struct str pick_exchange(struct history *h)
{
    static const struct str names[] = {STR("x0"),         STR("x1"),          STR("x2"),
                                       STR("x3"),         STR("x4"),          STR("x5"),
                                       STR("x6"),         STR("x7"),          STR("amq.direct"),
                                       STR("amq.fanout"), STR("amq.headers"), STR("amq.topic")};
    static_assert(ARRAY_LEN(names) > EXCHANGES, "predeclared ones, too");
    return names[pick(h, ARRAY_LEN(names))];
}

static const struct str queue_names[QUEUES] = {STR("q0"), STR("q1"), STR("q2"), STR("q3"),
                                               STR("q4"), STR("q5"), STR("q6"), STR("")};

static struct str pick_table(struct history *h)
{
    static const struct str tables[] = {
        {NULL, 0},
        STR("\1aI\0\0\0\1\1bt\1"),
        STR("\1bt\1\1aI\0\0\0\1"),   /* the same binding */
        STR("\1aL\0\0\0\0\0\0\0\1"), /* kept as l */
        STR("\7x-matchS\0\0\0\3any\1aS\0\0\0\1v"),
        STR("\22alternate-exchangeS\0\0\0\2x0"),
    };
    return tables[pick(h, ARRAY_LEN(tables))];
}

static void random_declare_exchange(struct history *h, struct catalog_command *command)
{
    command->kind = CATALOG_EXCHANGE_DECLARE;
    command->exchange_declare =
        (struct catalog_exchange_declare){.name = pick_exchange(h),
                                          .type = (enum exchange_type)pick(h, EXCHANGE_TYPE_COUNT),
                                          .durable = pick(h, 4) > 0,
                                          .auto_delete = pick(h, 2) > 0,
                                          .internal = pick(h, 8) == 0,
                                          .arguments = pick_table(h)};
}

static void random_declare_queue(struct history *h, unsigned vhost, struct catalog_command *command)
{
    unsigned queue = pick(h, QUEUES);
    command->kind = CATALOG_QUEUE_DECLARE;
    command->queue_declare = (struct catalog_queue_declare){.name = queue_names[queue],
                                                            .durable = pick(h, 4) > 0,
                                                            .auto_delete = pick(h, 4) == 0,
                                                            .arguments = pick_table(h),
                                                            .shard = (uint16_t)pick(h, 4),
                                                            .slot = pick(h, 1000)};
    if (!command->queue_declare.durable && pick(h, 2)) {
        command->queue_declare.exclusive = true;
        command->queue_declare.owner = 1 + pick(h, 9);
    }
    run(&h->f, command);
    if (h->f.result.queue)
        h->incarnations[vhost][queue] = h->f.result.queue->ref.incarnation;
}

static void random_delete_queues(struct history *h, unsigned vhost, struct catalog_command command)
{
    struct catalog_queue_id ids[4];
    unsigned count = 1 + pick(h, ARRAY_LEN(ids));
    unsigned first = pick(h, QUEUES);
    for (unsigned i = 0; i < count; i++) {
        unsigned queue = (first + i) % QUEUES;
        ids[i].name = queue_names[queue];
        ids[i].incarnation = h->incarnations[vhost][queue] + (pick(h, 8) == 0);
    }
    command.kind = CATALOG_QUEUES_DELETE;
    command.queues_delete = (struct catalog_queues_delete){ids, count};
    run(&h->f, &command);
}

static void random_binding(struct history *h, enum catalog_command_kind kind,
                           struct catalog_command *command)
{
    static const struct str keys[] = {STR(""), STR("k"), STR("k.*"), STR("#")};
    enum destination_kind to = pick(h, 3) == 0 ? DESTINATION_EXCHANGE : DESTINATION_QUEUE;
    command->kind = (uint8_t)kind;
    command->binding = (struct catalog_binding){
        .source = pick_exchange(h),
        .kind = to,
        .destination = to == DESTINATION_QUEUE ? queue_names[pick(h, QUEUES)] : pick_exchange(h),
        .routing_key = keys[pick(h, ARRAY_LEN(keys))],
        .arguments = pick(h, 2) ? str_of(NULL, 0) : pick_table(h)};
}

/* Unbind what is there; the strings are the binding's own, which goes meanwhile. */
static void unbind_one(struct history *h, struct catalog_command command)
{
    const struct vhost *vhost = catalog_find_vhost(h->f.catalog, command.vhost);
    const struct exchange *source =
        vhost ? view_find_exchange(catalog_working_view(vhost), pick_exchange(h)) : NULL;
    const struct binding *binding = NULL;
    struct hamt_iter iter;
    if (source)
        hamt_iter_init(&iter, &source->bindings_from);
    for (unsigned i = pick(h, 3); source && i < 3; i++) {
        const struct binding *next = view_next_binding(&iter);
        binding = next ? next : binding;
    }
    if (!binding)
        return;
    command.kind = CATALOG_UNBIND;
    command.binding = (struct catalog_binding){binding->source, binding->kind, binding->destination,
                                               binding->routing_key, binding->arguments};
    assert_int_equal(run(&h->f, &command), CATALOG_DONE);
}

static void random_command(struct history *h)
{
    unsigned vhost = pick(h, VHOSTS);
    struct catalog_command command = {.vhost = vhost ? STR("v") : STR("/")};
    unsigned what = pick(h, 100);
    h->f.result = (struct catalog_result){0};
    if (what < 10) {
        random_declare_queue(h, vhost, &command);
    } else if (what < 15) {
        random_delete_queues(h, vhost, command);
    } else if (what < 35) {
        unbind_one(h, command);
    } else {
        if (what < 47) {
            random_declare_exchange(h, &command);
        } else if (what < 51) {
            command.kind = CATALOG_EXCHANGE_DELETE;
            command.exchange_delete.name = pick_exchange(h);
            command.exchange_delete.if_unused = pick(h, 2) > 0;
        } else if (what < 90) {
            random_binding(h, CATALOG_BIND, &command);
        } else if (what < 94) {
            random_binding(h, CATALOG_UNBIND, &command);
        } else {
            command.kind =
                what == 94 && pick(h, 10) == 0 ? CATALOG_VHOST_DELETE : CATALOG_VHOST_ADD;
        }
        run(&h->f, &command);
    }
    h->cascades += h->f.result.exchanges_auto_deleted;
    if (pick(h, 6) == 0)
        catalog_commit(h->f.catalog);
}

static void start_history(struct history *h, uint64_t seed)
{
    *h = (struct history){.seed = seed};
    start_journaled(&h->f, &h->log);
    run(&h->f, &(struct catalog_command){.kind = CATALOG_VHOST_ADD, .vhost = STR("v")});
}

static void stop_history(struct history *h)
{
    list_fini(&h->log);
    fixture_stop(&h->f);
}

static const struct binding *find_binding(const struct exchange *source,
                                          const struct binding *wanted)
{
    struct hamt_iter iter;
    const struct binding *binding;
    hamt_iter_init(&iter, &source->bindings_from);
    while ((binding = view_next_binding(&iter)))
        if (binding->kind == wanted->kind &&
            str_equals(binding->destination, wanted->destination) &&
            str_equals(binding->routing_key, wanted->routing_key) &&
            str_equals(binding->arguments, wanted->arguments))
            return binding;
    return NULL;
}

static void assert_durable_bindings(const struct exchange *from, const struct exchange *to)
{
    struct hamt_iter iter;
    const struct binding *binding;
    size_t durable = 0;
    hamt_iter_init(&iter, &from->bindings_from);
    while ((binding = view_next_binding(&iter)))
        if (binding->durable) {
            durable++;
            assert_non_null(find_binding(to, binding));
        }
    assert_int_equal(to->bindings_from.count, durable);
}

static void assert_durable_exchange(const struct exchange *from, const struct exchange *to)
{
    assert_non_null(to);
    assert_int_equal(from->incarnation, to->incarnation);
    assert_int_equal(from->type, to->type);
    assert_int_equal(from->auto_delete, to->auto_delete);
    assert_int_equal(from->internal, to->internal);
    assert_int_equal(from->predeclared, to->predeclared);
    assert_ptr_equal(from->ops, to->ops);
    assert_true(to->durable);
    assert_true(str_equals(from->arguments, to->arguments));
    assert_int_equal(from->has_alternate, to->has_alternate);
    assert_durable_bindings(from, to);
}

static void assert_durable_queue(const struct queue_record *from, const struct queue_record *to)
{
    assert_non_null(to);
    assert_int_equal(from->ref.incarnation, to->ref.incarnation);
    assert_int_equal(from->auto_delete, to->auto_delete);
    assert_true(to->durable && !to->exclusive && to->owner == 0);
    assert_true(str_equals(from->arguments, to->arguments));
}

/* `to` holds the durable part of `from` and nothing else: by looking, not by emission. */
static void assert_durable_view(const struct vhost_view *from, const struct vhost_view *to)
{
    struct hamt_iter iter;
    const struct exchange *exchange;
    const struct queue_record *queue;
    size_t durable = 0;
    hamt_iter_init(&iter, &from->exchanges);
    while ((exchange = view_next_exchange(&iter)))
        if (exchange->durable) {
            durable++;
            assert_durable_exchange(exchange, view_find_exchange(to, exchange->name));
        }
    assert_int_equal(to->exchanges.count, durable);
    durable = 0;
    hamt_iter_init(&iter, &from->queues);
    while ((queue = view_next_queue(&iter)))
        if (queue->durable) {
            durable++;
            assert_durable_queue(queue, view_find_queue(to, queue->name));
        }
    assert_int_equal(to->queues.count, durable);
}

static void assert_durable_part(struct catalog *from, struct catalog *to)
{
    struct hamt_iter iter;
    struct vhost *vhost;
    catalog_commit(from);
    catalog_commit(to);
    assert_same_content(from, to);
    assert_int_equal(catalog_vhosts(from)->count, catalog_vhosts(to)->count);
    hamt_iter_init(&iter, catalog_vhosts(from));
    while ((vhost = catalog_next_vhost(&iter))) {
        struct vhost *other = catalog_find_vhost(to, vhost->name);
        assert_non_null(other);
        assert_int_equal(vhost->incarnation, other->incarnation);
        assert_durable_view(catalog_view(vhost), catalog_view(other));
    }
}

/* A checkpoint of `h` now, in a new catalog. */
static void restore(struct history *h, struct fixture *g)
{
    struct record_list all = {0};
    start_empty(g, h->seed);
    catalog_emit(h->f.catalog, list_add, &all);
    replay(g, &all, 0);
    list_fini(&all);
}

static void replay_gives_the_durable_part(void **state)
{
    size_t cascades = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct history h;
        start_history(&h, seed);
        for (int i = 0; i < 2000; i++) {
            random_command(&h);
            if (i % 400 != 399)
                continue;
            struct fixture g;
            start_empty(&g, seed + 1000);
            replay(&g, &h.log, 0);
            assert_durable_part(h.f.catalog, g.catalog);
            fixture_stop(&g);
        }
        assert_true(h.log.count > 300); /* else the history is too tame to tell much */
        cascades += h.cascades;
        stop_history(&h);
    }
    assert_true(cascades > 40);
}

static void emission_gives_the_durable_part(void **state)
{
    struct history h;
    start_history(&h, 77);
    for (int i = 0; i < 2000; i++) {
        random_command(&h);
        if (i % 100 != 99)
            continue;
        struct fixture g;
        restore(&h, &g);
        assert_durable_part(h.f.catalog, g.catalog);
        fixture_stop(&g);
    }
    stop_history(&h);
}

/* As a node starts: the newest checkpoint, then the records behind it. */
static void emission_and_later_records_give_the_durable_part(void **state)
{
    struct history h;
    start_history(&h, 4711);
    for (int round = 0; round < 10; round++) {
        struct fixture g;
        for (int i = 0; i < 200; i++)
            random_command(&h);
        size_t behind = h.log.count;
        restore(&h, &g);
        for (int i = 0; i < 200; i++)
            random_command(&h);
        replay(&g, &h.log, behind);
        assert_durable_part(h.f.catalog, g.catalog);
        fixture_stop(&g);
    }
    stop_history(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_gives_the_durable_part),
        cmocka_unit_test(emission_gives_the_durable_part),
        cmocka_unit_test(emission_and_later_records_give_the_durable_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
