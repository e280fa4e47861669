/* SPDX-License-Identifier: Apache-2.0 */
/* Where parts lie: a table from the number of a part to its place in the log. */
#ifndef TOKKI_STORAGE_PLACES_H
#define TOKKI_STORAGE_PLACES_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a part lies. */
struct part_place {
    uint64_t number;  /* of the part; not 0 */
    uint32_t segment; /* slot of its segment (struct log), below 2^31 */
    uint32_t offset;  /* of its header, in the segment */
    uint32_t octets;  /* of its records */
    bool is_packed;   /* PART_PACKED */
};

/* Open addressing with 16 octets per entry, between 1/2 and 4/5 full while it grows: 20 to 30 octets per
 * part. A part is put again when it moves. Owner: the log. Thread: under its mutex. A zeroed struct is an
 * empty table. Freed by: places_fini. */
struct places {
    struct place_entry *entries;
    size_t capacity; /* 0: nothing was ever put */
    size_t count;
};

/* Can there be such a part? What was read from a disk is asked first. */
static inline bool places_fits(uint64_t number, uint32_t offset, uint32_t octets)
{
    return number > 0 && number >> 46 == 0 && octets >> 21 == 0 && (offset | octets) % 8 == 0;
}

/* Note a part, or its new place. True: it was known, `*old` is where it was. */
bool places_put(struct places *places, const struct part_place *place, struct part_place *old);

bool places_find(const struct places *places, uint64_t number, struct part_place *out);

/* Called with each place; false: forget it. */
typedef bool (*places_keep_fn)(void *context, const struct part_place *place);

/* Offer what lies in about `steps` slots from slot `at` on (0: the beginning) to `keep`. Returns where to
 * go on; places->capacity at the end. Parts may be put between two calls; when that has changed
 * places->capacity, begin anew. A part may be offered twice. */
MUST_CHECK size_t places_sweep(struct places *places, size_t at, size_t steps, places_keep_fn keep,
                               void *context);

/* Give memory back when most of it is unused. */
void places_shrink(struct places *places);

void places_fini(struct places *places);

#endif
