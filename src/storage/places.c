/* SPDX-License-Identifier: Apache-2.0 */
/* The table of places: linear probing, deletion by moving back what follows. */
#include "storage/places.h"

#include "base/bug.h"
#include "base/mem.h"
#include "storage/format.h"

#define NUMBER_BITS (64U - RECORD_ID_OFFSET_BITS)
/* A segment has up to 2^32 of them. */
#define WORD 8U
#define CAPACITY_MIN 64U

/* `number` 0: empty. */
struct place_entry {
    uint64_t number : NUMBER_BITS;
    uint64_t words : RECORD_ID_OFFSET_BITS;
    uint64_t segment : 31;
    uint64_t is_packed : 1;
    uint64_t at : 32; /* words */
};

static_assert(sizeof(struct place_entry) == 16, "the memory per part is promised");
static_assert(NUMBER_BITS == 46 && RECORD_ID_OFFSET_BITS + 3 == 21, "as places_fits says");

/* Numbers in a row are spread evenly by the golden ratio; any capacity does, so that it can grow by half
 * and leave less unused than doubling. */
static size_t home_of(const struct places *places, uint64_t number)
{
    uint64_t mixed = number * 0x9E3779B97F4A7C15ULL;
    return (size_t)(((unsigned __int128)mixed * places->capacity) >> 64);
}

static size_t next_slot(const struct places *places, size_t at)
{
    return at + 1 == places->capacity ? 0 : at + 1;
}

/* The entry of this number, or the empty one where it would be. */
static struct place_entry *slot_of(const struct places *places, uint64_t number)
{
    size_t at = home_of(places, number);

    while (places->entries[at].number != 0 && places->entries[at].number != number)
        at = next_slot(places, at);
    return &places->entries[at];
}

static struct part_place unpack(const struct place_entry *entry)
{
    return (struct part_place){
        .number = entry->number,
        .segment = (uint32_t)entry->segment,
        .offset = (uint32_t)entry->at * WORD,
        .octets = (uint32_t)entry->words * WORD,
        .is_packed = entry->is_packed,
    };
}

static struct place_entry pack(const struct part_place *place)
{
    BUG_ON(!places_fits(place->number, place->offset, place->octets),
           "place of part %llu: %u octets at %u", (unsigned long long)place->number, place->octets,
           place->offset);
    return (struct place_entry){
        .number = place->number & ((1ULL << NUMBER_BITS) - 1),
        .words = place->octets / WORD & ((1U << RECORD_ID_OFFSET_BITS) - 1),
        .segment = place->segment & ((1U << 31) - 1),
        .is_packed = place->is_packed,
        .at = place->offset / WORD,
    };
}

static void set_capacity(struct places *places, size_t capacity)
{
    struct places old = *places;

    places->capacity = capacity;
    places->entries = mem_alloc_zero(capacity * sizeof *places->entries);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].number != 0)
            *slot_of(places, old.entries[i].number) = old.entries[i];
    mem_free(old.entries);
}

bool places_put(struct places *places, const struct part_place *place, struct part_place *old)
{
    struct place_entry *entry;
    bool is_known;

    if (UNLIKELY(places->count + 1 > places->capacity / 5 * 4))
        set_capacity(places, MAX(places->capacity / 2 * 3, (size_t)CAPACITY_MIN));
    entry = slot_of(places, place->number);
    is_known = entry->number != 0;
    if (is_known)
        *old = unpack(entry);
    else
        places->count++;
    *entry = pack(place);
    return is_known;
}

bool places_find(const struct places *places, uint64_t number, struct part_place *out)
{
    const struct place_entry *entry;

    if (places->count == 0)
        return false;
    entry = slot_of(places, number);
    if (entry->number == 0)
        return false;
    *out = unpack(entry);
    return true;
}

/* Entries behind the hole that would not be found across it move into it. */
static void empty_slot(struct places *places, size_t hole)
{
    size_t at = hole;

    for (;;) {
        size_t home;
        at = next_slot(places, at);
        if (places->entries[at].number == 0)
            break;
        home = home_of(places, places->entries[at].number);
        /* Is the hole on its way from home to where it is? All three on a circle. */
        if (home <= at ? (home <= hole && hole < at) : (home <= hole || hole < at)) {
            places->entries[hole] = places->entries[at];
            hole = at;
        }
    }
    places->entries[hole] = (struct place_entry){0};
    places->count--;
}

/* What moves into an emptied slot comes from behind, so nothing slips past. */
size_t places_sweep(struct places *places, size_t at, size_t steps, places_keep_fn keep,
                    void *context)
{
    for (; steps > 0 && at < places->capacity; steps--) {
        struct part_place place = unpack(&places->entries[at]);
        if (place.number == 0 || keep(context, &place))
            at++;
        else
            empty_slot(places, at);
    }
    return at;
}

void places_shrink(struct places *places)
{
    if (places->capacity > CAPACITY_MIN && places->count < places->capacity / 8)
        set_capacity(places, MAX(places->count * 2, (size_t)CAPACITY_MIN));
}

void places_fini(struct places *places)
{
    mem_free(places->entries);
    *places = (struct places){0};
}
