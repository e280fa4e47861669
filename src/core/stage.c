/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to records. */
#include "core/stage.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/queue/page.h"

/* Settles that wait for company are handed over when they have come to this. */
#define SUBMIT_BYTES (64U * 1024U)

static struct writer record(struct stage *stage, enum record_kind kind, uint32_t octets,
                            uint64_t *id)
{
    return writer_of(log_append(stage->stream, (uint8_t)kind, RECORD_VERSION, octets, id), octets);
}

static lsn_t end_record(const struct stage *stage, const struct writer *w)
{
    DEBUG_BUG_ON(w->failed || w->pos != w->end, "record of %zu octets was to have %zu",
                 writer_len(w), (size_t)(w->end - w->start));
    (void)w;
    return stage->stream->last;
}

static void command(struct stage *stage, struct writer *w, const struct queue_identity *queue)
{
    struct record_command command = {
        .incarnation = queue->incarnation,
        .epoch = queue->epoch,
        .sequence = ++*queue->sequence,
        .transaction = stage->transaction,
    };
    record_command_write(w, &command);
    if (UNLIKELY(stage->transaction != 0)) {
        stage->in_transaction = true;
        stage->is_urgent = true; /* the commit record, on another stream, must come behind it */
    }
}

/* ---- bodies ---- */

static uint64_t log_chunk(struct stage *stage, const uint8_t *octets, uint32_t n)
{
    uint64_t id;
    struct writer w = record(stage, RECORD_CHUNK, RECORD_CHUNK_FIXED + n, &id);
    record_chunk_write(&w, octets, n);
    return id;
}

/* Two chunks fill a part, whatever the size of a part is. */
static uint32_t chunk_max(const struct stage *stage)
{
    uint32_t part = log_record_max(stage->stream->log) + RECORD_HEADER_BYTES;
    return part / 2 / RECORD_ALIGN * RECORD_ALIGN - RECORD_HEADER_BYTES - RECORD_CHUNK_FIXED;
}

/* The chain's blocks are of any size; each is cut where it is too large for a record. */
static void log_chunks(struct stage *stage, struct message_shared *shared)
{
    uint32_t max = chunk_max(stage);
    uint32_t count = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < shared->chunk_count; i++)
        count += (shared->chunks[i].length + max - 1) / max;
    shared->logged_chunks = mem_alloc(count * sizeof *shared->logged_chunks);
    for (uint32_t i = 0; i < shared->chunk_count; i++) {
        const struct message_chunk *chunk = &shared->chunks[i];
        for (uint32_t at = 0; at < chunk->length; at += max)
            shared->logged_chunks[n++] =
                log_chunk(stage, chunk->block->data + at, MIN(max, chunk->length - at));
    }
    shared->logged_chunk_count = n;
}

static void prepare_chunks(struct stage *stage, const struct message *message)
{
    if ((message->flags & MESSAGE_CHAINED) && !message->shared->logged_chunks)
        log_chunks(stage, message->shared);
}

void stage_body(struct stage *stage, struct message *message)
{
    struct writer w;

    BUG_ON(!(message->flags & MESSAGE_SHARED), "a body that nobody shares");
    prepare_chunks(stage, message);
    w = record(stage, RECORD_BODY, record_body_size(message), &message->shared->body_id);
    record_body_write(&w, message);
    (void)end_record(stage, &w);
    stage->is_urgent = true;
}

static bool is_logged(const struct message *message)
{
    return (message->flags & MESSAGE_SHARED) && message->shared->body_id != 0;
}

static HOT void place(struct stage *stage, struct writer *w, const struct queue_identity *queue,
                      uint64_t position, const struct message *message)
{
    command(stage, w, queue);
    writer_u64(w, position);
    writer_u64(w, stage_wall_ms(stage, message->expires_ms));
}

/* What recovery must know of a body without reading it: how much it is, and where it begins. */
static void refer(struct writer *w, const struct message_shared *shared)
{
    uint32_t span = 0;

    if (shared->logged_chunk_count > 0)
        span = record_span_of(shared->body_id, shared->logged_chunks[0]);
    writer_u64(w, shared->body_id);
    writer_u32(w, shared->place.length);
    writer_u32(w, (uint32_t)MIN(shared->body_bytes, (uint64_t)UINT32_MAX));
    writer_u32(w, span);
    writer_u32(w, 0);
}

