/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the durable content: of each change as it is made, and of everything at once. */
#include "core/catalog/catalog_internal.h"

#include "core/catalog/command_codec.h"

#include "base/bug.h"

/* --- Records of single things; their strings are the catalog's --- */

static struct catalog_command record_of(const struct vhost *vhost, enum catalog_command_kind kind)
{
    return (struct catalog_command){
        .version = CATALOG_COMMAND_VERSION, .kind = (uint8_t)kind, .vhost = vhost->name};
}

static struct catalog_command record_of_vhost(const struct vhost *vhost)
{
    struct catalog_command record = record_of(vhost, CATALOG_VHOST_ADD);
    record.vhost_add.incarnation = vhost->incarnation;
    return record;
}

static struct catalog_command record_of_exchange(const struct vhost *vhost,
                                                 const struct exchange *exchange)
{
    struct catalog_command record = record_of(vhost, CATALOG_EXCHANGE_DECLARE);
    record.exchange_declare = (struct catalog_exchange_declare){
        .name = exchange->name,
        .incarnation = exchange->incarnation,
        .type = exchange->type,
        .durable = true,
        .auto_delete = exchange->auto_delete,
        .internal = exchange->internal,
        .arguments = exchange->arguments,
    };
    return record;
}

static struct catalog_command record_of_queue(const struct vhost *vhost,
                                              const struct queue_record *queue)
{
    /* Its owner is a connection, which no restart survives. */
    BUG_ON(queue->exclusive, "exclusive queue '%.*s' is durable", STR_ARG(queue->name));
    struct catalog_command record = record_of(vhost, CATALOG_QUEUE_DECLARE);
    record.queue_declare = (struct catalog_queue_declare){
        .name = queue->name,
        .incarnation = queue->ref.incarnation,
        .durable = true,
        .auto_delete = queue->auto_delete,
        .arguments = queue->arguments,
        .shard = queue->ref.shard,
        .slot = queue->ref.slot,
    };
    return record;
}

static struct catalog_command record_of_binding(const struct vhost *vhost,
                                                enum catalog_command_kind kind,
                                                const struct binding *binding)
{
    struct catalog_command record = record_of(vhost, kind);
    record.binding = (struct catalog_binding){
        .source = binding->source,
        .kind = binding->kind,
        .destination = binding->destination,
        .routing_key = binding->routing_key,
        .arguments = binding->arguments,
    };
    return record;
}

/* --- The journal --- */

void catalog_set_journal(struct catalog *catalog, catalog_record_fn *journal, void *context)
{
    catalog->journal = journal;
    catalog->journal_context = context;
}

void catalog_set_replaying(struct catalog *catalog, bool on)
{
    catalog->replaying = on;
}

static bool journal_is_on(const struct catalog *catalog)
{
    return catalog->journal && !catalog->replaying;
}

static void journal_put(const struct catalog *catalog, struct catalog_command record)
{
    catalog->journal(catalog->journal_context, &record);
}

void journal_vhost_add(const struct catalog *catalog, const struct vhost *vhost)
{
    if (journal_is_on(catalog))
        journal_put(catalog, record_of_vhost(vhost));
}

void journal_vhost_delete(const struct catalog *catalog, const struct vhost *vhost)
{
    if (journal_is_on(catalog))
        journal_put(catalog, record_of(vhost, CATALOG_VHOST_DELETE));
}

void journal_exchange_declare(const struct catalog *catalog, const struct vhost *vhost,
                              const struct exchange *exchange)
{
    if (journal_is_on(catalog) && exchange->durable)
        journal_put(catalog, record_of_exchange(vhost, exchange));
}

void journal_exchange_delete(const struct catalog *catalog, const struct vhost *vhost,
                             const struct exchange *exchange)
{
    if (!journal_is_on(catalog) || !exchange->durable)
        return;
    struct catalog_command record = record_of(vhost, CATALOG_EXCHANGE_DELETE);
    record.exchange_delete.name = exchange->name;
    journal_put(catalog, record);
}

