/* SPDX-License-Identifier: Apache-2.0 */
/* Entries sorted by position: appended, taken in runs, seldom put back. */
#include "core/recovery/queue_model.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>

static void reserve(struct recovered_queue *queue)
{
    if (queue->count < queue->capacity)
        return;
    queue->capacity = MAX(queue->capacity * 2, (size_t)16);
    queue->entries = mem_resize(queue->entries, queue->capacity * sizeof *queue->entries);
}

int queue_model_add(struct recovered_queue *queue, const struct recovered_entry *entry)
{
    if (entry->position < queue->tail || entry->position >= QUEUE_POSITION_MAX)
        return ERR_CORRUPT;
    reserve(queue);
    queue->entries[queue->count++] = *entry;
    queue->tail = entry->position + 1;
    return 0;
}

/* The first of `count` entries at or behind `position`. */
static size_t find(const struct recovered_queue *queue, size_t count, uint64_t position)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (queue->entries[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- pages ---- */

int queue_model_add_page(struct recovered_queue *queue, const struct recovered_page *page)
{
    size_t count = queue->page_count;

    if (page->first % ENTRIES_PER_CHUNK != 0 || page->first >= QUEUE_POSITION_MAX ||
        (count > 0 && page->first <= queue->pages[count - 1].first))
        return ERR_CORRUPT;
    if (count == queue->page_capacity) {
        queue->page_capacity = MAX(queue->page_capacity * 2, (size_t)16);
        queue->pages = mem_resize(queue->pages, queue->page_capacity * sizeof *queue->pages);
    }
    queue->pages[queue->page_count++] = *page;
    return 0;
}

/* The first page that ends behind `position`. */
static size_t find_page(const struct recovered_queue *queue, uint64_t position)
{
    size_t low = 0;
    size_t high = queue->page_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (queue->pages[middle].first + ENTRIES_PER_CHUNK <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Put back what was taken: the sizes of a page are sums, its share is an equal one. */
static bool restore_in_page(struct recovered_queue *queue, uint64_t position)
{
    size_t at = find_page(queue, position);
    struct entry_page *page;
    uint32_t live;

    if (at == queue->page_count || position < queue->pages[at].first)
        return false;
    page = &queue->pages[at].page;
    live = bits_count(&page->live);
    page->body_bytes += live ? page->body_bytes / live : 0;
    bits_set(&page->live, (uint32_t)(position - queue->pages[at].first));
    return true;
}

typedef void (*taken_fn)(void *context, const struct recovered_entry *entry);

static void take_in_page(struct recovered_page *at, uint64_t first, uint64_t end, taken_fn taken,
                         void *context)
{
    uint64_t last = at->first + ENTRIES_PER_CHUNK;
    struct entry_bits gone = bits_range((uint32_t)(MAX(first, at->first) - at->first),
                                        (uint32_t)(MIN(end, last) - at->first));

    gone = bits_and(&gone, &at->page.live);
    for (uint32_t i = bits_next(&gone, 0); taken && i < ENTRIES_PER_CHUNK;
         i = bits_next(&gone, i + 1))
        taken(context, &(struct recovered_entry){.position = at->first + i});
    page_take(&at->page, &gone);
}

static void take_in_pages(struct recovered_queue *queue, uint64_t first, uint64_t end,
                          taken_fn taken, void *context)
{
    for (size_t i = find_page(queue, first); i < queue->page_count && queue->pages[i].first < end;
         i++)
        take_in_page(&queue->pages[i], first, end, taken, context);
}

/* ---- entries ---- */

/* Those that are gone make room, so that a replay needs memory for what is there and not for what was. */
static void compact(struct recovered_queue *queue)
{
    size_t kept = 0;

    if (queue->gone < 1024 || queue->gone < queue->count / 2)
        return;
    for (size_t i = 0; i < queue->count; i++)
        if (!queue->entries[i].is_gone)
            queue->entries[kept++] = queue->entries[i];
    queue->count = kept;
    queue->gone = 0;
}

/* False: it is not there any more, and was not put back. */
static bool restore_in_place(struct recovered_queue *queue, size_t count, uint64_t position)
{
    size_t at;

    if (restore_in_page(queue, position))
        return true;
    at = find(queue, count, position);
    if (at == count || queue->entries[at].position != position)
        return false;
    queue->gone -= queue->entries[at].is_gone;
    queue->entries[at].is_gone = false;
    return true;
}

static int compare_positions(const void *left, const void *right)
{
    const struct recovered_entry *a = left;
    const struct recovered_entry *b = right;
    return (a->position > b->position) - (a->position < b->position);
}

/* What made room since goes to the end, and is sorted in at once. */
void queue_model_restore_all(struct recovered_queue *queue, const struct recovered_entry *entries,
                             size_t count)
{
    size_t before = queue->count;

    for (size_t i = 0; i < count; i++) {
        if (restore_in_place(queue, before, entries[i].position))
            continue;
        reserve(queue);
        queue->entries[queue->count++] = entries[i];
    }
    if (queue->count > before)
        qsort(queue->entries, queue->count, sizeof *queue->entries, compare_positions);
}

uint64_t queue_model_end(const struct recovered_queue *queue)
{
    uint64_t first = queue->tail;
    size_t entry = 0;
    size_t page = 0;

    while (entry < queue->count && queue->entries[entry].is_gone)
        entry++;
    if (entry < queue->count)
        first = MIN(first, queue->entries[entry].position);
    while (page < queue->page_count && bits_count(&queue->pages[page].page.live) == 0)
        page++;
    if (page < queue->page_count)
        first = MIN(first, queue->pages[page].first);
    return MIN(queue->tail, first + QUEUE_SPAN_MAX);
}

void queue_model_take(struct recovered_queue *queue, uint64_t first, uint64_t count,
                      void (*taken)(void *context, const struct recovered_entry *entry),
                      void *context)
{
    for (size_t i = find(queue, queue->count, first);
         i < queue->count && queue->entries[i].position - first < count; i++) {
        if (queue->entries[i].is_gone)
            continue;
        if (taken)
            taken(context, &queue->entries[i]);
        queue->entries[i].is_gone = true;
        queue->gone++;
    }
    compact(queue);
    if (queue->page_count > 0)
        take_in_pages(queue, first, count > UINT64_MAX - first ? UINT64_MAX : first + count, taken,
                      context);
}
