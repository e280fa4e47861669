/* SPDX-License-Identifier: Apache-2.0 */
/* A queue's state names bodies and pages; pages name bodies; bodies name chunks. */
#include "core/recovery/marks.h"

#include "base/err.h"
#include "base/mem.h"
#include "core/queue/page.h"
#include "core/record.h"

/* Pages and bodies that are read at a time: 256 KiB of pages. */
#define READ_AT_ONCE 64U
/* Others that are looked at between two looks at what else the helper has to do. */
#define ENTRIES_AT_ONCE 16384U

struct marks {
    struct log_marker *marker;
    uint64_t incarnation;
    uint64_t *chained; /* bodies with chunks */
    uint32_t chained_count;
    uint32_t chained_capacity;
};

/* A page that the state names. */
struct named_page {
    uint64_t first; /* position */
    uint64_t id;
    struct entry_bits live;
};

/* ---- bodies ---- */

static void mark_body(struct marks *marks, uint64_t id, uint32_t image_len, uint32_t span)
{
    id &= ~SPILLED;
    log_mark(marks->marker, id, RECORD_COMMAND_BYTES + 16 + RECORD_BODY_FIXED + image_len);
    if (span == 0)
        return;
    if (marks->chained_count == marks->chained_capacity) {
        marks->chained_capacity = MAX(marks->chained_capacity * 2, READ_AT_ONCE);
        marks->chained =
            mem_resize(marks->chained, marks->chained_capacity * sizeof *marks->chained);
    }
    marks->chained[marks->chained_count++] = id;
}

static int mark_chunks(struct marks *marks, const struct log_fetched *record)
{
    struct record_body body;
    int rc = record->rc;

    if (rc == ERR_NOT_FOUND)
        return 0; /* the message has gone since */
    if (rc == 0)
        rc = record_message_read(record->header.kind, record->payload, record->header.octets,
                                 record->is_checked, &body);
    if (rc != 0 || body.chunk_count == 0)
        return rc;
    for (uint32_t i = 0; i < body.chunk_count; i++)
        log_mark(marks->marker, load_u64(body.chunk_ids + 8 * (size_t)i),
                 (uint32_t)MIN(RECORD_CHUNK_FIXED + body.body_bytes / body.chunk_count,
                               (uint64_t)LOG_PART_BYTES));
    return 0;
}

static int mark_chained(struct marks *marks)
{
    int rc = 0;

    for (uint32_t at = 0; at < marks->chained_count && rc == 0; at += READ_AT_ONCE) {
        uint32_t count = MIN(marks->chained_count - at, READ_AT_ONCE);
        const struct log_fetched *records =
            log_mark_read(marks->marker, marks->chained + at, count);
        for (uint32_t i = 0; i < count && rc == 0; i++)
            rc = mark_chunks(marks, &records[i]);
    }
    marks->chained_count = 0;
    return rc;
}

/* ---- pages ---- */

static int mark_page(struct marks *marks, const struct named_page *page,
                     const struct log_fetched *record)
{
    struct record_page_entry entries[ENTRIES_PER_CHUNK];
    int rc = record->rc;

    if (rc == 0 && record->header.kind != RECORD_PAGE)
        rc = ERR_CORRUPT;
    if (rc == 0)
        rc = record_page_read(record->payload, record->header.octets, marks->incarnation,
                              page->first, entries, ENTRIES_PER_CHUNK);
    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK && rc == 0; i++)
        if (bits_has(&page->live, i) && entries[i].body != 0)
            mark_body(marks, entries[i].body, entries[i].image_len, entries[i].span);
    return rc;
}

static int mark_pages(struct marks *marks, const struct named_page *pages, uint32_t count)
{
    uint64_t ids[READ_AT_ONCE] = {0};
    const struct log_fetched *records;
    int rc = 0;

    for (uint32_t i = 0; i < count; i++) {
        ids[i] = pages[i].id;
        log_mark(marks->marker, ids[i], record_page_size(ENTRIES_PER_CHUNK));
    }
    records = log_mark_read(marks->marker, ids, count);
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = mark_page(marks, &pages[i], &records[i]);
    return rc == 0 ? mark_chained(marks) : rc;
}

/* ---- states ---- */

static void read_entry(struct marks *marks, struct cursor *in)
{
    uint64_t id;
    uint32_t image_len;
    uint32_t span;

    (void)cursor_bytes(in, 16);
    id = cursor_u64(in);
    image_len = cursor_u32(in);
    (void)cursor_u32(in);
    span = cursor_u32(in);
    (void)cursor_u32(in);
    if (!in->failed)
        mark_body(marks, id, image_len, span);
}

