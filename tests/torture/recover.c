/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery of the simulated node: from the log's records to queues, and what was found. */
#include "torture.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* ---- what a recovery found ---- */

static void find_bindings(const struct sim *sim, const struct vhost_view *view, struct found *found)
{
    for (int i = 0; i < SIM_EXCHANGES; i++) {
        char name[8];
        const struct exchange *exchange;
        const struct binding *binding;
        struct hamt_iter it;
        snprintf(name, sizeof name, "e%d", i);
        exchange = view_find_exchange(view, str_from_c(name));
        found->exchanges[i] = exchange != NULL;
        if (!exchange)
            continue;
        hamt_iter_init(&it, &exchange->bindings_from);
        while ((binding = view_next_binding(&it))) {
            int queue = binding->destination.data[1] - '0';
            int key = binding->routing_key.data[1] - '0';
            CHECK(sim, queue >= 0 && queue < SIM_QUEUES && key >= 0 && key < SIM_KEYS,
                  "a binding that never was");
            found->bindings[i][queue][key] = true;
        }
    }
}

static void want(struct restoring *restoring, int code)
{
    if (restoring->rc == 0)
        restoring->rc = code;
}

static int read_chain(struct restoring *restoring, struct sim_shard *at, struct message *message,
                      const struct record_body *body)
{
    struct message_shared *shared;
    struct record_header header;
    const uint8_t *payload;

    message_share(message, &at->host.descriptors);
    shared = message->shared;
    shared->body_bytes = body->body_bytes;
    shared->chunks = mem_alloc(body->chunk_count * sizeof *shared->chunks);
    shared->logged_chunks = mem_alloc(body->chunk_count * sizeof *shared->logged_chunks);
    shared->logged_chunk_count = body->chunk_count;
    for (uint32_t i = 0; i < body->chunk_count; i++)
        shared->logged_chunks[i] = load_u64(body->chunk_ids + 8 * (size_t)i);
    for (uint32_t i = 0; i < body->chunk_count; i++) {
        int rc = log_read(restoring->sim->log, shared->logged_chunks[i], &header, &payload,
                          &restoring->error);
        struct str octets;
        if (rc != 0)
            return rc;
        CHECK(restoring->sim, header.kind == RECORD_CHUNK, "a chunk of kind %u", header.kind);
        CHECK(restoring->sim, record_chunk_read(payload, header.octets, &octets) == 0,
              "a damaged chunk");
        shared->chunks[i].block = block_new(at->shard, (uint32_t)octets.len);
        shared->chunks[i].length = (uint32_t)octets.len;
        memcpy(shared->chunks[i].block->data, octets.data, octets.len);
        shared->chunk_count = i + 1;
    }
    return 0;
}

/* The message whose body is record `id`. */
static int read_message(struct restoring *restoring, struct sim_shard *at, uint64_t id,
                        struct message *message)
{
    struct sim *sim = restoring->sim;
    struct record_header header;
    struct record_body body;
    const uint8_t *payload;
    struct cursor in;
    int rc = log_read(sim->log, id, &header, &payload, &restoring->error);

    if (rc != 0)
        return rc;
    in = cursor_of(payload, header.octets);
    CHECK(sim, header.kind == RECORD_ENQUEUE || header.kind == RECORD_BODY, "a body of kind %u",
          header.kind);
    if (header.kind == RECORD_ENQUEUE)
        (void)cursor_bytes(&in, RECORD_COMMAND_BYTES + 16);
    CHECK(sim, record_body_read(&in, &body) == 0, "a body that is none");
    *message = (struct message){
        .length = body.image_len,
        .names_len = body.names_len,
        .flags = body.flags | MESSAGE_PERSISTENT,
        .body_bytes = (uint32_t)body.body_bytes,
    };
    message->block = block_new(at->shard, body.image_len);
    memcpy(message->block->data, body.image, body.image_len);
    rc = body.flags & MESSAGE_CHAINED ? read_chain(restoring, at, message, &body) : 0;
    if (rc != 0)
        message_unref(at->shard, &at->host.descriptors, message);
    return rc;
}

