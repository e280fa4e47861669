/* SPDX-License-Identifier: Apache-2.0 */
/* Lives of the node: recovery on the disk as it is, the comparison with the model, and ends. */
#include "torture.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/reclaim.h"
#include "core/catalog/command_codec.h"
#include "core/recovery/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void names_queue(uint8_t name, char text[8])
{
    snprintf(text, 8, "q%u", name);
}

/* ---- what was staged, and when it is handed over ---- */

void shard_note(struct sim *sim, uint16_t shard, struct event event)
{
    struct stage *stage = &sim->shards[shard].stage;

    event.stream = shard;
    event.part = stage->stream->last;
    events_add(&sim->shards[shard].staged, &event);
}

/* The parts that are not open any more are in the log's hands: the order of these calls is its order. */
void shard_settled(struct sim *sim, uint16_t shard)
{
    struct events *staged = &sim->shards[shard].staged;
    const struct log_part *open = sim->shards[shard].stage.stream->open;
    size_t done = 0;

    while (done < staged->count && (!open || staged->all[done].part != open->number))
        events_add(&sim->model.events, &staged->all[done++]);
    staged->count -= done;
    memmove(staged->all, staged->all + done, staged->count * sizeof *staged->all);
    if (!open || log_staged(sim->shards[shard].stage.stream) == 0)
        for (int i = 0; i < SIM_TRANSACTIONS; i++)
            sim->transactions[i].touched &= ~(1ULL << shard);
}

void shard_hand_over(struct sim *sim, uint16_t shard, bool is_due)
{
    (void)stage_submit(&sim->shards[shard].stage, is_due);
    shard_settled(sim, shard);
}

/* ---- the catalog's journal ---- */

/* As node.c does. A command of this program has one durable effect at most. */
static void journal(void *context, const struct catalog_command *command)
{
    struct sim *sim = context;
    uint32_t octets = (uint32_t)catalog_command_size(command);
    struct writer w;
    uint8_t *at;

    (void)stage_catalog(&sim->shards[0].stage, octets, &at);
    w = writer_of(at, octets);
    catalog_command_encode(command, &w);
    BUG_ON(w.failed, "catalog command of kind %u for the log", command->kind);
    CHECK(sim, sim->catalog_event, "a record without an effect");
    if (command->kind == CATALOG_QUEUE_DECLARE)
        sim->catalog_event->incarnation = command->queue_declare.incarnation;
    shard_note(sim, 0, *sim->catalog_event);
    sim->catalog_event = NULL;
}

/* ---- shards ---- */

static void ignore(struct shard *shard)
{
    (void)shard;
}

static void ignore_mail(struct shard *shard, uint16_t from, const void *entry)
{
    (void)shard;
    (void)from;
    (void)entry;
}

static bool no(struct shard *shard)
{
    (void)shard;
    return false;
}

static void ignore_idle(struct queue *queue)
{
    (void)queue;
}

static void open_shards(struct sim *sim)
{
    static const struct shard_hooks hooks = {ignore, ignore, ignore_mail, ignore, ignore,
                                             no,     ignore, ignore,      no};
    static const struct queue_host_events events = {ignore_idle};
    int rc = shard_set_new(sim->shard_count, 0, &hooks, &sim->set);

    BUG_ON(rc != 0, "shards: %s", err_text(rc));
    for (uint16_t i = 0; i < sim->shard_count; i++) {
        struct sim_shard *at = &sim->shards[i];
        at->shard = sim->set->shards[i];
        at->shard->now_ms = sim->now_ms;
        at->stage = (struct stage){.wall_offset_ms = SIM_WALL_OFFSET};
        at->stage.stream = log_stream(sim->log, i);
        at->slots = 0;
        queue_host_init(&at->host, at->shard, &at->stage, &events);
    }
    sim->reclaim = reclaim_new(1);
    sim->catalog = catalog_new(sim->reclaim, 1);
}

void queue_remember(struct sim_queue *queue, const struct live_message *message)
{
    if (queue->count == queue->capacity) {
        queue->capacity = MAX(queue->capacity * 2, (size_t)16);
        queue->messages = mem_resize(queue->messages, queue->capacity * sizeof *queue->messages);
    }
    queue->messages[queue->count++] = *message;
}

struct sim_shard *shard_of(struct sim *sim, const struct sim_queue *queue)
{
    return &sim->shards[queue->queue->ref.shard];
}

void queue_begin(struct sim *sim, uint8_t name, struct queue *queue)
{
    struct sim_queue *at = &sim->queues[name];

    at->sim = sim;
    at->queue = queue;
    at->name = name;
    at->marked = queue->marked;
    at->count = 0;
    at->consumer = NULL;
}

