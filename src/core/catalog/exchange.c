/* SPDX-License-Identifier: Apache-2.0 */
/* Catalog commands on exchanges: declare, delete, auto-delete. */
#include "core/catalog/catalog_internal.h"

#include "core/table.h"

#include "base/bug.h"
#include "base/mem.h"

static struct exchange_body *body_new(const struct catalog *catalog, uint64_t hash, struct str name,
                                      struct str arguments)
{
    struct exchange_body *body = mem_alloc(sizeof *body + name.len + arguments.len);
    if (name.len)
        memcpy(body->bytes, name.data, name.len);
    if (arguments.len)
        memcpy(body->bytes + name.len, arguments.data, arguments.len);
    body->item = (struct hamt_item){hash, str_of(body->bytes, name.len)};
    body->stamp = catalog->edit.stamp;
    return body;
}

static struct exchange *exchange_add(struct catalog *catalog, struct vhost *vhost,
                                     const struct catalog_exchange_declare *command)
{
    struct vhost_view *view = vhost_own(catalog, vhost);
    struct exchange_body *body =
        body_new(catalog, view_hash(view, command->name), command->name, command->arguments);
    struct exchange *exchange = mem_alloc_zero(sizeof *exchange);
    exchange->item = body->item;
    exchange->body = body;
    exchange->arguments = str_of(body->bytes + command->name.len, command->arguments.len);
    exchange->has_alternate =
        table_find_longstr(exchange->arguments, STR("alternate-exchange"), &exchange->alternate);
    exchange->durable = command->durable;
    exchange->auto_delete = command->auto_delete;
    exchange->internal = command->internal;
    exchange->type = command->type;
    exchange->ops = exchange_ops_of(command->type);
    exchange->mark = marks_take(vhost->marks);
    exchange->hash_seed = catalog->hash_seed;
    exchange->incarnation = incarnation_take(catalog, command->incarnation, 0);
    exchange->generation = ++catalog->last_generation;
    exchange->stamp = catalog->edit.stamp;
    hamt_put(&view->exchanges, &catalog->edit, &exchange->item);
    view->mark_limit = vhost->marks->next;
    return exchange;
}

void apply_exchange_declare(struct catalog *catalog, struct vhost *vhost,
                            const struct catalog_exchange_declare *command,
                            struct catalog_result *out)
{
    out->exchange = view_find_exchange(vhost->working, command->name);
    if (out->exchange) {
        out->status = CATALOG_EXISTED;
        return;
    }
    out->exchange = exchange_add(catalog, vhost, command);
    journal_exchange_declare(catalog, vhost, out->exchange);
}

void exchanges_add_predeclared(struct catalog *catalog, struct vhost *vhost)
{
    /* amq.match is the AMQP name of amq.headers. All are durable; clients may not publish to the
     * trace exchange. */
    static const struct catalog_exchange_declare all[] = {
        {.name = STR(""), .type = EXCHANGE_DIRECT},
        {.name = STR("amq.direct"), .type = EXCHANGE_DIRECT},
        {.name = STR("amq.fanout"), .type = EXCHANGE_FANOUT},
        {.name = STR("amq.topic"), .type = EXCHANGE_TOPIC},
        {.name = STR("amq.headers"), .type = EXCHANGE_HEADERS},
        {.name = STR("amq.match"), .type = EXCHANGE_HEADERS},
        {.name = STR("amq.rabbitmq.trace"), .type = EXCHANGE_TOPIC, .internal = true},
    };
    static_assert(ARRAY_LEN(all) == PREDECLARED_EXCHANGES, "vhosts reserve numbers for these");
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct catalog_exchange_declare command = all[i];
        command.durable = true;
        command.incarnation = vhost->incarnation + 1 + i;
        struct exchange *exchange = exchange_add(catalog, vhost, &command);
        exchange->predeclared = true;
        if (command.name.len == 0)
            exchange->ops = &default_exchange_ops;
    }
}

/* Take the exchange and all its bindings out of the working view. */
static void exchange_remove(struct catalog *catalog, struct vhost *vhost,
                            const struct hamt_item *name, struct catalog_result *out)
{
    struct exchange *doomed = exchange_own(catalog, vhost, name);
    journal_exchange_delete(catalog, vhost, doomed);
    doomed->auto_delete = false; /* losing its own bindings must not doom it again */
    bindings_remove_of_exchange(catalog, vhost, name, out);
    struct vhost_view *view = vhost_own(catalog, vhost);
    struct exchange *exchange =
        (struct exchange *)hamt_remove(&view->exchanges, &catalog->edit, name->hash, name->key);
    BUG_ON(!exchange || exchange->bindings_from.count || exchange->bindings_to.count,
           "exchange to remove is missing or bound");
    marks_give(vhost->marks, exchange->mark);
    edit_dispose(&catalog->edit, exchange->body, exchange->body->stamp);
    edit_dispose(&catalog->edit, exchange, exchange->stamp);
}

void apply_exchange_delete(struct catalog *catalog, struct vhost *vhost,
                           const struct catalog_exchange_delete *command,
                           struct catalog_result *out)
{
    const struct exchange *exchange = view_find_exchange(vhost->working, command->name);
    if (!exchange) {
        out->status = CATALOG_MISSING;
    } else if (exchange->predeclared) {
        out->status = CATALOG_REFUSED;
    } else if (command->if_unused && exchange->bindings_from.count > 0) {
        out->status = CATALOG_IN_USE;
    } else {
        exchange_remove(catalog, vhost, &exchange->body->item, out);
        doomed_delete(catalog, vhost, out);
    }
}

void doomed_push(struct catalog *catalog, const struct exchange_body *body)
{
    if (catalog->doomed_count == catalog->doomed_capacity) {
        catalog->doomed_capacity = catalog->doomed_capacity ? catalog->doomed_capacity * 2 : 16;
        catalog->doomed =
            mem_resize(catalog->doomed, catalog->doomed_capacity * sizeof(struct exchange_body *));
    }
    catalog->doomed[catalog->doomed_count++] = body;
}

void doomed_delete(struct catalog *catalog, struct vhost *vhost, struct catalog_result *out)
{
    /* A list and not recursion: a chain of auto-delete exchanges is as long as a client wants. Each
     * is pushed once, when it loses its last binding, and goes only here: the pointers are good. */
    while (catalog->doomed_count > 0) {
        const struct exchange_body *body = catalog->doomed[--catalog->doomed_count];
        exchange_remove(catalog, vhost, &body->item, out);
        out->exchanges_auto_deleted++;
    }
}

void exchange_drop(const struct edit *edit, struct hamt_item *item)
{
    struct exchange *exchange = (struct exchange *)item;
    struct exchange copy = *exchange; /* readers may still see the object's maps */
    copy.ops->clear(&copy, edit);
    hamt_clear(&copy.bindings_to, edit, NULL); /* their sources own them */
    hamt_clear(&copy.bindings_from, edit, binding_drop);
    edit_dispose(edit, copy.body, copy.body->stamp);
    edit_dispose(edit, exchange, exchange->stamp);
}