static int restore_message(struct restoring *restoring, struct queue *queue, uint8_t name,
                           const struct recovered_queue *model, const struct recovered_entry *entry)
{
    struct sim *sim = restoring->sim;
    struct sim_shard *at = &sim->shards[queue->ref.shard];
    struct found_queue *found = &restoring->found.queues[name];
    struct live_message live = {.position = entry->position, .is_kept = true};
    struct message message;
    int rc = read_message(restoring, at, entry->body, &message);

    if (rc != 0)
        return rc;
    live.number = body_number(sim, &message);
    body_check(sim, &message, live.number);
    if (entry->is_redelivered || (!restoring->found.is_clean && entry->position < model->delivered))
        message.flags |= MESSAGE_REDELIVERED;
    live.is_redelivered = (message.flags & MESSAGE_REDELIVERED) != 0;
    message.expires_ms = entry->expires_ms ? entry->expires_ms - SIM_WALL_OFFSET : 0;
    found->messages[found->count++] = (struct found_message){
        entry->position, entry->expires_ms, live.number, message.flags & MESSAGE_REDELIVERED};
    queue_restore(queue, entry->position, entry->body, &message);
    (void)queue_remember(&sim->queues[name], &live);
    return 0;
}

static int restore_messages(struct restoring *restoring, struct queue *queue, uint8_t name)
{
    const struct recovered_queue *model =
        recovery_find(&restoring->recovery, queue->ref.incarnation);
    int rc = 0;

    restoring->found.queues[name].incarnation = queue->ref.incarnation;
    if (!model)
        return 0;
    restoring->found.queues[name].messages =
        mem_alloc_zero((model->count + 1) * sizeof(struct found_message));
    for (size_t i = 0; i < model->count && rc == 0; i++)
        if (!model->entries[i].is_gone)
            rc = restore_message(restoring, queue, name, model, &model->entries[i]);
    queue_restore_end(queue, model->tail, model->sequence);
    restoring->found.queues[name].tail = queue->entries.tail;
    queue->epoch = model->epoch;
    queue->marked = restoring->found.is_clean ? 0 : model->delivered;
    restoring->sim->queues[name].marked = queue->marked;
    return rc;
}

static int restore_queue(struct restoring *restoring, const struct catalog_command *command)
{
    struct sim *sim = restoring->sim;
    struct catalog_command copy = *command;
    struct queue_settings settings = {
        .durable = true, .ttl_ms = QUEUE_NO_TTL, .expires_ms = QUEUE_NO_TTL};
    struct catalog_result result;
    struct queue *queue;
    uint8_t name = (uint8_t)(command->queue_declare.name.data[1] - '0');

    copy.queue_declare.shard = (uint16_t)roll(sim, sim->shard_count);
    copy.queue_declare.slot = sim->shards[copy.queue_declare.shard].slots++;
    catalog_apply(sim->catalog, &copy, &result);
    CHECK(sim, result.status == CATALOG_DONE, "a queue is twice in the catalog");
    shard_current = sim->shards[copy.queue_declare.shard].shard;
    queue = queue_new(&sim->shards[copy.queue_declare.shard].host, result.queue->ref, STR("/"),
                      copy.queue_declare.name, &settings);
    queue_table_set(queue->host->table, queue->ref.slot, queue);
    queue_attach(queue);
    queue_begin(sim, name, queue);
    return restore_messages(restoring, queue, name);
}

static void restore_command(void *context, const struct catalog_command *command)
{
    struct restoring *restoring = context;
    struct catalog_result result;

    if (command->kind == CATALOG_QUEUE_DECLARE)
        want(restoring, restoring->rc == 0 ? restore_queue(restoring, command) : 0);
    else
        catalog_apply(restoring->sim->catalog, command, &result);
}

int restore(struct restoring *restoring)
{
    struct sim *sim = restoring->sim;
    const struct recovery *recovery = &restoring->recovery;

    restoring->found.is_clean = log_was_clean(sim->log);
    catalog_set_replaying(sim->catalog, true);
    catalog_emit(recovery->catalog, restore_command, restoring);
    catalog_set_replaying(sim->catalog, false);
    catalog_reserve_incarnations(
        sim->catalog, MAX(recovery->last_incarnation, catalog_last_incarnation(recovery->catalog)));
    sim->last_transaction = recovery->last_transaction;
    catalog_commit(sim->catalog);
    sim->vhost = catalog_find_vhost(sim->catalog, STR("/"));
    restoring->found.has_vhost = sim->vhost != NULL;
    if (sim->vhost)
        find_bindings(sim, catalog_working_view(sim->vhost), &restoring->found);
    return restoring->rc;
}
