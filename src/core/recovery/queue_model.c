/* SPDX-License-Identifier: Apache-2.0 */
/* Entries sorted by position: appended, taken in runs, seldom put back. */
#include "core/recovery/queue_model.h"

#include "base/err.h"
#include "base/mem.h"

#include <string.h>

static void reserve(struct recovered_queue *queue)
{
    if (queue->count < queue->capacity)
        return;
    queue->capacity = MAX(queue->capacity * 2, (size_t)16);
    queue->entries = mem_resize(queue->entries, queue->capacity * sizeof *queue->entries);
}

int queue_model_add(struct recovered_queue *queue, const struct recovered_entry *entry)
{
    if (entry->position < queue->tail || entry->position >= RECORD_REDELIVERED)
        return ERR_CORRUPT;
    reserve(queue);
    queue->entries[queue->count++] = *entry;
    queue->tail = entry->position + 1;
    return 0;
}

/* The first entry at or behind `position`. */
static size_t find(const struct recovered_queue *queue, uint64_t position)
{
    size_t low = 0;
    size_t high = queue->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (queue->entries[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

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

void queue_model_restore(struct recovered_queue *queue, const struct recovered_entry *entry)
{
    size_t at = find(queue, entry->position);

    if (at < queue->count && queue->entries[at].position == entry->position) {
        queue->gone -= queue->entries[at].is_gone;
        queue->entries[at].is_gone = false;
        return;
    }
    reserve(queue);
    memmove(&queue->entries[at + 1], &queue->entries[at],
            (queue->count - at) * sizeof *queue->entries);
    queue->entries[at] = *entry;
    queue->count++;
}

void queue_model_take(struct recovered_queue *queue, uint64_t first, uint64_t count,
                      void (*taken)(void *context, const struct recovered_entry *entry),
                      void *context)
{
    for (size_t i = find(queue, first);
         i < queue->count && queue->entries[i].position - first < count; i++) {
        if (queue->entries[i].is_gone)
            continue;
        if (taken)
            taken(context, &queue->entries[i]);
        queue->entries[i].is_gone = true;
        queue->gone++;
    }
    compact(queue);
}
