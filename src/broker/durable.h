/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that wait for the log: confirms and operations of one shard, in the order of its records. */
#ifndef TOKKI_BROKER_DURABLE_H
#define TOKKI_BROKER_DURABLE_H

#include "broker/node.h"

/* Hand the shard's staged records over; before any other shard can see their effects. `is_due`: also those
 * that may wait for company. Returns true when some still wait. */
bool durable_hand_over(struct broker_shard *broker, bool is_due);

/* Confirm publish `seq` of a session (on shard `to`) when `lsn`, a record of this shard, is durable. */
void durable_confirm(struct broker_shard *broker, lsn_t lsn, struct session_ref session,
                     uint64_t seq);
/* Send `operation` back when its lsn, a record of this shard, is durable. */
void durable_operation(struct broker_shard *broker, struct operation *operation);

/* Let go what has become durable. When the log has failed: operations return with an error, confirms
 * never leave. Called at the fixed points of a turn. */
void durable_release(struct broker_shard *broker);

/* Is so much on its way to the disk that publishers should wait? */
bool durable_is_behind(const struct broker_shard *broker);

void durable_on_timer(struct timer *timer);

void durable_fini(struct broker_shard *broker);

#endif
