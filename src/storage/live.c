/* SPDX-License-Identifier: Apache-2.0 */
/* Which parts a checkpoint still needs, as ranges of numbers, and where they lie. */
#include "base/mem.h"
#include "storage/log_internal.h"

#include <stdlib.h>

/* Slots of the table of places that are looked at under the mutex at a time: the writer waits for it. */
#define COLLECT_SLOTS 2048U

/* ---- ranges ---- */

static void add_range(struct log_ranges *ranges, uint64_t first, uint64_t last)
{
    struct log_range *newest = ranges->count > 0 ? &ranges->all[ranges->count - 1] : NULL;

    if (newest && first >= newest->first && first <= newest->last + 1) {
        newest->last = MAX(newest->last, last);
        return;
    }
    if (ranges->count == ranges->capacity) {
        ranges->capacity = MAX(ranges->capacity * 2, (size_t)256);
        ranges->all = mem_resize(ranges->all, ranges->capacity * sizeof *ranges->all);
    }
    ranges->all[ranges->count++] = (struct log_range){first, last};
}

/* Messages that stand side by side in a queue mostly have their bodies in the same parts or the next. */
void log_gather_live(struct log_gather *gather, uint64_t first, uint64_t last)
{
    add_range(&gather->live, first, last);
}

void log_gather_read(struct log_gather *gather, uint64_t part)
{
    add_range(&gather->live, part, part);
    add_range(&gather->read, part, part);
}

static void add_all(struct log_ranges *to, const struct log_ranges *from)
{
    for (size_t i = 0; i < from->count; i++)
        add_range(to, from->all[i].first, from->all[i].last);
}

void live_add(struct log_gather *to, const struct log_gather *from)
{
    add_all(&to->live, &from->live);
    add_all(&to->read, &from->read);
}

static int compare_ranges(const void *left, const void *right)
{
    const struct log_range *a = left;
    const struct log_range *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

static void sort_ranges(struct log_ranges *ranges)
{
    struct log_ranges sorted = *ranges;

    if (ranges->count == 0)
        return;
    qsort(ranges->all, ranges->count, sizeof *ranges->all, compare_ranges);
    /* Added in order, what overlaps becomes one; the list is never longer than what was read of it. */
    ranges->count = 0;
    add_all(ranges, &sorted);
}

void live_sort(struct log_gather *gather)
{
    sort_ranges(&gather->live);
    sort_ranges(&gather->read);
}

bool live_has(const struct log_ranges *ranges, uint64_t part)
{
    size_t low = 0;
    size_t high = ranges->count;

    /* How many ranges begin at or before the part? The last of them has it, or none. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->all[middle].first <= part)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && part <= ranges->all[low - 1].last;
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

    if ((segment_is_cold(in) || segment < replay->segment ||
         (segment == replay->segment && place->offset < replay->offset)) &&
        live_has(&checkpoint->all.live, place->number)) {
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
