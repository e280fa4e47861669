/* SPDX-License-Identifier: Apache-2.0 */
/* Settling: ack, nack, reject, recover; the limit and the gate of a session. */
#include "base/err.h"
#include "broker/deliver.h"
#include "broker/mail.h"
#include "core/queue/consumer.h"

struct settle_context {
    struct session *session;
    enum queue_settle_how how;
};

void session_settle_run(struct session *session, const struct ledger_run *run,
                        enum queue_settle_how how)
{
    if (run->queue.shard == session->broker->shard->id) {
        settle_here(session->broker, run, how);
        return;
    }
    session->touched |= 1ULL << run->queue.shard;
    mail_settle(session->broker, run, how);
}

static void settle_one(const struct ledger_run *run, void *context)
{
    struct settle_context *settle = context;
    session_settle_run(settle->session, run, settle->how);
}

static void reopen_limit(struct session *session)
{
    if ((session->gate & GATE_SESSION_LIMIT) &&
        (session->session_prefetch == 0 || session->ledger.total < session->session_prefetch))
        session_set_gate(session, GATE_SESSION_LIMIT, false);
}

HOT int session_settle(struct session *session, uint64_t tag, bool multiple,
                       enum queue_settle_how how)
{
    struct settle_context context = {session, how};
    uint64_t taken = ledger_take(&session->ledger, tag, multiple, settle_one, &context);

    if (taken == 0 && !(multiple && tag == 0))
        return ERR_NOT_FOUND;
    reopen_limit(session);
    return 0;
}

void session_recover(struct session *session)
{
    struct settle_context context = {session, QUEUE_SETTLE_REQUEUE};
    ledger_take(&session->ledger, 0, true, settle_one, &context);
    reopen_limit(session);
}

void session_set_limit(struct session *session, uint32_t limit)
{
    session->session_prefetch = limit;
    if (limit > 0 && session->ledger.total >= limit)
        session_set_gate(session, GATE_SESSION_LIMIT, true);
    else
        reopen_limit(session);
}

void session_set_gate(struct session *session, enum consumer_gate reason, bool closed)
{
    if (closed) {
        session->gate |= (uint8_t)reason;
        return;
    }
    if (!(session->gate & reason))
        return;
    session->gate &= (uint8_t) ~(unsigned)reason;
    if (session->gate != 0)
        return;
    LIST_FOR_EACH (link, &session->subscriptions) {
        struct subscription *subscription = CONTAINER_OF(link, struct subscription, link);
        if (subscription->local)
            consumer_wake(subscription->local);
        else if (!subscription->is_reply)
            subscription_grant(subscription);
    }
}
