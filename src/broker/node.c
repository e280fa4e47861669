/* SPDX-License-Identifier: Apache-2.0 */
/* The node's life, and what the broker does at the fixed points of a shard's turn. */
#include "broker/node.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/alarm.h"
#include "broker/checkpoint.h"
#include "broker/durable.h"
#include "broker/mail.h"
#include "broker/operation.h"
#include "core/catalog/command_codec.h"
#include "broker/spill.h"
#include "core/queue/pager.h"
#include "core/queue/relocate.h"

#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- views ---- */

/* Whoever sees the change may act on it: its record goes to the log before. */
static void commit(struct broker_shard *broker)
{
    broker->catalog_changed = false;
    (void)durable_hand_over(broker, false);
    catalog_commit(broker->node->catalog);
}

const struct vhost_view *broker_view(struct broker_shard *broker, const struct vhost *vhost)
{
    if (broker->shard->id == CATALOG_SHARD)
        return catalog_working_view(vhost);
    return catalog_view(vhost);
}

const struct vhost_view *broker_route_view(struct broker_shard *broker, const struct vhost *vhost)
{
    if (UNLIKELY(broker->catalog_changed))
        commit(broker);
    return catalog_view(vhost);
}

/* ---- the turn ---- */

static void on_awake(struct shard *shard)
{
    struct broker_shard *broker = broker_of(shard);

    /* The end of the turn before, too: nothing published is held across turns. */
    if (broker->is_reading)
        reclaim_reader_quiescent(broker->node->reclaim, shard->id);
    else
        reclaim_reader_online(broker->node->reclaim, shard->id);
    broker->is_reading = true;
}

static void on_asleep(struct shard *shard)
{
    /* What ended after the conclusion (deferred work, blocks that came home) would count as long as the
     * shard sleeps, and an alarm with it. */
    alarm_measure(broker_of(shard));
    broker_of(shard)->is_reading = false;
    reclaim_reader_offline(broker_of(shard)->node->reclaim, shard->id);
}

static void on_owed(struct shard *shard)
{
    queue_host_dispatch(&broker_of(shard)->queues);
}

static void run_after_commit(struct broker_shard *broker)
{
    while (broker->after_commit) {
        struct operation *operation = broker->after_commit;
        operation_step next = operation->after_commit;
        broker->after_commit = operation->next;
        operation->next = NULL;
        operation->after_commit = NULL;
        if (next)
            next(operation, broker);
        else
            operation_send(operation, broker, operation->origin, operation->step);
    }
}

static void commit_catalog(struct broker_shard *broker)
{
    if (broker->shard->id != CATALOG_SHARD)
        return;
    while (broker->catalog_changed || broker->after_commit) {
        commit(broker);
        run_after_commit(broker);
    }
    /* With nothing staged a commit only frees what all readers have passed. */
    if (catalog_uncollected(broker->node->catalog) > 0)
        catalog_commit(broker->node->catalog);
}

static void ack_session(void *context, uint64_t tag, bool multiple)
{
    struct session *session = context;
    session->events->confirm(session, tag, multiple);
}

static void send_confirms(struct broker_shard *broker)
{
    struct list *link;
    while ((link = list_pop_front(&broker->confirming))) {
        struct session *session = CONTAINER_OF(link, struct session, confirming);
        confirms_flush(&session->confirms, ack_session, session);
    }
}

/* More leaves than must, this part of the budget: pages then stand side by side in the log, and are read back so,
 * not with everything that was written between them. */
#define PAGE_OUT_PART 32U

/* All shards page out when all together hold too much: whose queues the messages are in, and in whose
 * blocks, differs. */
static void page_out(struct broker_shard *broker)
{
    uint64_t used = node_queue_bytes(broker->node);
    uint64_t budget = broker->node->settings.queue_memory_bytes;
    uint64_t more = budget / PAGE_OUT_PART;

    if (!broker->stage.stream)
        return;
    log_expect_reads(broker->stage.stream->log, used > budget - 2 * more);
    if (LIKELY(used <= budget))
        return;
    spill_begin(broker);
    queue_host_page_out(&broker->queues, used - budget + more);
}