/* At most READ_AT_ONCE, of `octets` each, which begin alike in both kinds of states. */
static int read_pages(struct marks *marks, struct cursor *in, uint32_t count, uint32_t octets)
{
    struct named_page pages[READ_AT_ONCE];

    for (uint32_t i = 0; i < count; i++) {
        pages[i].first = cursor_u64(in);
        pages[i].id = cursor_u64(in);
        pages[i].live.word[0] = cursor_u64(in);
        pages[i].live.word[1] = cursor_u64(in);
        (void)cursor_bytes(in, octets - 32);
    }
    if (in->failed)
        return ERR_CORRUPT;
    return count > 0 ? mark_pages(marks, pages, count) : 0;
}

/* Some of the `entries` and `pages` that follow, from the `done`th on. */
static int read_some(struct marks *marks, struct cursor *in, uint32_t entries, uint32_t pages,
                     uint64_t *done)
{
    bool is_entry = *done < entries;
    uint64_t skipped =
        is_entry ? *done * RECORD_STATE_ENTRY
                 : (uint64_t)entries * RECORD_STATE_ENTRY + (*done - entries) * RECORD_STATE_PAGE;
    uint64_t left = is_entry ? entries - *done : (uint64_t)entries + pages - *done;
    uint32_t count = (uint32_t)MIN(left, (uint64_t)(is_entry ? ENTRIES_AT_ONCE : READ_AT_ONCE));
    int rc = 0;

    (void)cursor_bytes(in, skipped);
    for (uint32_t i = 0; is_entry && i < count; i++)
        read_entry(marks, in);
    if (!is_entry)
        rc = read_pages(marks, in, count, RECORD_STATE_PAGE);
    *done += rc == 0 ? count : 0;
    return rc;
}

static int end_marks(struct marks *marks, const struct cursor *in, int rc, bool has_more)
{
    if (rc == 0)
        rc = mark_chained(marks);
    mem_free(marks->chained);
    if (rc == 0 && in->failed)
        return ERR_CORRUPT;
    return rc == 0 && has_more ? ERR_AGAIN : rc;
}

int marks_of_record(struct log_marker *marker, const struct record_header *header,
                    const uint8_t *payload)
{
    struct marks marks = {.marker = marker};
    struct cursor in = cursor_of(payload, header->octets);
    uint64_t *done = log_mark_progress(marker);
    uint32_t entries;
    uint32_t pages;
    int rc;

    if (header->kind != RECORD_QUEUE_STATE)
        return 0;
    marks.incarnation = cursor_u64(&in);
    (void)cursor_bytes(&in, RECORD_STATE_FIXED - 16);
    entries = cursor_u32(&in);
    pages = cursor_u32(&in);
    rc = read_some(&marks, &in, entries, pages, done);
    return end_marks(&marks, &in, rc, *done < (uint64_t)entries + pages);
}

/* ---- the spill ---- */

static void read_spilled_bodies(struct marks *marks, struct cursor *in, uint32_t count)
{
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        uint64_t id = cursor_u64(in);
        uint32_t image_len = cursor_u32(in);
        uint32_t span = cursor_u32(in);
        if (!in->failed)
            mark_body(marks, id, image_len, span);
    }
}

/* Bodies at once, then some pages each time. */
int marks_of_spill(struct log_marker *marker, const struct record_header *header,
                   const uint8_t *payload)
{
    struct marks marks = {.marker = marker};
    struct cursor in = cursor_of(payload, header->octets);
    uint64_t *done = log_mark_progress(marker);
    uint32_t bodies;
    uint32_t pages;
    uint32_t count;
    int rc;

    if (header->kind != RECORD_SPILL_STATE)
        return 0;
    marks.incarnation = cursor_u64(&in);
    bodies = cursor_u32(&in);
    pages = cursor_u32(&in);
    if (*done == 0)
        read_spilled_bodies(&marks, &in, bodies);
    else
        (void)cursor_bytes(&in, (uint64_t)bodies * RECORD_SPILL_BODY);
    (void)cursor_bytes(&in, *done * RECORD_SPILL_PAGE);
    count = (uint32_t)MIN(pages - *done, (uint64_t)READ_AT_ONCE);
    rc = read_pages(&marks, &in, count, RECORD_SPILL_PAGE);
    *done += rc == 0 ? count : 0;
    return end_marks(&marks, &in, rc, *done < pages);
}
