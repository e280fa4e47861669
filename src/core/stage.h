/* SPDX-License-Identifier: Apache-2.0 */
/* Staging: where commands of queues and the catalog become records of the log. */
#ifndef TOKKI_CORE_STAGE_H
#define TOKKI_CORE_STAGE_H

#include "core/record.h"
#include "storage/log.h"

/* One shard's way into the log. Apply is apart from commit (architecture section 3): a local queue applies
 * when its command is staged, and only replies wait until the number that staging returned is durable.
 * What needs no record (a queue that is not durable, a transient message) is not staged.
 *
 * Owner: the broker's per-shard state. Thread: its shard. */
struct stage {
    struct log_stream *stream; /* NULL: nothing is kept, every number is 0 */
    uint64_t transaction;      /* commands staged now belong to it; 0: to none */
    bool in_transaction;       /* something of it was staged */
    uint64_t wall_offset_ms;   /* wall clock minus the shards' monotonic clock */
    /* Something staged should be durable soon. Settles alone may wait some milliseconds for company: to
     * lose one means a redelivery. */
    bool is_urgent;
};

/* The command header of a queue's next command. */
struct queue_identity {
    uint64_t incarnation;
    uint64_t epoch;
    uint64_t *sequence; /* the last one given; raised by each command */
};

static inline bool stage_keeps(const struct stage *stage)
{
    return stage->stream != NULL;
}

/* Log the body of a shared `message` apart from its queues, so that each only refers to it. */
void stage_body(struct stage *stage, struct message *message);
/* `message` is at `position`; `*body` becomes the identity of its body. A chained body is logged first, in chunks
 * of half a part. */
lsn_t stage_enqueue(struct stage *stage, const struct queue_identity *queue, uint64_t position,
                    const struct message *message, uint64_t *body);
/* [first, first + count) are gone, by `kind` RECORD_SETTLE or RECORD_EXPIRE. */
lsn_t stage_settle(struct stage *stage, const struct queue_identity *queue, enum record_kind kind,
                   uint64_t first, uint64_t count);
/* Positions below `upto` may have been delivered. */
void stage_delivered(struct stage *stage, uint64_t incarnation, uint64_t upto);
/* The identities of a chunk of a queue that leaves memory. Returns that of the record; it can be fetched from
 * now on, and nobody needs to wait for it. */
uint64_t stage_page(struct stage *stage, uint64_t incarnation, uint64_t first,
                    const struct record_page_entry *entries, uint32_t count);
/* A copy of a message that is not kept, for the spill's stage. Returns the identity of its body, with SPILLED;
 * `*span`: record.h. */
uint64_t stage_spill(struct stage *stage, struct message *message, uint32_t *span);
/* Everything staged under `transaction`, on whatever shard, counts from here on. */
lsn_t stage_commit(struct stage *stage, uint64_t transaction);
/* What transactions up to `transaction` have staged without a commit does not count, whatever follows. */
lsn_t stage_undo(struct stage *stage, uint64_t transaction);
/* Room for a catalog command of `octets`. */
lsn_t stage_catalog(struct stage *stage, uint32_t octets, uint8_t **at);

/* Hand over what is staged, when it is urgent or much. Returns true when something waits for company. */
bool stage_submit(struct stage *stage, bool is_due);

/* Clocks: entries carry the shard's, records the wall's; 0 stays 0. */
static inline uint64_t stage_wall_ms(const struct stage *stage, uint64_t mono_ms)
{
    return mono_ms ? mono_ms + stage->wall_offset_ms : 0;
}

/* The other way; a time before the clock began is due at once. */
static inline uint64_t stage_mono_ms(const struct stage *stage, uint64_t wall_ms)
{
    if (wall_ms == 0)
        return 0;
    return wall_ms > stage->wall_offset_ms ? wall_ms - stage->wall_offset_ms : 1;
}

#endif
