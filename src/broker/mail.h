/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's mail between shards: one 64-byte entry per publish, delivery, settle, confirm. */
#ifndef TOKKI_BROKER_MAIL_H
#define TOKKI_BROKER_MAIL_H

#include "broker/session.h"

/* Senders. Each fills one mailbox entry; none fails or blocks. */
void mail_operation(struct broker_shard *from, uint16_t to, struct operation *operation);
/* A message for a queue of another shard; takes its reference. `seq` 0: no confirm asked. */
void mail_publish(struct session *from, struct queue_ref queue, struct message *message,
                  uint64_t seq);
/* A delivery to a consumer of another shard. */
void mail_deliver(struct broker_shard *from, const struct consumer *consumer,
                  struct message *message, uint64_t position);
void mail_settle(struct broker_shard *from, const struct ledger_run *run,
                 enum queue_settle_how how);
/* The session can take `window` more deliveries of this consumer. */
void mail_credit(struct broker_shard *from, uint16_t to, struct consumer_ref consumer,
                 uint32_t window);
void mail_cancelled(struct broker_shard *from, const struct consumer *consumer);
/* A direct reply to a session of another shard; takes the message's reference. */
void mail_reply(struct broker_shard *from, struct session_ref to, uint64_t token,
                struct message *message);
/* Publishes of a session of another shard were taken by a queue here; sent in runs. */
void mail_confirm_later(struct broker_shard *from, uint16_t to, uint32_t slot, uint32_t generation,
                        uint64_t seq);
void mail_flush_confirms(struct broker_shard *from);
/* One run at once. */
void mail_confirm(struct broker_shard *from, const struct confirm_run *run);
/* What follows on this way belongs to `transaction`; 0: to none again. */
void mail_transaction(struct broker_shard *from, uint16_t to, uint64_t transaction);

/* Receiver: shard_hooks.mail. */
void mail_receive(struct shard *shard, uint16_t from, const void *entry);

#endif
