/* SPDX-License-Identifier: Apache-2.0 */
/* Writing states. recovery.c reads them. */
#include "core/recovery/state.h"

#include "base/bug.h"
#include "core/catalog/command_codec.h"
#include "storage/format.h"

/* Of one record: 40 and 80 KiB. */
#define ENTRIES_PER_RECORD 1024U
#define PAGES_PER_RECORD 1024U
/* A chunk in memory takes about as long as so many pages. */
#define LOOK_CHUNK 16U
/* What a record has beside the octets of its message, about. */
#define BODY_OVERHEAD 128U

/* ---- queues ---- */

/* What goes into one record: positions of entries, and of the first of each page. */
struct state_part {
    uint64_t next; /* where the next record begins */
    uint32_t entries;
    uint32_t pages;
    uint64_t looked; /* at pages, and entries in memory */
    uint64_t entry_at[ENTRIES_PER_RECORD];
    uint64_t page_at[PAGES_PER_RECORD];
};

/* A chunk in memory is written entry by entry, so its page, if it ever was one, is not needed any more and may
 * be gone when it leaves memory the next time. The cleaner, which counts messages, takes it for as many. */
static void forget_page(const struct queue *queue, struct entry_chunk *chunk)
{
    if (chunk->page == 0 || (chunk->page & SPILLED))
        return; /* that is the spill's sweep's */
    log_settled(queue->host->stage->stream, ENTRIES_PER_CHUNK);
    chunk->page = 0;
}

static bool is_in_log(uint64_t body)
{
    return body != 0 && !(body & SPILLED);
}

/* A record ends with a chunk, which may be a page when the next one is written. */
static bool is_full(const struct state_part *part, uint64_t max_items)
{
    return part->entries + ENTRIES_PER_CHUNK > ENTRIES_PER_RECORD ||
           part->pages == PAGES_PER_RECORD || part->looked >= max_items;
}

static void choose_entries(const struct queue *queue, uint64_t from, struct state_part *part)
{
    const struct entries *entries = &queue->entries;
    uint64_t end = (from / ENTRIES_PER_CHUNK + 1) * ENTRIES_PER_CHUNK;

    forget_page(queue, entries_chunk(entries, from));
    for (uint64_t p = from; p < end && p < entries->tail; p = entries_next_live(entries, p + 1))
        if (is_in_log(entries_body(entries, p)))
            part->entry_at[part->entries++] = p;
}

static void choose(const struct queue *queue, uint64_t from, uint64_t max_items,
                   struct state_part *part)
{
    const struct entries *entries = &queue->entries;
    uint64_t p = entries_next_live(entries, from);

    part->entries = 0;
    part->pages = 0;
    part->looked = 0;
    while (p < entries->tail && !is_full(part, max_items)) {
        uint64_t base = p - p % ENTRIES_PER_CHUNK;
        const struct entry_page *page = entries_page(entries, p);
        part->looked += page ? 1 : LOOK_CHUNK;
        if (!page)
            choose_entries(queue, p, part);
        else if (!(page->id &
                   SPILLED)) /* even if only transient ones are left: the page is needed */
            part->page_at[part->pages++] = base;
        p = entries_next_live(entries, base + ENTRIES_PER_CHUNK);
    }
    part->next = p;
}

static struct writer begin_state(struct log_gather *gather, const struct queue *queue,
                                 const struct state_part *part)
{
    uint32_t octets =
        RECORD_STATE_FIXED + part->entries * RECORD_STATE_ENTRY + part->pages * RECORD_STATE_PAGE;
    struct writer w =
        writer_of(log_gather_record(gather, RECORD_QUEUE_STATE, RECORD_VERSION, octets), octets);
    bool is_last = part->next == queue->entries.tail;

    writer_u64(&w, queue->ref.incarnation);
    writer_u64(&w, queue->sequence);
    writer_u64(&w, is_last ? queue->entries.tail : 0);
    writer_u64(&w, queue->marked);
    writer_u64(&w, queue->epoch);
    writer_u32(&w, part->entries);
    writer_u32(&w, part->pages);
    return w;
}

