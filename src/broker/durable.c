/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for the log. A shard's records become durable in their order, so one queue of waits serves all. */
#include "broker/durable.h"

#include "base/bug.h"
#include "base/mem.h"
#include "broker/deliver.h"
#include "broker/mail.h"
#include "broker/operation.h"

/* Octets of one shard on their way to the disk; beyond it publishers are not read. At 1 GB/s this is 16 ms
 * of work; a disk that stalls longer shows in the clients and not in our memory. */
#define BEHIND_BYTES (16U * 1024U * 1024U)
/* Settles alone are handed over within this. */
#define SETTLE_WAIT_MS 5

struct durable_wait {
    lsn_t lsn;
    struct operation *operation; /* NULL: the run below is confirmed */
    struct confirm_run run;
};

/* ---- the ring ---- */

static struct durable_wait *wait_at(struct durable_waits *waits, uint32_t i)
{
    return &waits->ring[(waits->first + i) & (waits->capacity - 1)];
}

static COLD void grow(struct durable_waits *waits)
{
    uint32_t capacity = MAX(waits->capacity * 2, 64U);
    struct durable_wait *ring = mem_alloc(capacity * sizeof *ring);

    for (uint32_t i = 0; i < waits->count; i++)
        ring[i] = *wait_at(waits, i);
    mem_free(waits->ring);
    waits->ring = ring;
    waits->capacity = capacity;
    waits->first = 0;
}

static struct durable_wait *push(struct durable_waits *waits, lsn_t lsn)
{
    struct durable_wait *wait;

    DEBUG_BUG_ON(waits->count > 0 && wait_at(waits, waits->count - 1)->lsn > lsn,
                 "waits out of order");
    if (waits->count == waits->capacity)
        grow(waits);
    wait = wait_at(waits, waits->count++);
    *wait = (struct durable_wait){.lsn = lsn};
    return wait;
}

/* ---- waiting ---- */

static bool continues(const struct durable_wait *wait, lsn_t lsn, struct session_ref session,
                      uint64_t seq)
{
    const struct confirm_run *run = &wait->run;
    return !wait->operation && wait->lsn == lsn && run->shard == session.shard &&
           run->slot == session.slot && run->generation == session.generation &&
           run->first + run->count == seq;
}

HOT void durable_confirm(struct broker_shard *broker, lsn_t lsn, struct session_ref session,
                         uint64_t seq)
{
    struct durable_waits *waits = &broker->waits;
    struct durable_wait *last = waits->count > 0 ? wait_at(waits, waits->count - 1) : NULL;

    if (last && continues(last, lsn, session, seq)) {
        last->run.count++;
        return;
    }
    push(waits, lsn)->run =
        (struct confirm_run){session.shard, session.slot, session.generation, seq, 1};
}

void durable_operation(struct broker_shard *broker, struct operation *operation)
{
    struct durable_waits *waits = &broker->waits;
    lsn_t lsn = operation->lsn;

    broker->stage.is_urgent = true; /* somebody waits */
    /* An operation may wait for a record that is older than the newest wait's. */
    if (waits->count > 0)
        lsn = MAX(lsn, wait_at(waits, waits->count - 1)->lsn);
    push(waits, lsn)->operation = operation;
}

/* ---- letting go ---- */

static void confirm(struct broker_shard *broker, const struct confirm_run *run)
{
    struct session *session;

    if (run->shard != broker->shard->id) {
        mail_confirm(broker, run);
        return;
    }
    session = session_find(broker, run->slot, run->generation);
    if (session)
        session_confirmed(session, run->first, run->count);
}

static bool pop(struct broker_shard *broker, lsn_t durable, struct durable_wait *out)
{
    struct durable_waits *waits = &broker->waits;

    if (waits->count == 0 || wait_at(waits, 0)->lsn > durable)
        return false;
    *out = *wait_at(waits, 0);
    waits->first = (waits->first + 1) & (waits->capacity - 1);
    waits->count--;
    return true;
}

static COLD void fail_all(struct broker_shard *broker)
{
    struct durable_wait wait;

    while (pop(broker, UINT64_MAX, &wait)) {
        if (!wait.operation)
            continue;
        refuse(&wait.operation->refusal, REFUSAL_INTERNAL_ERROR,
               "the broker cannot write to its disk");
        wait.operation->lsn = 0;
        operation_return(wait.operation, broker);
    }
}

/* The log has failed, or the node stops while the log waits for room on the disk. */
static bool is_hopeless(const struct broker_shard *broker)
{
    return node_has_failed(broker->node) ||
           (broker->shard->stopping && (node_alarms(broker->node) & ALARM_DISK));
}

void durable_release(struct broker_shard *broker)
{
    struct durable_wait wait;
    lsn_t durable;

    if (broker->waits.count == 0)
        return;
    if (UNLIKELY(is_hopeless(broker))) {
        fail_all(broker);
        return;
    }
    durable = log_durable(broker->stage.stream);
    while (pop(broker, durable, &wait)) {
        if (wait.operation)
            operation_return(wait.operation, broker);
        else
            confirm(broker, &wait.run);
    }
}

/* ---- handing over ---- */

bool durable_hand_over(struct broker_shard *broker, bool is_due)
{
    bool waits = stage_submit(&broker->stage, is_due || broker->settles_due);

    if (!waits)
        broker->settles_due = false;
    else if (!timer_is_running(&broker->settle_timer))
        timer_start(&broker->shard->timers, &broker->settle_timer,
                    broker->shard->now_ms + SETTLE_WAIT_MS);
    return waits;
}

void durable_on_timer(struct timer *timer)
{
    CONTAINER_OF(timer, struct broker_shard, settle_timer)->settles_due = true;
}

bool durable_is_behind(const struct broker_shard *broker)
{
    return (broker->stage.stream && log_under_way(broker->stage.stream) > BEHIND_BYTES) ||
           (broker->spill.stream && log_under_way(broker->spill.stream) > BEHIND_BYTES);
}

void durable_fini(struct broker_shard *broker)
{
    mem_free(broker->waits.ring);
    broker->waits = (struct durable_waits){0};
}
