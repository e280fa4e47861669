/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of class basic but publish: qos, consume, cancel, get, ack, nack, reject, recover. */
#include "broker/arguments.h"
#include "broker/deliver.h"
#include "broker/names.h"
#include "proto/amqp091/deliver.h"

void channel_basic_qos(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    const struct amqp_basic_qos *qos = &args->basic_qos;

    if (qos->prefetch_size != 0) {
        channel_fail(channel, REFUSAL_NOT_IMPLEMENTED, id, "prefetch_size!=0 (%u)",
                     qos->prefetch_size);
        return;
    }
    /* RabbitMQ: global=false is for consumers to come, global=true one limit for the channel. */
    if (qos->global)
        session_set_limit(&channel->session, qos->prefetch_count);
    else
        channel->session.prefetch = qos->prefetch_count;
    channel_send(channel, AMQP_BASIC_QOS_OK, NULL);
}

/* ---- consume ---- */

static void send_consume_ok(struct amqp_channel *channel, struct str tag)
{
    struct amqp_basic_consume_ok ok = {tag};
    channel_send(channel, AMQP_BASIC_CONSUME_OK, &ok);
}

static void on_consuming(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);

    if (operation->subscription)
        operation->subscription->context = deliver_prefix_new(channel->number, operation->key);
    if (operation->refusal.code != 0)
        channel_refuse(channel, &operation->refusal, AMQP_BASIC_CONSUME);
    else if (!operation->nowait && channel->state == CHANNEL_OPEN)
        send_consume_ok(channel, operation->key);
    channel_operation_done(channel);
}

/* Direct reply-to: a consumer without a queue. */
static void consume_replies(struct amqp_channel *channel, const struct amqp_basic_consume *consume,
                            struct str tag, uint32_t id)
{
    struct session *session = &channel->session;

    if (!consume->no_ack) {
        channel_fail(channel, REFUSAL_PRECONDITION_FAILED, id, "reply consumer cannot acknowledge");
        return;
    }
    if (session->reply) {
        channel_fail(channel, REFUSAL_PRECONDITION_FAILED, id, "reply consumer already set");
        return;
    }
    session->reply = session_add_subscription(session, tag, true);
    session->reply->is_reply = true;
    session->reply->context = deliver_prefix_new(channel->number, tag);
    session->reply_token = token_generate();
    channel->conn->is_settled = true;
    if (!consume->nowait)
        send_consume_ok(channel, tag);
}

static bool move_to_queue(struct amqp_channel *channel, struct str name)
{
    struct session *session = &channel->session;
    const struct queue_record *queue =
        view_find_queue(broker_view(session->broker, session->vhost), name);
    return queue && conn_move(channel->conn, queue->ref.shard);
}

static void start_consume(struct amqp_channel *channel, const struct amqp_basic_consume *consume,
                          struct str tag, int32_t priority)
{
    struct operation *operation =
        operation_new(&channel->session, consume->queue, STR(""), tag, STR(""), on_consuming);

    operation->no_ack = consume->no_ack;
    operation->exclusive = consume->exclusive;
    operation->nowait = consume->nowait;
    operation->priority = priority;
    operation->prefetch = channel->session.prefetch;
    channel_begin_operation(channel);
    operation_consume(operation);
}

void channel_basic_consume(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct amqp_basic_consume *consume = &args->basic_consume;
    char generated[GENERATED_NAME_MAX];
    struct str tag = consume->consumer_tag;
    struct refusal refusal;
    int32_t priority;

    if (tag.len == 0)
        tag = name_generate(STR("amq.ctag-"), generated);
    if (session_find_subscription(&channel->session, tag)) {
        channel_fail(channel, REFUSAL_NOT_ALLOWED, id, "attempt to reuse consumer tag '%.*s'",
                     STR_ARG(tag));
        return;
    }
    if (str_equals(consume->queue, STR(REPLY_TO_NAME))) {
        consume_replies(channel, consume, tag, id);
        return;
    }
    if (!channel_queue_name(channel, &consume->queue, id))
        return;
    if (arguments_consumer(consume->arguments, consume->queue, channel->session.vhost->name,
                           &priority, &refusal) != 0) {
        channel_refuse(channel, &refusal, id);
        return;
    }
    if (!move_to_queue(channel, consume->queue))
        start_consume(channel, consume, tag, priority);
}

/* ---- cancel ---- */

static void on_cancelled(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);
    struct amqp_basic_cancel_ok ok = {operation->key};

    if (!operation->nowait && channel->state == CHANNEL_OPEN)
        channel_send(channel, AMQP_BASIC_CANCEL_OK, &ok);
    channel_operation_done(channel);
}

