/* SPDX-License-Identifier: Apache-2.0 */
/* Modes of a channel: publisher confirms, and transactions that keep publishes and settles until
 * tx.commit. */
#include "base/err.h"
#include "base/mem.h"
#include "broker/transaction.h"
#include "proto/amqp091/channel.h"
#include "proto/amqp091/publish.h"

struct kept_publish {
    struct message message;
    bool mandatory;
};

struct kept_settle {
    struct ledger_run run;
    enum queue_settle_how how;
};

/* Owner: the channel. Thread: its shard's. Freed by: transaction_free. */
struct transaction {
    struct kept_publish *publishes;
    size_t publish_count;
    size_t publish_capacity;
    struct kept_settle *settles; /* taken out of the ledger already */
    size_t settle_count;
    size_t settle_capacity;
    enum queue_settle_how how; /* of the settle being gathered */
};

/* ---- modes ---- */

void channel_confirm_select(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    if (channel->mode == CHANNEL_TX) {
        channel_fail(channel, REFUSAL_PRECONDITION_FAILED, id,
                     "cannot switch from tx to confirm mode");
        return;
    }
    channel->mode = CHANNEL_CONFIRM;
    channel->session.is_confirming = true;
    if (!args->confirm_select.nowait)
        channel_send(channel, AMQP_CONFIRM_SELECT_OK, NULL);
}

void channel_tx_select(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    (void)args;
    if (channel->mode == CHANNEL_CONFIRM) {
        channel_fail(channel, REFUSAL_PRECONDITION_FAILED, id,
                     "cannot switch from confirm to tx mode");
        return;
    }
    channel->mode = CHANNEL_TX;
    if (!channel->transaction)
        channel->transaction = mem_alloc_zero(sizeof *channel->transaction);
    publish_template_free(channel);
    channel_send(channel, AMQP_TX_SELECT_OK, NULL);
}

/* ---- keeping ---- */

void transaction_publish(struct amqp_channel *channel, const struct message *message,
                         bool mandatory)
{
    struct transaction *tx = channel->transaction;

    if (tx->publish_count == tx->publish_capacity) {
        tx->publish_capacity = MAX(tx->publish_capacity * 2, (size_t)16);
        tx->publishes = mem_resize(tx->publishes, tx->publish_capacity * sizeof *tx->publishes);
    }
    tx->publishes[tx->publish_count++] = (struct kept_publish){*message, mandatory};
}

static void keep_settle(const struct ledger_run *run, void *context)
{
    struct transaction *tx = context;

    if (tx->settle_count == tx->settle_capacity) {
        tx->settle_capacity = MAX(tx->settle_capacity * 2, (size_t)16);
        tx->settles = mem_resize(tx->settles, tx->settle_capacity * sizeof *tx->settles);
    }
    tx->settles[tx->settle_count++] = (struct kept_settle){*run, tx->how};
}

int transaction_settle(struct amqp_channel *channel, uint64_t tag, bool multiple,
                       enum queue_settle_how how)
{
    struct transaction *tx = channel->transaction;

    tx->how = how;
    if (ledger_take(&channel->session.ledger, tag, multiple, keep_settle, tx) == 0 &&
        !(multiple && tag == 0))
        return ERR_NOT_FOUND;
    return 0;
}

/* ---- commit, rollback ---- */

static void drop_publishes(struct amqp_channel *channel)
{
    struct transaction *tx = channel->transaction;
    struct broker_shard *broker = channel->session.broker;

    for (size_t i = 0; i < tx->publish_count; i++)
        message_unref(broker->shard, &broker->queues.descriptors, &tx->publishes[i].message);
    tx->publish_count = 0;
}

static void restore_settles(struct amqp_channel *channel)
{
    struct transaction *tx = channel->transaction;

    for (size_t i = 0; i < tx->settle_count; i++)
        ledger_restore(&channel->session.ledger, &tx->settles[i].run);
    tx->settle_count = 0;
}

static bool is_in_tx(struct amqp_channel *channel, uint32_t id)
{
    if (channel->mode == CHANNEL_TX)
        return true;
    channel_fail(channel, REFUSAL_PRECONDITION_FAILED, id, "channel is not transactional");
    return false;
}

static void on_committed(struct operation *operation, struct session *session)
{
    struct amqp_channel *channel = CHANNEL_OF(session);

    if (operation->refusal.code != REFUSAL_NONE && channel->state == CHANNEL_OPEN)
        channel_refuse(channel, &operation->refusal, AMQP_TX_COMMIT);
    else if (channel->state == CHANNEL_OPEN)
        channel_send(channel, AMQP_TX_COMMIT_OK, NULL);
    channel_operation_done(channel);
}

/* Publishes first, then settles (reference, section 8). commit-ok follows when every shard has taken
 * its part. */
void channel_tx_commit(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    struct transaction *tx = channel->transaction;
    struct operation *barrier;
    size_t count;

    (void)args;
    if (!is_in_tx(channel, id))
        return;
    count = tx->publish_count;
    tx->publish_count =
        0; /* a refusal in between ends the channel, which must not drop them twice */
    channel_begin_operation(channel);
    transaction_begin(&channel->session);
    for (size_t i = 0; i < count; i++)
        publish_message(channel, &tx->publishes[i].message, tx->publishes[i].mandatory, true);
    for (size_t i = 0; i < tx->settle_count; i++)
        session_settle_run(&channel->session, &tx->settles[i].run, tx->settles[i].how);
    tx->settle_count = 0;
    session_set_limit(&channel->session, channel->session.session_prefetch);
    barrier = operation_new(&channel->session, STR(""), STR(""), STR(""), STR(""), on_committed);
    transaction_end(&channel->session, barrier);
    operation_barrier(barrier);
}

void channel_tx_rollback(struct amqp_channel *channel, union amqp_args *args, uint32_t id)
{
    (void)args;
    if (!is_in_tx(channel, id))
        return;
    drop_publishes(channel);
    restore_settles(channel);
    channel_send(channel, AMQP_TX_ROLLBACK_OK, NULL);
}

void transaction_free(struct amqp_channel *channel)
{
    struct transaction *tx = channel->transaction;

    if (!tx)
        return;
    drop_publishes(channel);
    restore_settles(channel);
    mem_free(tx->publishes);
    mem_free(tx->settles);
    mem_free(tx);
    channel->transaction = NULL;
}