static void on_conclude(struct shard *shard)
{
    struct broker_shard *broker = broker_of(shard);

    durable_release(broker);
    queue_host_fetched(&broker->queues);
    if (shard->id == CATALOG_SHARD) {
        checkpoint_start_if_wanted(broker);
        spill_sweep_if_wanted(broker);
    }
    commit_catalog(broker);
    queue_host_dispatch(&broker->queues);
    queue_host_relocate(&broker->queues);
    page_out(broker);
    mail_flush_confirms(broker);
    send_confirms(broker);
    alarm_measure(broker);
    /* A full mailbox empties within a turn or two; the timer is for alarms. */
    if (UNLIKELY(!list_is_empty(&broker->blocked) && node_alarms(broker->node) == 0))
        alarm_recheck(broker);
}

static void on_hand_over(struct shard *shard)
{
    spill_hand_over(broker_of(shard));
    (void)durable_hand_over(broker_of(shard), false);
}

static bool has_work(struct shard *shard)
{
    struct broker_shard *broker = broker_of(shard);
    return !list_is_empty(&broker->queues.dirty) || !list_is_empty(&broker->confirming) ||
           broker->after_commit || broker->catalog_changed;
}

static void on_stop(struct shard *shard)
{
    struct broker_shard *broker = broker_of(shard);

    for (uint32_t i = 0; i < broker->node->listener_count; i++)
        listener_stop(broker->node->listeners[i], shard);
    LIST_FOR_EACH_SAFE (link, &broker->connections) {
        struct connection *connection = CONTAINER_OF(link, struct connection, link);
        connection->stop(connection);
    }
}

/* A shard stops when no shard has a connection left: until then another may need its answers. */
static bool is_stopped(struct shard *shard)
{
    struct node *node = broker_of(shard)->node;
    return atomic_load(&node->open_connections) == 0;
}

static const struct shard_hooks broker_hooks = {
    .awake = on_awake,
    .owed = on_owed,
    .mail = mail_receive,
    .conclude = on_conclude,
    .hand_over = on_hand_over,
    .has_work = has_work,
    .asleep = on_asleep,
    .stop = on_stop,
    .is_stopped = is_stopped,
};

/* ---- connections ---- */

void broker_add_connection(struct broker_shard *broker, struct connection *connection)
{
    list_push_back(&broker->connections, &connection->link);
    broker->connection_count++;
    if (connection->id == 0) {
        connection->id = atomic_fetch_add(&broker->node->next_connection, 1) + 1;
        atomic_fetch_add(&broker->node->open_connections, 1);
    }
    if (broker->shard->stopping)
        connection->stop(connection);
}

static void wake_all(struct node *node)
{
    for (uint16_t i = 0; i < node->shards->count; i++)
        shard_wake(node->shards->shards[i]);
}

void broker_remove_connection(struct broker_shard *broker, struct connection *connection)
{
    list_remove(&connection->link);
    list_remove(&connection->blocked);
    broker->connection_count--;
    /* The last one to go lets every shard end. */
    if (atomic_fetch_sub(&broker->node->open_connections, 1) == 1 &&
        atomic_load_explicit(&broker->shard->stop_requested, memory_order_acquire))
        wake_all(broker->node);
}

void broker_lend_connection(struct broker_shard *broker, struct connection *connection)
{
    list_remove(&connection->link);
    list_remove(&connection->blocked);
    broker->connection_count--;
}

uint16_t node_place_queue(struct node *node, struct str name)
{
    uint16_t count = node->shards->count;
    uint16_t first = (uint16_t)(str_hash(name, node->token_secret) % count);
    uint16_t best = first;
    uint32_t least = UINT32_MAX;

    for (uint16_t i = 0; i < count; i++) {
        uint16_t shard = (uint16_t)((first + i) % count);
        uint32_t load = atomic_load_explicit(&node->queue_counts[shard], memory_order_relaxed);
        if (load < least) {
            least = load;
            best = shard;
        }
    }
    return best;
}

