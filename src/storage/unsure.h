/* SPDX-License-Identifier: Apache-2.0 */
/* Unsure: the sectors of one file that were written and not synced, and what a power cut does to them. */
#ifndef TOKKI_STORAGE_UNSURE_H
#define TOKKI_STORAGE_UNSURE_H

#include "storage/chance.h"
#include "storage/disk.h"

/* One write of one sector. A sector written twice has two: a cut may leave either, or what was sure. */
struct unsure_sector {
    uint64_t number;
    uint64_t file_size; /* of the whole file after this write */
    bool is_forgotten;  /* a sync failed on it: later syncs leave it where it is, as Linux does */
    bool is_applied;    /* used within unsure_apply only */
};

/* An overlay over `base`, the file with the sure octets, which every call borrows.
 *
 *   view of a sector = its newest write; else 0 from `zero_from` on; else what base has
 *   view of the size = `size`
 *
 * Owner: the file of a simulated disk. Thread: one at a time. Freed by: unsure_fini. */
struct unsure {
    uint64_t size;
    uint64_t sure_size;
    /* Octets of base from here on were truncated away; a multiple of the sector, UINT64_MAX: none. */
    uint64_t zero_from;
    uint64_t truncated_to; /* the smallest size since the last sync; UINT64_MAX: never truncated */
    uint64_t reserved;     /* room asked for up to here */
    /* Writes in their order: sectors[i] put data[i * DISK_SECTOR]. */
    struct unsure_sector *sectors;
    unsigned char *data;
    uint32_t count;
    uint32_t capacity;
    /* Open addressing by sector number: index of the newest write + 1; 0 is free. */
    uint32_t *newest;
    uint32_t newest_slots; /* a power of two, at least twice as many as are used */
    uint32_t newest_used;
};

/* All of `size` octets in base are sure. */
void unsure_init(struct unsure *unsure, uint64_t size);
void unsure_fini(struct unsure *unsure);
void unsure_copy(struct unsure *to, const struct unsure *from);

bool unsure_is_clean(const struct unsure *unsure);

/* The calls of disk.h. Errors: those of base. */
MUST_CHECK int unsure_read(const struct unsure *unsure, struct disk_file *base, void *data,
                           size_t n, uint64_t offset, size_t *got);
MUST_CHECK int unsure_write(struct unsure *unsure, struct disk_file *base, const void *data,
                            size_t n, uint64_t offset);
MUST_CHECK int unsure_truncate(struct unsure *unsure, struct disk_file *base, uint64_t bytes);
void unsure_reserve(struct unsure *unsure, uint64_t bytes);

/* Make sure what is not forgotten: write it to base and sync that. On an error from base the view stays
 * and everything is forgotten. */
MUST_CHECK int unsure_apply(struct unsure *unsure, struct disk_file *base);

/* A sync has failed: everything unsure can be read on, and may be gone after a cut whatever is synced
 * later, unless it is written again. */
void unsure_forget(struct unsure *unsure);

/* The power goes: leave in base what chance keeps of the writes, the truncation and the size, and sync
 * base. Sometimes all, nothing, a prefix, or any subset. The overlay is of no use afterwards. */
MUST_CHECK int unsure_cut(struct unsure *unsure, struct disk_file *base, struct chance *chance);

#endif
