/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction's records carry its number; those without a commit record behind them are undone at
 * recovery (core/recovery). */
#include "broker/transaction.h"

#include "base/bug.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/mail.h"

/* ---- where it begins ---- */

static void add_open(struct open_transactions *open, uint64_t id)
{
    if (open->count == open->capacity) {
        open->capacity = MAX(open->capacity * 2, 8U);
        open->ids = mem_resize(open->ids, open->capacity * sizeof *open->ids);
    }
    open->ids[open->count++] = id;
}

static void remove_open(struct open_transactions *open, uint64_t id)
{
    for (uint32_t i = 0; i < open->count; i++) {
        if (open->ids[i] != id)
            continue;
        open->ids[i] = open->ids[--open->count];
        return;
    }
    BUG_ON(true, "transaction %llu is not open", (unsigned long long)id);
}

void transaction_begin(struct session *session)
{
    struct broker_shard *here = session->broker;

    if (!stage_keeps(&here->stage))
        return;
    BUG_ON(here->stage.transaction != 0, "a transaction within another");
    here->stage.transaction = atomic_fetch_add(&here->node->last_transaction, 1) + 1;
    here->stage.in_transaction = false;
    here->touching = 0;
    add_open(&here->transactions, here->stage.transaction);
}

void transaction_end(struct session *session, struct operation *barrier)
{
    struct broker_shard *here = session->broker;

    barrier->transaction = here->stage.transaction;
    /* What other shards staged is not known here; a commit record too many does no harm. */
    barrier->has_records = here->stage.in_transaction || here->touching != 0;
    here->stage.transaction = 0;
    for (uint64_t rest = here->touching; rest != 0; rest &= rest - 1)
        mail_transaction(here, (uint16_t)__builtin_ctzll(rest), 0);
    here->touching = 0;
}

void transaction_commit(struct operation *barrier, struct broker_shard *here)
{
    if (barrier->has_records)
        operation_wait_for(barrier, here, stage_commit(&here->stage, barrier->transaction));
    remove_open(&here->transactions, barrier->transaction);
    barrier->transaction = 0;
    if (UNLIKELY(here->draining != NULL))
        checkpoint_drained(here);
}

bool transactions_are_over(const struct broker_shard *here, uint64_t limit)
{
    for (uint32_t i = 0; i < here->transactions.count; i++)
        if (here->transactions.ids[i] <= limit)
            return false;
    return true;
}

/* ---- where it reaches ---- */

void transaction_reaches(struct broker_shard *here, uint16_t to)
{
    if (LIKELY(here->stage.transaction == 0) || (here->touching >> to & 1))
        return;
    here->touching |= 1ULL << to;
    mail_transaction(here, to, here->stage.transaction);
}

void transaction_from(struct broker_shard *here, uint16_t from, uint64_t transaction)
{
    here->far_transaction[from] = transaction;
}

void transaction_enter(struct broker_shard *here, uint16_t from)
{
    here->stage.transaction = here->far_transaction[from];
}

void transaction_leave(struct broker_shard *here)
{
    here->stage.transaction = 0;
}