void journal_queue_declare(const struct catalog *catalog, const struct vhost *vhost,
                           const struct queue_record *queue)
{
    if (journal_is_on(catalog) && queue->durable)
        journal_put(catalog, record_of_queue(vhost, queue));
}

/* One record per CATALOG_RECORD_QUEUES_MAX durable queues: so it has a bounded size, and needs no
 * memory but the stack. */
void journal_queues_delete(const struct catalog *catalog, const struct vhost *vhost,
                           const struct catalog_queues_delete *command)
{
    struct catalog_queue_id durable[CATALOG_RECORD_QUEUES_MAX];
    struct catalog_command record = record_of(vhost, CATALOG_QUEUES_DELETE);
    size_t count = 0;

    if (!journal_is_on(catalog))
        return;
    for (size_t i = 0; i < command->count; i++) {
        const struct queue_record *queue = queue_find_id(vhost->working, &command->queues[i]);
        if (queue && queue->durable)
            durable[count++] = command->queues[i];
        if (count == ARRAY_LEN(durable) || (count > 0 && i + 1 == command->count)) {
            record.queues_delete = (struct catalog_queues_delete){durable, count};
            journal_put(catalog, record);
            count = 0;
        }
    }
}

void journal_bind(const struct catalog *catalog, const struct vhost *vhost,
                  const struct binding *binding)
{
    if (journal_is_on(catalog) && binding->durable)
        journal_put(catalog, record_of_binding(vhost, CATALOG_BIND, binding));
}

void journal_unbind(const struct catalog *catalog, const struct vhost *vhost,
                    const struct binding *binding)
{
    if (journal_is_on(catalog) && binding->durable)
        journal_put(catalog, record_of_binding(vhost, CATALOG_UNBIND, binding));
}

/* --- Everything at once --- */

/* Where records go. */
struct sink {
    catalog_record_fn *emit;
    void *context;
};

static void emit_one(const struct sink *sink, struct catalog_command record)
{
    sink->emit(sink->context, &record);
}

static void emit_exchanges(const struct vhost *vhost, const struct sink *sink)
{
    struct hamt_iter iter;
    const struct exchange *exchange;
    hamt_iter_init(&iter, &vhost->working->exchanges);
    while ((exchange = view_next_exchange(&iter)))
        if (exchange->durable && !exchange->predeclared)
            emit_one(sink, record_of_exchange(vhost, exchange));
}

static void emit_queues(const struct vhost *vhost, const struct sink *sink)
{
    struct hamt_iter iter;
    const struct queue_record *queue;
    hamt_iter_init(&iter, &vhost->working->queues);
    while ((queue = view_next_queue(&iter)))
        if (queue->durable)
            emit_one(sink, record_of_queue(vhost, queue));
}

static void emit_bindings_from(const struct vhost *vhost, const struct exchange *source,
                               const struct sink *sink)
{
    struct hamt_iter iter;
    const struct binding *binding;
    hamt_iter_init(&iter, &source->bindings_from);
    while ((binding = view_next_binding(&iter)))
        if (binding->durable)
            emit_one(sink, record_of_binding(vhost, CATALOG_BIND, binding));
}

static void emit_bindings(const struct vhost *vhost, const struct sink *sink)
{
    struct hamt_iter iter;
    const struct exchange *source;
    hamt_iter_init(&iter, &vhost->working->exchanges);
    while ((source = view_next_exchange(&iter)))
        emit_bindings_from(vhost, source, sink);
}

void catalog_emit(const struct catalog *catalog, catalog_record_fn *emit, void *context)
{
    const struct sink sink = {emit, context};
    struct hamt_iter iter;
    const struct vhost *vhost;
    hamt_iter_init(&iter, &catalog->working_table->vhosts);
    while ((vhost = catalog_next_vhost(&iter))) {
        emit_one(&sink, record_of_vhost(vhost));
        emit_exchanges(vhost, &sink);
        emit_queues(vhost, &sink);
        emit_bindings(vhost, &sink); /* after both kinds of ends */
    }
}
