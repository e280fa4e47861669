/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of class exchange. */
#include "proto/amqp091/channel.h"

/* The operation has ended: refuse, or answer with the empty `method` unless nowait. */
static void answer(struct operation *operation, struct session *session, uint32_t request,
                   uint32_t reply)
{
    struct amqp_channel *channel = CHANNEL_OF(session);

    if (operation->refusal.code != 0)
        channel_refuse(channel, &operation->refusal, request);
    else if (!operation->nowait && channel->state == CHANNEL_OPEN)
        channel_send(channel, reply, NULL);
    channel_operation_done(channel);
}

static void on_declared(struct operation *operation, struct session *session)
{
    answer(operation, session, AMQP_EXCHANGE_DECLARE, AMQP_EXCHANGE_DECLARE_OK);
}

void channel_exchange_declare(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    const struct amqp_exchange_declare *declare = &args->exchange_declare;
    char name[256];
    struct operation *operation =
        operation_new(&channel->session, channel_clean_name(declare->exchange, name), declare->type,
                      STR(""), declare->arguments, on_declared);

    (void)id;
    operation->passive = declare->passive;
    operation->durable = declare->durable;
    operation->auto_delete = declare->auto_delete;
    operation->internal = declare->internal;
    operation->nowait = declare->nowait;
    channel->busy++;
    operation_exchange_declare(operation);
}

static void on_deleted(struct operation *operation, struct session *session)
{
    answer(operation, session, AMQP_EXCHANGE_DELETE, AMQP_EXCHANGE_DELETE_OK);
}

void channel_exchange_delete(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    const struct amqp_exchange_delete *del = &args->exchange_delete;
    char name[256];
    struct operation *operation =
        operation_new(&channel->session, channel_clean_name(del->exchange, name), STR(""), STR(""),
                      STR(""), on_deleted);

    (void)id;
    operation->if_unused = del->if_unused;
    operation->nowait = del->nowait;
    channel->busy++;
    operation_exchange_delete(operation);
}

static void on_bound(struct operation *operation, struct session *session)
{
    if (operation->is_unbind)
        answer(operation, session, AMQP_EXCHANGE_UNBIND, AMQP_EXCHANGE_UNBIND_OK);
    else
        answer(operation, session, AMQP_EXCHANGE_BIND, AMQP_EXCHANGE_BIND_OK);
}

/* exchange.bind and unbind have the same fields. */
static void start_bind(struct amqp_channel *channel, const struct amqp_exchange_bind *args,
                       bool is_unbind)
{
    char destination[256];
    char source[256];
    struct operation *operation = operation_new(
        &channel->session, channel_clean_name(args->destination, destination),
        channel_clean_name(args->source, source), args->routing_key, args->arguments, on_bound);

    operation->is_to_exchange = true;
    operation->is_unbind = is_unbind;
    operation->nowait = args->nowait;
    channel->busy++;
    operation_bind(operation);
}

void channel_exchange_bind(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    (void)id;
    start_bind(channel, &args->exchange_bind, false);
}

void channel_exchange_unbind(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    const struct amqp_exchange_unbind *unbind = &args->exchange_unbind;
    struct amqp_exchange_bind same = {unbind->destination, unbind->source, unbind->routing_key,
                                      unbind->nowait, unbind->arguments};
    (void)id;
    start_bind(channel, &same, true);
}
