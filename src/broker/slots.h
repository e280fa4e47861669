/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of the shards' queue tables. Thread: the catalog's writer. */
#ifndef TOKKI_BROKER_SLOTS_H
#define TOKKI_BROKER_SLOTS_H

#include "broker/node.h"

/* A free slot, counted as a queue of that shard. */
MUST_CHECK uint32_t slot_take(struct node *node, uint16_t shard);
/* Clear the slot and take it back. */
void slot_give(struct node *node, uint16_t shard, uint32_t slot);

#endif
