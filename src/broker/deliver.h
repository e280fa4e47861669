/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving ends of deliveries, settles and confirms that crossed shards. */
#ifndef TOKKI_BROKER_DELIVER_H
#define TOKKI_BROKER_DELIVER_H

#include "broker/session.h"

/* Deliveries that may be on their way to a consumer of another shard. Half of it is granted again
 * when that much has been written; 256 entries of 64 bytes cross in one mailbox publish. */
#define REMOTE_WINDOW 256U

/* Callbacks of consumers that live on the session's own shard / on another. */
extern const struct consumer_events local_consumer_events;
extern const struct consumer_events remote_consumer_events;
extern const uint8_t remote_consumer_gate; /* always open: the window rules */

/* A delivery for a session here. `message` is borrowed. The subscription is alive: a session ends only
 * after its consumers' shards have answered the cancel, and mail keeps its order. */
void deliver_from_afar(struct subscription *subscription, struct message *message,
                       uint64_t position);
void cancelled_from_afar(struct broker_shard *here, uint32_t slot, uint32_t generation,
                         uint32_t subscription);
/* A direct reply; takes the message's reference, also when nobody waits for it. */
void deliver_reply(struct broker_shard *here, struct session_ref to, uint64_t token,
                   struct message *message);
/* Give a message (takes its reference) to a queue of this shard; dropped when that is gone or going.
 * Returns what its confirm waits for. */
lsn_t enqueue_here(struct broker_shard *here, struct queue_ref queue,
                   const struct message *message);
/* Settle a run at a queue of this shard. */
void settle_here(struct broker_shard *here, const struct ledger_run *run,
                 enum queue_settle_how how);
/* Queues have taken these publishes. */
void session_confirmed(struct session *session, uint64_t first, uint64_t count);

/* Give the subscription's queue the right to send more, when some was used and the gate is open. */
void subscription_grant(struct subscription *subscription);

/* Direct reply-to addresses: "amq.rabbitmq.reply-to." and the session, scrambled by its token. */
#define REPLY_TO_NAME "amq.rabbitmq.reply-to"
#define REPLY_TO_PREFIX REPLY_TO_NAME "."
#define REPLY_TO_MAX 96
struct str reply_address_format(const struct session *session, char text[REPLY_TO_MAX]);
/* False when `address` is no such address. */
MUST_CHECK bool reply_address_parse(struct str address, struct session_ref *to, uint64_t *token);
/* Does the requester, whose session is on this shard, still wait? */
bool reply_address_lives(struct broker_shard *here, struct session_ref to, uint64_t token);

#endif
