/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of class queue. */
#include "base/mem.h"
#include "broker/deliver.h"
#include "broker/names.h"
#include "proto/amqp091/channel.h"

static void remember_queue(struct amqp_channel *channel, struct str name)
{
    mem_free((void *)(uintptr_t)channel->last_queue.data);
    channel->last_queue = str_dup(name);
}

/* ---- declare ---- */

static void on_declared(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);
    struct amqp_queue_declare_ok ok = {operation->name, operation->message_count,
                                       operation->consumer_count};

    channel->promised -= operation->was_promised;
    if (operation->refusal.code != 0) {
        channel_refuse(channel, &operation->refusal, AMQP_QUEUE_DECLARE);
    } else if (channel->state == CHANNEL_OPEN) {
        remember_queue(channel, operation->name);
        if (!operation->nowait)
            channel_send(channel, AMQP_QUEUE_DECLARE_OK, &ok);
    }
    channel_operation_done(channel);
}

static void on_asked(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);
    struct amqp_queue_declare_ok ok = {operation->name, 0, 1};

    if (operation->refusal.code != 0)
        channel_refuse(channel, &operation->refusal, AMQP_QUEUE_DECLARE);
    else if (!operation->nowait && channel->state == CHANNEL_OPEN)
        channel_send(channel, AMQP_QUEUE_DECLARE_OK, &ok);
    channel_operation_done(channel);
}

/* The names of direct reply-to are no queues: a declare only asks whether the requester lives. */
static bool declare_reply_to(struct amqp_channel *channel, const struct amqp_queue_declare *declare)
{
    struct amqp_queue_declare_ok ok = {declare->queue, 0, 1};
    struct operation *operation;

    if (str_equals(declare->queue, STR(REPLY_TO_NAME))) {
        if (!declare->nowait)
            channel_send(channel, AMQP_QUEUE_DECLARE_OK, &ok);
        return true;
    }
    if (!str_starts_with(declare->queue, STR(REPLY_TO_PREFIX)))
        return false;
    operation =
        operation_new(&channel->session, declare->queue, STR(""), STR(""), STR(""), on_asked);
    operation->nowait = declare->nowait;
    channel_begin_operation(channel);
    operation_reply_address(operation);
    return true;
}

static void start_declare(struct amqp_channel *channel, const struct amqp_queue_declare *declare,
                          struct str name, bool is_server_named)
{
    struct operation *operation =
        operation_new(&channel->session, name, STR(""), STR(""), declare->arguments, on_declared);

    operation->passive = declare->passive;
    operation->durable = declare->durable;
    operation->exclusive = declare->exclusive;
    operation->auto_delete = declare->auto_delete;
    operation->nowait = declare->nowait;
    operation->place_here = is_server_named;
    if (declare->durable && !declare->passive && !declare->exclusive && !is_server_named)
        channel_look_ahead(channel, operation);
    channel_begin_operation(channel);
    operation_queue_declare(operation);
}

/* Where the queue is or would be placed, UINT16_MAX when this shard is as good as any. */
static uint16_t home_of(struct amqp_channel *channel, struct str name, bool is_new_here)
{
    struct session *session = &channel->session;
    const struct queue_record *queue =
        view_find_queue(broker_view(session->broker, session->vhost), name);
    if (queue)
        return queue->ref.shard;
    return is_new_here ? UINT16_MAX : node_place_queue(session->broker->node, name);
}

void channel_queue_declare(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct amqp_queue_declare *declare = &args->queue_declare;
    char clean[256];
    char generated[GENERATED_NAME_MAX];
    struct str name = channel_clean_name(declare->queue, clean);
    bool is_server_named = name.len == 0 && !declare->passive;
    uint16_t home;

    if (declare_reply_to(channel, declare))
        return;
    if (is_server_named) {
        name = name_generate(STR("amq.gen-"), generated);
    } else if (!declare->passive && str_starts_with(name, STR("amq."))) {
        channel_fail(channel, REFUSAL_ACCESS_REFUSED, id,
                     "queue name '%.*s' contains reserved prefix 'amq.*'", STR_ARG(name));
        return;
    }
    home = home_of(channel, name, is_server_named || declare->exclusive || declare->passive);
    if (home != UINT16_MAX && conn_move(channel->conn, home))
        return;
    start_declare(channel, declare, name, is_server_named);
}

