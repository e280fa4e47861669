/* SPDX-License-Identifier: Apache-2.0 */
/* Writing states. recovery.c reads them. */
#include "core/recovery/state.h"

#include "base/bug.h"
#include "core/catalog/command_codec.h"

/* Entries per record: 24 KiB. */
#define ENTRIES_PER_RECORD 1024U

/* ---- queues ---- */

static struct writer begin_state(struct log_gather *gather, const struct queue *queue,
                                 uint32_t count, bool is_last)
{
    uint32_t octets = RECORD_STATE_FIXED + count * RECORD_STATE_ENTRY;
    struct writer w =
        writer_of(log_gather_record(gather, RECORD_QUEUE_STATE, RECORD_VERSION, octets), octets);

    writer_u64(&w, queue->ref.incarnation);
    writer_u64(&w, queue->sequence);
    writer_u64(&w, is_last ? queue->entries.tail : 0);
    writer_u64(&w, queue->marked);
    writer_u64(&w, queue->epoch);
    writer_u32(&w, count);
    writer_u32(&w, 0);
    return w;
}

static void note_live(struct log_gather *gather, const struct message *message, uint64_t body)
{
    log_gather_live(gather, body);
    if (!(message->flags & MESSAGE_SHARED))
        return;
    for (uint32_t i = 0; i < message->shared->logged_chunk_count; i++)
        log_gather_live(gather, message->shared->logged_chunks[i]);
}

/* Delivered and not settled: whoever gets it after a restart gets it again. */
static bool is_redelivered(const struct message *message)
{
    return message->state == MESSAGE_UNACKED || (message->flags & MESSAGE_REDELIVERED);
}

/* The position of the next kept entry at or behind `from`, or the tail. */
static uint64_t next_kept(const struct queue *queue, uint64_t from)
{
    uint64_t p = entries_next_live(&queue->entries, from);
    while (p < queue->entries.tail && entries_body(&queue->entries, p) == 0)
        p = entries_next_live(&queue->entries, p + 1);
    return p;
}

static uint32_t count_kept(const struct queue *queue, uint64_t from)
{
    uint32_t count = 0;
    for (uint64_t p = next_kept(queue, from); p < queue->entries.tail && count < ENTRIES_PER_RECORD;
         p = next_kept(queue, p + 1))
        count++;
    return count;
}

static uint64_t write_entry(struct log_gather *gather, const struct stage *stage,
                            const struct queue *queue, uint64_t position, struct writer *w)
{
    const struct message *message = entries_at(&queue->entries, position);
    uint64_t body = entries_body(&queue->entries, position);

    writer_u64(w, position | (is_redelivered(message) ? RECORD_REDELIVERED : 0));
    writer_u64(w, stage_wall_ms(stage, message->expires_ms));
    writer_u64(w, body);
    note_live(gather, message, body);
    return position + 1;
}

static uint64_t write_queue(struct log_gather *gather, const struct stage *stage,
                            const struct queue *queue)
{
    uint64_t position = 0;
    uint64_t written = 0;
    uint32_t count;

    do {
        struct writer w;
        count = count_kept(queue, position);
        w = begin_state(gather, queue, count, count < ENTRIES_PER_RECORD);
        for (uint32_t i = 0; i < count; i++)
            position = write_entry(gather, stage, queue, next_kept(queue, position), &w);
        BUG_ON(w.failed || w.pos != w.end, "queue state of %zu octets", writer_len(&w));
        written += count;
    } while (count == ENTRIES_PER_RECORD);
    return written;
}

uint32_t state_write_queues(struct log_gather *gather, const struct queue_host *host, uint32_t slot,
                            uint32_t slots, uint64_t max_entries)
{
    uint64_t written = 0;

    for (; slot < slots; slot++) {
        struct queue *queue = queue_table_get(host->table, slot);
        if (!queue || !queue->settings.durable || queue->sequence == 0)
            continue;
        if (written > max_entries)
            return slot;
        written += 1 + write_queue(gather, host->stage, queue);
    }
    return 0;
}

/* ---- the catalog ---- */

static void write_command(void *context, const struct catalog_command *command)
{
    struct log_gather *gather = context;
    uint32_t octets = (uint32_t)catalog_command_size(command);
    struct writer w =
        writer_of(log_gather_record(gather, RECORD_CATALOG, RECORD_VERSION, octets), octets);

    catalog_command_encode(command, &w);
    BUG_ON(w.failed, "catalog command of kind %u for a checkpoint", command->kind);
}

void state_write_catalog(struct log_gather *gather, const struct catalog *catalog,
                         uint64_t captured, uint64_t last_transaction)
{
    struct writer w =
        writer_of(log_gather_record(gather, RECORD_CATALOG_STATE, RECORD_VERSION, 24), 24);

    writer_u64(&w, captured);
    writer_u64(&w, catalog_last_incarnation(catalog));
    writer_u64(&w, last_transaction);
    catalog_emit(catalog, write_command, gather);
}
