/* SPDX-License-Identifier: Apache-2.0 */
/* How a checkpoint is taken without stopping anybody.
 *
 *   1. begin     the log notes where replay will start
 *   2. barrier   a token goes from every shard to every other. Behind it, all references to bodies that
 *                were logged before step 1 stand in their queues: a publish that was in the mail has come
 *   3. gather    each shard writes the states of its durable queues, CATALOG_SHARD the catalog too, some in each
 *                turn. A state says up to which command it goes, so it does not matter that the shards differ in
 *                time; nor do the parts of a long queue's (FORMAT.md, invariant 14)
 *   4. drain     transactions that were open during step 3 end: their work may be in one shard's state and
 *                not in another's, and the commit record must be in the log before the states count
 *   5. finish    when all that the states reflect is durable, the log's helper writes the file
 *
 * Sequence numbers and the catalog's `captured` make replay pass over what a state has already. */
#include "broker/checkpoint.h"

#include "base/bug.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/durable.h"
#include "broker/transaction.h"
#include "core/recovery/state.h"

/* Entries and pages that one turn writes: about half a millisecond. */
#define ITEMS_PER_TURN 4096U

/* Owner: the shard where it is. Freed when the log has taken it. */
struct checkpoint_run {
    struct deferred rest; /* first: shard_defer */
    struct node *node;
    struct log_checkpoint *checkpoint;
    struct log_gather gather;
    uint16_t from;          /* barrier: it goes from here ... */
    uint16_t to;            /* ... to here; then, the shard that is at work */
    struct queue_walk walk; /* over the queues of the shard that is at work */
    bool has_catalog;
    uint64_t last_transaction;
};

static void write_catalog(struct log_gather *gather, struct node *node)
{
    gather->is_vital = true;
    state_write_catalog(gather, node->catalog,
                        log_next_id(node->brokers[CATALOG_SHARD]->stage.stream),
                        atomic_load(&node->last_transaction));
    gather->is_vital = false;
}

/* ---- steps ---- */

static void go(struct checkpoint_run *run, struct broker_shard *here, uint16_t to,
               void (*step)(struct broker_shard *, void *))
{
    if (to == here->shard->id)
        step(here, run);
    else
        broker_move(here, to, run, step);
}

static void finish(struct checkpoint_run *run)
{
    atomic_store(&run->node->checkpoint, NULL);
    log_checkpoint_finish(run->checkpoint, false);
    mem_free(run);
}

static void add_mark(struct checkpoint_run *run, struct broker_shard *here)
{
    (void)durable_hand_over(here, true);
    log_checkpoint_add(run->checkpoint, &run->gather, here->shard->id, here->stage.stream->last);
}

static void drain_step(struct broker_shard *here, void *moving)
{
    struct checkpoint_run *run = moving;

    if (!transactions_are_over(here, run->last_transaction)) {
        here->draining = run;
        return;
    }
    add_mark(run, here);
    if (++run->to < here->shard->count)
        go(run, here, run->to, drain_step);
    else
        finish(run);
}

void checkpoint_drained(struct broker_shard *here)
{
    struct checkpoint_run *run = here->draining;

    here->draining = NULL;
    drain_step(here, run);
}

static void gather_step(struct broker_shard *here, void *moving);

static void gather_rest(struct deferred *work, struct shard *shard)
{
    gather_step(broker_of(shard), work);
}

static void gather_step(struct broker_shard *here, void *moving)
{
    struct checkpoint_run *run = moving;
    uint32_t slots = QUEUE_TABLE_PAGE * QUEUE_TABLE_PAGES;

    if (here->shard->id == CATALOG_SHARD && !run->has_catalog)
        write_catalog(&run->gather, run->node);
    run->has_catalog = true;
    slots = MIN(slots, atomic_load(&run->node->slots[here->shard->id].used));
    if (!state_write_queues(&run->gather, &here->queues, &run->walk, slots, ITEMS_PER_TURN)) {
        shard_defer(here->shard, &run->rest, gather_rest);
        return;
    }
    run->walk = (struct queue_walk){0};
    add_mark(run, here);
    if (++run->to < here->shard->count) {
        go(run, here, run->to, gather_step);
        return;
    }
    run->last_transaction = atomic_load(&run->node->last_transaction);
    run->to = 0;
    go(run, here, 0, drain_step);
}

static void barrier_step(struct broker_shard *here, void *moving);

/* To the next pair of shards; the token goes to `from` first, and from there to `to`. */
static void next_pair(struct checkpoint_run *run, struct broker_shard *here)
{
    uint16_t count = here->shard->count;

    if (++run->to == run->from)
        run->to++;
    if (run->to >= count) {
        run->from++;
        run->to = 0;
    }
    if (run->from < count && run->to < count) {
        go(run, here, run->from, barrier_step);
        return;
    }
    run->to = 0;
    go(run, here, 0, gather_step);
}

static void barrier_arrived(struct broker_shard *here, void *moving)
{
    next_pair(moving, here);
}

static void barrier_step(struct broker_shard *here, void *moving)
{
    struct checkpoint_run *run = moving;

    if (run->to == run->from)
        next_pair(run, here);
    else
        go(run, here, run->to, barrier_arrived);
}

void checkpoint_start_if_wanted(struct broker_shard *here)
{
    struct checkpoint_run *run;

    if (LIKELY(!atomic_load_explicit(&here->node->wants_checkpoint, memory_order_relaxed)) ||
        node_has_failed(here->node) || here->shard->stopping)
        return;
    atomic_store(&here->node->wants_checkpoint, false);
    run = mem_alloc_zero(sizeof *run);
    run->node = here->node;
    run->checkpoint = log_checkpoint_begin(here->node->log);
    atomic_store(&run->node->checkpoint, run);
    barrier_step(here, run);
}

/* ---- at the end ---- */

/* The shards ended while one was under way. */
static void cancel(struct node *node)
{
    struct checkpoint_run *run = atomic_exchange(&node->checkpoint, NULL);

    if (!run)
        return;
    log_gather_free(&run->gather);
    log_checkpoint_cancel(run->checkpoint);
    mem_free(run);
}

void checkpoint_at_stop(struct node *node)
{
    struct log_checkpoint *checkpoint;

    cancel(node);
    log_submit_all(node->log);
    if (log_wait_idle(node->log) != 0)
        return;
    checkpoint = log_checkpoint_begin(node->log);
    for (uint16_t i = 0; i < node->shards->count; i++) {
        struct log_gather gather = {0};
        struct queue_walk walk = {0};
        if (i == CATALOG_SHARD)
            write_catalog(&gather, node);
        (void)state_write_queues(&gather, &node->brokers[i]->queues, &walk, node->slots[i].used,
                                 UINT64_MAX);
        log_checkpoint_add(checkpoint, &gather, i, 0);
    }
    log_checkpoint_finish(checkpoint, true);
    if (log_wait_idle(node->log) != 0)
        log_warn("the last checkpoint could not be written: the next start replays the log", "%s",
                 "");
}
