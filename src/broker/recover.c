/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery: records become models (core/recovery), the models become queues on shards.
 *
 * Bodies are read in the order in which they lie in the log, so that a segment is read once from its
 * beginning to its end, however many queues share it; then each queue gets its messages by position. */
#include "broker/recover.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/arguments.h"
#include "broker/slots.h"
#include "core/recovery/recovery.h"

#include <stdio.h>
#include <stdlib.h>

/* Small bodies share blocks of this. */
#define DENSE_BLOCK_BYTES (256U * 1024U)

/* One message to be read: its place in its queue and in the log. */
struct wanted {
    uint64_t body;
    struct recovered_entry *entry;
    struct queue *queue;
    struct message message; /* filled when it was read; block NULL when it could not be */
};

struct recover {
    struct node *node;
    struct recovery recovery;
    struct log_error *error;
    struct wanted *wanted; /* grouped by queue, in order of position */
    size_t wanted_count;
    size_t wanted_capacity;
    struct block *dense[SHARDS_MAX]; /* being filled */
    int rc;
};

/* ---- the catalog, and a queue for each record in it ---- */

static struct recovered_queue *model_of(struct recover *recover, uint64_t incarnation)
{
    return recovery_find(&recover->recovery, incarnation);
}

static void want_messages(struct recover *recover, struct queue *queue)
{
    struct recovered_queue *model = model_of(recover, queue->ref.incarnation);

    if (!model)
        return;
    if (recover->wanted_count + model->count > recover->wanted_capacity) {
        recover->wanted_capacity = 2 * (recover->wanted_count + model->count);
        recover->wanted =
            mem_resize(recover->wanted, recover->wanted_capacity * sizeof *recover->wanted);
    }
    for (size_t i = 0; i < model->count; i++) {
        struct recovered_entry *entry = &model->entries[i];
        if (!entry->is_gone)
            recover->wanted[recover->wanted_count++] =
                (struct wanted){.body = entry->body, .entry = entry, .queue = queue};
    }
}