/* ---- the log's events: on its threads ---- */

static void on_durable(void *context, uint16_t stream)
{
    struct node *node = context;
    shard_poke(node->shards->shards[stream]);
}

void node_fail(struct node *node, int error)
{
    (void)error;
    atomic_store(&node->has_failed, true);
    for (uint16_t i = 0; i < node->shards->count; i++)
        shard_poke(node->shards->shards[i]);
    /* An orderly stop, as if an operator had asked for it. */
    if (kill(getpid(), SIGTERM) != 0)
        log_error("cannot stop the node", "error='%s'", err_text(-errno));
}

static void on_failed(void *context, int error)
{
    node_fail(context, error);
}

static void on_space(void *context, bool is_low)
{
    (void)alarm_change(context, ALARM_DISK, is_low);
}

static void on_checkpoint_due(void *context)
{
    struct node *node = context;

    atomic_store(&node->wants_checkpoint, true);
    shard_poke(node->shards->shards[CATALOG_SHARD]);
}

void node_log_events(struct node *node, struct log_events *events)
{
    *events = (struct log_events){
        .context = node,
        .durable = on_durable,
        .failed = on_failed,
        .space = on_space,
        .checkpoint_due = on_checkpoint_due,
        .fetched = on_durable,
    };
}

/* ---- the catalog's journal ---- */

static void journal(void *context, const struct catalog_command *command)
{
    struct node *node = context;
    struct broker_shard *broker = node->brokers[CATALOG_SHARD];
    uint32_t octets = (uint32_t)catalog_command_size(command);
    struct writer w;
    uint8_t *at;
    lsn_t lsn = stage_catalog(&broker->stage, octets, &at);

    w = writer_of(at, octets);
    catalog_command_encode(command, &w);
    BUG_ON(w.failed, "catalog command of kind %u for the log", command->kind);
    atomic_store(&node->catalog_lsn, lsn);
}

void node_begin_journal(struct node *node)
{
    catalog_set_journal(node->catalog, journal, node);
}

/* ---- life ---- */

/* With --recover the start looks at everything; a damage that shows itself later stops the node by name, as
 * one that shows at the start does. */
static void on_unreadable(struct queue_host *host, const struct queue *queue, uint64_t id, int rc)
{
    struct node *node = CONTAINER_OF(host, struct broker_shard, queues)->node;
    struct log_error error;

    if (node_has_failed(node) || host->shard->stopping)
        return;
    log_locate(node->log, id, &error);
    log_error("a message cannot be read back: the node stops; --recover keeps what is readable",
              "queue='%.*s' vhost='%.*s' file=%s offset=%llu error='%s'", STR_ARG(queue->name),
              STR_ARG(queue->vhost), error.file, (unsigned long long)error.offset, err_text(rc));
    node_fail(node, rc);
}

static const struct queue_host_events host_events = {
    .idle = operation_delete_idle,
    .loaded = operation_get_again,
    .unreadable = on_unreadable,
};

static struct broker_shard *broker_shard_new(struct node *node, struct shard *shard)
{
    struct broker_shard *broker = mem_alloc_zero(sizeof *broker);

    broker->shard = shard;
    broker->node = node;
    broker->session_free = UINT32_MAX;
    list_init(&broker->connections);
    list_init(&broker->blocked);
    list_init(&broker->confirming);
    timer_init(&broker->block_timer, alarm_on_timer);
    timer_init(&broker->settle_timer, durable_on_timer);
    broker->stage.wall_offset_ms = clock_read_ns(CLOCK_REALTIME) / 1000000U - clock_mono_ms();
    if (node->log)
        broker->stage.stream = log_stream(node->log, shard->id);
    queue_host_init(&broker->queues, shard, &broker->stage, &host_events);
    if (node->spill) {
        broker->spill.wall_offset_ms = broker->stage.wall_offset_ms;
        broker->spill.stream = log_stream(node->spill, shard->id);
    }
    route_result_init(&broker->route);
    shard->upper = broker;
    return broker;
}