/* ---- bind, unbind ---- */

static void on_bound(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);
    bool is_unbind = operation->is_unbind;

    if (operation->refusal.code != 0)
        channel_refuse(channel, &operation->refusal,
                       is_unbind ? AMQP_QUEUE_UNBIND : AMQP_QUEUE_BIND);
    else if (!operation->nowait && channel->state == CHANNEL_OPEN)
        channel_send(channel, is_unbind ? AMQP_QUEUE_UNBIND_OK : AMQP_QUEUE_BIND_OK, NULL);
    channel_operation_done(channel);
}

static void start_bind(struct amqp_channel *channel, struct amqp_queue_bind *args, bool is_unbind)
{
    char queue[256];
    char exchange[256];
    struct operation *operation;
    uint32_t id = is_unbind ? AMQP_QUEUE_UNBIND : AMQP_QUEUE_BIND;
    /* Both empty: the last queue, bound by its own name (AMQP 0-9-1, queue.bind, routing-key). */
    bool is_both_empty = args->queue.len == 0 && args->routing_key.len == 0;

    args->queue = channel_clean_name(args->queue, queue);
    if (!channel_queue_name(channel, &args->queue, id))
        return;
    if (is_both_empty)
        args->routing_key = args->queue;
    operation =
        operation_new(&channel->session, args->queue, channel_clean_name(args->exchange, exchange),
                      args->routing_key, args->arguments, on_bound);
    operation->is_unbind = is_unbind;
    operation->nowait = args->nowait;
    channel->busy++;
    operation_bind(operation);
}

void channel_queue_bind(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    (void)id;
    start_bind(channel, &args->queue_bind, false);
}

void channel_queue_unbind(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    const struct amqp_queue_unbind *unbind = &args->queue_unbind;
    struct amqp_queue_bind same = {unbind->queue, unbind->exchange, unbind->routing_key, false,
                                   unbind->arguments};
    (void)id;
    start_bind(channel, &same, true);
}

/* ---- purge, delete ---- */

static void on_purged(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);
    struct amqp_queue_purge_ok ok = {operation->message_count};

    if (operation->refusal.code != 0)
        channel_refuse(channel, &operation->refusal, AMQP_QUEUE_PURGE);
    else if (!operation->nowait && channel->state == CHANNEL_OPEN)
        channel_send(channel, AMQP_QUEUE_PURGE_OK, &ok);
    channel_operation_done(channel);
}

void channel_queue_purge(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct amqp_queue_purge *purge = &args->queue_purge;
    struct operation *operation;

    if (!channel_queue_name(channel, &purge->queue, id))
        return;
    operation =
        operation_new(&channel->session, purge->queue, STR(""), STR(""), STR(""), on_purged);
    operation->nowait = purge->nowait;
    channel_begin_operation(channel);
    operation_queue_purge(operation);
}

static void on_deleted(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);
    struct amqp_queue_delete_ok ok = {operation->message_count};

    if (operation->refusal.code != 0)
        channel_refuse(channel, &operation->refusal, AMQP_QUEUE_DELETE);
    else if (!operation->nowait && channel->state == CHANNEL_OPEN)
        channel_send(channel, AMQP_QUEUE_DELETE_OK, &ok);
    channel_operation_done(channel);
}

void channel_queue_delete(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct amqp_queue_delete *del = &args->queue_delete;
    char clean[256];
    struct operation *operation;

    del->queue = channel_clean_name(del->queue, clean);
    if (!channel_queue_name(channel, &del->queue, id))
        return;
    operation = operation_new(&channel->session, del->queue, STR(""), STR(""), STR(""), on_deleted);
    operation->if_unused = del->if_unused;
    operation->if_empty = del->if_empty;
    operation->nowait = del->nowait;
    channel_begin_operation(channel);
    operation_queue_delete(operation);
}
