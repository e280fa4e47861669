/* SPDX-License-Identifier: Apache-2.0 */
/* Lives of the node: recovery on the disk as it is, the comparison with the model, and ends. */
#include "torture.h"

#include "base/err.h"
#include "base/mem.h"
#include "core/recovery/marks.h"
#include "core/recovery/state.h"

#include <stdio.h>
#include <string.h>

/* ---- against the model ---- */

static size_t count_durable(const struct sim *sim)
{
    const struct events *events = &sim->model.events;
    size_t count = 0;

    for (size_t i = 0; i < events->count; i++) {
        const struct event *event = &events->all[i];
        if (event->part > log_durable(log_stream(sim->log, event->stream)))
            continue;
        CHECK(sim, count == i, "part %llu is durable, one that was handed over before is not",
              (unsigned long long)event->part);
        count++;
    }
    return count;
}

/* Parts are whole or not there. */
static void step_part(struct model *model)
{
    const struct event *event = &model->events.all[model->applied];
    struct event of = *event;

    do {
        model_step(model);
        event = &model->events.all[model->applied];
    } while (model->applied < model->events.count && event->part == of.part &&
             event->stream == of.stream);
}

/* Some prefix of what may be there must lead to what is there. */
static void compare(struct sim *sim, const struct found *found)
{
    struct model *model = &sim->model;
    char text[256] = "";
    char first[256] = "";
    const char *why;

    torture_counts.unsure += model->events.count - model->applied;
    torture_counts.events += model->events.count;
    while ((why = model_differs(model, found, text))) {
        if (first[0] == '\0')
            snprintf(first, sizeof first, "%s", why);
        CHECK(sim, model->applied < model->events.count,
              "what was recovered never was: after what is durable: %s; after all of it: %s", first,
              why);
        step_part(model);
    }
}

/* ---- begin ---- */

static void on_checkpoint_due(void *context)
{
    ((struct sim *)context)->wants_checkpoint = true;
}

/* A refusal is a mistake unless the disk did not answer. */
static bool check_refusal(struct sim *sim, int rc, const struct log_error *error)
{
    bool is_excused = disk_memory_is_cut(sim->disk) || sim->span.is_over ||
                      (sim->has_failed_call && rc != ERR_CORRUPT && rc != ERR_REFUSED);

    CHECK(sim, is_excused, "refused: file '%s' offset %llu: %s (%s)", error->file,
          (unsigned long long)error->offset, error->reason, err_text(rc));
    return false;
}

static int open_log(struct sim *sim, struct log_error *error)
{
    struct log_settings settings = {
        .segment_bytes = sim->segment_bytes,
        .checkpoint_bytes = sim->checkpoint_bytes,
        .streams = sim->shard_count,
        .recovers = hits(sim, 1, 10) && !sim->has_failed_call,
        .seed = chance_next(&sim->chance),
        .events = {.context = sim, .checkpoint_due = on_checkpoint_due},
        .mark = marks_of_record,
        .slack_bytes = (1 + sim->lives % 2) * sim->segment_bytes,
    };

    return log_open(disk_lend(sim->disk, &sim->span), &settings, &sim->log, error);
}

static bool goes_on(const struct sim *sim)
{
    return !disk_memory_is_cut(sim->disk) && !sim->span.is_over;
}

static int check_queues(struct found_state *restoring)
{
    uint64_t id = 0;

    if (recovery_check(&restoring->recovery, &id) == 0)
        return 0;
    log_locate(restoring->sim->log, id, &restoring->error);
    snprintf(restoring->error.reason, sizeof restoring->error.reason, "%s",
             restoring->recovery.reason);
    return ERR_CORRUPT;
}

static int recover(struct sim *sim, struct found_state *restoring)
{
    int rc = log_replay(sim->log, recovery_record, &restoring->recovery, &restoring->error);

    if (rc == ERR_CORRUPT && restoring->recovery.reason[0])
        snprintf(restoring->error.reason, sizeof restoring->error.reason, "%s",
                 restoring->recovery.reason);
    recovery_finish(&restoring->recovery);
    if (rc == 0)
        rc = check_queues(restoring);
    if (rc == 0) {
        open_shards(sim);
        rc = restore(restoring);
    }
    if (rc == 0)
        rc = log_start(sim->log, &restoring->error);
    if (rc == 0)
        recovery_log_undone(&restoring->recovery, &sim->shards[0].stage);
    return rc;
}

static void free_found(struct found *found)
{
    for (int i = 0; i < SIM_QUEUES; i++)
        mem_free(found->queues[i].messages);
}

