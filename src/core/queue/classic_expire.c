/* SPDX-License-Identifier: Apache-2.0 */
/* The classic queue: expiry of messages. */
#include "core/queue/classic_internal.h"
#include "core/queue/loader.h"

void expire_head(struct queue *queue)
{
    struct gone_run gone = {.kind = RECORD_EXPIRE};
    uint64_t position;

    while (first_ready(queue, &position)) {
        struct message *message = entries_at(&queue->entries, position);
        if (!message || !is_expired(queue, message))
            break;
        note_gone(queue, &gone, position, message);
        take_first(queue, position, message);
        drop(queue, position, message);
        queue->stats.expired++;
    }
    flush_gone(queue, &gone);
}

void arm_expiry(struct queue *queue)
{
    const struct entry_page *page;
    const struct message *message;
    uint64_t due;
    uint64_t position;

    if (!first_ready(queue, &position))
        return;
    message = entries_at(&queue->entries, position);
    page = message ? NULL : entries_page(&queue->entries, position);
    due = message ? message->expires_ms : page->expires_ms;
    if (page && due != 0 && due <= queue->host->shard->now_ms) {
        queue_load(queue, position, false); /* which of them it is, the page says */
        return;
    }
    if (due != 0 && queue->expiry.due_ms != due)
        timer_start(&queue->host->shard->timers, &queue->expiry, due);
}
