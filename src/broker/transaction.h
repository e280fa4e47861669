/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions in the log: all or nothing over every queue on every shard that one commit touches. */
#ifndef TOKKI_BROKER_TRANSACTION_H
#define TOKKI_BROKER_TRANSACTION_H

#include "broker/operation.h"

/* What this session publishes and settles from here on is one transaction, until transaction_end. Both in
 * one go of the session's shard. */
void transaction_begin(struct session *session);
/* `barrier` is the operation that ends it (operation_barrier starts it): done when every shard has staged
 * its part, behind them stands the commit record, and that is durable. */
void transaction_end(struct session *session, struct operation *barrier);

/* The commit record, when there is anything to commit. The barrier's, at its end. */
void transaction_commit(struct operation *barrier, struct broker_shard *here);

/* Work of the transaction that runs here goes to shard `to`: that shard is told before. */
void transaction_reaches(struct broker_shard *here, uint16_t to);
/* It came: what `from` sends belongs to the transaction (0: to none again). */
void transaction_from(struct broker_shard *here, uint16_t from, uint64_t transaction);
/* Around handling one mail of `from`. */
void transaction_enter(struct broker_shard *here, uint16_t from);
void transaction_leave(struct broker_shard *here);

/* Have all transactions up to `limit` that were begun on this shard ended? */
bool transactions_are_over(const struct broker_shard *here, uint64_t limit);

#endif
