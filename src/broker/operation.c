/* SPDX-License-Identifier: Apache-2.0 */
/* How operations travel between shards and come back, and the checks that many share. */
#include "broker/operation.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/durable.h"
#include "broker/mail.h"

static struct str copy_text(char **at, struct str s)
{
    struct str copy = str_of(*at, s.len);
    if (s.len)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

static struct operation *allocate(size_t text_bytes)
{
    return mem_alloc_zero(sizeof(struct operation) + text_bytes);
}

struct operation *operation_new(struct session *session, struct str name, struct str other,
                                struct str key, struct str arguments, operation_done done)
{
    struct operation *operation = allocate(name.len + other.len + key.len + arguments.len);
    char *at = operation->text;

    operation->session = session;
    operation->origin = session->broker->shard->id;
    operation->vhost = session->vhost;
    operation->owner = session->connection->id;
    operation->connection = session->connection;
    operation->done = done;
    operation->name = copy_text(&at, name);
    operation->other = copy_text(&at, other);
    operation->key = copy_text(&at, key);
    operation->arguments = copy_text(&at, arguments);
    return operation;
}

struct operation *operation_new_internal(struct broker_shard *broker, struct vhost *vhost,
                                         struct str name)
{
    struct operation *operation = allocate(name.len);
    char *at = operation->text;

    operation->origin = broker->shard->id;
    operation->vhost = vhost;
    operation->name = copy_text(&at, name);
    return operation;
}

void operation_send(struct operation *operation, struct broker_shard *here, uint16_t to,
                    operation_step step)
{
    operation->step = step;
    if (to == here->shard->id)
        step(operation, here);
    else
        mail_operation(here, to, operation);
}

/* Where the next catalog record goes: it moves with each. */
static uint64_t journal_end(struct broker_shard *here)
{
    return here->node->log ? log_next_id(here->stage.stream) : 0;
}

void operation_apply(struct operation *operation, struct broker_shard *here,
                     struct catalog_command *command, struct catalog_result *result)
{
    uint64_t before = journal_end(here);

