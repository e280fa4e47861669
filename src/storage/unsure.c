/* SPDX-License-Identifier: Apache-2.0 */
/* Unsynced sectors: a list of writes in their order with a hash table to the newest of each sector. */
#include "storage/unsure.h"

#include "base/bug.h"
#include "base/mem.h"

#include <string.h>

#define NEWEST_SLOTS_MIN 16U
/* Room kept for the next writes after a sync: a whole batch of the log, no more per file. */
#define KEPT_SECTORS_MAX 4096U

void unsure_init(struct unsure *u, uint64_t size)
{
    memset(u, 0, sizeof(*u));
    u->size = size;
    u->sure_size = size;
    u->zero_from = UINT64_MAX;
    u->truncated_to = UINT64_MAX;
}

void unsure_fini(struct unsure *u)
{
    mem_free(u->sectors);
    mem_free(u->data);
    mem_free(u->newest);
    unsure_init(u, 0);
}

static void *copy_of(const void *from, size_t bytes)
{
    return from ? memcpy(mem_alloc(bytes), from, bytes) : NULL;
}

void unsure_copy(struct unsure *to, const struct unsure *from)
{
    *to = *from;
    to->sectors = copy_of(from->sectors, from->capacity * sizeof(*from->sectors));
    to->data = copy_of(from->data, (size_t)from->capacity * DISK_SECTOR);
    to->newest = copy_of(from->newest, from->newest_slots * sizeof(*from->newest));
}

bool unsure_is_clean(const struct unsure *u)
{
    return u->count == 0 && u->size == u->sure_size && u->zero_from == UINT64_MAX;
}

/* The slot of the sector in the table: its own or the free one where it would go. */
static uint32_t *slot_of(const struct unsure *u, uint64_t number)
{
    uint32_t at = (uint32_t)((number * 0x9e3779b97f4a7c15U) >> 32);

    for (;; at++) {
        uint32_t *slot = &u->newest[at & (u->newest_slots - 1)];
        if (*slot == 0 || u->sectors[*slot - 1].number == number)
            return slot;
    }
}

static bool is_newest(const struct unsure *u, uint32_t index)
{
    return *slot_of(u, u->sectors[index].number) == index + 1;
}

static const unsigned char *data_at(const struct unsure *u, uint32_t index)
{
    return u->data + (size_t)index * DISK_SECTOR;
}

/* The newest write of the sector, NULL when there is none. */
static const unsigned char *find(const struct unsure *u, uint64_t number)
{
    const uint32_t slot = u->count ? *slot_of(u, number) : 0;

    return slot ? data_at(u, slot - 1) : NULL;
}

/* Fill the table from the list anew, with room for `used` sectors. */
static void table_build(struct unsure *u, uint32_t used)
{
    uint32_t slots = MAX(u->newest_slots, NEWEST_SLOTS_MIN);

    while (slots / 2 < used)
        slots *= 2;
    if (slots != u->newest_slots) {
        mem_free(u->newest);
        u->newest = mem_alloc(slots * sizeof(*u->newest));
        u->newest_slots = slots;
    }
    memset(u->newest, 0, slots * sizeof(*u->newest));
    u->newest_used = 0;
    for (uint32_t i = 0; i < u->count; i++) {
        uint32_t *slot = slot_of(u, u->sectors[i].number);
        u->newest_used += *slot == 0;
        *slot = i + 1;
    }
}

static void list_set_capacity(struct unsure *u, uint32_t capacity)
{
    u->sectors = mem_resize(u->sectors, capacity * sizeof(*u->sectors));
    u->data = mem_resize(u->data, (size_t)capacity * DISK_SECTOR);
    u->capacity = capacity;
}

/* Remember one write of a whole sector. `data` (borrowed) is not of the overlay's own memory. */
static void push(struct unsure *u, uint64_t number, const void *data)
{
    if (u->count == u->capacity)
        list_set_capacity(u, MAX(8U, 2 * u->capacity));
    if (u->newest_slots / 2 <= u->newest_used)
        table_build(u, u->newest_used + 1);
    uint32_t *slot = slot_of(u, number);
    u->sectors[u->count] = (struct unsure_sector){.number = number, .file_size = u->size};
    memcpy(u->data + (size_t)u->count * DISK_SECTOR, data, DISK_SECTOR);
    u->newest_used += *slot == 0;
    *slot = ++u->count;
}

