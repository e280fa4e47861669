/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms: memory above the watermark blocks publishers until it is below again. */
#ifndef TOKKI_BROKER_ALARM_H
#define TOKKI_BROKER_ALARM_H

#include "broker/node.h"

/* Set or clear one; returns whether that changed it. Any thread. */
bool alarm_change(struct node *node, enum alarm alarm, bool on);

/* Publish this shard's use and look at the sum; once a turn. */
void alarm_measure(struct broker_shard *broker);

/* Let blocked connections look whether they may go on. */
void alarm_recheck(struct broker_shard *broker);

/* Periodic look of a shard that has blocked connections. */
void alarm_on_timer(struct timer *timer);

/* RabbitMQ's reason in connection.blocked for these alarms: "low on memory". */
const char *alarm_reason(uint32_t alarms);

/* Bytes that count: messages, buffers, unfinished contents, of all shards. Any thread. */
uint64_t node_bytes_in_use(const struct node *node);
/* Octets of messages and entries in memory: what paging keeps within limits. */
uint64_t node_queue_bytes(const struct node *node);

/* 40 % of this machine's memory, or of the cgroup's limit when that is less. */
uint64_t memory_limit_default(void);
/* This machine's memory, or the cgroup's limit when that is less, bytes. */
uint64_t memory_total(void);

#endif
