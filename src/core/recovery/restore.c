/* SPDX-License-Identifier: Apache-2.0 */
/* Entries and pages of a recovered queue, in the order of their positions. */
#include "core/recovery/restore.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "core/recovery/queue_model.h"

#include <stdio.h>
#include <string.h>

struct restoring {
    struct queue *queue;
    const struct recovered_queue *model;
    struct log *log;
    struct log_error *error;
};

/* ---- what can be read, after damage ---- */

static int read_record(struct restoring *restoring, uint64_t id, enum record_kind kind,
                       struct record_header *header, const uint8_t **payload)
{
    int rc = log_read(restoring->log, id, header, payload, restoring->error);

    if (rc == 0 && kind != 0 && header->kind != kind)
        rc = ERR_CORRUPT;
    return rc;
}

static int check_chunks(struct restoring *restoring, const struct record_body *body)
{
    for (uint32_t i = 0; i < body->chunk_count; i++) {
        struct record_header header;
        const uint8_t *payload;
        struct str octets;
        int rc = read_record(restoring, load_u64(body->chunk_ids + 8 * (size_t)i), RECORD_CHUNK,
                             &header, &payload);
        if (rc == 0)
            rc = record_chunk_read(payload, header.octets, &octets);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The chunk ids are copied: the next log_read takes their place. */
static int check_body(struct restoring *restoring, uint64_t id)
{
    struct record_header header;
    struct record_body body;
    const uint8_t *payload;
    uint8_t *ids;
    int rc = read_record(restoring, id, 0, &header, &payload);

    if (rc == 0)
        rc = record_message_read(header.kind, payload, header.octets, false, &body);
    if (rc != 0 || body.chunk_count == 0)
        return rc;
    ids = mem_alloc(8 * (size_t)body.chunk_count);
    memcpy(ids, body.chunk_ids, 8 * (size_t)body.chunk_count);
    body.chunk_ids = ids;
    rc = check_chunks(restoring, &body);
    mem_free(ids);
    return rc;
}

/* 0: it is there. ERR_NOT_FOUND: it is not, and that was reported. */
static int look_at(struct restoring *restoring, uint64_t id)
{
    int rc;

    if (!log_recovers(restoring->log))
        return 0;
    *restoring->error = (struct log_error){.reason = "a message is damaged"};
    rc = check_body(restoring, id);
    if (rc != ERR_CORRUPT && rc != ERR_NOT_FOUND)
        return rc;
    log_report(restoring->log, restoring->error);
    return ERR_NOT_FOUND;
}

/* ---- entries ---- */

static bool was_delivered(const struct restoring *restoring, uint64_t position)
{
    return !log_was_clean(restoring->log) && position < restoring->model->delivered;
}

static int restore_entry(struct restoring *restoring, const struct recovered_entry *entry)
{
    const struct stage *stage = restoring->queue->host->stage;
    struct message message = {
        .flags = MESSAGE_OUT | MESSAGE_PERSISTENT,
        .length = entry->image_len,
        .offset = entry->span,
        .body_bytes = entry->body_bytes,
        .expires_ms = stage_mono_ms(stage, entry->expires_ms),
    };
    int rc = look_at(restoring, entry->body);

    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc != 0)
        return rc;
    if (entry->is_redelivered || was_delivered(restoring, entry->position))
        message.flags |= MESSAGE_REDELIVERED;
    queue_restore(restoring->queue, entry->position, entry->body, &message);
    return 0;
}

/* ---- pages ---- */

/* After damage a page is taken apart, so that each of its messages can be looked at. */
static int restore_taken_apart(struct restoring *restoring, const struct recovered_page *page)
{
    struct record_page_entry entries[ENTRIES_PER_CHUNK];
    struct record_header header;
    const uint8_t *payload;
    int rc = read_record(restoring, page->page.id, RECORD_PAGE, &header, &payload);

    if (rc == 0)
        rc = record_page_read(payload, header.octets, restoring->model->incarnation, page->first,
                              entries, ENTRIES_PER_CHUNK);
    if (rc == ERR_CORRUPT || rc == ERR_NOT_FOUND) {
        log_report(restoring->log, restoring->error);
        return 0;
    }
    for (uint32_t i = bits_next(&page->page.live, 0); rc == 0 && i < ENTRIES_PER_CHUNK;
         i = bits_next(&page->page.live, i + 1)) {
        struct recovered_entry entry = {
            .position = page->first + i,
            .expires_ms = entries[i].expires_ms,
            .body = entries[i].body,
            .image_len = entries[i].image_len,
            .body_bytes = entries[i].body_bytes,
            .span = entries[i].span,
            .is_redelivered = bits_has(&page->page.redelivered, i),
        };
        rc = restore_entry(restoring, &entry);
    }
    return rc;
}

static int restore_page(struct restoring *restoring, const struct recovered_page *from)
{
    struct entry_page page = from->page;
    uint64_t delivered = log_was_clean(restoring->log) ? 0 : restoring->model->delivered;
    struct entry_bits marked;

    if (bits_count(&page.live) == 0)
        return 0;
    if (log_recovers(restoring->log))
        return restore_taken_apart(restoring, from);
    page.expires_ms = stage_mono_ms(restoring->queue->host->stage, page.expires_ms);
    if (delivered > from->first) {
        marked = bits_range(0, (uint32_t)MIN(delivered - from->first, (uint64_t)ENTRIES_PER_CHUNK));
        page.redelivered = bits_or(&page.redelivered, &marked);
    }
    queue_restore_page(restoring->queue, from->first, &page);
    return 0;
}

/* ---- a queue ---- */

/* Up to where it can be restored. */
static int find_end(struct restoring *restoring, uint64_t *end)
{
    const struct recovered_queue *model = restoring->model;

    *end = queue_model_end(model);
    if (*end == model->tail)
        return 0;
    *restoring->error = (struct log_error){0};
    snprintf(restoring->error->reason, sizeof restoring->error->reason,
             "queue %llu spans more than a queue can: it ends at %llu, not at %llu",
             (unsigned long long)model->incarnation, (unsigned long long)*end,
             (unsigned long long)model->tail);
    if (!log_recovers(restoring->log))
        return ERR_CORRUPT;
    log_report(restoring->log, restoring->error);
    return 0;
}

int restore_queue(struct queue *queue, const struct recovered_queue *model, struct log *log,
                  struct log_error *error)
{
    struct restoring restoring = {queue, model, log, error};
    size_t entry = 0;
    size_t page = 0;
    uint64_t end;
    int rc = find_end(&restoring, &end);

    while (rc == 0 && (entry < model->count || page < model->page_count)) {
        bool is_page =
            page < model->page_count &&
            (entry == model->count || model->pages[page].first < model->entries[entry].position);
        if (is_page && model->pages[page].first >= end)
            page++;
        else if (is_page)
            rc = restore_page(&restoring, &model->pages[page++]);
        else if (model->entries[entry++].is_gone || model->entries[entry - 1].position >= end)
            continue;
        else
            rc = restore_entry(&restoring, &model->entries[entry - 1]);
    }
    queue_restore_end(queue, end, model->sequence);
    queue->epoch = model->epoch;
    queue->marked = log_was_clean(log) ? 0 : model->delivered;
    return rc;
}