void channel_basic_cancel(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    const struct amqp_basic_cancel *cancel = &args->basic_cancel;
    struct subscription *subscription =
        session_find_subscription(&channel->session, cancel->consumer_tag);
    struct amqp_basic_cancel_ok ok = {cancel->consumer_tag};
    struct operation *operation;

    (void)id;
    if (!subscription) {
        /* Unknown: cancelled already, as far as RabbitMQ is concerned. */
        if (!cancel->nowait)
            channel_send(channel, AMQP_BASIC_CANCEL_OK, &ok);
        return;
    }
    operation = operation_new(&channel->session, STR(""), STR(""), cancel->consumer_tag, STR(""),
                              on_cancelled);
    operation->nowait = cancel->nowait;
    channel_begin_operation(channel);
    operation_cancel(operation, subscription);
}

/* ---- get ---- */

static void send_message(struct amqp_channel *channel, struct operation *operation)
{
    struct session *session = &channel->session;
    struct message *message = &operation->message;
    struct consumer_ref nobody = {0};
    struct amqp_basic_get_ok ok = {
        .delivery_tag = ++session->next_tag,
        .redelivered = (message->flags & MESSAGE_REDELIVERED) != 0,
        .exchange = message_exchange(message),
        .routing_key = message_routing_key(message),
        .message_count = operation->message_count,
    };

    if (!operation->no_ack)
        ledger_add(&session->ledger, ok.delivery_tag, operation->queue, nobody,
                   operation->position);
    if (channel->state != CHANNEL_OPEN || channel->conn->stream.fd == -1)
        return; /* the end of the session returns it */
    channel_send(channel, AMQP_BASIC_GET_OK, &ok);
    content_write(channel->conn, channel->number, message);
}

static void on_got(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);
    struct broker_shard *broker = session->broker;

    if (operation->refusal.code != 0) {
        channel_refuse(channel, &operation->refusal, AMQP_BASIC_GET);
    } else if (operation->found) {
        send_message(channel, operation);
        message_unref(broker->shard, &broker->queues.descriptors, &operation->message);
    } else if (channel->state == CHANNEL_OPEN) {
        channel_send(channel, AMQP_BASIC_GET_EMPTY, NULL);
    }
    channel_operation_done(channel);
}

void channel_basic_get(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct amqp_basic_get *get = &args->basic_get;
    struct operation *operation;

    if (!channel_queue_name(channel, &get->queue, id) || move_to_queue(channel, get->queue))
        return;
    operation = operation_new(&channel->session, get->queue, STR(""), STR(""), STR(""), on_got);
    operation->no_ack = get->no_ack;
    channel_begin_operation(channel);
    operation_get(operation);
}

/* ---- settling ---- */

static void settle(struct amqp_channel *channel, uint64_t tag, bool multiple,
                   enum queue_settle_how how, uint32_t id)
{
    int rc = channel->mode == CHANNEL_TX ? transaction_settle(channel, tag, multiple, how)
                                         : session_settle(&channel->session, tag, multiple, how);
    if (rc != 0)
        channel_fail(channel, REFUSAL_PRECONDITION_FAILED, id, "unknown delivery tag %llu",
                     (unsigned long long)tag);
}

void channel_basic_ack(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    settle(channel, args->basic_ack.delivery_tag, args->basic_ack.multiple, QUEUE_SETTLE_ACK, id);
}

void channel_basic_nack(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    const struct amqp_basic_nack *nack = &args->basic_nack;
    settle(channel, nack->delivery_tag, nack->multiple,
           nack->requeue ? QUEUE_SETTLE_REQUEUE : QUEUE_SETTLE_REJECT, id);
}

void channel_basic_reject(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    const struct amqp_basic_reject *reject = &args->basic_reject;
    settle(channel, reject->delivery_tag, false,
           reject->requeue ? QUEUE_SETTLE_REQUEUE : QUEUE_SETTLE_REJECT, id);
}

/* Every queue has the messages back. */
static void on_recovered(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);

    if (!operation->nowait && channel->state == CHANNEL_OPEN)
        channel_send(channel, AMQP_BASIC_RECOVER_OK, NULL);
    channel_operation_done(channel);
}

void channel_basic_recover(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct operation *barrier;

    /* basic.recover and recover-async have the same field. */
    if (!args->basic_recover.requeue) {
        channel_fail(channel, REFUSAL_NOT_IMPLEMENTED, id, "requeue=false");
        return;
    }
    session_recover(&channel->session);
    barrier = operation_new(&channel->session, STR(""), STR(""), STR(""), STR(""), on_recovered);
    barrier->nowait = id != AMQP_BASIC_RECOVER;
    channel_begin_operation(channel);
    operation_barrier(barrier);
}
