/* SPDX-License-Identifier: Apache-2.0 */
/* Catalog commands on bindings: bind, unbind, and their removal with either end. */
#include "core/catalog/catalog_internal.h"

#include "core/table.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdlib.h>

/* Identity of a binding: u32 mark of the source, u32 mark of the destination, u32 length of the
 * routing key, the key, the arguments. Marks stand for (kind, name): they are unique in a view, and
 * no binding outlives its ends. Both indexes of a binding use this key. */
#define IDENTITY_HEADER_BYTES 12

/* The two ends of a binding command, as the working view has them. */
struct ends {
    const struct exchange *source;
    const struct exchange *to_exchange; /* kind exchange */
    const struct queue_record *to_queue;
    enum destination_kind kind;
};

static bool ends_find(const struct vhost_view *view, const struct catalog_binding *command,
                      struct ends *ends)
{
    *ends = (struct ends){.kind = command->kind};
    ends->source = view_find_exchange(view, command->source);
    if (command->kind == DESTINATION_QUEUE)
        ends->to_queue = view_find_queue(view, command->destination);
    else
        ends->to_exchange = view_find_exchange(view, command->destination);
    return ends->source && (ends->to_queue || ends->to_exchange);
}

static uint32_t ends_destination_mark(const struct ends *ends)
{
    return ends->to_queue ? ends->to_queue->mark : ends->to_exchange->mark;
}

static bool ends_include_default(const struct catalog_binding *command)
{
    return command->source.len == 0 ||
           (command->kind == DESTINATION_EXCHANGE && command->destination.len == 0);
}

struct table_entry {
    struct str name;
    struct str bytes; /* the whole entry */
};

static int compare_entries(const void *left, const void *right)
{
    const struct table_entry *a = left;
    const struct table_entry *b = right;
    int order = str_compare(a->name, b->name);
    if (order != 0)
        return order;
    /* Keep the order of repeated names; both point into one table. */
    return (a->bytes.data > b->bytes.data) - (a->bytes.data < b->bytes.data);
}

/* The arguments sorted by name and in canonical types, as RabbitMQ compares them; in scratch memory
 * that the next command reuses. */
static struct str arguments_sorted(struct catalog *catalog, struct str arguments)
{
    size_t count = table_count(arguments);
    if (count == 0)
        return str_of(NULL, 0);
    size_t entries_bytes = count * sizeof(struct table_entry);
    uint8_t *memory = scratch_bytes_reserve(&catalog->sorted, entries_bytes + 2 * arguments.len);
    struct table_entry *entries = (struct table_entry *)(void *)memory;
    struct table_iter iter;
    struct table_value value;
    table_iter_init(&iter, arguments);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *start = iter.in.pos;
        bool ok = table_next(&iter, &entries[i].name, &value);
        BUG_ON(!ok, "binding arguments are no valid table");
        entries[i].bytes = str_of(start, (size_t)(iter.in.pos - start));
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    struct writer sorted = writer_of(memory + entries_bytes, arguments.len);
    for (size_t i = 0; i < count; i++)
        writer_str(&sorted, entries[i].bytes);
    struct writer canonical = writer_of(sorted.pos, arguments.len);
    table_write_canonical(&canonical, str_of(sorted.start, arguments.len));
    BUG_ON(canonical.failed || writer_len(&canonical) != arguments.len,
           "canonical arguments have another length");
    return str_of(canonical.start, arguments.len);
}

/* The identity in scratch memory that the next command reuses. */
static struct hamt_item identity_of(struct catalog *catalog, const struct catalog_binding *command,
                                    const struct ends *ends)
{
    struct str arguments = arguments_sorted(catalog, command->arguments);
    size_t size = IDENTITY_HEADER_BYTES + command->routing_key.len + arguments.len;
    uint8_t *bytes = scratch_bytes_reserve(&catalog->identity, size);
    struct writer w = writer_of(bytes, size);
    writer_u32(&w, ends->source->mark);
    writer_u32(&w, ends_destination_mark(ends));
    writer_u32(&w, (uint32_t)command->routing_key.len);
    writer_str(&w, command->routing_key);
    writer_str(&w, arguments);
    struct str key = str_of(bytes, size);
    return (struct hamt_item){str_hash(key, catalog->hash_seed), key};
}

static struct destination target_of(const struct ends *ends)
{
    if (ends->to_queue)
        return (struct destination){.queue = ends->to_queue->ref, .mark = ends->to_queue->mark};
    return (struct destination){.exchange = &ends->to_exchange->body->item,
                                .mark = ends->to_exchange->mark,
                                .is_exchange = 1};
}

static struct binding *binding_new(const struct catalog *catalog, const struct ends *ends,
                                   struct hamt_item identity, size_t key_len)
{
    struct binding *binding = mem_alloc(sizeof *binding + identity.key.len);
    char *bytes = (char *)(binding + 1);
    char *key = bytes + IDENTITY_HEADER_BYTES;
    memcpy(bytes, identity.key.data, identity.key.len);
    bool durable = ends->to_queue ? ends->to_queue->durable : ends->to_exchange->durable;
    *binding = (struct binding){
        .item = {identity.hash, str_of(bytes, identity.key.len)},
        .source = ends->source->name,
        .destination = ends->to_queue ? ends->to_queue->name : ends->to_exchange->name,
        .routing_key = str_of(key, key_len),
        .arguments = str_of(key + key_len, identity.key.len - IDENTITY_HEADER_BYTES - key_len),
        .target = target_of(ends),
        .source_mark = ends->source->mark,
        .kind = ends->kind,
        .durable = durable && ends->source->durable,
        .stamp = catalog->edit.stamp,
    };
    return binding;
}

