/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of the simulated node, in the steps of broker/checkpoint.c and with anything in between. */
#include "torture.h"

#include "core/recovery/state.h"

void checkpoint_begin(struct sim *sim)
{
    struct sim_checkpoint *run = &sim->checkpoint;

    say(sim, "checkpoint begins");
    sim->wants_checkpoint = false;
    run->checkpoint = log_checkpoint_begin(sim->log);
    run->last_mail = sim->last_mail;
    run->shard = 0;
    run->walk = (struct queue_walk){0};
    run->has_catalog = false;
    run->step = CHECKPOINT_BARRIER;
}

static void add_mark(struct sim *sim, uint16_t shard)
{
    struct sim_checkpoint *run = &sim->checkpoint;

    shard_hand_over(sim, shard, true);
    log_checkpoint_add(run->checkpoint, &run->gather, shard, sim->shards[shard].stage.stream->last);
}

/* A few queues of one shard, or some chunks of one queue. */
static void gather(struct sim *sim)
{
    struct sim_checkpoint *run = &sim->checkpoint;
    struct sim_shard *at = &sim->shards[run->shard];

    shard_current = at->shard;
    if (!run->has_catalog)
        state_write_catalog(&run->gather, sim->catalog, log_next_id(at->stage.stream),
                            sim->last_transaction);
    run->has_catalog = true;
    if (!state_write_queues(&run->gather, &at->host, &run->walk, at->slots, 1 + roll(sim, 30)))
        return;
    run->walk = (struct queue_walk){0};
    add_mark(sim, run->shard);
    if (++run->shard < sim->shard_count)
        return;
    run->last_transaction = sim->last_transaction;
    run->step = CHECKPOINT_DRAIN;
}

static bool is_drained(const struct sim *sim)
{
    for (int i = 0; i < SIM_TRANSACTIONS; i++)
        if (sim->transactions[i].id != 0 &&
            sim->transactions[i].id <= sim->checkpoint.last_transaction)
            return false;
    return true;
}

static void finish(struct sim *sim)
{
    struct sim_checkpoint *run = &sim->checkpoint;

    for (uint16_t i = 0; i < sim->shard_count; i++)
        add_mark(sim, i);
    say(sim, "checkpoint is gathered");
    log_checkpoint_finish(run->checkpoint, false);
    run->checkpoint = NULL;
    run->step = CHECKPOINT_WRITE;
}

void checkpoint_go_on(struct sim *sim)
{
    struct sim_checkpoint *run = &sim->checkpoint;

    switch (run->step) {
    case CHECKPOINT_NONE:
        if (sim->wants_checkpoint || hits(sim, 1, 20))
            checkpoint_begin(sim);
        break;
    case CHECKPOINT_BARRIER:
        if (mail_is_delivered(sim, run->last_mail))
            run->step = CHECKPOINT_GATHER;
        else
            mail_deliver_some(sim);
        break;
    case CHECKPOINT_GATHER:
        gather(sim);
        break;
    case CHECKPOINT_DRAIN:
        if (is_drained(sim))
            finish(sim);
        break;
    case CHECKPOINT_WRITE:
        break;
    }
}

void checkpoint_written(struct sim *sim)
{
    if (sim->checkpoint.step != CHECKPOINT_WRITE)
        return;
    sim->checkpoint.step = CHECKPOINT_NONE;
    torture_counts.checkpoints++;
}

void checkpoint_forget(struct sim *sim)
{
    struct sim_checkpoint *run = &sim->checkpoint;

    if (run->checkpoint) {
        log_gather_free(&run->gather);
        log_checkpoint_cancel(run->checkpoint);
    }
    *run = (struct sim_checkpoint){0};
}
