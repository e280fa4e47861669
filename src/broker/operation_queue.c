/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on queues: declare, delete, purge; and how an incarnation ends.
 *
 * The end of a queue takes three steps. Its shard decides (QUEUE_DELETING: nobody else can get in
 * between a check like if-empty and the end), the catalog's shard commits, and back on its shard the
 * run-time object goes: consumers are told, messages dropped. A declare that meets a queue on its way
 * out waits for it (architecture, section 5).
 */
#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/arguments.h"
#include "broker/operation.h"
#include "broker/slots.h"
#include "core/queue/consumer.h"

/* ---- declare ---- */

static void declare_start(struct operation *op, struct broker_shard *here);

static void declare_attach(struct operation *op, struct broker_shard *here)
{
    struct queue *queue = queue_find(&here->queues, op->queue);
    if (queue) {
        queue_attach(queue);
        /* Exclusive queues live on their owner's shard, so this is the owner's thread. */
        if (op->exclusive)
            list_push_back(&op->connection->exclusive_queues, &queue->exclusive);
    }
    operation_return(op, here);
}

/* On the catalog shard: a new queue, complete before anybody can see it. */
static void declare_apply(struct operation *op, struct broker_shard *here)
{
    struct node *node = here->node;
    struct catalog_command command = {.kind = CATALOG_QUEUE_DECLARE};
    struct catalog_result result;
    uint16_t shard = op->placement;
    uint32_t slot = slot_take(node, shard);

    command.queue_declare = (struct catalog_queue_declare){
        .name = op->name,
        .durable = op->durable,
        .auto_delete = op->auto_delete,
        .exclusive = op->exclusive,
        .owner = op->exclusive ? op->owner : 0,
        .arguments = op->arguments,
        .shard = shard,
        .slot = slot,
    };
    operation_apply(op, here, &command, &result);
    if (result.status == CATALOG_EXISTED) {
        slot_give(node, shard, slot);
        op->step = declare_start;
        operation_wait_commit(op, here);
        return;
    }
    op->queue = result.queue->ref;
    queue_table_set(node->brokers[shard]->queues.table, slot,
                    queue_new(&node->brokers[shard]->queues, op->queue, op->vhost->name, op->name,
                              &op->settings));
    if (op->exclusive || op->settings.expires_ms != QUEUE_NO_TTL)
        operation_send(op, here, shard, declare_attach);
    else
        operation_return(op, here);
}

/* On the queue's shard: it is there already; tell its counts. */
static void declare_look(struct operation *op, struct broker_shard *here)
{
    struct queue *queue = queue_find(&here->queues, op->queue);

    if (!queue || queue->state == QUEUE_DELETING) {
        op->step = declare_start;
        if (queue) {
            op->next = queue->waiters;
            queue->waiters = op;
        } else {
            operation_send(op, here, op->origin, declare_start);
        }
        return;
    }
    if (!op->passive)
        queue_touch(queue);
    if (queue->settings.durable)
        operation_wait_for_catalog(op, here);
    op->message_count = (uint32_t)MIN(queue_ready_count(queue), (uint64_t)UINT32_MAX);
    op->consumer_count = queue->consumer_count;
    operation_return(op, here);
}

static int declare_check_existing(struct operation *op, const struct queue_record *queue)
{
    struct str vhost = op->vhost->name;

    if (check_owner(queue, op->owner, vhost, &op->refusal) != 0)
        return ERR_REFUSED;
    if (op->passive)
        return 0;
    if (op->exclusive != queue->exclusive) {
        struct queue_record locked = *queue;
        locked.exclusive = true;
        locked.owner = 0;
        return check_owner(&locked, op->owner, vhost, &op->refusal);
    }
    return arguments_compare_queue(queue, op->durable, op->auto_delete, op->arguments, vhost,
                                   &op->refusal);
}

static int declare_check_new(struct operation *op)
{
    struct str vhost = op->vhost->name;

    if (op->passive)
        return refuse_no_queue(&op->refusal, op->name, vhost);
    if (arguments_queue_settings(op->name, vhost, op->arguments, &op->settings, &op->refusal) != 0)
        return ERR_REFUSED;
    op->settings.durable = op->durable;
    op->settings.auto_delete = op->auto_delete;
    op->settings.exclusive = op->exclusive;
    op->settings.owner = op->exclusive ? op->owner : 0;
    return 0;
}

