/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery of the simulated node: from the log's records to queues, and what was found. */
#include "torture.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a recovery found ---- */

static void find_bindings(const struct sim *sim, const struct vhost_view *view, struct found *found)
{
    for (int i = 0; i < SIM_EXCHANGES; i++) {
        char name[16];
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

static void want(struct found_state *restoring, int code)
{
    if (restoring->rc == 0)
        restoring->rc = code;
}

/* ---- messages, read here apart from the queue's own way ---- */

static int read_chain(struct found_state *restoring, struct sim_shard *at, struct message *message,
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
static int read_message(struct found_state *restoring, struct sim_shard *at, uint64_t id,
                        struct message *message)
{
    struct sim *sim = restoring->sim;
    struct record_header header;
    struct record_body body;
    const uint8_t *payload;
    int rc = log_read(sim->log, id, &header, &payload, &restoring->error);

    if (rc != 0)
        return rc;
    CHECK(sim, record_message_read(header.kind, payload, header.octets, false, &body) == 0,
          "a body that is none, of kind %u", header.kind);
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

/* A queue whose messages are looked for. */
struct search {
    struct found_state *restoring;
    struct sim_shard *at;
    const struct recovered_queue *model;
    struct found_queue *found;
};

static int find_message(struct search *search, const struct recovered_entry *entry)
{
    struct sim *sim = search->restoring->sim;
    bool is_marked =
        !search->restoring->found.is_clean && entry->position < search->model->delivered;
    struct message message;
    uint32_t number;
    int rc = read_message(search->restoring, search->at, entry->body, &message);

    if (rc != 0)
        return rc;
    number = body_number(sim, &message);
    body_check(sim, &message, number);
    message_unref(search->at->shard, &search->at->host.descriptors, &message);
    search->found->messages[search->found->count++] = (struct found_message){
        entry->position, entry->expires_ms, number, entry->is_redelivered || is_marked};
    return 0;
}

static int find_in_page(struct search *search, const struct recovered_page *page)
{
    struct record_page_entry entries[ENTRIES_PER_CHUNK];
    struct sim *sim = search->restoring->sim;
    struct record_header header;
    const uint8_t *payload;
    int rc;

    if (bits_count(&page->page.live) == 0)
        return 0;
    rc = log_read(sim->log, page->page.id, &header, &payload, &search->restoring->error);
    if (rc != 0)
        return rc;
    CHECK(sim,
          header.kind == RECORD_PAGE &&
              record_page_read(payload, header.octets, search->model->incarnation, page->first,
                               entries, ENTRIES_PER_CHUNK) == 0,
          "a page that is none");
    torture_counts.restored_pages++;
    torture_counts.unread_times += page->page.expires_ms != 0;
    for (uint32_t i = bits_next(&page->page.live, 0); rc == 0 && i < ENTRIES_PER_CHUNK;
         i = bits_next(&page->page.live, i + 1))
        rc = find_message(search, &(struct recovered_entry){
                                      .position = page->first + i,
                                      .expires_ms = entries[i].expires_ms,
                                      .body = entries[i].body,
                                      .is_redelivered = bits_has(&page->page.redelivered, i)});
    return rc;
}

static int by_position(const void *a, const void *b)
{
    const struct found_message *one = a;
    const struct found_message *other = b;
    return (one->position > other->position) - (one->position < other->position);
}

static int find_messages(struct search *search)
{
    const struct recovered_queue *model = search->model;
    size_t most = model->count + model->page_count * ENTRIES_PER_CHUNK;
    int rc = 0;

    search->found->messages = mem_alloc_zero((most + 1) * sizeof(struct found_message));
    for (size_t i = 0; rc == 0 && i < model->count; i++)
        rc = model->entries[i].is_gone ? 0 : find_message(search, &model->entries[i]);
    for (size_t i = 0; rc == 0 && i < model->page_count; i++)
        rc = find_in_page(search, &model->pages[i]);
    qsort(search->found->messages, search->found->count, sizeof(struct found_message), by_position);
    return rc;
}

/* What was found here must stand in the queue that the node has made of it. */
static int restore_messages(struct found_state *restoring, struct queue *queue, uint8_t name)
{
    struct sim *sim = restoring->sim;
    struct found_queue *found = &restoring->found.queues[name];
    const struct recovered_queue *model =
        recovery_find(&restoring->recovery, queue->ref.incarnation);
    struct search search = {restoring, &sim->shards[queue->ref.shard], model, found};
    int rc;

    found->incarnation = queue->ref.incarnation;
    if (!model)
        return 0;
    rc = find_messages(&search);
    if (rc == 0)
        rc = restore_queue(queue, model, sim->log, &restoring->error);
    if (rc != 0)
        return rc;
    found->tail = queue->entries.tail;
    found->marked = queue->marked;
    sim->queues[name].marked = queue->marked;
    for (size_t i = 0; i < found->count; i++) {
        const struct found_message *message = &found->messages[i];
        struct live_message live = {
            .position = message->position,
            .number = message->number,
            .is_kept = true,
            .is_redelivered = message->is_redelivered,
            .expires_ms = message->expires_ms ? message->expires_ms - SIM_WALL_OFFSET : 0,
        };
        CHECK(sim, queue_state_at(queue, message->position) == MESSAGE_READY,
              "queue %u has no message at %llu", name, (unsigned long long)message->position);
        (void)queue_remember(&sim->queues[name], &live);
    }
    queue_look(sim, &sim->queues[name]);
    return 0;
}

/* ---- queues ---- */

static int declare_again(struct found_state *restoring, const struct catalog_command *command)
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
    struct found_state *restoring = context;
    struct catalog_result result;

    if (command->kind == CATALOG_QUEUE_DECLARE)
        want(restoring, restoring->rc == 0 ? declare_again(restoring, command) : 0);
    else
        catalog_apply(restoring->sim->catalog, command, &result);
}

int restore(struct found_state *restoring)
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
