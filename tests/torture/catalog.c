/* SPDX-License-Identifier: Apache-2.0 */
/* What clients declare, delete, bind and unbind. */
#include "torture.h"

#include <stdio.h>

struct names {
    char queue[8];
    char exchange[8];
    char key[8];
};

static void apply(struct sim *sim, struct event *event, struct catalog_command *command,
                  struct catalog_result *result)
{
    shard_current = sim->shards[0].shard;
    command->version = CATALOG_COMMAND_VERSION;
    command->vhost = STR("/");
    sim->catalog_event = event;
    catalog_apply(sim->catalog, command, result);
    sim->catalog_event = NULL;
    /* Whoever sees the change may act on it: its record goes to the log before. */
    shard_hand_over(sim, 0, false);
    catalog_commit(sim->catalog);
}

void add_vhost(struct sim *sim)
{
    struct event event = {.kind = EVENT_VHOST};
    struct catalog_command command = {.kind = CATALOG_VHOST_ADD};
    struct catalog_result result;

    apply(sim, &event, &command, &result);
    sim->vhost = catalog_find_vhost(sim->catalog, STR("/"));
}

/* ---- queues ---- */

static void declare_queue(struct sim *sim, uint8_t name, struct str text)
{
    struct queue_settings settings = {
        .durable = !hits(sim, 1, 6), .ttl_ms = QUEUE_NO_TTL, .expires_ms = QUEUE_NO_TTL};
    uint16_t shard = (uint16_t)roll(sim, sim->shard_count);
    struct event event = {.kind = EVENT_QUEUE, .name = name};
    struct catalog_command command = {
        .kind = CATALOG_QUEUE_DECLARE,
        .queue_declare = {.name = text, .durable = settings.durable, .shard = shard},
    };
    struct catalog_result result;
    struct sim_shard *at = &sim->shards[shard];
    struct queue *queue;

    command.queue_declare.slot = at->slots++;
    apply(sim, &event, &command, &result);
    CHECK(sim, result.status == CATALOG_DONE, "queue %.*s is there already", STR_ARG(text));
    CHECK(sim, result.queue->ref.incarnation > sim->model.last_incarnation,
          "incarnation %llu is given again", (unsigned long long)result.queue->ref.incarnation);
    shard_current = at->shard;
    queue = queue_new(&at->host, result.queue->ref, STR("/"), text, &settings);
    queue_table_set(at->host.table, queue->ref.slot, queue);
    queue_attach(queue);
    queue_begin(sim, name, queue);
    say(sim, "queue %u is declared on shard %u: incarnation %llu%s", name, shard,
        (unsigned long long)queue->ref.incarnation, settings.durable ? "" : ", not durable");
}

static void delete_queue(struct sim *sim, uint8_t name, struct str text)
{
    struct catalog_queue_id id = {text, sim->queues[name].queue->ref.incarnation};
    struct event event = {.kind = EVENT_QUEUE_GONE, .name = name, .incarnation = id.incarnation};
    struct catalog_command command = {.kind = CATALOG_QUEUES_DELETE, .queues_delete = {&id, 1}};
    struct catalog_result result;

    say(sim, "queue %u is deleted", name);
    apply(sim, &event, &command, &result);
    CHECK(sim, result.queues_deleted == 1, "queue %.*s is not there", STR_ARG(text));
    queue_end(sim, name);
}

/* ---- exchanges and bindings ---- */

static bool has_exchange(const struct sim *sim, struct str name)
{
    return view_find_exchange(catalog_working_view(sim->vhost), name) != NULL;
}

static void change_exchange(struct sim *sim, uint8_t exchange, struct str name)
{
    struct event event = {.kind = EVENT_EXCHANGE, .exchange = exchange};
    struct catalog_command command = {.kind = CATALOG_EXCHANGE_DECLARE};
    struct catalog_result result;

    if (has_exchange(sim, name)) {
        event.kind = EVENT_EXCHANGE_GONE;
        command.kind = CATALOG_EXCHANGE_DELETE;
        command.exchange_delete.name = name;
    } else {
        command.exchange_declare = (struct catalog_exchange_declare){
            .name = name, .type = EXCHANGE_DIRECT, .durable = true};
    }
    say(sim, "exchange %u: %s", exchange, event.kind == EVENT_EXCHANGE ? "declared" : "deleted");
    apply(sim, &event, &command, &result);
    CHECK(sim, result.status == CATALOG_DONE, "exchange %.*s", STR_ARG(name));
}

static void change_binding(struct sim *sim, struct event event, const struct names *names)
{
    bool binds = hits(sim, 2, 3);
    struct catalog_command command = {
        .kind = binds ? CATALOG_BIND : CATALOG_UNBIND,
        .binding = {.source = str_from_c(names->exchange),
                    .kind = DESTINATION_QUEUE,
                    .destination = str_from_c(names->queue),
                    .routing_key = str_from_c(names->key)},
    };
    struct catalog_result result;

    event.kind = binds ? EVENT_BIND : EVENT_UNBIND;
    apply(sim, &event, &command, &result);
    if (result.status == CATALOG_DONE)
        say(sim, "exchange %u %s queue %u by %u", event.exchange, binds ? "feeds" : "leaves",
            event.name, event.key);
}

void catalog_random(struct sim *sim)
{
    struct event event = {.exchange = (uint8_t)roll(sim, SIM_EXCHANGES),
                          .name = (uint8_t)roll(sim, SIM_QUEUES),
                          .key = (uint8_t)roll(sim, SIM_KEYS)};
    struct names names;

    snprintf(names.queue, sizeof names.queue, "q%u", event.name);
    snprintf(names.exchange, sizeof names.exchange, "e%u", event.exchange);
    snprintf(names.key, sizeof names.key, "k%u", event.key);
    if (!sim->queues[event.name].queue && hits(sim, 3, 4))
        declare_queue(sim, event.name, str_from_c(names.queue));
    else if (sim->queues[event.name].queue && !is_left_alone(sim, event.name) && hits(sim, 1, 8))
        delete_queue(sim, event.name, str_from_c(names.queue));
    else if (hits(sim, 1, 4))
        change_exchange(sim, event.exchange, str_from_c(names.exchange));
    else
        change_binding(sim, event, &names);
}
