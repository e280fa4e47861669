/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery: records become models (core/recovery), the models become queues on shards. */
#include "broker/recover.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "broker/arguments.h"
#include "broker/slots.h"
#include "core/recovery/restore.h"

#include <stdio.h>

struct recover {
    struct node *node;
    struct recovery recovery;
    struct log_error *error;
    uint64_t messages;
    int rc;
};

/* ---- the catalog, and a queue for each record in it ---- */

/* With --recover the queue comes back without them: its messages are worth more. */
static int refuse_arguments(struct recover *recover, const struct catalog_queue_declare *declare,
                            const struct refusal *refusal)
{
    *recover->error = (struct log_error){.file = "the catalog"};
    snprintf(recover->error->reason, sizeof recover->error->reason,
             "queue '%.*s' has arguments that this program refuses: %s", STR_ARG(declare->name),
             refusal->text);
    if (!log_recovers(recover->node->log))
        return ERR_CORRUPT;
    log_report(recover->node->log, recover->error);
    return 0;
}

static int make_queue(struct recover *recover, struct str vhost,
                      const struct catalog_queue_declare *declare, struct queue_ref ref)
{
    struct broker_shard *broker = recover->node->brokers[ref.shard];
    struct queue_settings settings = {0};
    struct recovered_queue *model = recovery_find(&recover->recovery, ref.incarnation);
    struct refusal refusal;
    struct queue *queue;
    int rc = 0;

    if (arguments_queue_settings(declare->name, vhost, declare->arguments, &settings, &refusal) !=
        0) {
        rc = refuse_arguments(recover, declare, &refusal);
        if (rc != 0)
            return rc;
        settings = (struct queue_settings){0};
    }
    settings.durable = true;
    settings.auto_delete = declare->auto_delete;
    queue = queue_new(&broker->queues, ref, vhost, declare->name, &settings);
    queue_table_set(broker->queues.table, ref.slot, queue);
    shard_current = broker->shard;
    if (model)
        rc = restore_queue(queue, model, recover->node->log, recover->error);
    recover->messages += queue_ready_count(queue);
    return rc;
}

static void apply_declare(struct recover *recover, struct catalog_command *command)
{
    struct node *node = recover->node;
    struct catalog_queue_declare *declare = &command->queue_declare;
    struct catalog_result result;

    declare->shard = node_place_queue(node, declare->name);
    declare->slot = slot_take(node, declare->shard);
    catalog_apply(node->catalog, command, &result);
    BUG_ON(result.status != CATALOG_DONE, "a queue is twice in the catalog");
    recover->rc = make_queue(recover, command->vhost, declare, result.queue->ref);
}

static void apply_emitted(void *context, const struct catalog_command *command)
{
    struct recover *recover = context;
    struct catalog_command copy = *command;
    struct catalog_result result;

    if (recover->rc != 0)
        return;
    if (command->kind == CATALOG_QUEUE_DECLARE)
        apply_declare(recover, &copy);
    else
        catalog_apply(recover->node->catalog, command, &result);
}

/* ---- all of it ---- */

/* Record `id` was refused: 0 when that is reported and the rest can be taken. */
static int complain(struct recover *recover, uint64_t id)
{
    struct log *log = recover->node->log;

    log_locate(log, id, recover->error);
    if (recover->error->file[0] == '\0')
        snprintf(recover->error->file, sizeof recover->error->file, "the checkpoint");
    snprintf(recover->error->reason, sizeof recover->error->reason, "%s", recover->recovery.reason);
    if (!log_recovers(log))
        return ERR_CORRUPT;
    log_report(log, recover->error);
    return 0;
}

/* ERR_NOT_FOUND: no queue (more) is to be complained of. */
static int check_queues(struct recover *recover)
{
    uint64_t id = 0;

    if (recovery_check(&recover->recovery, &id) == 0)
        return ERR_NOT_FOUND;
    return complain(recover, id);
}

/* With --recover the report has the reason of each record. */
static int take_record(void *context, uint64_t id, const struct record_header *header,
                       const uint8_t *payload)
{
    struct recover *recover = context;
    int rc = recovery_record(&recover->recovery, id, header, payload);

    return rc == ERR_CORRUPT && recover->recovery.recovers ? complain(recover, id) : rc;
}

static int replay(struct recover *recover)
{
    int rc = log_replay(recover->node->log, take_record, recover, recover->error);

    if (rc == ERR_CORRUPT && recover->recovery.reason[0] != '\0')
        snprintf(recover->error->reason, sizeof recover->error->reason, "%s",
                 recover->recovery.reason);
    recovery_finish(&recover->recovery);
    while (rc == 0)
        rc = check_queues(recover);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static void note_vhost(void *context, const struct catalog_command *command)
{
    if (command->kind == CATALOG_VHOST_ADD)
        *(bool *)context = false;
}

/* Nobody could connect. */
static bool has_no_vhost(struct recover *recover)
{
    bool has_none = true;
    catalog_emit(recover->recovery.catalog, note_vhost, &has_none);
    return has_none;
}

static void restore_catalog(struct recover *recover)
{
    struct node *node = recover->node;
    const struct recovery *recovery = &recover->recovery;

    catalog_set_replaying(node->catalog, true);
    catalog_emit(recovery->catalog, apply_emitted, recover);
    catalog_set_replaying(node->catalog, false);
    catalog_reserve_incarnations(node->catalog, MAX(recovery->last_incarnation,
                                                    catalog_last_incarnation(recovery->catalog)));
    atomic_store(&node->last_transaction, recovery->last_transaction);
    catalog_commit(node->catalog);
}

/* x-expires counts from the end of the recovery, however long that took. */
static void attach_queues(struct node *node)
{
    for (uint16_t i = 0; i < node->shards->count; i++) {
        struct broker_shard *broker = node->brokers[i];
        uint32_t slots = atomic_load(&node->slots[i].used);
        shard_current = broker->shard;
        shard_read_clock(broker->shard);
        for (uint32_t slot = 0; slot < slots; slot++) {
            struct queue *queue = queue_table_get(broker->queues.table, slot);
            if (queue)
                queue_attach(queue);
        }
    }
}

int node_recover(struct node *node, struct log_error *error)
{
    struct recover recover = {.node = node, .error = error};
    uint64_t began = clock_mono_ms();
    int rc;

    recovery_init(&recover.recovery);
    recover.recovery.recovers = log_recovers(node->log);
    rc = replay(&recover);
    /* Not by the files: the first start may have ended before its first record was durable. */
    node->is_new = catalog_last_incarnation(recover.recovery.catalog) == 0 ||
                   (log_recovers(node->log) && has_no_vhost(&recover));
    if (rc == 0) {
        restore_catalog(&recover);
        rc = recover.rc;
        attach_queues(node);
    }
    shard_current = NULL;
    if (rc == 0) {
        recovery_log_undone(&recover.recovery, &node->brokers[CATALOG_SHARD]->stage);
        node_begin_journal(node);
        if (node->is_new)
            node_add_default_vhost(node);
    }
    if (rc == 0 && recover.messages > 0)
        log_info("messages recovered", "count=%llu ms=%llu clean=%d",
                 (unsigned long long)recover.messages,
                 (unsigned long long)(clock_mono_ms() - began), log_was_clean(node->log));
    recovery_free(&recover.recovery);
    return rc;
}