bool life_begin(struct sim *sim)
{
    struct found_state restoring = {.sim = sim};
    int rc = open_log(sim, &restoring.error);

    if (rc != 0)
        return check_refusal(sim, rc, &restoring.error);
    recovery_init(&restoring.recovery);
    rc = recover(sim, &restoring);
    recovery_free(&restoring.recovery);
    if (rc == 0) {
        CHECK(sim, !log_report_name(sim->log), "it tells of damage, and there is none: %s",
              log_report_name(sim->log));
        compare(sim, &restoring.found);
        model_settle(&sim->model, &restoring.found);
        for (int i = 0; i < SIM_QUEUES; i++)
            torture_counts.messages += restoring.found.queues[i].count;
        sim->lives++;
        sim->is_alive = true;
    }
    free_found(&restoring.found);
    if (rc != 0) {
        (void)check_refusal(sim, rc, &restoring.error);
        life_end(sim);
        return false;
    }
    catalog_set_journal(sim->catalog, journal, sim);
    if (!sim->vhost)
        add_vhost(sim);
    return goes_on(sim);
}

/* ---- ends ---- */

static void count_cleaning(const struct sim *sim)
{
    struct log_clean_counts counts = log_clean_counts(sim->log);

    torture_counts.cleaned += counts.segments;
    torture_counts.moved += counts.moved;
    for (int i = 0; i < SIM_QUEUES; i++) {
        const struct sim_queue *queue = &sim->queues[i];
        for (size_t k = 0; k < queue->count; k++)
            torture_counts.transient_lost +=
                !queue->messages[k].is_kept &&
                (entries_page(&queue->queue->entries, queue->messages[k].position) ||
                 spill_has(queue->queue, queue->messages[k].position));
    }
}

void life_end(struct sim *sim)
{
    /* What was durable is applied: no recovery may end before it. */
    size_t durable = sim->is_alive ? count_durable(sim) : 0;

    while (sim->model.applied < durable)
        model_step(&sim->model);
    spill_stop(sim);
    if (sim->is_alive) {
        count_cleaning(sim);
        log_stop(sim->log);
    }
    if (sim->set) {
        checkpoint_forget(sim);
        mail_drop_all(sim);
        close_shards(sim);
    }
    spill_close(sim);
    memset(sim->transactions, 0, sizeof sim->transactions);
    log_free(sim->log);
    sim->log = NULL;
    sim->is_alive = false;
}

/* What a client has had in its hands comes back marked, and nothing else. Both are sorted by position. */
static void note_flags(const struct sim_queue *queue, struct model_queue *model)
{
    size_t i = 0;

    for (size_t j = 0; j < model->count; j++) {
        const struct live_message *live;
        while (i < queue->count && queue->messages[i].position < model->messages[j].position)
            i++;
        if (i == queue->count)
            break;
        live = &queue->messages[i];
        if (live->position == model->messages[j].position)
            model->messages[j].was_redelivered = live->is_unacked || live->is_redelivered;
    }
}

static void note_unacked(struct sim *sim)
{
    for (uint8_t name = 0; name < SIM_QUEUES; name++)
        if (sim->queues[name].queue && sim->model.queues[name])
            note_flags(&sim->queues[name], sim->model.queues[name]);
}

bool life_stop(struct sim *sim)
{
    struct log_checkpoint *checkpoint;
    int rc;

    mail_deliver_all(sim);
    checkpoint_forget(sim);
    for (uint16_t i = 0; i < sim->shard_count; i++)
        shard_hand_over(sim, i, true);
    spill_stop(sim);
    transactions_end(sim);
    log_submit_all(sim->log);
    for (uint16_t i = 0; i < sim->shard_count; i++)
        shard_settled(sim, i);
    if (log_wait_idle(sim->log) != 0)
        return false;
    /* All of it is durable; from here on the end may pass for an orderly one. */
    while (sim->model.applied < sim->model.events.count)
        model_step(&sim->model);
    note_unacked(sim);
    sim->model.is_clean = true;
    checkpoint = log_checkpoint_begin(sim->log);
    for (uint16_t i = 0; i < sim->shard_count; i++) {
        struct log_gather gather = {0};
        struct queue_walk walk = {0};
        if (i == 0)
            state_write_catalog(&gather, sim->catalog, log_next_id(sim->shards[0].stage.stream),
                                sim->last_transaction);
        (void)state_write_queues(&gather, &sim->shards[i].host, &walk, sim->shards[i].slots,
                                 UINT64_MAX);
        log_checkpoint_add(checkpoint, &gather, i, 0);
    }
    log_checkpoint_finish(checkpoint, true);
    rc = log_wait_idle(sim->log);
    log_stop(sim->log);
    return rc == 0;
}
