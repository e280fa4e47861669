/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: the node's durable state gathered shard by shard, while everything goes on. */
#ifndef TOKKI_BROKER_CHECKPOINT_H
#define TOKKI_BROKER_CHECKPOINT_H

#include "broker/node.h"

struct checkpoint_run;

/* Begin one, if it is wanted and none is under way. Thread: CATALOG_SHARD's. */
void checkpoint_start_if_wanted(struct broker_shard *here);
/* A transaction that `here->draining` may have waited for has ended. */
void checkpoint_drained(struct broker_shard *here);
/* All shards have ended: a checkpoint that is the whole truth, so that the next start replays nothing. */
void checkpoint_at_stop(struct node *node);

#endif