    BUG_ON(here->shard->id != CATALOG_SHARD, "catalog command on shard %u", here->shard->id);
    command->version = CATALOG_COMMAND_VERSION;
    command->vhost = operation->vhost->name;
    catalog_apply(here->node->catalog, command, result);
    here->catalog_changed = true;
    /* What was done and left no record is kept by nobody: it waits for nothing, not for a full disk either. What
     * was found undone may be so by a record that is under way. */
    if (result->status != CATALOG_DONE || journal_end(here) != before)
        operation_wait_for_catalog(operation, here);
}

static void finish(struct operation *operation, struct broker_shard *here)
{
    (void)here;
    if (operation->done)
        operation->done(operation, operation->session);
    mem_free(operation->ids);
    mem_free(operation->dying_all);
    mem_free(operation);
}

void operation_wait_for_catalog(struct operation *operation, struct broker_shard *here)
{
    operation->lsn = atomic_load(&here->node->catalog_lsn);
    operation->lsn_shard = CATALOG_SHARD;
}

static bool is_durable(const struct operation *operation, const struct broker_shard *here)
{
    const struct broker_shard *there = here->node->brokers[operation->lsn_shard];
    return operation->lsn == 0 || log_durable(there->stage.stream) >= operation->lsn;
}

static void tell_promised(struct broker_shard *here, void *moving)
{
    struct operation *operation = moving;

    (void)here;
    operation->promised(operation, operation->session);
}

/* The session may go on meanwhile. Its shard hears of this before it hears of the end: mail keeps its order. */
static void promise(struct operation *operation, struct broker_shard *here)
{
    if (!operation->promised || operation->was_promised || operation->refusal.code != 0)
        return;
    operation->was_promised = true;
    if (operation->origin == here->shard->id)
        tell_promised(here, operation);
    else
        broker_move(here, operation->origin, operation, tell_promised);
}

/* One that must not overtake goes where all that is promised waits, and waits behind it. */
static bool goes_behind(struct operation *operation, struct broker_shard *here)
{
    if (!operation->is_behind)
        return false;
    if (here->shard->id != CATALOG_SHARD) {
        operation_send(operation, here, CATALOG_SHARD, operation_return);
        return true;
    }
    operation->is_behind = false;
    if (here->waits.count == 0)
        return false;
    durable_operation(here, operation);
    promise(operation, here);
    return true;
}

void operation_return(struct operation *operation, struct broker_shard *here)
{
    if (goes_behind(operation, here))
        return;
    if (!is_durable(operation, here)) {
        if (here->shard->id == operation->lsn_shard) {
            durable_operation(here, operation);
            promise(operation, here);
        } else {
            operation_send(operation, here, operation->lsn_shard, operation_return);
        }
        return;
    }
    operation_send(operation, here, operation->origin, finish);
}

void operation_wait_commit(struct operation *operation, struct broker_shard *here)
{
    operation->next = here->after_commit;
    here->after_commit = operation;
}

void operation_resume_all(struct operation *list, struct broker_shard *here)
{
    while (list) {
        struct operation *operation = list;
        list = operation->next;
        operation->next = NULL;
        operation_send(operation, here, operation->origin, operation->step);
    }
}

/* ---- checks ---- */

int refuse_no_queue(struct refusal *refusal, struct str name, struct str vhost)
{
    return refuse(refusal, REFUSAL_NOT_FOUND, "no queue '%.*s' in vhost '%.*s'", STR_ARG(name),
                  STR_ARG(vhost));
}

int refuse_no_exchange(struct refusal *refusal, struct str name, struct str vhost)
{
    return refuse(refusal, REFUSAL_NOT_FOUND, "no exchange '%.*s' in vhost '%.*s'", STR_ARG(name),
                  STR_ARG(vhost));
}

int check_owner(const struct queue_record *queue, uint64_t connection, struct str vhost,
                struct refusal *refusal)
{
    if (!queue->exclusive || queue->owner == connection)
        return 0;
    return refuse(refusal, REFUSAL_RESOURCE_LOCKED,
                  "cannot obtain exclusive access to locked queue '%.*s' in vhost '%.*s'. It could "
                  "be originally declared on another connection or the exclusive property value "
                  "does not match that of the original declaration.",
                  STR_ARG(queue->name), STR_ARG(vhost));
}

int check_permission(const struct session *session, enum permission what, const char *kind,
                     struct str name, struct refusal *refusal)
{
    static const char *const words[] = {"configure", "write", "read"};
    /* The default exchange is matched as amq.default (reference, section 7). */
    struct str shown = name.len ? name : STR("amq.default");

    if (auth_may(session->identity, session->vhost->name, what, shown))
        return 0;
    return refuse(refusal, REFUSAL_ACCESS_REFUSED,
                  "%s access to %s '%.*s' in vhost '%.*s' refused for user '%.*s'", words[what],
                  kind, STR_ARG(shown), STR_ARG(session->vhost->name),
                  STR_ARG(identity_name(session->identity)));
}

static int find_readable(struct operation *operation, struct broker_shard *here)
{
    const struct queue_record *queue;

    if (check_permission(operation->session, PERMISSION_READ, "queue", operation->name,
                         &operation->refusal) != 0)
        return ERR_REFUSED;
    queue = view_find_queue(broker_view(here, operation->vhost), operation->name);
    if (!queue)
        return refuse_no_queue(&operation->refusal, operation->name, operation->vhost->name);
    operation->queue = queue->ref;
    return check_owner(queue, operation->owner, operation->vhost->name, &operation->refusal);
}

bool operation_finds_readable(struct operation *operation, struct broker_shard *here)
{
    if (find_readable(operation, here) == 0)
        return true;
    operation_return(operation, here);
    return false;
}