static int make_queue(struct recover *recover, struct str vhost,
                      const struct catalog_queue_declare *declare, struct queue_ref ref)
{
    struct broker_shard *broker = recover->node->brokers[ref.shard];
    struct queue_settings settings = {0};
    struct refusal refusal;
    struct queue *queue;

    if (arguments_queue_settings(declare->name, vhost, declare->arguments, &settings, &refusal) !=
        0) {
        snprintf(recover->error->reason, sizeof recover->error->reason,
                 "queue '%.*s' has arguments that this program refuses: %s", STR_ARG(declare->name),
                 refusal.text);
        return ERR_CORRUPT;
    }
    settings.durable = true;
    settings.auto_delete = declare->auto_delete;
    queue = queue_new(&broker->queues, ref, vhost, declare->name, &settings);
    queue_table_set(broker->queues.table, ref.slot, queue);
    shard_current = broker->shard;
    queue_attach(queue);
    want_messages(recover, queue);
    return 0;
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

/* ---- bodies ---- */

static int compare_bodies(const void *left, const void *right)
{
    const struct wanted *a = *(const struct wanted *const *)left;
    const struct wanted *b = *(const struct wanted *const *)right;

    if (a->body != b->body)
        return a->body < b->body ? -1 : 1;
    return (int)a->queue->ref.shard - (int)b->queue->ref.shard;
}

/* A block of the shard with room for `n` octets behind `used`. */
static struct block *room(struct recover *recover, struct shard *shard, uint32_t n)
{
    struct block **dense = &recover->dense[shard->id];

    if (n > DENSE_BLOCK_BYTES / 4) {
        struct block *own = block_new(shard, n);
        own->used = 0;
        return own;
    }
    if (*dense && (*dense)->capacity - (*dense)->used < n) {
        block_unref(shard, *dense, 1);
        *dense = NULL;
    }
    if (!*dense) {
        *dense = block_new(shard, DENSE_BLOCK_BYTES);
        (*dense)->used = 0;
    }
    block_ref(*dense, 1);
    return *dense;
}

static int read_chunks(struct recover *recover, struct shard *shard, struct message_shared *shared)
{
    struct record_header header;
    const uint8_t *payload;

    for (uint32_t i = 0; i < shared->logged_chunk_count; i++) {
        int rc = log_read(recover->node->log, shared->logged_chunks[i], &header, &payload,
                          recover->error);
        if (rc == 0 && (header.kind != RECORD_CHUNK || header.octets == 0))
            rc = ERR_CORRUPT;
        if (rc != 0)
            return rc;
        shared->chunks[i].block = block_new(shard, header.octets);
        shared->chunks[i].length = header.octets;
        memcpy(shared->chunks[i].block->data, payload, header.octets);
        shared->chunk_count = i + 1;
    }
    return 0;
}

static int make_chain(struct recover *recover, struct broker_shard *broker,
                      const struct record_body *body, struct message *message)
{
    uint32_t count = body->chunk_count;
    struct message_shared *shared;
    int rc;

    message_share(message, &broker->queues.descriptors);
    shared = message->shared;
    shared->body_bytes = body->body_bytes;
    shared->chunks = mem_alloc(count * sizeof *shared->chunks);
    shared->logged_chunks = mem_alloc(count * sizeof *shared->logged_chunks);
    shared->logged_chunk_count = count;
    for (uint32_t i = 0; i < count; i++)
        shared->logged_chunks[i] = load_u64(body->chunk_ids + 8 * (size_t)i);
    rc = read_chunks(recover, broker->shard, shared);
    if (rc != 0)
        message_unref(broker->shard, &broker->queues.descriptors, message);
    return rc;
}

/* The payload of a BODY is a body; in an ENQUEUE it stands behind command, position and expiry. */
static int parse_body(const struct record_header *header, const uint8_t *payload,
                      struct record_body *body)
{
    struct cursor in = cursor_of(payload, header->octets);

    if (header->kind == RECORD_ENQUEUE)
        (void)cursor_bytes(&in, RECORD_COMMAND_BYTES + 16);
    else if (header->kind != RECORD_BODY)
        return ERR_CORRUPT;
    return record_body_read(&in, body);
}

static int read_message(struct recover *recover, struct broker_shard *broker, uint64_t id,
                        struct message *message)
{
    struct record_header header;
    struct record_body body;
    const uint8_t *payload;
    struct block *block;
    int rc = log_read(recover->node->log, id, &header, &payload, recover->error);

    if (rc == 0 && parse_body(&header, payload, &body) != 0) {
        snprintf(recover->error->reason, sizeof recover->error->reason, "record %llx is no message",
                 (unsigned long long)id);
        rc = ERR_CORRUPT;
    }
    if (rc != 0)
        return rc;
    block = room(recover, broker->shard, body.image_len);
    *message = (struct message){
        .offset = block->used,
        .length = body.image_len,
        .names_len = body.names_len,
        .flags = (uint8_t)(body.flags | MESSAGE_PERSISTENT),
        .body_bytes = (uint32_t)MIN(body.body_bytes, (uint64_t)UINT32_MAX),
    };
    message->block = block;
    memcpy(block->data + block->used, body.image, body.image_len);
    block->used += body.image_len;
    return body.flags & MESSAGE_CHAINED ? make_chain(recover, broker, &body, message) : 0;
}

/* Queues of one shard that refer to one body share it again. */
static int read_group(struct recover *recover, struct wanted **group, size_t count)
{
    struct broker_shard *broker = recover->node->brokers[group[0]->queue->ref.shard];
    struct message message;
    int rc;

    shard_current = broker->shard;
    rc = read_message(recover, broker, group[0]->body, &message);
    if (rc != 0) {
        if (!log_recovers(recover->node->log))
            return rc;
        log_report(recover->node->log, recover->error);
        return 0;
    }
    if (count > 1)
        message_share(&message, &broker->queues.descriptors);
    message_ref(&message, (uint32_t)count - 1);
    for (size_t i = 0; i < count; i++)
        group[i]->message = message;
    return 0;
}

static int read_bodies(struct recover *recover)
{
    size_t count = recover->wanted_count;
    struct wanted **order = mem_alloc((count + 1) * sizeof(struct wanted *));
    int rc = 0;

    for (size_t i = 0; i < count; i++)
        order[i] = &recover->wanted[i];
    if (count > 0)
        qsort(order, count, sizeof(struct wanted *), compare_bodies);
    for (size_t i = 0, next; i < count && rc == 0; i = next) {
        for (next = i + 1; next < count && compare_bodies(&order[i], &order[next]) == 0; next++)
            ;
        rc = read_group(recover, &order[i], next - i);
    }
    mem_free(order);
    return rc;
}

/* The start is given up. */
static void drop_messages(struct recover *recover)
{
    for (size_t i = 0; i < recover->wanted_count; i++) {
        struct wanted *wanted = &recover->wanted[i];
        struct broker_shard *broker = recover->node->brokers[wanted->queue->ref.shard];
        shard_current = broker->shard;
        if (wanted->message.block)
            message_unref(broker->shard, &broker->queues.descriptors, &wanted->message);
    }
    for (uint16_t i = 0; i < recover->node->shards->count; i++) {
        shard_current = recover->node->shards->shards[i];
        if (recover->dense[i])
            block_unref(shard_current, recover->dense[i], 1);
    }
    shard_current = NULL;
}

/* ---- queues ---- */

/* What expired while the node was down expires with the first look at it. */
static uint64_t mono_ms(const struct stage *stage, uint64_t wall_ms)
{
    if (wall_ms == 0)
        return 0;
    return wall_ms > stage->wall_offset_ms ? wall_ms - stage->wall_offset_ms : 1;
}

static void restore_one(struct recover *recover, struct wanted *wanted)
{
    struct broker_shard *broker = recover->node->brokers[wanted->queue->ref.shard];
    const struct recovered_queue *model = model_of(recover, wanted->queue->ref.incarnation);
    const struct recovered_entry *entry = wanted->entry;
    bool was_delivered = !log_was_clean(recover->node->log) && entry->position < model->delivered;

    if (!wanted->message.block)
        return;
    if (entry->is_redelivered || was_delivered)
        wanted->message.flags |= MESSAGE_REDELIVERED;
    wanted->message.expires_ms = mono_ms(&broker->stage, entry->expires_ms);
    queue_restore(wanted->queue, entry->position, entry->body, &wanted->message);
}

static void end_queues(struct recover *recover, uint16_t shard)
{
    struct broker_shard *broker = recover->node->brokers[shard];

    shard_current = broker->shard;
    for (uint32_t slot = 0; slot < recover->node->slots[shard].used; slot++) {
        struct queue *queue = queue_table_get(broker->queues.table, slot);
        struct recovered_queue *model = queue ? model_of(recover, queue->ref.incarnation) : NULL;
        if (!model)
            continue;
        queue_restore_end(queue, model->tail, model->sequence);
        queue->epoch = model->epoch;
        queue->marked = log_was_clean(recover->node->log) ? 0 : model->delivered;
    }
    if (recover->dense[shard])
        block_unref(broker->shard, recover->dense[shard], 1);
}

static void restore_queues(struct recover *recover)
{
    for (size_t i = 0; i < recover->wanted_count; i++) {
        shard_current = recover->node->brokers[recover->wanted[i].queue->ref.shard]->shard;
        restore_one(recover, &recover->wanted[i]);
    }
    for (uint16_t i = 0; i < recover->node->shards->count; i++)
        end_queues(recover, i);
    shard_current = NULL;
}

/* ---- all of it ---- */

/* ERR_NOT_FOUND: no queue (more) is to be complained of. */
static int check_queues(struct recover *recover)
{
    struct log *log = recover->node->log;
    uint64_t id = 0;

    if (recovery_check(&recover->recovery, &id) == 0)
        return ERR_NOT_FOUND;
    log_locate(log, id, recover->error);
    snprintf(recover->error->reason, sizeof recover->error->reason, "%s", recover->recovery.reason);
    if (!log_recovers(log))
        return ERR_CORRUPT;
    log_report(log, recover->error);
    return 0;
}

static int replay(struct recover *recover)
{
    int rc = log_replay(recover->node->log, recovery_record, &recover->recovery, recover->error);

    if (rc == ERR_CORRUPT && recover->recovery.reason[0] != '\0')
        snprintf(recover->error->reason, sizeof recover->error->reason, "%s",
                 recover->recovery.reason);
    recovery_finish(&recover->recovery);
    while (rc == 0)
        rc = check_queues(recover);
    return rc == ERR_NOT_FOUND ? 0 : rc;
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

int node_recover(struct node *node, struct log_error *error)
{
    struct recover recover = {.node = node, .error = error};
    uint64_t began = clock_mono_ms();
    int rc;

    recovery_init(&recover.recovery);
    recover.recovery.recovers = log_recovers(node->log);
    rc = replay(&recover);
    /* Not by the files: the first start may have ended before its first record was durable. */
    node->is_new = catalog_last_incarnation(recover.recovery.catalog) == 0;
    if (rc == 0) {
        restore_catalog(&recover);
        rc = recover.rc;
    }
    if (rc == 0) {
        rc = read_bodies(&recover);
        if (rc == 0)
            restore_queues(&recover);
        else
            drop_messages(&recover);
    }
    if (rc == 0) {
        recovery_log_undone(&recover.recovery, &node->brokers[CATALOG_SHARD]->stage);
        node_begin_journal(node);
        if (node->is_new)
            node_add_default_vhost(node);
    }
    if (rc == 0 && recover.wanted_count > 0)
        log_info("messages recovered", "count=%zu ms=%llu clean=%d", recover.wanted_count,
                 (unsigned long long)(clock_mono_ms() - began), log_was_clean(node->log));
    mem_free(recover.wanted);
    recovery_free(&recover.recovery);
    return rc;
}
