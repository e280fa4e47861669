/* SPDX-License-Identifier: Apache-2.0 */
/* Confirms of messages that nobody keeps because of a deletion or an unbind that is not durable yet. */
#ifndef TOKKI_BROKER_GOING_H
#define TOKKI_BROKER_GOING_H

#include "broker/node.h"

/* Would this queue of this shard be there again after a power cut now, though it takes nothing any more? A
 * confirm of a persistent message that it did not take must wait. */
bool going_is_unsure(const struct broker_shard *here, struct queue_ref queue);
/* The same of whatever the catalog does not have any more. */
bool going_is_catalog_unsure(const struct broker_shard *here);

/* Confirm publish `seq` of `session` (on any shard) when that is durable. `queue`: of this shard, or NULL for
 * what the catalog alone decides. */
void going_confirm(struct broker_shard *here, const struct queue_ref *queue,
                   struct session_ref session, uint64_t seq);

#endif