/* Delivered and not settled: whoever gets it after a restart gets it again. */
static bool is_redelivered(const struct message *message)
{
    return message->state == MESSAGE_UNACKED || (message->flags & MESSAGE_REDELIVERED);
}

static void write_entry(struct log_gather *gather, const struct stage *stage,
                        const struct queue *queue, uint64_t position, struct writer *w)
{
    const struct message *message = entries_at(&queue->entries, position);
    uint64_t body = entries_body(&queue->entries, position);
    uint32_t span = record_span(message, body);

    writer_u64(w, position | (is_redelivered(message) ? RECORD_REDELIVERED : 0));
    writer_u64(w, stage_wall_ms(stage, message->expires_ms));
    writer_u64(w, body);
    writer_u32(w, message->length);
    writer_u32(w, message->body_bytes);
    writer_u32(w, span);
    writer_u32(w, 0);
    log_gather_live(gather, record_first_part(body, span), record_id_part(body));
    log_gather_weight(gather, 1, BODY_OVERHEAD + MAX(message->length, message->body_bytes));
}

static void write_page(struct log_gather *gather, const struct stage *stage,
                       const struct queue *queue, uint64_t first, struct writer *w)
{
    const struct entry_page *page = entries_page(&queue->entries, first);
    struct entry_bits redelivered = bits_or(&page->redelivered, &page->unacked);
    struct entry_bits kept = bits_and(&page->live, &page->kept);

    writer_u64(w, first);
    writer_u64(w, page->id);
    writer_u64(w, kept.word[0]);
    writer_u64(w, kept.word[1]);
    writer_u64(w, redelivered.word[0]);
    writer_u64(w, redelivered.word[1]);
    writer_u64(w, page->body_bytes * bits_count(&kept) / bits_count(&page->live));
    writer_u64(w, stage_wall_ms(stage, page->expires_ms));
    writer_u64(w, page->kept_in.first);
    writer_u64(w, page->kept_in.last);
    log_gather_read(gather, record_id_part(page->id));
    if (bits_count(&kept) > 0)
        log_gather_live(gather, page->kept_in.first, page->kept_in.last);
    log_gather_weight(gather, bits_count(&kept),
                      record_page_size(ENTRIES_PER_CHUNK) +
                          page->body_bytes * bits_count(&kept) / bits_count(&page->live) +
                          (uint64_t)bits_count(&kept) * BODY_OVERHEAD);
}

/* From `walk` on. Returns how much it wrote; the walk is in the middle of the queue when there is more. */
static uint64_t write_queue(struct log_gather *gather, const struct stage *stage,
                            const struct queue *queue, struct queue_walk *walk, uint64_t max_items)
{
    struct state_part part = {0};
    uint64_t written = 0;

    if (walk->incarnation == queue->ref.incarnation)
        part.next = walk->position;
    do {
        struct writer w;
        choose(queue, part.next, max_items - written, &part);
        w = begin_state(gather, queue, &part);
        for (uint32_t i = 0; i < part.entries; i++)
            write_entry(gather, stage, queue, part.entry_at[i], &w);
        for (uint32_t i = 0; i < part.pages; i++)
            write_page(gather, stage, queue, part.page_at[i], &w);
        BUG_ON(w.failed || w.pos != w.end, "queue state of %zu octets", writer_len(&w));
        written += part.looked;
    } while (part.next < queue->entries.tail && written < max_items);
    walk->incarnation = part.next < queue->entries.tail ? queue->ref.incarnation : 0;
    walk->position = part.next;
    return written;
}

bool state_write_queues(struct log_gather *gather, const struct queue_host *host,
                        struct queue_walk *walk, uint32_t slots, uint64_t max_items)
{
    uint64_t written = 0;

    while (walk->slot < slots) {
        const struct queue *queue = queue_table_get(host->table, walk->slot);
        if (written >= max_items)
            return false;
        if (queue && queue->settings.durable && queue->sequence != 0)
            written += 1 + write_queue(gather, host->stage, queue, walk, max_items - written);
        else
            walk->incarnation = 0;
        walk->slot += walk->incarnation == 0;
    }
    return true;
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
