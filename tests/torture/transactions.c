/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: done at once, as tx.commit does; the commit record comes when every shard has handed over. */
#include "torture.h"

static struct sim_transaction *find(struct sim *sim, uint64_t id)
{
    for (int i = 0; i < SIM_TRANSACTIONS; i++)
        if (sim->transactions[i].id == id)
            return &sim->transactions[i];
    return NULL;
}

void transaction_enter(struct sim *sim, uint16_t shard, uint64_t transaction)
{
    sim->shards[shard].stage.transaction = transaction;
    sim->shards[shard].stage.in_transaction = false;
}

void transaction_leave(struct sim *sim, uint16_t shard)
{
    struct stage *stage = &sim->shards[shard].stage;
    struct sim_transaction *transaction = find(sim, stage->transaction);

    if (stage->transaction != 0 && stage->in_transaction && log_staged(stage->stream) > 0)
        transaction->touched |= 1ULL << shard;
    stage->transaction = 0;
}

void transaction_mailed(struct sim *sim, uint64_t transaction, int mails)
{
    find(sim, transaction)->mails += (uint32_t)mails;
}

void transaction_random(struct sim *sim)
{
    struct sim_transaction *transaction = find(sim, 0);
    uint16_t shard = (uint16_t)roll(sim, sim->shard_count);

    if (!transaction)
        return;
    *transaction = (struct sim_transaction){.id = ++sim->last_transaction, .shard = shard};
    say(sim, "transaction %llu begins", (unsigned long long)transaction->id);
    torture_counts.transactions++;
    for (uint64_t count = 1 + roll(sim, 6); count > 0; count--) {
        transaction_enter(sim, shard, transaction->id);
        if (hits(sim, 3, 5))
            publish_random(sim, shard, transaction->id);
        else
            settle_random(sim, shard, transaction->id);
        transaction_leave(sim, shard);
    }
}

static void commit(struct sim *sim, struct sim_transaction *transaction)
{
    struct event event = {.kind = EVENT_COMMIT, .transaction = transaction->id};

    say(sim, "transaction %llu commits", (unsigned long long)transaction->id);
    (void)stage_commit(&sim->shards[transaction->shard].stage, transaction->id);
    shard_note(sim, transaction->shard, event);
    shard_settled(sim, transaction->shard);
    transaction->id = 0;
}

void transactions_end(struct sim *sim)
{
    for (int i = 0; i < SIM_TRANSACTIONS; i++)
        if (sim->transactions[i].id != 0)
            commit(sim, &sim->transactions[i]);
}

void transactions_go_on(struct sim *sim)
{
    for (int i = 0; i < SIM_TRANSACTIONS; i++) {
        struct sim_transaction *transaction = &sim->transactions[i];
        if (transaction->id != 0 && transaction->mails == 0 && transaction->touched == 0 &&
            hits(sim, 1, 2))
            commit(sim, transaction);
    }
}
