/* SPDX-License-Identifier: Apache-2.0 */
/* Mail between shards: it leaves when the sender's records are handed over, and arrives any time later. */
#include "torture.h"

#include "base/mem.h"

struct sim_mail *mail_send(struct sim *sim, enum mail_kind kind, uint16_t from,
                           const struct sim_queue *to, uint64_t transaction)
{
    struct sim_mail *mail = mem_alloc_zero(sizeof *mail);
    struct sim_mail **at = &sim->mail;

    mail->kind = kind;
    mail->from = from;
    mail->to = to->queue->ref.shard;
    mail->serial = ++sim->last_mail;
    sim->senders |= 1ULL << from;
    mail->transaction = transaction;
    mail->incarnation = to->queue->ref.incarnation;
    mail->name = to->name;
    while (*at)
        at = &(*at)->next;
    *at = mail;
    if (transaction != 0)
        transaction_mailed(sim, transaction, 1);
    return mail;
}

bool mail_is_delivered(const struct sim *sim, uint64_t serial)
{
    return !sim->mail || sim->mail->serial > serial;
}

static void forget_message(struct sim_shard *at, struct sim_mail *mail)
{
    message_import(&at->host.descriptors, &mail->message);
    message_unref(at->shard, &at->host.descriptors, &mail->message);
}

static void arrive(struct sim *sim, struct sim_mail *mail, struct sim_queue *queue)
{
    if (mail->kind == MAIL_SETTLE) {
        settle_here(sim, queue, mail->first, mail->count, mail->how, mail->consumer);
        return;
    }
    message_import(&shard_of(sim, queue)->host.descriptors, &mail->message);
    enqueue_here(sim, queue, &mail->message, mail->number);
}

static void deliver(struct sim *sim, struct sim_mail *mail)
{
    struct sim_queue *queue = &sim->queues[mail->name];
    bool is_there = queue->queue && queue->queue->ref.incarnation == mail->incarnation;

    shard_current = sim->shards[mail->to].shard;
    transaction_enter(sim, mail->to, mail->transaction);
    if (is_there)
        arrive(sim, mail, queue);
    else if (mail->kind == MAIL_ENQUEUE)
        forget_message(&sim->shards[mail->to], mail);
    transaction_leave(sim, mail->to);
    if (mail->transaction != 0)
        transaction_mailed(sim, mail->transaction, -1);
    mem_free(mail);
}

/* The oldest mail of some pair of shards: pairs do not wait for each other. */
static struct sim_mail *take_one(struct sim *sim)
{
    struct sim_mail *chosen = sim->mail;
    struct sim_mail **at = &sim->mail;

    if (hits(sim, 1, 2)) {
        uint16_t from = (uint16_t)roll(sim, sim->shard_count);
        uint16_t to = (uint16_t)roll(sim, sim->shard_count);
        for (struct sim_mail *mail = sim->mail; mail; mail = mail->next) {
            if (mail->from != from || mail->to != to)
                continue;
            chosen = mail;
            break;
        }
    }
    while (*at != chosen)
        at = &(*at)->next;
    *at = chosen->next;
    return chosen;
}

void mail_deliver_some(struct sim *sim)
{
    for (uint64_t count = 1 + roll(sim, 6); count > 0 && sim->mail; count--)
        deliver(sim, take_one(sim));
}

void mail_deliver_all(struct sim *sim)
{
    while (sim->mail)
        deliver(sim, take_one(sim));
}

void mail_drop_all(struct sim *sim)
{
    while (sim->mail) {
        struct sim_mail *mail = sim->mail;
        sim->mail = mail->next;
        shard_current = sim->shards[mail->to].shard;
        if (mail->kind == MAIL_ENQUEUE)
            forget_message(&sim->shards[mail->to], mail);
        mem_free(mail);
    }
}