void queue_end(struct sim *sim, uint8_t name)
{
    struct sim_queue *at = &sim->queues[name];
    struct sim_shard *shard = shard_of(sim, at);

    shard_current = shard->shard;
    if (at->consumer)
        consumer_cancel(at->consumer);
    for (size_t i = 0; i < at->count; i++)
        if (at->messages[i].is_unacked && at->messages[i].consumer.generation != 0)
            consumer_settled(&shard->host, consumer_find(&shard->host, at->messages[i].consumer),
                             1);
    queue_table_set(shard->host.table, at->queue->ref.slot, NULL);
    queue_free(at->queue);
    mem_free(at->messages);
    *at = (struct sim_queue){0};
}

static void close_shards(struct sim *sim)
{
    uint64_t bytes = 0;

    for (uint8_t name = 0; name < SIM_QUEUES; name++)
        if (sim->queues[name].queue)
            queue_end(sim, name);
    catalog_free(sim->catalog);
    reclaim_free(sim->reclaim);
    for (uint16_t i = 0; i < sim->shard_count; i++) {
        CHECK(sim, sim->shards[i].host.messages == 0, "messages are left in no queue");
        timer_stop(&sim->shards[i].shard->timers, &sim->shards[i].host.relocate_timer);
        queue_host_fini(&sim->shards[i].host);
        mem_free(sim->shards[i].staged.all);
        sim->shards[i].staged = (struct events){0};
    }
    shard_set_drain_mail(sim->set);
    for (uint16_t i = 0; i < sim->shard_count; i++)
        bytes += sim->set->shards[i]->blocks.bytes_in_use;
    CHECK(sim, bytes == 0, "%llu octets of messages are never freed", (unsigned long long)bytes);
    shard_set_free(sim->set);
    shard_current = NULL;
    sim->set = NULL;
}

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
            int queue = binding->destination.name.data[1] - '0';
            int key = binding->routing_key.data[1] - '0';
            CHECK(sim, queue >= 0 && queue < SIM_QUEUES && key >= 0 && key < SIM_KEYS,
                  "a binding that never was");
            found->bindings[i][queue][key] = true;
        }
    }
}

struct restoring {
    struct sim *sim;
    struct recovery recovery;
    struct found found;
    struct log_error error;
    int rc;
};

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
        if (rc != 0)
            return rc;
        CHECK(restoring->sim, header.kind == RECORD_CHUNK, "a chunk of kind %u", header.kind);
        shared->chunks[i].block = block_new(at->shard, header.octets);
        shared->chunks[i].length = header.octets;
        memcpy(shared->chunks[i].block->data, payload, header.octets);
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
    live.expires_ms = entry->expires_ms ? entry->expires_ms - SIM_WALL_OFFSET : 0;
    message.expires_ms = live.expires_ms;
    found->messages[found->count++] = (struct found_message){
        entry->position, entry->expires_ms, live.number, message.flags & MESSAGE_REDELIVERED};
    queue_restore(queue, entry->position, entry->body, &message);
    queue_remember(&sim->queues[name], &live);
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

static int restore(struct restoring *restoring)
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

/* Some prefix of what may be there must lead to what is there. */
static void compare(struct sim *sim, const struct found *found)
{
    struct model *model = &sim->model;
    char text[256] = "";
    char first[256] = "";
    const char *why;

    torture_counts.unsure += model->events.count - model->applied;
    while ((why = model_differs(model, found, text))) {
        if (first[0] == '\0')
            snprintf(first, sizeof first, "%s", why);
        CHECK(sim, model->applied < model->events.count,
              "what was recovered never was: after what is durable: %s; after all of it: %s", first,
              why);
        model_step(model);
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
    bool is_excused = disk_memory_is_cut(sim->disk) ||
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
        .seed = chance_next(&sim->chance),
        .events = {.context = sim, .checkpoint_due = on_checkpoint_due},
    };
    struct disk *copy = disk_memory_clone(sim->disk);
    int rc = log_open(sim->disk, &settings, &sim->log, error);

    if (rc == 0) {
        disk_free(copy);
        return 0;
    }
    /* The log took the disk with it; what it did to it is lost as well, a cut before it is as legal. */
    sim->disk = copy;
    return rc;
}

static bool has_power(const struct sim *sim)
{
    return !disk_memory_is_cut(sim->disk);
}

