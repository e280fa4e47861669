/* SPDX-License-Identifier: Apache-2.0 */
/* Readers route and list while the writer binds, unbinds, declares and deletes; for TSan and ASan. */
#include "core/catalog/catalog_fixture.h"

#include <pthread.h>

#define READERS 2
#define ROUNDS 1500

/* q-stable stays bound to everything, so each answer has it and no torn view goes unnoticed. */
struct reader {
    struct fixture *f;
    unsigned slot;
    unsigned turns;
    unsigned wrong;
};

static atomic_bool stop;

static void check_routes(struct reader *reader, const struct vhost_view *view,
                         struct route_result *out)
{
    static const char *const exchanges[] = {"amq.direct", "amq.fanout", "amq.topic", "amq.headers",
                                            "e2e"};
    struct queue_ref stable = view_find_queue(view, STR("q-stable"))->ref;
    for (size_t i = 0; i < ARRAY_LEN(exchanges); i++) {
        const struct exchange *x = view_find_exchange(view, str_from_c(exchanges[i]));
        bool found = false;
        route(view, x, STR("a.b.c"), STR("\1hI\0\0\0\1"), out);
        for (uint32_t q = 0; q < out->count; q++)
            found |= queue_ref_equals(out->queues[q], stable);
        reader->wrong += !found;
    }
}

static void check_lists(struct reader *reader, const struct vhost_view *view)
{
    struct hamt_iter iter;
    const struct queue_record *queue;
    size_t count = 0;
    hamt_iter_init(&iter, &view->queues);
    while ((queue = view_next_queue(&iter))) {
        struct hamt_iter bindings;
        const struct binding *binding;
        count++;
        hamt_iter_init(&bindings, &queue->bindings_to);
        while ((binding = view_next_binding(&bindings)))
            reader->wrong += !str_equals(binding->destination, queue->name) ||
                             !view_find_exchange(view, binding->source);
    }
    reader->wrong += count != view->queues.count;
}

static void *read_views(void *arg)
{
    struct reader *reader = arg;
    struct fixture *f = reader->f;
    struct route_result out;
    uint64_t version = 0;
    route_result_init(&out);
    reclaim_reader_online(f->reclaim, reader->slot);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct vhost *vhost = catalog_find_vhost(f->catalog, STR("/"));
        const struct vhost_view *view = catalog_view(vhost);
        reader->wrong += view->version < version;
        version = view->version;
        check_routes(reader, view, &out);
        if (++reader->turns % 8 == 0)
            check_lists(reader, view);
        if (reader->turns % 32 == 0) {
            reclaim_reader_offline(f->reclaim, reader->slot);
            reclaim_reader_online(f->reclaim, reader->slot);
        } else {
            reclaim_reader_quiescent(f->reclaim, reader->slot);
        }
    }
    reclaim_reader_offline(f->reclaim, reader->slot);
    route_result_fini(&out);
    return NULL;
}

static void bind_everywhere(struct fixture *f, const char *queue)
{
    bind_queue(f, "amq.direct", queue, "a.b.c");
    bind_queue(f, "amq.fanout", queue, "");
    bind_queue(f, "amq.topic", queue, "a.*.c");
    bind_queue(f, "amq.topic", queue, "#.c");
    change_binding(f, CATALOG_BIND, DESTINATION_QUEUE, "amq.headers", queue, "",
                   STR("\1hI\0\0\0\1"));
}

static void write_views(struct fixture *f)
{
    char name[16];
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof name, "q%u", i % 50);
        declare_queue(f, name);
        bind_everywhere(f, name);
        snprintf(name, sizeof name, "q%u", (i + 25) % 50);
        if (i % 3)
            delete_queue(f, name);
        else
            unbind_queue(f, "amq.topic", name, "a.*.c");
        declare_exchange(f, "auto", EXCHANGE_FANOUT, true);
        bind_exchange(f, "amq.topic", "auto", "#");
        bind_queue(f, "auto", "q-stable", "");
        if (i % 2)
            delete_exchange(f, "auto", false);
        else
            unbind_queue(f, "auto", "q-stable", "");
        run(f, &(struct catalog_command){.kind = i % 2 ? CATALOG_VHOST_ADD : CATALOG_VHOST_DELETE,
                                         .vhost = STR("v")});
        catalog_commit(f->catalog);
    }
}

static void readers_see_whole_views(void **state)
{
    struct fixture f;
    pthread_t threads[READERS];
    struct reader readers[READERS];
    fixture_start(&f, READERS);
    declare_queue(&f, "q-stable");
    declare_exchange(&f, "e2e", EXCHANGE_TOPIC, false);
    bind_everywhere(&f, "q-stable");
    bind_exchange(&f, "e2e", "amq.fanout", "*.b.#");
    catalog_commit(f.catalog);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.f = &f, .slot = i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_views, &readers[i]), 0);
    }
    write_views(&f);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
        assert_true(readers[i].turns > 0);
    }
    catalog_commit(f.catalog);
    assert_int_equal(catalog_uncollected(f.catalog), 0);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
