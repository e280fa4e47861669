/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: lists of encoded records, replaying them, comparing durable contents. */
#ifndef TOKKI_CORE_CATALOG_JOURNAL_FIXTURE_H
#define TOKKI_CORE_CATALOG_JOURNAL_FIXTURE_H

#include "core/catalog/catalog_fixture.h"
#include "core/catalog/command_codec.h"

#include "base/mem.h"

#include <stdlib.h>

/* Encoded records, in order. */
struct record_list {
    struct str *records;
    size_t count;
    size_t capacity;
};

static inline void list_add(void *context, const struct catalog_command *record)
{
    struct record_list *list = context;
    size_t size = catalog_command_size(record);
    uint8_t *bytes = mem_alloc(size);
    struct writer w = writer_of(bytes, size);
    catalog_command_encode(record, &w);
    assert_false(w.failed);
    assert_int_equal(writer_len(&w), size);
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->records = mem_resize(list->records, list->capacity * sizeof *list->records);
    }
    list->records[list->count++] = str_of(bytes, size);
}

static inline void list_fini(struct record_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free((void *)list->records[i].data);
    mem_free(list->records);
    *list = (struct record_list){0};
}

static inline int compare_records(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* The durable content as a sorted list: equal contents give equal lists. */
static inline struct record_list content_of(const struct catalog *catalog)
{
    struct record_list list = {0};
    catalog_emit(catalog, list_add, &list);
    if (list.count > 0)
        qsort(list.records, list.count, sizeof *list.records, compare_records);
    return list;
}

static inline void assert_same_content(const struct catalog *a, const struct catalog *b)
{
    struct record_list from_a = content_of(a);
    struct record_list from_b = content_of(b);
    assert_int_equal(from_a.count, from_b.count);
    for (size_t i = 0; i < from_a.count; i++)
        assert_true(str_equals(from_a.records[i], from_b.records[i]));
    list_fini(&from_a);
    list_fini(&from_b);
}

/* A catalog with nothing in it, not even a vhost. */
static inline void start_empty(struct fixture *f, uint64_t hash_seed)
{
    *f = (struct fixture){.reclaim = reclaim_new(1)};
    f->catalog = catalog_new(f->reclaim, hash_seed);
    route_result_init(&f->route);
}

static inline void add_vhost(struct fixture *f)
{
    run(f, &(struct catalog_command){.kind = CATALOG_VHOST_ADD});
    catalog_commit(f->catalog);
    f->vhost = catalog_find_vhost(f->catalog, STR("/"));
}

/* Apply records from `first` on. Each was an effect when it was made, so each is one again. */
static inline void replay(struct fixture *f, const struct record_list *list, size_t first)
{
    struct catalog_command_scratch scratch;
    catalog_set_replaying(f->catalog, true);
    for (size_t i = first; i < list->count; i++) {
        struct catalog_command command;
        assert_int_equal(catalog_command_decode(list->records[i], &command, &scratch), 0);
        catalog_apply(f->catalog, &command, &f->result);
        assert_int_equal(f->result.status, CATALOG_DONE);
        if (command.kind == CATALOG_QUEUES_DELETE)
            assert_int_equal(f->result.queues_deleted, command.queues_delete.count);
        assert_int_equal(f->result.exchanges_auto_deleted, 0);
        if (i % 5 == 0)
            catalog_commit(f->catalog);
    }
    catalog_set_replaying(f->catalog, false);
    catalog_commit(f->catalog);
    f->vhost = catalog_find_vhost(f->catalog, STR("/"));
}

/* Vhost "/" and a journal that is empty again behind its making. */
static inline void start_journaled(struct fixture *f, struct record_list *list)
{
    *list = (struct record_list){0};
    start_empty(f, 99);
    catalog_set_journal(f->catalog, list_add, list);
    add_vhost(f);
}

#endif