static int recover(struct sim *sim, struct restoring *restoring)
{
    int rc = log_replay(sim->log, recovery_record, &restoring->recovery, &restoring->error);

    if (rc == ERR_CORRUPT && restoring->recovery.reason[0])
        snprintf(restoring->error.reason, sizeof restoring->error.reason, "%s",
                 restoring->recovery.reason);
    recovery_finish(&restoring->recovery);
    if (rc == 0) {
        open_shards(sim);
        rc = restore(restoring);
    }
    if (rc == 0)
        rc = log_start(sim->log, &restoring->error);
    return rc;
}

static void add_vhost(struct sim *sim)
{
    struct event event = {.kind = EVENT_VHOST};
    struct catalog_command command = {
        .version = CATALOG_COMMAND_VERSION, .kind = CATALOG_VHOST_ADD, .vhost = STR("/")};
    struct catalog_result result;

    sim->catalog_event = &event;
    catalog_apply(sim->catalog, &command, &result);
    catalog_commit(sim->catalog);
    sim->vhost = catalog_find_vhost(sim->catalog, STR("/"));
    shard_hand_over(sim, 0, true);
}

static void free_found(struct found *found)
{
    for (int i = 0; i < SIM_QUEUES; i++)
        mem_free(found->queues[i].messages);
}

bool life_begin(struct sim *sim)
{
    struct restoring restoring = {.sim = sim};
    int rc = open_log(sim, &restoring.error);

    if (rc != 0)
        return check_refusal(sim, rc, &restoring.error);
    recovery_init(&restoring.recovery);
    rc = recover(sim, &restoring);
    recovery_free(&restoring.recovery);
    if (rc == 0) {
        compare(sim, &restoring.found);
        model_settle(&sim->model, &restoring.found);
        for (int i = 0; i < SIM_QUEUES; i++)
            torture_counts.messages += restoring.found.queues[i].count;
        sim->lives++;
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
    return has_power(sim);
}

/* ---- ends ---- */

static void drop_mail(struct sim *sim)
{
    while (sim->mail) {
        struct sim_mail *mail = sim->mail;
        struct sim_shard *to = &sim->shards[mail->to];
        sim->mail = mail->next;
        shard_current = to->shard;
        if (mail->kind == MAIL_ENQUEUE) {
            message_import(&to->host.descriptors, &mail->message);
            message_unref(to->shard, &to->host.descriptors, &mail->message);
        }
        mem_free(mail);
    }
}

void life_end(struct sim *sim)
{
    struct disk *copy = disk_memory_clone(sim->disk);
    size_t durable = count_durable(sim);

    /* What was durable is applied: no recovery may end before it. */
    while (sim->model.applied < durable)
        model_step(&sim->model);
    if (sim->set) {
        checkpoint_forget(sim);
        drop_mail(sim);
        close_shards(sim);
    }
    torture_counts.events += sim->model.events.count;
    memset(sim->transactions, 0, sizeof sim->transactions);
    log_free(sim->log);
    sim->log = NULL;
    sim->disk = copy;
}

/* What a client has had in its hands comes back marked. */
static void note_unacked(struct sim *sim)
{
    for (uint8_t name = 0; name < SIM_QUEUES; name++) {
        const struct sim_queue *queue = &sim->queues[name];
        struct model_queue *model = sim->model.queues[name];
        for (size_t i = 0; queue->queue && model && i < queue->count; i++)
            for (size_t j = 0; queue->messages[i].is_unacked && j < model->count; j++)
                model->messages[j].was_redelivered |=
                    model->messages[j].position == queue->messages[i].position;
    }
}

bool life_stop(struct sim *sim)
{
    struct log_checkpoint *checkpoint;
    int rc;

    mail_deliver_all(sim);
    checkpoint_forget(sim);
    log_submit_all(sim->log);
    for (uint16_t i = 0; i < sim->shard_count; i++)
        shard_settled(sim, i);
    if (log_wait_idle(sim->log) != 0)
        return false;
    checkpoint = log_checkpoint_begin(sim->log);
    for (uint16_t i = 0; i < sim->shard_count; i++) {
        struct log_gather gather = {0};
        if (i == 0)
            state_write_catalog(&gather, sim->catalog, log_next_id(sim->shards[0].stage.stream),
                                sim->last_transaction);
        (void)state_write_queues(&gather, &sim->shards[i].host, 0, sim->shards[i].slots,
                                 UINT64_MAX);
        log_checkpoint_add(checkpoint, &gather, i, 0);
    }
    log_checkpoint_finish(checkpoint, true);
    rc = log_wait_idle(sim->log);
    while (rc == 0 && has_power(sim) && sim->model.applied < sim->model.events.count)
        model_step(&sim->model);
    if (rc == 0)
        note_unacked(sim);
    log_stop(sim->log);
    return rc == 0;
}