void node_add_default_vhost(struct node *node)
{
    struct catalog_command command = {
        .version = CATALOG_COMMAND_VERSION, .kind = CATALOG_VHOST_ADD, .vhost = STR("/")};
    struct catalog_result result;

    catalog_apply(node->catalog, &command, &result);
    catalog_commit(node->catalog);
}

int node_new(const struct node_settings *settings, struct node **out)
{
    struct node *node = mem_alloc_zero(sizeof *node);
    uint64_t random[2];
    int rc;

    *out = NULL;
    BUG_ON(getrandom(random, sizeof random, 0) != sizeof random, "getrandom");
    node->settings = *settings;
    node->token_secret = random[0];
    node->log = settings->log;
    node->spill = settings->spill;
    pthread_mutex_init(&node->spill_mutex, NULL);
    rc = shard_set_new(settings->shards, settings->spin_us, &broker_hooks, &node->shards);
    if (rc != 0) {
        mem_free(node);
        return rc;
    }
    node->reclaim = reclaim_new(settings->shards);
    node->catalog = catalog_new(node->reclaim, random[1]);
    for (uint16_t i = 0; i < settings->shards; i++)
        node->brokers[i] = broker_shard_new(node, node->shards->shards[i]);
    if (!node->log)
        node_add_default_vhost(node);
    *out = node;
    return 0;
}

int node_listen(struct node *node, const char *address, uint16_t port, accept_fn accept)
{
    struct listener *listener;
    int rc;

    if (node->listener_count == ARRAY_LEN(node->listeners))
        return ERR_TOO_BIG;
    rc = listener_open(address, port, accept, node, &listener);
    if (rc != 0)
        return rc;
    node->listeners[node->listener_count++] = listener;
    return listener_attach(listener, node->shards);
}

int node_start(struct node *node)
{
    return shard_set_start(node->shards);
}

int node_stop(struct node *node)
{
    shard_set_stop(node->shards);
    spill_stop(node);
    if (!node->log)
        return 0;
    checkpoint_at_stop(node);
    log_stop(node->log);
    if (log_failure(node->log) != 0)
        return log_failure(node->log);
    return node_has_failed(node) ? ERR_CORRUPT : 0; /* a message could not be read back */
}

static void free_queues(struct node *node, uint16_t shard)
{
    struct queue_host *host = &node->brokers[shard]->queues;

    shard_current = node->shards->shards[shard];
    for (uint32_t slot = 0; slot < node->slots[shard].used; slot++) {
        struct queue *queue = queue_table_get(host->table, slot);
        if (queue)
            queue_free(queue);
    }
    mem_free(node->slots[shard].free);
}

static void free_broker(struct node *node, uint16_t shard)
{
    struct broker_shard *broker = node->brokers[shard];

    if (broker->stage.stream)
        queue_host_drop_loads(&broker->queues);
    queue_host_fini(&broker->queues);
    durable_fini(broker);
    mem_free(broker->transactions.ids);
    route_result_fini(&broker->route);
    mem_free(broker->session_slots);
    mem_free(broker);
}

void node_free(struct node *node)
{
    if (!node)
        return;
    for (uint32_t i = 0; i < node->listener_count; i++)
        listener_close(node->listeners[i]);
    for (uint16_t i = 0; i < node->shards->count; i++)
        free_queues(node, i);
    shard_current = NULL;
    shard_set_drain_mail(node->shards);
    for (uint16_t i = 0; i < node->shards->count; i++)
        free_broker(node, i);
    catalog_free(node->catalog);
    reclaim_free(node->reclaim);
    shard_set_free(node->shards);
    if (node->log)
        log_stop(node->log); /* when it was started and the shards could not be */
    log_free(node->log);
    log_free(node->spill);
    pthread_mutex_destroy(&node->spill_mutex);
    mem_free(node);
}