/* What base shows of [offset, offset + n), zeros where it has nothing. */
static int read_base(const struct unsure *u, struct disk_file *base, void *data, size_t n,
                     uint64_t offset)
{
    size_t got = 0;
    int rc = 0;

    if (offset < u->zero_from)
        rc = disk_read(base, data, (size_t)MIN((uint64_t)n, u->zero_from - offset), offset, &got);
    memset((char *)data + got, 0, n - got);
    return rc;
}

int unsure_read(const struct unsure *u, struct disk_file *base, void *data, size_t n,
                uint64_t offset, size_t *got)
{
    int rc;

    *got = 0;
    n = offset >= u->size ? 0 : (size_t)MIN((uint64_t)n, u->size - offset);
    if ((rc = read_base(u, base, data, n, offset)) != 0)
        return rc;
    for (size_t done = 0; done < n && u->count > 0;) {
        const size_t within = (size_t)((offset + done) % DISK_SECTOR);
        const size_t part = MIN(n - done, DISK_SECTOR - within);
        const unsigned char *sector = find(u, (offset + done) / DISK_SECTOR);
        if (sector)
            memcpy((char *)data + done, sector + within, part);
        done += part;
    }
    *got = n;
    return 0;
}

/* Fills `sector` with the view of it; octets beyond the end are 0. */
static int read_sector(const struct unsure *u, struct disk_file *base, uint64_t number,
                       unsigned char *sector)
{
    const unsigned char *written = find(u, number);

    if (!written)
        return read_base(u, base, sector, DISK_SECTOR, number * DISK_SECTOR);
    memcpy(sector, written, DISK_SECTOR);
    return 0;
}

int unsure_write(struct unsure *u, struct disk_file *base, const void *data, size_t n,
                 uint64_t offset)
{
    unsigned char sector[DISK_SECTOR];

    if (n > 0)
        u->size = MAX(u->size, offset + n);
    for (size_t done = 0; done < n;) {
        const uint64_t number = (offset + done) / DISK_SECTOR;
        const size_t within = (size_t)((offset + done) % DISK_SECTOR);
        const size_t part = MIN(n - done, DISK_SECTOR - within);
        const void *whole = (const char *)data + done;
        if (part < DISK_SECTOR) {
            int rc = read_sector(u, base, number, sector);
            if (rc != 0)
                return rc;
            memcpy(sector + within, whole, part);
            whole = sector;
        }
        push(u, number, whole);
        done += part;
    }
    return 0;
}

/* What was written beyond `end`, a sector's edge, becomes zero: as writes, so that a cut may undo it. */
static void zero_writes_beyond(struct unsure *u, uint64_t end)
{
    static const unsigned char zeros[DISK_SECTOR];
    const uint32_t count = u->count;

    for (uint32_t i = 0; i < count; i++)
        if (u->sectors[i].number * DISK_SECTOR >= end && is_newest(u, i))
            push(u, u->sectors[i].number, zeros);
}

int unsure_truncate(struct unsure *u, struct disk_file *base, uint64_t bytes)
{
    const size_t within = (size_t)(bytes % DISK_SECTOR);
    const uint64_t edge = bytes - within + (within ? DISK_SECTOR : 0);
    unsigned char sector[DISK_SECTOR];
    int rc;

    if (bytes >= u->size) {
        u->size = bytes;
        return 0;
    }
    if (within > 0 && (rc = read_sector(u, base, bytes / DISK_SECTOR, sector)) != 0)
        return rc;
    u->size = bytes;
    u->truncated_to = MIN(u->truncated_to, bytes);
    u->reserved = MIN(u->reserved, bytes);
    if (within > 0) {
        memset(sector + within, 0, DISK_SECTOR - within);
        push(u, bytes / DISK_SECTOR, sector);
    }
    zero_writes_beyond(u, edge);
    if (edge < u->sure_size)
        u->zero_from = MIN(u->zero_from, edge);
    return 0;
}

void unsure_reserve(struct unsure *u, uint64_t bytes)
{
    u->reserved = MAX(u->reserved, bytes);
    u->size = MAX(u->size, bytes);
}

void unsure_forget(struct unsure *u)
{
    for (uint32_t i = 0; i < u->count; i++)
        u->sectors[i].is_forgotten = true;
}

/* Is write `i` one that a sync brings to base? */
static bool is_due(const struct unsure *u, uint32_t i)
{
    return i < u->count && !u->sectors[i].is_forgotten && is_newest(u, i) &&
           u->sectors[i].number * DISK_SECTOR < u->size;
}