static void declare_start(struct operation *op, struct broker_shard *here)
{
    const struct queue_record *queue = view_find_queue(broker_view(here, op->vhost), op->name);
    int rc = queue ? declare_check_existing(op, queue) : declare_check_new(op);

    if (rc != 0) {
        operation_return(op, here);
    } else if (queue) {
        op->queue = queue->ref;
        operation_send(op, here, queue->ref.shard, declare_look);
    } else {
        /* The placement that the session found good when it began. */
        operation_send(op, here, CATALOG_SHARD, declare_apply);
    }
}

void operation_queue_declare(struct operation *op)
{
    struct broker_shard *here = op->session->broker;

    /* RabbitMQ keeps an exclusive queue as non-durable (reference, section 9). */
    if (op->exclusive)
        op->durable = false;
    if (!op->passive &&
        check_permission(op->session, PERMISSION_CONFIGURE, "queue", op->name, &op->refusal) != 0) {
        operation_return(op, here);
        return;
    }
    op->placement =
        op->exclusive || op->place_here ? here->shard->id : node_place_queue(here->node, op->name);
    declare_start(op, here);
}

/* ---- the end of an incarnation ---- */

static void end_queue(struct broker_shard *here, struct queue *queue)
{
    struct operation *waiters = queue->waiters;

    operation_get_again(queue); /* they find that it goes */
    consumer_cancel_all(queue);
    list_remove(&queue->exclusive);
    queue->waiters = NULL;
    queue_free(queue);
    operation_resume_all(waiters, here);
}

static void delete_end(struct operation *op, struct broker_shard *here)
{
    end_queue(here, op->dying);
    op->dying = NULL;
    operation_return(op, here);
}

static void delete_committed(struct operation *op, struct broker_shard *here)
{
    slot_give(here->node, op->queue.shard, op->queue.slot);
    operation_send(op, here, op->queue.shard, delete_end);
}

static void delete_apply(struct operation *op, struct broker_shard *here)
{
    struct catalog_queue_id id = {op->name, op->queue.incarnation};
    struct catalog_command command = {.kind = CATALOG_QUEUES_DELETE};
    struct catalog_result result;

    command.queues_delete = (struct catalog_queues_delete){&id, 1};
    operation_apply(op, here, &command, &result);
    op->after_commit = delete_committed;
    operation_wait_commit(op, here);
}

static void begin_delete(struct operation *op, struct broker_shard *here, struct queue *queue)
{
    op->dying = queue;
    op->queue = queue->ref;
    queue_begin_delete(queue);
    operation_send(op, here, CATALOG_SHARD, delete_apply);
}

/* Nothing is left to do, but what somebody else did may not be durable yet. */
static void delete_none(struct operation *op, struct broker_shard *here)
{
    operation_wait_for_catalog(op, here);
    operation_return(op, here);
}

/* On the queue's shard. */
static void delete_look(struct operation *op, struct broker_shard *here)
{
    struct queue *queue = queue_find(&here->queues, op->queue);
    const char *objection = NULL;

    if (!queue || queue->state == QUEUE_DELETING) {
        /* Somebody else ends it: as if it had not been there. */
        if (queue) {
            op->step = delete_none;
            op->next = queue->waiters;
            queue->waiters = op;
        } else {
            delete_none(op, here);
        }
        return;
    }
    if (op->if_unused && queue->consumer_count > 0)
        objection = "in use";
    else if (op->if_empty && queue_ready_count(queue) > 0)
        objection = "not empty";
    if (objection) {
        refuse(&op->refusal, REFUSAL_PRECONDITION_FAILED, "queue '%.*s' in vhost '%.*s' %s",
               STR_ARG(op->name), STR_ARG(op->vhost->name), objection);
        operation_return(op, here);
        return;
    }
    op->message_count = (uint32_t)MIN(queue_ready_count(queue), (uint64_t)UINT32_MAX);
    begin_delete(op, here, queue);
}

