/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for the end of what takes no message any more. Rare: an operation for each message will do. */
#include "broker/going.h"

#include "broker/deliver.h"
#include "broker/operation.h"
#include "storage/log.h"

/* What this thread sees of the catalog was logged before it was published, and noted with that. */
bool going_is_catalog_unsure(const struct broker_shard *here)
{
    const struct node *node = here->node;

    return node->log && log_durable(node->brokers[CATALOG_SHARD]->stage.stream) <
                            atomic_load(&node->catalog_lsn);
}

bool going_is_unsure(const struct broker_shard *here, struct queue_ref ref)
{
    const struct queue *queue = queue_find(&here->queues, ref);

    if (!queue)
        return going_is_catalog_unsure(here);
    return here->node->log && queue->state == QUEUE_DELETING && queue->settings.durable;
}

/* On the session's shard. When the log has failed nothing is promised any more. */
static void on_gone(struct operation *operation, struct session *none)
{
    const struct session_ref *to = &operation->reply_to;
    struct session *session = session_find(broker_of(shard_current), to->slot, to->generation);

    (void)none;
    if (session && operation->refusal.code == REFUSAL_NONE)
        session_confirmed(session, operation->position, 1);
}

static void wait_for_catalog(struct operation *operation, struct broker_shard *here)
{
    operation_wait_for_catalog(operation, here);
    operation_return(operation, here);
}

void going_confirm(struct broker_shard *here, const struct queue_ref *ref,
                   struct session_ref session, uint64_t seq)
{
    struct queue *queue = ref ? queue_find(&here->queues, *ref) : NULL;
    struct operation *operation = operation_new_internal(here, NULL, STR(""));

    operation->origin = session.shard;
    operation->reply_to = session;
    operation->position = seq;
    operation->done = on_gone;
    if (!queue) {
        wait_for_catalog(operation, here);
        return;
    }
    /* It takes nothing any more, but its deletion may not even be in the log. */
    operation->step = wait_for_catalog;
    operation->next = queue->waiters;
    queue->waiters = operation;
}