/* Neighbours that were written one after the other go to base in one write: it may be a real disk. */
static int write_runs(const struct unsure *u, struct disk_file *base)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < u->count;) {
        const uint64_t offset = u->sectors[i].number * DISK_SECTOR;
        uint32_t run = 1;
        if (!is_due(u, i)) {
            i++;
            continue;
        }
        while (is_due(u, i + run) && u->sectors[i + run].number == u->sectors[i].number + run)
            run++;
        rc = disk_write(base, data_at(u, i),
                        (size_t)MIN((uint64_t)run * DISK_SECTOR, u->size - offset), offset);
        i += run;
    }
    return rc;
}

/* Give base the size `bytes`, with room behind it as far as that was asked for. */
static int set_size(const struct unsure *u, struct disk_file *base, uint64_t bytes)
{
    uint64_t now = 0;
    int rc = disk_size(base, &now);

    if (rc == 0 && now < bytes && u->reserved > now)
        rc = disk_reserve(base, MIN(u->reserved, bytes));
    if (rc == 0 && now != bytes)
        rc = disk_truncate(base, bytes);
    return rc;
}

/* Everything in base is sure but for sectors whose newest write is forgotten: keep those. */
static void drop_applied(struct unsure *u)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < u->count; i++)
        u->sectors[i].is_applied = !u->sectors[*slot_of(u, u->sectors[i].number) - 1].is_forgotten;
    for (uint32_t i = 0; i < u->count; i++) {
        if (u->sectors[i].is_applied)
            continue;
        u->sectors[kept] = u->sectors[i];
        u->sectors[kept].file_size = u->size; /* an older one is no longer possible */
        memmove(u->data + (size_t)kept * DISK_SECTOR, data_at(u, i), DISK_SECTOR);
        kept++;
    }
    u->count = kept;
    if (u->capacity > KEPT_SECTORS_MAX && kept <= KEPT_SECTORS_MAX) {
        list_set_capacity(u, KEPT_SECTORS_MAX);
        u->newest_slots = 0;
        mem_free(u->newest);
        u->newest = NULL;
    }
    table_build(u, kept);
}

int unsure_apply(struct unsure *u, struct disk_file *base)
{
    int rc = 0;

    if (u->zero_from != UINT64_MAX)
        rc = disk_truncate(base, u->zero_from);
    if (rc == 0)
        rc = write_runs(u, base);
    if (rc == 0)
        rc = set_size(u, base, u->size);
    if (rc == 0)
        rc = disk_sync(base);
    if (rc != 0) {
        unsure_forget(u);
        return rc;
    }
    u->sure_size = u->size;
    u->zero_from = UINT64_MAX;
    u->truncated_to = UINT64_MAX;
    if (u->count > 0)
        drop_applied(u);
    return 0;
}

enum keep { KEEP_ALL, KEEP_NOTHING, KEEP_PREFIX, KEEP_SOME, KEEP_KINDS };

/* What is left of the size: the `sure` one, the newest, or one in between. */
static uint64_t choose_size(const struct unsure *u, uint64_t sure, enum keep keep,
                            struct chance *chance)
{
    const uint64_t pick = chance_below(chance, 3);

    if (keep == KEEP_NOTHING || (keep != KEEP_ALL && pick == 0))
        return sure;
    if (keep != KEEP_ALL && pick == 1 && u->count > 0)
        return u->sectors[chance_below(chance, u->count)].file_size;
    return u->size;
}

int unsure_cut(struct unsure *u, struct disk_file *base, struct chance *chance)
{
    const enum keep keep = (enum keep)chance_below(chance, KEEP_KINDS);
    /* Of KEEP_SOME: from a few kept sectors to a few lost ones. */
    const uint64_t sixteenths = 1 + chance_below(chance, 15);
    const uint64_t prefix = chance_below(chance, (uint64_t)u->count + 1);
    const bool is_truncated =
        keep == KEEP_ALL || (keep != KEEP_NOTHING && chance_hits(chance, 1, 2));
    const uint64_t sure = is_truncated ? MIN(u->sure_size, u->truncated_to) : u->sure_size;
    const uint64_t size = choose_size(u, sure, keep, chance);
    int rc = 0;

    if (is_truncated && u->zero_from != UINT64_MAX)
        rc = disk_truncate(base, u->zero_from);
    for (uint32_t i = 0; rc == 0 && i < u->count; i++)
        if (keep == KEEP_ALL || (keep == KEEP_PREFIX && i < prefix) ||
            (keep == KEEP_SOME && chance_hits(chance, sixteenths, 16)))
            rc = disk_write(base, data_at(u, i), DISK_SECTOR, u->sectors[i].number * DISK_SECTOR);
    if (rc == 0)
        rc = set_size(u, base, size);
    return rc == 0 ? disk_sync(base) : rc;
}