void operation_queue_delete(struct operation *op)
{
    struct broker_shard *here = op->session->broker;
    const struct queue_record *queue = view_find_queue(broker_view(here, op->vhost), op->name);

    if (check_permission(op->session, PERMISSION_CONFIGURE, "queue", op->name, &op->refusal) != 0 ||
        (queue && check_owner(queue, op->owner, op->vhost->name, &op->refusal) != 0)) {
        operation_return(op, here);
    } else if (!queue) {
        delete_none(op, here);
    } else {
        op->queue = queue->ref;
        operation_send(op, here, queue->ref.shard, delete_look);
    }
}

void operation_delete_idle(struct queue *queue)
{
    struct broker_shard *here = broker_of(queue->host->shard);
    struct vhost *vhost = catalog_find_vhost(here->node->catalog, queue->vhost);

    if (vhost && queue->state == QUEUE_LIVE)
        begin_delete(operation_new_internal(here, vhost, queue->name), here, queue);
}

/* ---- all exclusive queues of a connection ---- */

static void delete_all_end(struct operation *op, struct broker_shard *here)
{
    for (uint32_t i = 0; i < op->id_count; i++)
        end_queue(here, op->dying_all[i]);
    operation_return(op, here);
}

static void delete_all_committed(struct operation *op, struct broker_shard *here)
{
    for (uint32_t i = 0; i < op->id_count; i++)
        slot_give(here->node, op->origin, op->dying_all[i]->ref.slot);
    operation_send(op, here, op->origin, delete_all_end);
}

static void delete_all_apply(struct operation *op, struct broker_shard *here)
{
    struct catalog_command command = {.kind = CATALOG_QUEUES_DELETE};
    struct catalog_result result;

    command.queues_delete = (struct catalog_queues_delete){op->ids, op->id_count};
    operation_apply(op, here, &command, &result);
    op->after_commit = delete_all_committed;
    operation_wait_commit(op, here);
}

static void add_dying(struct operation *op, struct queue *queue)
{
    size_t count = op->id_count + 1;

    op->ids = mem_resize(op->ids, count * sizeof *op->ids);
    op->dying_all = mem_resize(op->dying_all, count * sizeof(struct queue *));
    op->ids[op->id_count] = (struct catalog_queue_id){queue->name, queue->ref.incarnation};
    op->dying_all[op->id_count] = queue;
    op->id_count++;
    queue_begin_delete(queue);
}

/* One of the queues that is on its way out already (auto-delete, x-expires); NULL when none is. */
static struct queue *find_dying(const struct connection *connection)
{
    LIST_FOR_EACH (link, &connection->exclusive_queues) {
        struct queue *queue = CONTAINER_OF(link, struct queue, exclusive);
        if (queue->state == QUEUE_DELETING)
            return queue;
    }
    return NULL;
}

/* Done when the list is empty: a queue on it points into the connection. */
static void delete_exclusive_start(struct operation *op, struct broker_shard *here)
{
    struct queue *dying = find_dying(op->connection);

    if (dying) {
        op->step = delete_exclusive_start;
        op->next = dying->waiters;
        dying->waiters = op;
        return;
    }
    LIST_FOR_EACH (link, &op->connection->exclusive_queues)
        add_dying(op, CONTAINER_OF(link, struct queue, exclusive));
    if (op->id_count > 0)
        operation_send(op, here, CATALOG_SHARD, delete_all_apply);
    else
        operation_return(op, here);
}

void operation_delete_exclusive(struct broker_shard *here, struct connection *connection,
                                struct vhost *vhost, operation_done done, void *context)
{
    struct operation *op = operation_new_internal(here, vhost, STR(""));

    op->connection = connection;
    op->done = done;
    op->context = context;
    delete_exclusive_start(op, here);
}

/* ---- purge ---- */

static void purge_look(struct operation *op, struct broker_shard *here)
{
    struct queue *queue = queue_find(&here->queues, op->queue);
    uint64_t purged;
    lsn_t lsn = 0;

    if (queue && queue->state == QUEUE_LIVE) {
        purged = queue_purge(queue, &lsn);
        operation_wait_for(op, here, lsn);
        op->message_count = (uint32_t)MIN(purged, (uint64_t)UINT32_MAX);
    } else {
        refuse_no_queue(&op->refusal, op->name, op->vhost->name);
    }
    operation_return(op, here);
}

void operation_queue_purge(struct operation *op)
{
    struct broker_shard *here = op->session->broker;

    if (!operation_finds_readable(op, here))
        return;
    operation_send(op, here, op->queue.shard, purge_look);
}
