/* SPDX-License-Identifier: Apache-2.0 */
/* Catalog commands on queues: declare, delete. */
#include "core/catalog/catalog_internal.h"

#include "base/bug.h"
#include "base/mem.h"

static struct queue_body *body_new(const struct catalog *catalog, struct str name,
                                   struct str arguments)
{
    struct queue_body *body = mem_alloc(sizeof *body + name.len + arguments.len);
    if (name.len)
        memcpy(body->bytes, name.data, name.len);
    if (arguments.len)
        memcpy(body->bytes + name.len, arguments.data, arguments.len);
    body->stamp = catalog->edit.stamp;
    return body;
}

static struct queue_record *queue_add(struct catalog *catalog, struct vhost *vhost,
                                      const struct catalog_queue_declare *command)
{
    struct vhost_view *view = vhost_own(catalog, vhost);
    struct queue_body *body = body_new(catalog, command->name, command->arguments);
    struct queue_record *queue = mem_alloc(sizeof *queue);
    *queue = (struct queue_record){
        .name_hash = view_hash(view, command->name),
        .name = str_of(body->bytes, command->name.len),
        .ref = {.incarnation = incarnation_take(catalog, command->incarnation, 0),
                .slot = command->slot,
                .shard = command->shard,
                .is_durable = command->durable},
        .arguments = str_of(body->bytes + command->name.len, command->arguments.len),
        .owner = command->owner,
        .durable = command->durable,
        .auto_delete = command->auto_delete,
        .exclusive = command->exclusive,
        .mark = marks_take(vhost->marks),
        .body = body,
        .stamp = catalog->edit.stamp,
    };
    hamt_put(&view->queues, &catalog->edit, &queue->item);
    view->mark_limit = vhost->marks->next;
    return queue;
}

void apply_queue_declare(struct catalog *catalog, struct vhost *vhost,
                         const struct catalog_queue_declare *command, struct catalog_result *out)
{
    out->queue = view_find_queue(vhost->working, command->name);
    if (out->queue) {
        out->status = CATALOG_EXISTED;
        return;
    }
    out->queue = queue_add(catalog, vhost, command);
    journal_queue_declare(catalog, vhost, out->queue);
}

/* Take the queue and the bindings to it out of the working view. */
static void queue_remove(struct catalog *catalog, struct vhost *vhost, struct hamt_item name,
                         struct catalog_result *out)
{
    bindings_remove_to_queue(catalog, vhost, &name, out);
    struct vhost_view *view = vhost_own(catalog, vhost);
    struct queue_record *queue =
        (struct queue_record *)hamt_remove(&view->queues, &catalog->edit, name.hash, name.key);
    BUG_ON(!queue || queue->bindings_to.count, "queue to remove is missing or bound");
    marks_give(vhost->marks, queue->mark);
    edit_dispose(&catalog->edit, queue->body, queue->body->stamp);
    edit_dispose(&catalog->edit, queue, queue->stamp);
}

void apply_queues_delete(struct catalog *catalog, struct vhost *vhost,
                         const struct catalog_queues_delete *command, struct catalog_result *out)
{
    journal_queues_delete(catalog, vhost, command);
    for (size_t i = 0; i < command->count; i++) {
        const struct catalog_queue_id *id = &command->queues[i];
        const struct queue_record *queue = queue_find_id(vhost->working, id);
        if (!queue)
            continue;
        queue_remove(catalog, vhost, queue->item, out);
        out->queues_deleted++;
    }
    doomed_delete(catalog, vhost, out);
    if (out->queues_deleted == 0)
        out->status = CATALOG_MISSING;
}

void queue_drop(const struct edit *edit, struct hamt_item *item)
{
    struct queue_record *queue = (struct queue_record *)item;
    struct hamt bindings_to = queue->bindings_to; /* readers may still see the record's */
    hamt_clear(&bindings_to, edit, NULL);         /* their sources own them */
    edit_dispose(edit, queue->body, queue->body->stamp);
    edit_dispose(edit, queue, queue->stamp);
}
