/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of catalog/ share: the writer's state and copy-on-write of its objects. */
#ifndef TOKKI_CORE_CATALOG_CATALOG_INTERNAL_H
#define TOKKI_CORE_CATALOG_CATALOG_INTERNAL_H

#include "core/catalog/catalog.h"

/* Name and arguments of one exchange, at one address for as long as the incarnation lives: bindings
 * and destinations point here while struct exchange itself is replaced with each bind. */
struct exchange_body {
    struct hamt_item item; /* key: the name */
    uint64_t stamp;
    char bytes[];
};

/* The same for a queue. */
struct queue_body {
    uint64_t stamp;
    char bytes[];
};

/* Which marks (struct destination) of a vhost are free. The newest free one is taken first. */
struct vhost_marks {
    uint32_t *free;
    uint32_t free_count;
    uint32_t free_capacity;
    uint32_t next; /* never given out yet */
};

struct vhost_table {
    struct hamt vhosts; /* struct vhost by name */
    uint64_t stamp;
};

/* Growable bytes, reused from command to command. */
struct scratch_bytes {
    uint8_t *data;
    size_t capacity;
};

/* Owner: the node. Thread: the writer, except `table`. Freed by: catalog_free(). */
struct catalog {
    _Atomic(const struct vhost_table *) table; /* published */
    struct vhost_table *working_table;
    struct edit edit;
    uint64_t hash_seed;
    uint64_t last_incarnation;
    uint64_t last_generation;
    struct vhost *vhosts; /* all handles ever made */
    struct vhost *dirty;  /* those with staged changes */

    /* Auto-delete exchanges whose last binding this command took away. */
    const struct exchange_body **doomed;
    size_t doomed_count;
    size_t doomed_capacity;

    struct scratch_bytes identity; /* of the binding at work */
    struct scratch_bytes sorted;   /* its arguments */

    catalog_record_fn *journal; /* NULL: nobody listens */
    void *journal_context;
    bool replaying;
};

/* The number of something new: `wanted`, or the next when that is 0. `following` more numbers right
 * behind it are taken as well. */
uint64_t incarnation_take(struct catalog *catalog, uint64_t wanted, uint64_t following);

/* At least `size` bytes. */
uint8_t *scratch_bytes_reserve(struct scratch_bytes *scratch, size_t size);

/* The vhost's working view, made the edit's own and due for publication. */
struct vhost_view *vhost_own(struct catalog *catalog, struct vhost *vhost);

/* The object of the working view as the edit's own, ready to be changed. It must exist. */
struct exchange *exchange_own(struct catalog *catalog, struct vhost *vhost,
                              const struct hamt_item *name);
struct queue_record *queue_own(struct catalog *catalog, struct vhost *vhost,
                               const struct hamt_item *name);

uint32_t marks_take(struct vhost_marks *marks);
void marks_give(struct vhost_marks *marks, uint32_t mark);

/* journal.c: records of what was done to durable things, if anybody listens. Those of deletions come
 * just before the deed, while the names are there. */
void journal_vhost_add(const struct catalog *catalog, const struct vhost *vhost);
void journal_vhost_delete(const struct catalog *catalog, const struct vhost *vhost);
void journal_exchange_declare(const struct catalog *catalog, const struct vhost *vhost,
                              const struct exchange *exchange);
void journal_exchange_delete(const struct catalog *catalog, const struct vhost *vhost,
                             const struct exchange *exchange);
void journal_queue_declare(const struct catalog *catalog, const struct vhost *vhost,
                           const struct queue_record *queue);
void journal_queues_delete(const struct catalog *catalog, const struct vhost *vhost,
                           const struct catalog_queues_delete *command);
void journal_bind(const struct catalog *catalog, const struct vhost *vhost,
                  const struct binding *binding);
void journal_unbind(const struct catalog *catalog, const struct vhost *vhost,
                    const struct binding *binding);

/* exchange.c: the commands on exchanges, and their deletion by other causes. */
void apply_exchange_declare(struct catalog *catalog, struct vhost *vhost,
                            const struct catalog_exchange_declare *command,
                            struct catalog_result *out);
void apply_exchange_delete(struct catalog *catalog, struct vhost *vhost,
                           const struct catalog_exchange_delete *command,
                           struct catalog_result *out);
/* They have the incarnations behind the vhost's. */
#define PREDECLARED_EXCHANGES 7
void exchanges_add_predeclared(struct catalog *catalog, struct vhost *vhost);
void doomed_push(struct catalog *catalog, const struct exchange_body *body);
/* Delete the doomed exchanges, and those that this dooms in turn. */
void doomed_delete(struct catalog *catalog, struct vhost *vhost, struct catalog_result *out);
/* For hamt_clear(): dispose of all that belongs to the exchange, its bindings as source included. */
void exchange_drop(const struct edit *edit, struct hamt_item *item);

/* queue.c */
void apply_queue_declare(struct catalog *catalog, struct vhost *vhost,
                         const struct catalog_queue_declare *command, struct catalog_result *out);
void apply_queues_delete(struct catalog *catalog, struct vhost *vhost,
                         const struct catalog_queues_delete *command, struct catalog_result *out);
void queue_drop(const struct edit *edit, struct hamt_item *item);

/* The queue of this name and incarnation, or NULL. */
static inline const struct queue_record *queue_find_id(const struct vhost_view *view,
                                                       const struct catalog_queue_id *id)
{
    const struct queue_record *queue = view_find_queue(view, id->name);
    return queue && queue->ref.incarnation == id->incarnation ? queue : NULL;
}

/* binding.c */
void apply_bind(struct catalog *catalog, struct vhost *vhost, const struct catalog_binding *command,
                struct catalog_result *out);
void apply_unbind(struct catalog *catalog, struct vhost *vhost,
                  const struct catalog_binding *command, struct catalog_result *out);
/* Take the binding out of the working view and dispose of it. */
void binding_remove(struct catalog *catalog, struct vhost *vhost, const struct binding *binding,
                    struct catalog_result *out);
/* Take out every binding of the map, which belongs to the working view's object called `name`; that
 * object stays. */
void bindings_remove_to_queue(struct catalog *catalog, struct vhost *vhost,
                              const struct hamt_item *name, struct catalog_result *out);
void bindings_remove_of_exchange(struct catalog *catalog, struct vhost *vhost,
                                 const struct hamt_item *name, struct catalog_result *out);
void binding_drop(const struct edit *edit, struct hamt_item *item);

#endif
