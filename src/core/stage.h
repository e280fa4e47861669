/* SPDX-License-Identifier: Apache-2.0 */
/* Staging: where commands of queues become records, and how far those are durable. */
#ifndef TOKKI_CORE_STAGE_H
#define TOKKI_CORE_STAGE_H

#include "core/message.h"
#include "core/ref.h"

/* The version of the queue commands below; a record keeps it, and old apply branches stay. */
#define QUEUE_COMMAND_VERSION 1

/* Numbers are part of the log format: never reused. */
enum queue_command_kind {
    QUEUE_ENQUEUE = 1, /* `message` at position `first` */
    QUEUE_SETTLE = 2,  /* [first, first + count) are gone: acknowledged, rejected or purged */
    QUEUE_REQUEUE = 3, /* [first, first + count) are ready again, at their old positions */
    QUEUE_EXPIRE = 4,  /* [first, first + count) expired at `time_ms` */
};

/* One change of a queue. Apply is apart from commit (architecture section 3): a local queue applies
 * when the command is staged and only replies wait until it is durable. */
struct queue_command {
    uint8_t version;
    uint8_t kind; /* enum queue_command_kind */
    struct queue_ref queue;
    uint64_t epoch; /* 0 on a queue that was never replicated (cluster.md, section 5) */
    uint64_t first;
    uint64_t count;
    uint64_t time_ms;
    const struct message *message; /* borrowed for the call */
};

/* A log sequence number: 0 is always durable. */
typedef uint64_t lsn_t;

/* The seam between queues and what keeps their commands. A queue that has nothing to keep (not
 * durable, or the message is transient) does not stage.
 *
 * Owner: main. Thread: `append` on any shard for that shard's queues. */
struct stage {
    /* Take a copy of the command into this turn's batch; returns the number to wait for. */
    lsn_t (*append)(struct stage *stage, struct shard *shard, const struct queue_command *command);
    /* Everything up to here is durable. */
    lsn_t (*durable)(struct stage *stage);
};

/* Keeps nothing: queues live in memory and every command is as durable as it will ever be. */
struct stage *stage_memory(void);

#endif
