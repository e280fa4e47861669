/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog's writer side: vhosts, dispatch of commands, publication. */
#include "core/catalog/catalog_internal.h"

#include "base/bug.h"
#include "base/mem.h"

#include <inttypes.h>

static struct vhost_table *table_new(struct catalog *catalog, const struct vhost_table *from)
{
    struct vhost_table *table = mem_alloc_zero(sizeof *table);
    if (from)
        table->vhosts = from->vhosts;
    table->stamp = catalog->edit.stamp;
    return table;
}

struct catalog *catalog_new(struct reclaim *reclaim, uint64_t hash_seed)
{
    struct catalog *catalog = mem_alloc_zero(sizeof *catalog);
    catalog->edit = (struct edit){reclaim, 1};
    catalog->hash_seed = hash_seed;
    catalog->working_table = table_new(catalog, NULL);
    atomic_init(&catalog->table, catalog->working_table);
    catalog->edit.stamp++; /* the empty table is published */
    return catalog;
}

const struct hamt *catalog_vhosts(const struct catalog *catalog)
{
    /* Acquire: as catalog_view(). */
    return &atomic_load_explicit(&catalog->table, memory_order_acquire)->vhosts;
}

static struct vhost *table_find(const struct hamt *vhosts, uint64_t seed, struct str name)
{
    return (struct vhost *)hamt_find(vhosts, str_hash(name, seed), name);
}

struct vhost *catalog_find_vhost(const struct catalog *catalog, struct str name)
{
    return table_find(catalog_vhosts(catalog), catalog->hash_seed, name);
}

static struct vhost_table *table_own(struct catalog *catalog)
{
    struct vhost_table *old = catalog->working_table;
    if (old->stamp == catalog->edit.stamp)
        return old;
    catalog->working_table = table_new(catalog, old);
    edit_dispose(&catalog->edit, old, old->stamp);
    return catalog->working_table;
}

static void vhost_make_dirty(struct catalog *catalog, struct vhost *vhost)
{
    if (vhost->dirty)
        return;
    vhost->dirty = true;
    vhost->next_dirty = catalog->dirty;
    catalog->dirty = vhost;
}

struct vhost_view *vhost_own(struct catalog *catalog, struct vhost *vhost)
{
    struct vhost_view *old = vhost->working;
    if (old->stamp == catalog->edit.stamp)
        return old;
    struct vhost_view *view = mem_alloc(sizeof *view);
    *view = *old;
    view->stamp = catalog->edit.stamp;
    view->version++;
    vhost->working = view;
    edit_dispose(&catalog->edit, old, old->stamp);
    vhost_make_dirty(catalog, vhost);
    return view;
}

uint64_t incarnation_take(struct catalog *catalog, uint64_t wanted, uint64_t following)
{
    uint64_t taken = wanted ? wanted : catalog->last_incarnation + 1;
    /* Twice what a record may hold: no counting on from there gets this far. */
    BUG_ON(taken > 2 * CATALOG_INCARNATION_MAX, "incarnation %" PRIu64, taken);
    catalog_reserve_incarnations(catalog, taken + following);
    return taken;
}

uint64_t catalog_last_incarnation(const struct catalog *catalog)
{
    return catalog->last_incarnation;
}

void catalog_reserve_incarnations(struct catalog *catalog, uint64_t at_least)
{
    catalog->last_incarnation = MAX(catalog->last_incarnation, at_least);
}

static struct vhost *vhost_new(struct catalog *catalog, uint64_t hash, struct str name,
                               uint64_t incarnation)
{
    struct vhost *vhost = mem_alloc_zero(sizeof *vhost);
    vhost->name = str_dup(name);
    vhost->item = (struct hamt_item){hash, vhost->name};
    vhost->incarnation = incarnation_take(catalog, incarnation, PREDECLARED_EXCHANGES);
    vhost->marks = mem_alloc_zero(sizeof *vhost->marks);
    vhost->working = mem_alloc_zero(sizeof *vhost->working);
    *vhost->working = (struct vhost_view){
        .version = 1, .hash_seed = catalog->hash_seed, .stamp = catalog->edit.stamp};
    /* No reader finds the handle before the table is published, by then with a view. */
    atomic_init(&vhost->view, NULL);
    vhost->next = catalog->vhosts;
    catalog->vhosts = vhost;
    vhost_make_dirty(catalog, vhost);
    return vhost;
}

static void apply_vhost_add(struct catalog *catalog, struct str name, uint64_t incarnation,
                            struct catalog_result *out)
{
    if (table_find(&catalog->working_table->vhosts, catalog->hash_seed, name)) {
        out->status = CATALOG_EXISTED;
        return;
    }
    struct vhost *vhost = vhost_new(catalog, str_hash(name, catalog->hash_seed), name, incarnation);
    hamt_put(&table_own(catalog)->vhosts, &catalog->edit, &vhost->item);
    exchanges_add_predeclared(catalog, vhost);
    journal_vhost_add(catalog, vhost);
}

