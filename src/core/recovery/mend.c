/* SPDX-License-Identifier: Apache-2.0 */
/* --recover: catalog records whose predecessors were lost, and what is known of queues. */
#include "core/recovery/mend.h"

#include <inttypes.h>

/* How far a number that is made up here lies above all that were seen: records behind the damage carry numbers
 * in between. */
#define NUMBERS_APART (UINT64_C(1) << 40)

void mend_note_queues(struct recovery *recovery, const struct catalog_command *command)
{
    if (command->kind == CATALOG_QUEUE_DECLARE)
        recovery_queue(recovery, command->queue_declare.incarnation)->is_known = true;
    for (size_t i = 0; command->kind == CATALOG_QUEUES_DELETE && i < command->queues_delete.count;
         i++)
        recovery_queue(recovery, command->queues_delete.queues[i].incarnation)->is_known = true;
}

static enum catalog_status apply(struct recovery *recovery, const struct catalog_command *command)
{
    struct catalog_result result;
    catalog_apply(recovery->catalog, command, &result);
    return result.status;
}

/* ---- what was lost ---- */

static int add_vhost(struct recovery *recovery, const struct catalog_command *command)
{
    struct catalog_command add = {
        .version = CATALOG_COMMAND_VERSION,
        .kind = CATALOG_VHOST_ADD,
        .vhost = command->vhost,
        .vhost_add.incarnation = catalog_last_incarnation(recovery->catalog) + NUMBERS_APART,
    };

    (void)apply(recovery, &add);
    (void)apply(recovery, command);
    return recovery_bad(recovery, "the record of vhost '%.*s' is lost: it was added anew",
                        STR_ARG(command->vhost));
}

/* A queue of this name is there, and an older one: it had been deleted before. */
static int replace_queue(struct recovery *recovery, const struct catalog_command *command,
                         const struct queue_record *older)
{
    struct catalog_queue_id id = {command->queue_declare.name, older->ref.incarnation};
    struct catalog_command delete = {
        .version = CATALOG_COMMAND_VERSION,
        .kind = CATALOG_QUEUES_DELETE,
        .vhost = command->vhost,
        .queues_delete = {&id, 1},
    };

    if (id.incarnation >= command->queue_declare.incarnation)
        return 0; /* the record is older than the checkpoint */
    (void)apply(recovery, &delete);
    (void)apply(recovery, command);
    return recovery_bad(recovery, "the deletion of the queue '%.*s' before this one is lost",
                        STR_ARG(command->queue_declare.name));
}

static int replace_exchange(struct recovery *recovery, const struct catalog_command *command,
                            const struct exchange *older)
{
    struct catalog_command delete = {
        .version = CATALOG_COMMAND_VERSION,
        .kind = CATALOG_EXCHANGE_DELETE,
        .vhost = command->vhost,
        .exchange_delete.name = command->exchange_declare.name,
    };

    if (older->incarnation >= command->exchange_declare.incarnation)
        return 0;
    (void)apply(recovery, &delete);
    (void)apply(recovery, command);
    return recovery_bad(recovery, "the deletion of the exchange '%.*s' before this one is lost",
                        STR_ARG(command->exchange_declare.name));
}

static int existed(struct recovery *recovery, const struct catalog_command *command,
                   const struct catalog_result *result)
{
    if (command->kind == CATALOG_QUEUE_DECLARE)
        return replace_queue(recovery, command, result->queue);
    if (command->kind == CATALOG_EXCHANGE_DECLARE)
        return replace_exchange(recovery, command, result->exchange);
    return 0; /* a vhost or a binding that would have gone and come back */
}

static bool takes_away(const struct catalog_command *command)
{
    return command->kind == CATALOG_VHOST_DELETE || command->kind == CATALOG_EXCHANGE_DELETE ||
           command->kind == CATALOG_QUEUES_DELETE || command->kind == CATALOG_UNBIND;
}

int mend_catalog(struct recovery *recovery, const struct catalog_command *command,
                 const struct catalog_result *result)
{
    if (result->status != CATALOG_DONE && takes_away(command))
        return 0; /* what was to go is not there */
    switch (result->status) {
    case CATALOG_DONE:
    case CATALOG_MISSING:
        return 0;
    case CATALOG_EXISTED:
        return existed(recovery, command, result);
    case CATALOG_NO_VHOST:
        return add_vhost(recovery, command);
    case CATALOG_SOURCE_NOT_FOUND:
    case CATALOG_DESTINATION_NOT_FOUND:
    case CATALOG_IN_USE:
    case CATALOG_REFUSED:
        break;
    }
    return recovery_bad(recovery, "the binding of '%.*s' to '%.*s' is lost: one of them is missing",
                        STR_ARG(command->binding.source), STR_ARG(command->binding.destination));
}

/* ---- queues whose record was lost ---- */

/* Those of which not even a declaration or a deletion was seen. */
int mend_check(struct recovery *recovery)
{
    for (size_t i = 0; i < recovery->queue_capacity; i++) {
        struct recovered_queue *queue = recovery->queues[i];
        if (!queue || queue->is_known || (queue->count == queue->gone && queue->page_count == 0))
            continue;
        queue->is_known = true;
        return recovery_bad(recovery,
                            "queue %" PRIu64 ": its declaration is lost, and with it %zu messages"
                            " and %zu pages of them",
                            queue->incarnation, queue->count - queue->gone, queue->page_count);
    }
    return 0;
}
