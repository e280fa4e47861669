/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the persistent map against a plain model, with collisions and with old versions. */
#include "base/hamt.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEYS 1000

struct entry {
    struct hamt_item item;
    unsigned key;
    unsigned value;
    uint64_t stamp;
    char text[16];
};

/* A map beside the values it should hold (0: none). */
struct world {
    struct reclaim *reclaim;
    struct edit edit;
    struct hamt map;
    uint64_t hash_mask; /* few bits: collisions down to the bucket level */
    uint64_t hash_shift;
    unsigned model[KEYS];
    uint64_t random;
};

static unsigned next_random(struct world *w, unsigned below)
{
    w->random = w->random * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)((w->random >> 33) % below);
}

static struct world world_new(uint64_t hash_mask, uint64_t hash_shift)
{
    struct world w = {.reclaim = reclaim_new(1),
                      .hash_mask = hash_mask,
                      .hash_shift = hash_shift,
                      .random = hash_mask + hash_shift};
    w.edit = (struct edit){w.reclaim, 1};
    return w;
}

static struct str key_text(unsigned key, char text[static 16])
{
    return str_of(text, (size_t)snprintf(text, 16, "k%u", key));
}

static uint64_t key_hash(const struct world *w, struct str text)
{
    return (str_hash(text, 1) & w->hash_mask) << w->hash_shift;
}

static void drop(const struct edit *edit, struct hamt_item *item)
{
    struct entry *entry = (struct entry *)item;
    edit_dispose(edit, entry, entry->stamp);
}

static void put(struct world *w, unsigned key, unsigned value)
{
    struct entry *entry = mem_alloc(sizeof *entry);
    entry->key = key;
    entry->value = value;
    entry->stamp = w->edit.stamp;
    struct str text = key_text(key, entry->text);
    entry->item = (struct hamt_item){key_hash(w, text), text};
    struct hamt_item *old = hamt_put(&w->map, &w->edit, &entry->item);
    assert_int_equal(old ? ((struct entry *)old)->value : 0, w->model[key]);
    if (old)
        drop(&w->edit, old);
    w->model[key] = value;
}

static void take(struct world *w, unsigned key)
{
    char buf[16];
    struct str text = key_text(key, buf);
    struct hamt_item *old = hamt_remove(&w->map, &w->edit, key_hash(w, text), text);
    assert_int_equal(old ? ((struct entry *)old)->value : 0, w->model[key]);
    if (old)
        drop(&w->edit, old);
    w->model[key] = 0;
}

static void check(const struct world *w, const struct hamt *map, const unsigned *model)
{
    char buf[16];
    size_t count = 0;
    struct hamt_iter iter;
    struct hamt_item *item;
    for (unsigned key = 0; key < KEYS; key++) {
        struct str text = key_text(key, buf);
        struct entry *entry = (struct entry *)hamt_find(map, key_hash(w, text), text);
        assert_int_equal(entry ? entry->value : 0, model[key]);
        count += entry != NULL;
    }
    assert_int_equal(map->count, count);
    hamt_iter_init(&iter, map);
    while ((item = hamt_iter_next(&iter))) {
        assert_int_equal(((struct entry *)item)->value, model[((struct entry *)item)->key]);
        count--;
    }
    assert_int_equal(count, 0);
}

static void world_free(struct world *w)
{
    hamt_clear(&w->map, &w->edit, drop);
    assert_null(w->map.root);
    reclaim_free(w->reclaim);
}

static void random_changes(struct world *w, unsigned changes)
{
    for (unsigned i = 0; i < changes; i++) {
        unsigned key = next_random(w, KEYS);
        if (next_random(w, 100) < 45)
            take(w, key);
        else
            put(w, key, i + 1);
        if (next_random(w, 50) == 0)
            w->edit.stamp++;
    }
}

static void behaves_as_a_map(void **state)
{
    /* All bits; 3 bits at the bottom; 2 at the top; none: everything in one bucket. */
    static const uint64_t hashes[][2] = {{UINT64_MAX, 0}, {7, 0}, {3, 62}, {0, 0}, {0xFFF, 30}};
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        struct world w = world_new(hashes[i][0], (unsigned)hashes[i][1]);
        for (int round = 0; round < 20; round++) {
            random_changes(&w, 500);
            check(&w, &w.map, w.model);
            reclaim_advance(w.reclaim);
        }
        for (unsigned key = 0; key < KEYS; key++)
            take(&w, key);
        assert_null(w.map.root);
        world_free(&w);
    }
}

static void old_versions_stay_intact(void **state)
{
    static const uint64_t masks[] = {UINT64_MAX, 15};
    static unsigned models[30][KEYS];
    struct hamt versions[30];
    for (size_t m = 0; m < ARRAY_LEN(masks); m++) {
        struct world w = world_new(masks[m], 0);
        reclaim_reader_online(w.reclaim, 0);
        for (int i = 0; i < 30; i++) {
            random_changes(&w, 200);
            versions[i] = w.map; /* published */
            memcpy(models[i], w.model, sizeof w.model);
            w.edit.stamp++;
            reclaim_advance(w.reclaim);
        }
        for (int i = 0; i < 30; i++)
            check(&w, &versions[i], models[i]);
        reclaim_reader_offline(w.reclaim, 0);
        world_free(&w);
    }
}

static void a_missing_key_changes_nothing(void **state)
{
    struct world w = world_new(UINT64_MAX, 0);
    put(&w, 1, 1);
    put(&w, 2, 2);
    w.edit.stamp++;
    void *root = w.map.root;
    take(&w, 3);
    assert_ptr_equal(w.map.root, root);
    assert_int_equal(reclaim_pending(w.reclaim), 0);
    world_free(&w);
}

static void a_change_copies_only_the_path(void **state)
{
    struct world w = world_new(UINT64_MAX, 0);
    for (unsigned key = 0; key < KEYS; key++)
        put(&w, key, 1);
    w.edit.stamp++;
    put(&w, 5, 2);
    assert_in_range(reclaim_pending(w.reclaim), 2, 5); /* three or four nodes and the old item */
    size_t pending = reclaim_pending(w.reclaim);
    put(&w, 5, 3); /* now all is the edit's own */
    assert_int_equal(reclaim_pending(w.reclaim), pending);
    world_free(&w);
}

static void integers_are_keys_too(void **state)
{
    struct world w = world_new(UINT64_MAX, 0);
    const struct str none = {NULL, 0};
    static struct hamt_item items[KEYS];
    for (uint64_t i = 0; i < KEYS; i++) {
        items[i] = (struct hamt_item){hamt_hash_integer(i), none};
        assert_null(hamt_put(&w.map, &w.edit, &items[i]));
    }
    for (uint64_t i = 0; i < 2 * KEYS; i++)
        assert_ptr_equal(hamt_find(&w.map, hamt_hash_integer(i), none),
                         i < KEYS ? &items[i] : NULL);
    assert_int_equal(w.map.count, KEYS);
    hamt_clear(&w.map, &w.edit, NULL);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_a_map),
        cmocka_unit_test(old_versions_stay_intact),
        cmocka_unit_test(a_missing_key_changes_nothing),
        cmocka_unit_test(a_change_copies_only_the_path),
        cmocka_unit_test(integers_are_keys_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
