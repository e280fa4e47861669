/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on exchanges and bindings: checked on the session's shard, applied by the catalog's. */
#include "base/bug.h"
#include "base/err.h"
#include "broker/arguments.h"
#include "broker/operation.h"
#include "core/table.h"

/* ---- declare ---- */

static void exchange_declare_start(struct operation *op, struct broker_shard *here);

static void exchange_declare_apply(struct operation *op, struct broker_shard *here)
{
    struct catalog_command command = {.kind = CATALOG_EXCHANGE_DECLARE};
    struct catalog_result result;

    command.exchange_declare = (struct catalog_exchange_declare){
        .name = op->name,
        .durable = op->durable,
        .auto_delete = op->auto_delete,
        .internal = op->internal,
        .arguments = op->arguments,
    };
    BUG_ON(!exchange_type_find(op->other, &command.exchange_declare.type), "type was checked");
    operation_apply(op, here, &command, &result);
    if (result.status == CATALOG_EXISTED) {
        /* Somebody was faster: compare with what is there now. */
        op->step = exchange_declare_start;
        operation_wait_commit(op, here);
        return;
    }
    operation_return(op, here);
}

/* An alternate exchange reads from the new one and writes to the other (reference, section 7). */
static int check_alternate(struct operation *op)
{
    struct str alternate;

    if (!table_find_longstr(op->arguments, STR("alternate-exchange"), &alternate))
        return 0;
    if (check_permission(op->session, PERMISSION_READ, "exchange", op->name, &op->refusal) != 0)
        return ERR_REFUSED;
    return check_permission(op->session, PERMISSION_WRITE, "exchange", alternate, &op->refusal);
}

static int exchange_declare_check(struct operation *op, const struct exchange *exchange)
{
    enum exchange_type type;
    struct str vhost = op->vhost->name;

    if (op->passive)
        return exchange ? 0 : refuse_no_exchange(&op->refusal, op->name, vhost);
    if (!exchange_type_find(op->other, &type))
        return refuse(&op->refusal, REFUSAL_PRECONDITION_FAILED, "unknown exchange type '%.*s'",
                      STR_ARG(op->other));
    if (check_permission(op->session, PERMISSION_CONFIGURE, "exchange", op->name, &op->refusal) !=
        0)
        return ERR_REFUSED;
    if (exchange)
        return arguments_compare_exchange(exchange, op->other, op->durable, op->auto_delete,
                                          op->internal, op->arguments, vhost, &op->refusal);
    if (str_starts_with(op->name, STR("amq.")))
        return refuse(&op->refusal, REFUSAL_ACCESS_REFUSED,
                      "exchange name '%.*s' contains reserved prefix 'amq.*'", STR_ARG(op->name));
    if (arguments_check_exchange(op->name, vhost, op->arguments, &op->refusal) != 0)
        return ERR_REFUSED;
    return check_alternate(op);
}

static void exchange_declare_start(struct operation *op, struct broker_shard *here)
{
    const struct exchange *exchange = view_find_exchange(broker_view(here, op->vhost), op->name);

    if (op->name.len == 0) {
        refuse(&op->refusal, REFUSAL_ACCESS_REFUSED,
               "operation not permitted on the default exchange");
        operation_return(op, here);
        return;
    }
    if (exchange && exchange->durable)
        operation_wait_for_catalog(op, here);
    if (exchange_declare_check(op, exchange) != 0 || exchange)
        operation_return(op, here);
    else
        operation_send(op, here, CATALOG_SHARD, exchange_declare_apply);
}

void operation_exchange_declare(struct operation *op)
{
    exchange_declare_start(op, op->session->broker);
}

/* ---- delete ---- */

static void exchange_delete_apply(struct operation *op, struct broker_shard *here)
{
    struct catalog_command command = {.kind = CATALOG_EXCHANGE_DELETE};
    struct catalog_result result;

    command.exchange_delete = (struct catalog_exchange_delete){op->name, op->if_unused};
    operation_apply(op, here, &command, &result);
    if (result.status == CATALOG_IN_USE)
        refuse(&op->refusal, REFUSAL_PRECONDITION_FAILED, "exchange '%.*s' in vhost '%.*s' in use",
               STR_ARG(op->name), STR_ARG(op->vhost->name));
    operation_return(op, here);
}

