/* SPDX-License-Identifier: Apache-2.0 */
/* Which parts a checkpoint still needs, as ranges of numbers, and where they lie. */
#include "base/mem.h"
#include "storage/log_internal.h"

#include <stdlib.h>

/* Slots of the table of places that are looked at under the mutex at a time: the writer waits for it. */
#define COLLECT_SLOTS 2048U

/* ---- ranges ---- */

/* Messages that stand side by side in a queue mostly have their bodies in the same parts or the next. */
void log_gather_live(struct log_gather *gather, uint64_t first, uint64_t last)
{
    struct log_range *newest =
        gather->live_count > 0 ? &gather->live[gather->live_count - 1] : NULL;

    if (newest && first >= newest->first && first <= newest->last + 1) {
        newest->last = MAX(newest->last, last);
        return;
    }
    if (gather->live_count == gather->live_capacity) {
        gather->live_capacity = MAX(gather->live_capacity * 2, (size_t)256);
        gather->live = mem_resize(gather->live, gather->live_capacity * sizeof *gather->live);
    }
    gather->live[gather->live_count++] = (struct log_range){first, last};
}

static int compare_ranges(const void *left, const void *right)
{
    const struct log_range *a = left;
    const struct log_range *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

void live_sort(struct log_gather *gather)
{
    size_t count = gather->live_count;

    if (count == 0)
        return;
    qsort(gather->live, count, sizeof *gather->live, compare_ranges);
    /* Added in order, what overlaps becomes one; the list is never longer than what was read of it. */
    gather->live_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct log_range range = gather->live[i];
        log_gather_live(gather, range.first, range.last);
    }
}

bool live_has(const struct log_range *live, size_t count, uint64_t part)
{
    size_t low = 0;
    size_t high = count;

    /* How many ranges begin at or before the part? The last of them has it, or none. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (live[middle].first <= part)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && part <= live[low - 1].last;
}

/* ---- places ---- */

struct collect {
    const struct log_checkpoint *checkpoint;
    struct live_places places;
    size_t capacity;
};

static void add_place(struct collect *collect, const struct live_place *place)
{
    struct live_places *places = &collect->places;

    if (places->count == collect->capacity) {
        collect->capacity = MAX(collect->capacity * 2, (size_t)256);
        places->all = mem_resize(places->all, collect->capacity * sizeof *places->all);
    }
    places->all[places->count++] = *place;
}

/* What lies behind the beginning of the replay is seen by that. */
static bool look_at(void *context, const struct part_place *place)
{
    struct collect *collect = context;
    const struct log_checkpoint *checkpoint = collect->checkpoint;
    const struct log_position *replay = &checkpoint->replay;
    struct segment *in = checkpoint->log->slots[place->segment];
    uint64_t segment = in->header.number;

    if ((segment < replay->segment ||
         (segment == replay->segment && place->offset < replay->offset)) &&
        live_has(checkpoint->all.live, checkpoint->all.live_count, place->number)) {
        in->listed_in = checkpoint->log->checkpoint + 1;
        add_place(collect, &(struct live_place){place->number, segment, place->offset,
                                                place->octets, place->is_packed});
    }
    return true;
}

static int compare_places(const void *left, const void *right)
{
    const struct live_place *a = left;
    const struct live_place *b = right;

    if (a->segment != b->segment)
        return a->segment < b->segment ? -1 : 1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

struct live_places live_places_collect(const struct log_checkpoint *checkpoint)
{
    struct log *log = checkpoint->log;
    struct collect collect = {.checkpoint = checkpoint};
    size_t capacity = 0;
    size_t at = 0;

    do {
        pthread_mutex_lock(&log->mutex);
        if (capacity != log->places.capacity) {
            at = 0;
            collect.places.count = 0;
        }
        capacity = log->places.capacity;
        at = places_sweep(&log->places, at, COLLECT_SLOTS, look_at, &collect);
        pthread_mutex_unlock(&log->mutex);
    } while (at < capacity);
    /* Who reads the list looks for the segment when it changes. */
    if (collect.places.count > 0)
        qsort(collect.places.all, collect.places.count, sizeof *collect.places.all, compare_places);
    return collect.places;
}