/* Dispose of all that the view holds, which the edit owns. */
static void view_clear(const struct edit *edit, struct vhost_view *view)
{
    hamt_clear(&view->exchanges, edit, exchange_drop);
    hamt_clear(&view->queues, edit, queue_drop);
    view->deleted = true;
}

static void apply_vhost_delete(struct catalog *catalog, struct str name, struct catalog_result *out)
{
    struct vhost *vhost = table_find(&catalog->working_table->vhosts, catalog->hash_seed, name);
    if (!vhost) {
        out->status = CATALOG_MISSING;
        return;
    }
    journal_vhost_delete(catalog, vhost);
    struct vhost_view *view = vhost_own(catalog, vhost);
    out->queues_deleted = view->queues.count;
    view_clear(&catalog->edit, view);
    hamt_remove(&table_own(catalog)->vhosts, &catalog->edit, vhost->item.hash, vhost->item.key);
}

static void apply_in_vhost(struct catalog *catalog, struct vhost *vhost,
                           const struct catalog_command *command, struct catalog_result *out)
{
    switch ((enum catalog_command_kind)command->kind) {
    case CATALOG_EXCHANGE_DECLARE:
        apply_exchange_declare(catalog, vhost, &command->exchange_declare, out);
        return;
    case CATALOG_EXCHANGE_DELETE:
        apply_exchange_delete(catalog, vhost, &command->exchange_delete, out);
        return;
    case CATALOG_QUEUE_DECLARE:
        apply_queue_declare(catalog, vhost, &command->queue_declare, out);
        return;
    case CATALOG_QUEUES_DELETE:
        apply_queues_delete(catalog, vhost, &command->queues_delete, out);
        return;
    case CATALOG_BIND:
        apply_bind(catalog, vhost, &command->binding, out);
        return;
    case CATALOG_UNBIND:
        apply_unbind(catalog, vhost, &command->binding, out);
        return;
    case CATALOG_VHOST_ADD:
    case CATALOG_VHOST_DELETE:
        break;
    }
    BUG_ON(true, "catalog command of unknown kind %u", command->kind);
}

void catalog_apply(struct catalog *catalog, const struct catalog_command *command,
                   struct catalog_result *out)
{
    BUG_ON(command->version != CATALOG_COMMAND_VERSION, "catalog command of version %u",
           command->version);
    *out = (struct catalog_result){.status = CATALOG_DONE};
    if (command->kind == CATALOG_VHOST_ADD) {
        apply_vhost_add(catalog, command->vhost, command->vhost_add.incarnation, out);
        return;
    }
    if (command->kind == CATALOG_VHOST_DELETE) {
        apply_vhost_delete(catalog, command->vhost, out);
        return;
    }
    struct vhost *vhost =
        table_find(&catalog->working_table->vhosts, catalog->hash_seed, command->vhost);
    if (vhost)
        apply_in_vhost(catalog, vhost, command, out);
    else
        out->status = CATALOG_NO_VHOST;
}

void catalog_commit(struct catalog *catalog)
{
    /* Release: whoever loads the new root sees the nodes made for it. Views first, so that a vhost
     * found in the new table has one. */
    while (catalog->dirty) {
        struct vhost *vhost = catalog->dirty;
        catalog->dirty = vhost->next_dirty;
        vhost->next_dirty = NULL;
        vhost->dirty = false;
        atomic_store_explicit(&vhost->view, vhost->working, memory_order_release);
    }
    atomic_store_explicit(&catalog->table, catalog->working_table, memory_order_release);
    catalog->edit.stamp++;
    reclaim_advance(catalog->edit.reclaim);
}

size_t catalog_uncollected(const struct catalog *catalog)
{
    return reclaim_pending(catalog->edit.reclaim);
}

static void vhost_free(const struct edit *edit, struct vhost *vhost)
{
    struct vhost_view view = *vhost->working;
    view_clear(edit, &view);
    edit_dispose(edit, vhost->working, vhost->working->stamp);
    mem_free(vhost->marks->free);
    mem_free(vhost->marks);
    mem_free((void *)vhost->name.data);
    mem_free(vhost);
}

void catalog_free(struct catalog *catalog)
{
    if (!catalog)
        return;
    struct vhost_table *table = catalog->working_table;
    hamt_clear(&table->vhosts, &catalog->edit, NULL);
    edit_dispose(&catalog->edit, table, table->stamp);
    while (catalog->vhosts) {
        struct vhost *vhost = catalog->vhosts;
        catalog->vhosts = vhost->next;
        vhost_free(&catalog->edit, vhost);
    }
    reclaim_advance(catalog->edit.reclaim);
    mem_free(catalog->doomed);
    mem_free(catalog->identity.data);
    mem_free(catalog->sorted.data);
    mem_free(catalog);
}
