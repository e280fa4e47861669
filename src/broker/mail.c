/* SPDX-License-Identifier: Apache-2.0 */
/* Layout and handling of the broker's mail. */
#include "broker/mail.h"

#include "base/bug.h"
#include "broker/deliver.h"
#include "broker/durable.h"
#include "broker/going.h"
#include "broker/operation.h"
#include "broker/transaction.h"
#include "core/queue/consumer.h"

enum mail_kind {
    MAIL_OPERATION = MAIL_USER,
    MAIL_PUBLISH,
    MAIL_DELIVER,
    MAIL_SETTLE,
    MAIL_CONFIRM,
    MAIL_CREDIT,
    MAIL_CANCELLED,
    MAIL_REPLY,
    MAIL_MOVE,
    MAIL_TRANSACTION,
};

struct operation_mail {
    struct mail_header header;
    struct operation *operation;
};

struct publish_mail {
    struct mail_header header;
    uint32_t queue_slot;
    uint64_t incarnation;
    struct message message;
    uint32_t session_slot;
    uint32_t session_generation;
    uint64_t seq; /* 0: no confirm asked */
};

struct deliver_mail {
    struct mail_header header;
    struct subscription *subscription;
    uint64_t position;
    struct message message;
};

struct settle_mail {
    struct mail_header header;
    uint32_t how;
    struct ledger_run run;
};

struct confirm_mail {
    struct mail_header header;
    uint32_t session_slot;
    uint32_t session_generation;
    uint64_t first;
    uint64_t count;
};

struct credit_mail {
    struct mail_header header;
    uint32_t window;
    struct consumer_ref consumer;
};

struct cancelled_mail {
    struct mail_header header;
    uint32_t session_slot;
    uint32_t session_generation;
    uint32_t subscription;
};

struct reply_mail {
    struct mail_header header;
    uint32_t session_slot;
    uint32_t session_generation;
    uint64_t token;
    struct message message;
};

struct move_mail {
    struct mail_header header;
    void *moving;
    void (*run)(struct broker_shard *there, void *moving);
};

struct transaction_mail {
    struct mail_header header;
    uint64_t transaction;
};

static_assert(sizeof(struct publish_mail) <= MAIL_BYTES, "one entry");
static_assert(sizeof(struct deliver_mail) <= MAIL_BYTES, "one entry");
static_assert(sizeof(struct settle_mail) <= MAIL_BYTES, "one entry");
static_assert(sizeof(struct reply_mail) <= MAIL_BYTES, "one entry");

static void *put(struct broker_shard *from, uint16_t to, enum mail_kind kind)
{
    struct mail_header *header = shard_post(from->shard, to);
    header->kind = (uint32_t)kind;
    return header;
}

/* ---- operations and moves ---- */

void mail_operation(struct broker_shard *from, uint16_t to, struct operation *operation)
{
    struct operation_mail *mail = put(from, to, MAIL_OPERATION);
    mail->operation = operation;
}

void broker_move(struct broker_shard *from, uint16_t to, void *moving,
                 void (*run)(struct broker_shard *there, void *moving))
{
    struct move_mail *mail = put(from, to, MAIL_MOVE);
    mail->moving = moving;
    mail->run = run;
}

/* ---- publishes and confirms ---- */

void mail_publish(struct session *from, struct queue_ref queue, struct message *message,
                  uint64_t seq)
{
    struct broker_shard *broker = from->broker;
    struct publish_mail *mail;

    message_export(broker->shard, &broker->queues.descriptors, message);
    transaction_reaches(broker, queue.shard);
    mail = put(broker, queue.shard, MAIL_PUBLISH);
    mail->queue_slot = queue.slot;
    mail->incarnation = queue.incarnation;
    mail->message = *message;
    mail->session_slot = from->ref.slot;
    mail->session_generation = from->ref.generation;
    mail->seq = seq;
}

static void on_publish(struct broker_shard *broker, uint16_t from, const struct publish_mail *mail)
{
    struct queue_ref ref = {.incarnation = mail->incarnation, .slot = mail->queue_slot};
    struct session_ref session = {from, mail->session_slot, mail->session_generation};
    struct message message = mail->message;
    lsn_t lsn;

    message_import(&broker->queues.descriptors, &message);
    lsn = enqueue_here(broker, ref, &message);
    if (mail->seq == 0)
        return;
    /* A queue that is gone counts as confirmed (reference, section 8). */
    if (lsn == 0 && (mail->message.flags & MESSAGE_PERSISTENT) && going_is_unsure(broker, ref))
        going_confirm(broker, &ref, session, mail->seq);
    else if (lsn == 0)
        mail_confirm_later(broker, from, session.slot, session.generation, mail->seq);
    else
        durable_confirm(broker, lsn, session, mail->seq);
}

void mail_confirm(struct broker_shard *from, const struct confirm_run *run)
{
    struct confirm_mail *mail = put(from, run->shard, MAIL_CONFIRM);

    mail->session_slot = run->slot;
    mail->session_generation = run->generation;
    mail->first = run->first;
    mail->count = run->count;
}

void mail_flush_confirms(struct broker_shard *from)
{
    if (from->confirm_run.count == 0)
        return;
    mail_confirm(from, &from->confirm_run);
    from->confirm_run.count = 0;
}

