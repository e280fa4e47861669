/* SPDX-License-Identifier: Apache-2.0 */
/* The spill is swept as the log takes its checkpoints, without states: each shard notes which parts its queues
 * need, then the log lets go of segments without any. What is spilled after the sweep began lies behind it. */
#include "broker/spill.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/alarm.h"
#include "broker/mail.h"
#include "core/queue/spill.h"

/* Owner: the shard where it is. Freed when the log has taken what it gathered. */
struct spill_sweep {
    struct deferred rest; /* first: shard_defer */
    struct node *node;
    struct log_checkpoint *checkpoint;
    struct log_gather gather;
    struct queue_walk walk; /* over the queues of the shard that is at work */
};

/* Pages that one turn looks at: about half a millisecond. */
#define ITEMS_PER_TURN 4096U

/* ---- events: on the log's threads ---- */

static void on_answer(void *context, uint16_t stream)
{
    struct node *node = context;
    shard_poke(node->shards->shards[stream]);
}

static void on_durable(void *context, uint16_t stream)
{
    (void)context;
    (void)stream; /* nobody waits for it */
}

static void on_failed(void *context, int error)
{
    node_fail(context, error);
}

static void on_space(void *context, bool is_low)
{
    (void)alarm_change(context, ALARM_SPILL, is_low);
}

static void on_due(void *context)
{
    struct node *node = context;

    atomic_store(&node->wants_spill_sweep, true);
    shard_poke(node->shards->shards[CATALOG_SHARD]);
}

/* ---- beginning ---- */

#define RETRY_MS 5000

static void start(struct node *node)
{
    struct log_error error = {0};
    int rc;

    log_set_events(node->spill, &(struct log_events){
                                    .context = node,
                                    .durable = on_durable,
                                    .failed = on_failed,
                                    .space = on_space,
                                    .checkpoint_due = on_due,
                                    .fetched = on_answer,
                                });
    log_expect_reads(node->spill, true);
    rc = log_start(node->spill, &error);
    if (rc == 0)
        atomic_store(&node->has_spill, true);
    else
        log_warn("transient messages stay in memory", "reason='%s' error='%s'", error.reason,
                 err_text(rc));
}

void spill_begin(struct broker_shard *here)
{
    struct node *node = here->node;

    if (here->queues.spill || !node->spill)
        return;
    pthread_mutex_lock(&node->spill_mutex);
    if (!atomic_load(&node->has_spill) && here->shard->now_ms >= node->spill_retry_ms) {
        node->spill_retry_ms = here->shard->now_ms + RETRY_MS;
        start(node);
    }
    pthread_mutex_unlock(&node->spill_mutex);
    if (atomic_load(&node->has_spill))
        here->queues.spill = &here->spill;
}

/* ---- turns ---- */

void spill_hand_over(struct broker_shard *here)
{
    if (here->queues.spill)
        (void)stage_submit(here->queues.spill, true);
}

static void sweep_step(struct broker_shard *here, void *moving);

static void sweep_rest(struct deferred *work, struct shard *shard)
{
    sweep_step(broker_of(shard), work);
}

static void sweep_step(struct broker_shard *here, void *moving)
{
    struct spill_sweep *sweep = moving;
    uint32_t slots = atomic_load(&sweep->node->slots[here->shard->id].used);

    if (!queue_host_gather_spilled(&here->queues, &sweep->walk, slots, &sweep->gather,
                                   ITEMS_PER_TURN)) {
        shard_defer(here->shard, &sweep->rest, sweep_rest);
        return;
    }
    sweep->walk = (struct queue_walk){0};
    /* The cleaner will want to read what the sweep names. That it is written is not waited for: on a full disk the
     * sweep is what makes room. */
    spill_hand_over(here);
    log_checkpoint_add(sweep->checkpoint, &sweep->gather, here->shard->id, 0);
    if (here->shard->id + 1U < here->shard->count) {
        broker_move(here, (uint16_t)(here->shard->id + 1), sweep, sweep_step);
        return;
    }
    log_checkpoint_finish(sweep->checkpoint, false);
    atomic_store(&sweep->node->spill_sweep, NULL);
    mem_free(sweep);
}

void spill_sweep_if_wanted(struct broker_shard *here)
{
    struct node *node = here->node;
    struct spill_sweep *sweep;

    if (LIKELY(!atomic_load_explicit(&node->wants_spill_sweep, memory_order_relaxed)) ||
        here->shard->stopping)
        return;
    atomic_store(&node->wants_spill_sweep, false);
    sweep = mem_alloc_zero(sizeof *sweep);
    sweep->node = node;
    sweep->checkpoint = log_checkpoint_begin(node->spill);
    atomic_store(&node->spill_sweep, sweep);
    sweep_step(here, sweep);
}

void spill_stop(struct node *node)
{
    struct spill_sweep *sweep = atomic_exchange(&node->spill_sweep, NULL);

    if (!atomic_load(&node->has_spill))
        return;
    if (sweep) { /* the shards ended while it was on its way */
        log_gather_free(&sweep->gather);
        log_checkpoint_cancel(sweep->checkpoint);
    }
    mem_free(sweep);
    log_stop(node->spill);
}
