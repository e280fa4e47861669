/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: a catalog with vhost "/", and one-line commands that return the status. */
#ifndef TOKKI_CORE_CATALOG_CATALOG_FIXTURE_H
#define TOKKI_CORE_CATALOG_CATALOG_FIXTURE_H

#include "core/catalog/catalog.h"
#include "core/routing/route.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    struct reclaim *reclaim;
    struct catalog *catalog;
    struct vhost *vhost;
    struct catalog_result result; /* of the last command */
    struct route_result route;
};

static inline enum catalog_status run(struct fixture *f, struct catalog_command *command)
{
    command->version = CATALOG_COMMAND_VERSION;
    if (!command->vhost.data)
        command->vhost = STR("/");
    catalog_apply(f->catalog, command, &f->result);
    return f->result.status;
}

/* The working view: what has been applied, committed or not. */
static inline const struct vhost_view *view_of(const struct fixture *f)
{
    return catalog_working_view(f->vhost);
}

static inline void fixture_start(struct fixture *f, unsigned readers)
{
    *f = (struct fixture){.reclaim = reclaim_new(readers)};
    f->catalog = catalog_new(f->reclaim, 12345);
    run(f, &(struct catalog_command){.kind = CATALOG_VHOST_ADD});
    catalog_commit(f->catalog);
    f->vhost = catalog_find_vhost(f->catalog, STR("/"));
    route_result_init(&f->route);
}

static inline void fixture_stop(struct fixture *f)
{
    route_result_fini(&f->route);
    catalog_free(f->catalog);
    reclaim_free(f->reclaim);
}

static inline enum catalog_status declare_queue(struct fixture *f, const char *name)
{
    return run(
        f, &(struct catalog_command){.kind = CATALOG_QUEUE_DECLARE,
                                     .queue_declare = {.name = str_from_c(name), .durable = true}});
}

static inline enum catalog_status delete_queue(struct fixture *f, const char *name)
{
    const struct queue_record *queue = view_find_queue(view_of(f), str_from_c(name));
    struct catalog_queue_id id = {str_from_c(name), queue ? queue->ref.incarnation : 1};
    return run(f,
               &(struct catalog_command){.kind = CATALOG_QUEUES_DELETE, .queues_delete = {&id, 1}});
}

static inline enum catalog_status declare_exchange(struct fixture *f, const char *name,
                                                   enum exchange_type type, bool auto_delete)
{
    return run(f, &(struct catalog_command){.kind = CATALOG_EXCHANGE_DECLARE,
                                            .exchange_declare = {.name = str_from_c(name),
                                                                 .type = type,
                                                                 .durable = true,
                                                                 .auto_delete = auto_delete}});
}

static inline enum catalog_status delete_exchange(struct fixture *f, const char *name,
                                                  bool if_unused)
{
    return run(f, &(struct catalog_command){.kind = CATALOG_EXCHANGE_DELETE,
                                            .exchange_delete = {str_from_c(name), if_unused}});
}

static inline enum catalog_status change_binding(struct fixture *f, enum catalog_command_kind kind,
                                                 enum destination_kind to, const char *source,
                                                 const char *destination, const char *key,
                                                 struct str arguments)
{
    return run(f, &(struct catalog_command){.kind = (uint8_t)kind,
                                            .binding = {.source = str_from_c(source),
                                                        .kind = to,
                                                        .destination = str_from_c(destination),
                                                        .routing_key = str_from_c(key),
                                                        .arguments = arguments}});
}

static inline enum catalog_status bind_queue(struct fixture *f, const char *source,
                                             const char *queue, const char *key)
{
    return change_binding(f, CATALOG_BIND, DESTINATION_QUEUE, source, queue, key, str_of(NULL, 0));
}

static inline enum catalog_status unbind_queue(struct fixture *f, const char *source,
                                               const char *queue, const char *key)
{
    return change_binding(f, CATALOG_UNBIND, DESTINATION_QUEUE, source, queue, key,
                          str_of(NULL, 0));
}

static inline enum catalog_status bind_exchange(struct fixture *f, const char *source,
                                                const char *destination, const char *key)
{
    return change_binding(f, CATALOG_BIND, DESTINATION_EXCHANGE, source, destination, key,
                          str_of(NULL, 0));
}

static inline enum catalog_status unbind_exchange(struct fixture *f, const char *source,
                                                  const char *destination, const char *key)
{
    return change_binding(f, CATALOG_UNBIND, DESTINATION_EXCHANGE, source, destination, key,
                          str_of(NULL, 0));
}

static inline const struct exchange *find_exchange(const struct fixture *f, const char *name)
{
    return view_find_exchange(view_of(f), str_from_c(name));
}

/* Number of queues that the message reaches; the answer is in f->route. */
static inline uint32_t route_count(struct fixture *f, const char *exchange, const char *key)
{
    route(view_of(f), find_exchange(f, exchange), str_from_c(key), str_of(NULL, 0), &f->route);
    return f->route.count;
}

/* Is the queue in the last answer? */
static inline bool routed_to(const struct fixture *f, const char *name)
{
    const struct queue_record *queue = view_find_queue(view_of(f), str_from_c(name));
    for (uint32_t i = 0; queue && i < f->route.count; i++)
        if (queue_ref_equals(f->route.queues[i], queue->ref))
            return true;
    return false;
}

#endif