void mail_transaction(struct broker_shard *from, uint16_t to, uint64_t transaction)
{
    struct transaction_mail *mail = put(from, to, MAIL_TRANSACTION);
    mail->transaction = transaction;
}

void mail_confirm_later(struct broker_shard *from, uint16_t to, uint32_t slot, uint32_t generation,
                        uint64_t seq)
{
    struct confirm_run *run = &from->confirm_run;

    if (run->count > 0 && run->shard == to && run->slot == slot && run->generation == generation &&
        run->first + run->count == seq) {
        run->count++;
        return;
    }
    mail_flush_confirms(from);
    *run = (struct confirm_run){to, slot, generation, seq, 1};
}

static void on_confirm(struct broker_shard *broker, const struct confirm_mail *mail)
{
    struct session *session = session_find(broker, mail->session_slot, mail->session_generation);
    if (session)
        session_confirmed(session, mail->first, mail->count);
}

/* ---- deliveries and what comes back ---- */

void mail_deliver(struct broker_shard *from, const struct consumer *consumer,
                  struct message *message, uint64_t position)
{
    struct message copy = message_reference(from->shard, message);
    struct deliver_mail *mail;

    message_export(from->shard, &from->queues.descriptors, &copy);
    mail = put(from, consumer->owner.shard, MAIL_DELIVER);
    mail->subscription = consumer->owner.context;
    mail->position = position;
    mail->message = copy;
}

static void on_deliver(struct broker_shard *broker, const struct deliver_mail *mail)
{
    struct message message = mail->message;

    message_import(&broker->queues.descriptors, &message);
    deliver_from_afar(mail->subscription, &message, mail->position);
    message_unref(broker->shard, &broker->queues.descriptors, &message);
}

void mail_settle(struct broker_shard *from, const struct ledger_run *run, enum queue_settle_how how)
{
    struct settle_mail *mail;

    transaction_reaches(from, run->queue.shard);
    mail = put(from, run->queue.shard, MAIL_SETTLE);
    mail->how = (uint32_t)how;
    mail->run = *run;
}

void mail_credit(struct broker_shard *from, uint16_t to, struct consumer_ref consumer,
                 uint32_t window)
{
    struct credit_mail *mail = put(from, to, MAIL_CREDIT);
    mail->consumer = consumer;
    mail->window = window;
}

static void on_credit(struct broker_shard *broker, const struct credit_mail *mail)
{
    struct consumer *consumer = consumer_find(&broker->queues, mail->consumer);
    if (!consumer)
        return;
    consumer->window += mail->window;
    consumer_wake(consumer);
}

void mail_cancelled(struct broker_shard *from, const struct consumer *consumer)
{
    struct cancelled_mail *mail = put(from, consumer->owner.shard, MAIL_CANCELLED);
    mail->session_slot = consumer->owner.session_slot;
    mail->session_generation = consumer->owner.session_generation;
    mail->subscription = consumer->owner.subscription_id;
}

void mail_reply(struct broker_shard *from, struct session_ref to, uint64_t token,
                struct message *message)
{
    struct reply_mail *mail;

    message_export(from->shard, &from->queues.descriptors, message);
    mail = put(from, to.shard, MAIL_REPLY);
    mail->session_slot = to.slot;
    mail->session_generation = to.generation;
    mail->token = token;
    mail->message = *message;
}

static void on_reply(struct broker_shard *broker, const struct reply_mail *mail)
{
    struct message message = mail->message;
    struct session_ref ref = {broker->shard->id, mail->session_slot, mail->session_generation};

    message_import(&broker->queues.descriptors, &message);
    deliver_reply(broker, ref, mail->token, &message);
}

void mail_receive(struct shard *shard, uint16_t from, const void *entry)
{
    struct broker_shard *broker = broker_of(shard);
    const struct mail_header *header = entry;

    switch ((enum mail_kind)header->kind) {
    case MAIL_OPERATION: {
        struct operation *operation = ((const struct operation_mail *)entry)->operation;
        operation->step(operation, broker);
        return;
    }
    case MAIL_PUBLISH:
        transaction_enter(broker, from);
        on_publish(broker, from, entry);
        transaction_leave(broker);
        return;
    case MAIL_TRANSACTION:
        transaction_from(broker, from, ((const struct transaction_mail *)entry)->transaction);
        return;
    case MAIL_DELIVER:
        on_deliver(broker, entry);
        return;
    case MAIL_SETTLE: {
        const struct settle_mail *mail = entry;
        transaction_enter(broker, from);
        settle_here(broker, &mail->run, (enum queue_settle_how)mail->how);
        transaction_leave(broker);
        return;
    }
    case MAIL_CONFIRM:
        on_confirm(broker, entry);
        return;
    case MAIL_CREDIT:
        on_credit(broker, entry);
        return;
    case MAIL_CANCELLED: {
        const struct cancelled_mail *mail = entry;
        cancelled_from_afar(broker, mail->session_slot, mail->session_generation,
                            mail->subscription);
        return;
    }
    case MAIL_REPLY:
        on_reply(broker, entry);
        return;
    case MAIL_MOVE: {
        const struct move_mail *mail = entry;
        mail->run(broker, mail->moving);
        return;
    }
    }
    BUG_ON(true, "mail of kind %u from shard %u", header->kind, from);
}
