/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's side of the spill: its log's events, and letting go of what nobody needs. */
#ifndef TOKKI_BROKER_SPILL_H
#define TOKKI_BROKER_SPILL_H

#include "broker/node.h"

/* `here` wants to spill: from the first time on any shard the spill takes room on the disk. Where there is none
 * it is tried again some seconds later, what would be spilled stays in memory. */
void spill_begin(struct broker_shard *here);
/* Hand over what this turn has staged for the spill. */
void spill_hand_over(struct broker_shard *here);
/* Find out what of it is needed, if that is due and not under way. Thread: CATALOG_SHARD's. */
void spill_sweep_if_wanted(struct broker_shard *here);
/* All shards have ended. */
void spill_stop(struct node *node);

#endif
