/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the classic queue share: the ready messages in order, and runs for the log. */
#ifndef TOKKI_CORE_QUEUE_CLASSIC_INTERNAL_H
#define TOKKI_CORE_QUEUE_CLASSIC_INTERNAL_H

#include "core/queue/queue.h"

/* ---- records ---- */

static inline bool is_kept(const struct queue *queue, const struct message *message)
{
    return UNLIKELY(queue->settings.durable && (message->flags & MESSAGE_PERSISTENT)) &&
           stage_keeps(queue->host->stage);
}

static inline struct queue_identity identity_of(struct queue *queue)
{
    return (struct queue_identity){queue->ref.incarnation, queue->epoch, &queue->sequence};
}

/* A run of kept positions that are gone: one record. */
struct gone_run {
    enum record_kind kind;
    uint64_t first;
    uint64_t count;
    lsn_t lsn;
};

/* [first, first + count), kept ones, are gone. */
void note_gone_run(struct queue *queue, struct gone_run *run, uint64_t first, uint64_t count);
/* Stage what was noted. */
void flush_gone(struct queue *queue, struct gone_run *run);

static inline void note_gone(struct queue *queue, struct gone_run *run, uint64_t position,
                             const struct message *message)
{
    if (UNLIKELY(is_kept(queue, message)))
        note_gone_run(queue, run, position, 1);
}

/* Take `gone`, of which none is unacknowledged unless it was settled, out of a page. It may be given back. */
void take_from_page(struct queue *queue, struct entry_page *page, uint64_t number,
                    const struct entry_bits *gone, struct gone_run *run);

/* ---- entries ---- */

/* An entry whose bytes are out goes. */
void note_out_gone(struct queue *queue, uint64_t position, const struct message *message);

/* An entry goes while there is a spill, which may have it: its cleaner counts. */
void note_spilled_gone(struct queue *queue, uint64_t position);

/* Forget an entry and release its bytes. */
static inline void drop(struct queue *queue, uint64_t position, const struct message *message)
{
    if (UNLIKELY(message->flags & MESSAGE_OUT))
        note_out_gone(queue, position, message);
    if (UNLIKELY(queue->host->spill != NULL) && !is_kept(queue, message))
        note_spilled_gone(queue, position);
    message_unref(queue->host->shard, &queue->host->descriptors, message);
    entries_drop(&queue->entries, &queue->host->store, position);
    queue->host->messages--;
}

/* The first of `returned` that is still ready; those before it, which have expired, are forgotten. False: none is. */
bool first_returned(struct queue *queue, uint64_t *position);

/* Where the first ready message is; its entry may be in a page, or its bytes out. */
static inline bool first_ready(struct queue *queue, uint64_t *position)
{
    if (UNLIKELY(queue->returned.count > 0) && first_returned(queue, position))
        return true;
    if (queue->ready == 0) {
        queue->next = queue->entries.tail;
        queue->has_gaps = false;
        return false;
    }
    if (UNLIKELY(queue->has_gaps))
        queue->next = entries_next_live(&queue->entries, queue->next);
    *position = queue->next;
    return true;
}

/* `position` is what first_ready found. */
static inline void take_first(struct queue *queue, uint64_t position, const struct message *message)
{
    queue->ready--;
    queue->ready_bytes -= message->body_bytes;
    if (UNLIKELY(queue->returned.count > 0))
        returned_take_lowest(&queue->returned);
    else
        queue->next = position + 1;
}

static inline bool is_expired(const struct queue *queue, const struct message *message)
{
    return UNLIKELY(message->expires_ms != 0) && message->expires_ms <= queue->host->shard->now_ms;
}

/* classic_expire.c: drop what has expired at the head. */
void expire_head(struct queue *queue);
/* An entry in memory is ready, and expires. */
void arm_entry(struct queue *queue, uint64_t position, uint64_t expires_ms);
/* Entries of a page are ready, some of which may expire. */
void arm_page(struct queue *queue, struct entry_page *page);

/* classic_settle.c */
lsn_t classic_settle(struct queue *queue, uint64_t first, uint64_t count,
                     enum queue_settle_how how);
uint64_t classic_purge(struct queue *queue, lsn_t *lsn);
void classic_clear(struct queue *queue);

#endif