void operation_exchange_delete(struct operation *op)
{
    struct broker_shard *here = op->session->broker;

    if (op->name.len == 0)
        refuse(&op->refusal, REFUSAL_ACCESS_REFUSED,
               "operation not permitted on the default exchange");
    else if (str_starts_with(op->name, STR("amq.")))
        refuse(&op->refusal, REFUSAL_ACCESS_REFUSED,
               "deletion of system exchange '%.*s' in vhost '%.*s' not allowed", STR_ARG(op->name),
               STR_ARG(op->vhost->name));
    else if (check_permission(op->session, PERMISSION_CONFIGURE, "exchange", op->name,
                              &op->refusal) == 0) {
        operation_send(op, here, CATALOG_SHARD, exchange_delete_apply);
        return;
    }
    operation_return(op, here);
}

/* ---- bind and unbind ---- */

static void bind_refuse(struct operation *op, enum catalog_status status)
{
    if (op->is_unbind)
        return; /* unbinding what is not there succeeds (reference, section 6.1) */
    if (status == CATALOG_SOURCE_NOT_FOUND)
        refuse_no_exchange(&op->refusal, op->other, op->vhost->name);
    else if (status == CATALOG_DESTINATION_NOT_FOUND && op->is_to_exchange)
        refuse_no_exchange(&op->refusal, op->name, op->vhost->name);
    else if (status == CATALOG_DESTINATION_NOT_FOUND)
        refuse_no_queue(&op->refusal, op->name, op->vhost->name);
}

static void bind_apply(struct operation *op, struct broker_shard *here)
{
    struct catalog_command command = {.kind = op->is_unbind ? CATALOG_UNBIND : CATALOG_BIND};
    struct catalog_result result;

    command.binding = (struct catalog_binding){
        .source = op->other,
        .kind = op->is_to_exchange ? DESTINATION_EXCHANGE : DESTINATION_QUEUE,
        .destination = op->name,
        .routing_key = op->key,
        .arguments = op->arguments,
    };
    operation_apply(op, here, &command, &result);
    bind_refuse(op, result.status);
    operation_return(op, here);
}

/* RabbitMQ looks at the owner only when there is a binding to remove. */
static bool is_bound(const struct operation *op, const struct queue_record *queue)
{
    const struct binding *binding;
    struct hamt_iter iter;

    hamt_iter_init(&iter, &queue->bindings_to);
    while ((binding = view_next_binding(&iter)))
        if (str_equals(binding->source, op->other) && str_equals(binding->routing_key, op->key))
            return true;
    return false;
}

static int bind_check(struct operation *op, const struct vhost_view *view)
{
    const char *kind = op->is_to_exchange ? "exchange" : "queue";
    const struct queue_record *queue = op->is_to_exchange ? NULL : view_find_queue(view, op->name);
    const struct exchange *source = view_find_exchange(view, op->other);
    char text[256];

    if (op->other.len == 0 || (op->is_to_exchange && op->name.len == 0))
        return refuse(&op->refusal, REFUSAL_ACCESS_REFUSED,
                      "operation not permitted on the default exchange");
    if (check_permission(op->session, PERMISSION_WRITE, kind, op->name, &op->refusal) != 0 ||
        check_permission(op->session, PERMISSION_READ, "exchange", op->other, &op->refusal) != 0)
        return ERR_REFUSED;
    if (queue && (!op->is_unbind || is_bound(op, queue)) &&
        check_owner(queue, op->owner, op->vhost->name, &op->refusal) != 0)
        return ERR_REFUSED;
    if (source && !op->is_unbind &&
        exchange_check_binding(source->type, op->arguments, text, sizeof text) != 0)
        return refuse(&op->refusal, REFUSAL_PRECONDITION_FAILED, "%s", text);
    return 0;
}

void operation_bind(struct operation *op)
{
    struct broker_shard *here = op->session->broker;

    if (bind_check(op, broker_view(here, op->vhost)) != 0)
        operation_return(op, here);
    else
        operation_send(op, here, CATALOG_SHARD, bind_apply);
}