static struct hamt *bindings_to_own(struct catalog *catalog, struct vhost *vhost,
                                    const struct binding *binding)
{
    if (binding->kind == DESTINATION_EXCHANGE)
        return &exchange_own(catalog, vhost, binding->target.exchange)->bindings_to;
    struct hamt_item name = {view_hash(vhost->working, binding->destination), binding->destination};
    return &queue_own(catalog, vhost, &name)->bindings_to;
}

static struct exchange *source_own(struct catalog *catalog, struct vhost *vhost,
                                   const struct binding *binding)
{
    struct hamt_item name = {view_hash(vhost->working, binding->source), binding->source};
    return exchange_own(catalog, vhost, &name);
}

/* After the source's bindings changed by one to `binding`'s kind of destination. */
static void source_changed(struct catalog *catalog, struct exchange *source,
                           const struct binding *binding, bool added)
{
    if (binding->kind == DESTINATION_EXCHANGE)
        source->exchange_destination_count += added ? 1U : -1U;
    source->has_exchange_destinations = source->exchange_destination_count > 0;
    source->generation = ++catalog->last_generation;
}

void apply_bind(struct catalog *catalog, struct vhost *vhost, const struct catalog_binding *command,
                struct catalog_result *out)
{
    struct ends ends;
    if (ends_include_default(command)) {
        out->status = CATALOG_REFUSED;
        return;
    }
    if (!ends_find(vhost->working, command, &ends)) {
        out->status = ends.source ? CATALOG_DESTINATION_NOT_FOUND : CATALOG_SOURCE_NOT_FOUND;
        return;
    }
    struct hamt_item identity = identity_of(catalog, command, &ends);
    if (hamt_find(&ends.source->bindings_from, identity.hash, identity.key)) {
        out->status = CATALOG_EXISTED;
        return;
    }
    struct binding *binding = binding_new(catalog, &ends, identity, command->routing_key.len);
    hamt_put(bindings_to_own(catalog, vhost, binding), &catalog->edit, &binding->item);
    struct exchange *source = source_own(catalog, vhost, binding);
    hamt_put(&source->bindings_from, &catalog->edit, &binding->item);
    source->ops->bind(source, &catalog->edit, binding);
    source_changed(catalog, source, binding, true);
    journal_bind(catalog, vhost, binding);
}

void binding_remove(struct catalog *catalog, struct vhost *vhost, const struct binding *binding,
                    struct catalog_result *out)
{
    const struct edit *edit = &catalog->edit;
    struct hamt *to = bindings_to_own(catalog, vhost, binding);
    hamt_remove(to, edit, binding->item.hash, binding->item.key);
    struct exchange *source = source_own(catalog, vhost, binding);
    hamt_remove(&source->bindings_from, edit, binding->item.hash, binding->item.key);
    source->ops->unbind(source, edit, binding);
    source_changed(catalog, source, binding, false);
    out->bindings_deleted++;
    if (source->auto_delete && source->bindings_from.count == 0 && !catalog->replaying)
        doomed_push(catalog, source->body);
    edit_dispose(edit, (void *)binding, binding->stamp);
}

void apply_unbind(struct catalog *catalog, struct vhost *vhost,
                  const struct catalog_binding *command, struct catalog_result *out)
{
    struct ends ends;
    const struct binding *binding = NULL;
    if (ends_include_default(command)) {
        out->status = CATALOG_REFUSED;
        return;
    }
    if (ends_find(vhost->working, command, &ends)) {
        struct hamt_item identity = identity_of(catalog, command, &ends);
        binding = (const struct binding *)hamt_find(&ends.source->bindings_from, identity.hash,
                                                    identity.key);
    }
    if (!binding) {
        out->status = CATALOG_MISSING;
        return;
    }
    journal_unbind(catalog, vhost, binding);
    binding_remove(catalog, vhost, binding, out);
    doomed_delete(catalog, vhost, out);
}

static const struct binding *first_binding(const struct hamt *bindings)
{
    struct hamt_iter iter;
    hamt_iter_init(&iter, bindings);
    return (const struct binding *)hamt_iter_next(&iter);
}

void bindings_remove_to_queue(struct catalog *catalog, struct vhost *vhost,
                              const struct hamt_item *name, struct catalog_result *out)
{
    const struct binding *binding;
    while ((binding = first_binding(&queue_own(catalog, vhost, name)->bindings_to)))
        binding_remove(catalog, vhost, binding, out);
}

void bindings_remove_of_exchange(struct catalog *catalog, struct vhost *vhost,
                                 const struct hamt_item *name, struct catalog_result *out)
{
    const struct binding *binding;
    while ((binding = first_binding(&exchange_own(catalog, vhost, name)->bindings_from)))
        binding_remove(catalog, vhost, binding, out);
    while ((binding = first_binding(&exchange_own(catalog, vhost, name)->bindings_to)))
        binding_remove(catalog, vhost, binding, out);
}

void binding_drop(const struct edit *edit, struct hamt_item *item)
{
    struct binding *binding = (struct binding *)item;
    edit_dispose(edit, binding, binding->stamp);
}