HOT lsn_t stage_enqueue(struct stage *stage, const struct queue_identity *queue, uint64_t position,
                        const struct message *message, uint64_t *body)
{
    struct writer w;
    uint64_t id;

    stage->is_urgent = true;
    if (UNLIKELY(is_logged(message))) {
        w = record(stage, RECORD_ENQUEUE_REF, RECORD_REF_BYTES, &id);
        place(stage, &w, queue, position, message);
        refer(&w, message->shared);
        *body = message->shared->body_id;
        return end_record(stage, &w);
    }
    prepare_chunks(stage, message);
    w = record(stage, RECORD_ENQUEUE, RECORD_COMMAND_BYTES + 16 + record_body_size(message), body);
    place(stage, &w, queue, position, message);
    record_body_write(&w, message);
    return end_record(stage, &w);
}

/* ---- the rest ---- */

lsn_t stage_settle(struct stage *stage, const struct queue_identity *queue, enum record_kind kind,
                   uint64_t first, uint64_t count)
{
    bool is_expiry = kind == RECORD_EXPIRE;
    uint64_t id;
    struct writer w = record(stage, kind, RECORD_COMMAND_BYTES + (is_expiry ? 24 : 16), &id);

    command(stage, &w, queue);
    log_settled(stage->stream, count);
    writer_u64(&w, first);
    writer_u64(&w, count);
    if (is_expiry)
        writer_u64(&w, clock_mono_ms() + stage->wall_offset_ms);
    return end_record(stage, &w);
}

void stage_delivered(struct stage *stage, uint64_t incarnation, uint64_t upto)
{
    uint64_t id;
    struct writer w = record(stage, RECORD_DELIVERED, 16, &id);

    writer_u64(&w, incarnation);
    writer_u64(&w, upto);
    (void)end_record(stage, &w);
    stage->is_urgent = true;
}

uint64_t stage_page(struct stage *stage, uint64_t incarnation, uint64_t first,
                    const struct record_page_entry *entries, uint32_t count)
{
    uint64_t id;
    struct writer w = record(stage, RECORD_PAGE, record_page_size(count), &id);

    record_page_write(&w, incarnation, first, entries, count);
    (void)end_record(stage, &w);
    return id;
}

/* A chained body gets chunks of its own: those it may have in the log belong to another queue's. */
static void spill_chunks(struct stage *stage, struct message *message)
{
    if (!(message->flags & MESSAGE_CHAINED))
        return;
    message->shared->logged_chunks = NULL;
    log_chunks(stage, message->shared);
}

uint64_t stage_spill(struct stage *stage, struct message *message, uint32_t *span)
{
    bool is_shared = (message->flags & MESSAGE_SHARED) != 0;
    uint64_t *chunks = is_shared ? message->shared->logged_chunks : NULL;
    uint32_t count = is_shared ? message->shared->logged_chunk_count : 0;
    uint64_t id;
    struct writer w;

    spill_chunks(stage, message);
    w = record(stage, RECORD_BODY, record_body_size(message), &id);
    record_body_write(&w, message);
    (void)end_record(stage, &w);
    *span = record_span(message, id);
    if (is_shared && message->shared->logged_chunks != chunks) {
        mem_free(message->shared->logged_chunks);
        message->shared->logged_chunks = chunks;
        message->shared->logged_chunk_count = count;
    }
    return id | SPILLED;
}

static lsn_t end_of_transactions(struct stage *stage, enum record_kind kind, uint64_t transaction)
{
    uint64_t id;
    struct writer w = record(stage, kind, 8, &id);

    writer_u64(&w, transaction);
    stage->is_urgent = true;
    return end_record(stage, &w);
}

lsn_t stage_commit(struct stage *stage, uint64_t transaction)
{
    return end_of_transactions(stage, RECORD_COMMIT, transaction);
}

lsn_t stage_undo(struct stage *stage, uint64_t transaction)
{
    return end_of_transactions(stage, RECORD_UNDO, transaction);
}

lsn_t stage_catalog(struct stage *stage, uint32_t octets, uint8_t **at)
{
    uint64_t id;
    struct writer w = record(stage, RECORD_CATALOG, octets, &id);

    *at = w.start;
    stage->is_urgent = true;
    return stage->stream->last;
}

bool stage_submit(struct stage *stage, bool is_due)
{
    uint32_t staged = stage->stream ? log_staged(stage->stream) : 0;

    if (staged == 0)
        return false;
    if (!stage->is_urgent && !is_due && staged < SUBMIT_BYTES)
        return true;
    log_submit(stage->stream);
    stage->is_urgent = false;
    return false;
}
