/* SPDX-License-Identifier: Apache-2.0 */
/* Segments: files of one size, prepared ahead, filled in turn, recycled when nothing in them is needed. */
#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Octets per write of zeros. */
#define ZERO_BYTES (1024U * 1024U)
/* Slots of the table of places that are looked at under the mutex at a time: some 100 us. */
#define SWEEP_SLOTS 2048U
/* Of the promise for the disk's use, and octets per microsecond of waiting at the most while it is nearly not kept: a
 * third of what can be written. */
#define RESERVE_SEGMENTS 8U
#define CROWDED_RATE 400U

void segment_name(uint64_t number, char name[DISK_NAME_MAX])
{
    snprintf(name, DISK_NAME_MAX, "%s-%016llx", number & SEGMENT_COLD ? "cold" : "segment",
             (unsigned long long)(number & ~SEGMENT_COLD));
}

void spare_name(uint64_t number, char name[DISK_NAME_MAX])
{
    snprintf(name, DISK_NAME_MAX, "spare-%016llx", (unsigned long long)number);
}

/* ---- what is known of them ---- */

/* Segments are few and begin rarely: no list of free slots. */
static void take_slot(struct log *log, struct segment *segment)
{
    uint32_t slot = 0;

    while (slot < log->slot_count && log->slots[slot])
        slot++;
    if (slot == log->slot_count) {
        log->slots = mem_resize(log->slots, (slot + 1) * sizeof *log->slots);
        log->slot_count++;
    }
    log->slots[slot] = segment;
    segment->slot = slot;
}

struct segment *segment_add(struct log *log, const struct segment_header *header)
{
    struct segment *segment = mem_alloc_zero(sizeof *segment);
    struct segment **at = &log->segments;

    segment->header = *header;
    segment->seed = format_seed(header->salt);
    take_slot(log, segment);
    while (*at && (*at)->header.number < header->number)
        at = &(*at)->next;
    segment->next = *at;
    *at = segment;
    return segment;
}

void segment_add_part(struct log *log, struct segment *segment, const struct part_header *part,
                      uint32_t offset)
{
    struct part_place place = {
        .number = part->number,
        .segment = segment->slot,
        .offset = offset,
        .octets = part->octets,
        .is_packed = (part->flags & PART_PACKED) != 0,
    };
    struct part_place old;

    if (places_put(&log->places, &place, &old))
        log->slots[old.segment]->parts--;
    segment->parts++;
}

bool segment_is_before(const struct log *log, const struct segment *segment, uint64_t keep_from)
{
    if (segment_is_cold(segment))
        return segment != log->cleaner.cold.segment;
    return segment->header.number < keep_from;
}

struct segment *segment_find(const struct log *log, uint64_t number)
{
    struct segment *segment = log->segments;
    while (segment && segment->header.number != number)
        segment = segment->next;
    return segment;
}

void segment_free(struct segment *segment)
{
    disk_close(segment->file);
    mem_free(segment);
}

/* ---- preparing ---- */

/* Written once with zeros, so that later writes change no metadata and a sync is one write of the disk
 * (physical-limits 8.12: 85 us against 160-200 us). */
static int write_zeros(struct disk_file *file, uint64_t octets)
{
    uint8_t *zeros = mem_alloc_aligned(DISK_ALIGN, ZERO_BYTES);
    int rc = 0;

    memset(zeros, 0, ZERO_BYTES);
    for (uint64_t at = 0; at < octets && rc == 0; at += ZERO_BYTES)
        rc = disk_write(file, zeros, (size_t)MIN(octets - at, (uint64_t)ZERO_BYTES), at);
    mem_free(zeros);
    return rc;
}

static int make_file(struct log *log, const char *name)
{
    struct disk_file *file;
    int rc = disk_open(log->disk, name, DISK_CREATE | DISK_DIRECT, &file);

    if (rc != 0)
        return rc;
    rc = disk_reserve(file, log->settings.segment_bytes);
    if (rc == 0)
        rc = write_zeros(file, log->settings.segment_bytes);
    if (rc == 0)
        rc = disk_sync(file);
    disk_close(file);
    return rc;
}

void segment_drop_file(struct log *log, const char *name)
{
    int rc = disk_unlink(log->disk, name);
    if (rc != 0 && rc != -ENOENT)
        log_warn("cannot remove a file of the data directory", "file=%s error='%s'", name,
                 err_text(rc));
}

static void add_spare(struct log *log, uint64_t number)
{
    pthread_mutex_lock(&log->mutex);
    BUG_ON(log->spare_count == ARRAY_LEN(log->spares), "%u spare segments", log->spare_count);
    log->spares[log->spare_count++] = number;
    log->is_space_low = false; /* a stop that needs the next one at once is not to give up */
    log->wants_spare = false;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
}

int segment_prepare(struct log *log)
{
    char name[DISK_NAME_MAX];
    uint64_t number;
    int rc = make_file(log, SPARE_NEW);

    if (rc != 0) {
        segment_drop_file(log, SPARE_NEW); /* it may be what fills the disk */
        return rc;
    }
    number = ++log->last_spare;
    spare_name(number, name);
    rc = disk_rename(log->disk, SPARE_NEW, name);
    if (rc != 0)
        return rc;
    add_spare(log, number);
    return 0;
}

/* ---- beginning one ---- */

/* splitmix64: salts need not be secret for ever, only unknown to who sends messages. */
uint64_t log_next_salt(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static int write_header(struct log *log, struct disk_file *file,
                        const struct segment_header *header)
{
    /* The buffer is free between batches. */
    segment_header_write(header, log->buffer);
    return disk_write(file, log->buffer, SEGMENT_HEADER_BYTES, 0);
}

static struct segment_header next_header(struct log *log)
{
    const struct log_position *position = &log->position;
    return (struct segment_header){
        .directory_id = log->directory_id,
        .number = position->segment + 1,
        .salt = log_next_salt(&log->salt_state),
        .first_sequence = position->sequence,
        .previous_end = position->offset,
        .octets = log->settings.segment_bytes,
    };
}

static void become_current(struct log *log, struct disk_file *file,
                           const struct segment_header *header, bool is_cached)
{
    disk_close(log->file);
    log->file = file;
    pthread_mutex_lock(&log->mutex);
    log->current = segment_add(log, header);
    log->current->is_cached = is_cached;
    log->position.segment = header->number;
    log->position.offset = SEGMENT_HEADER_BYTES;
    pthread_mutex_unlock(&log->mutex);
}

void log_expect_reads(struct log *log, bool expects)
{
    if (atomic_load_explicit(&log->expects_reads, memory_order_relaxed) != expects)
        atomic_store_explicit(&log->expects_reads, expects, memory_order_relaxed);
}

/* A backlog is written faster past the page cache (0.25 us less for 1 KiB), and read four times as fast from it. Where
 * it outgrows the share of memory, its beginning, which is read first, is what stays cached. One file is written in
 * one way. */
static bool shall_be_cached(struct log *log)
{
    uint64_t cached = log->settings.segment_bytes;

    if (!atomic_load_explicit(&log->expects_reads, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&log->mutex);
    for (const struct segment *segment = log->segments; segment; segment = segment->next)
        cached += segment->is_cached ? segment->header.octets : 0;
    pthread_mutex_unlock(&log->mutex);
    return cached <= log->settings.cached_bytes;
}

/* The header is on the disk before the file gets its name, so a segment has one always. */
static int begin_segment(struct log *log, const char *from)
{
    struct segment_header header = next_header(log);
    char name[DISK_NAME_MAX];
    bool is_cached = shall_be_cached(log);
    struct disk_file *file;
    int rc = disk_open(log->disk, from, is_cached ? 0 : DISK_DIRECT, &file);

    if (rc != 0)
        return rc;
    segment_name(header.number, name);
    rc = write_header(log, file, &header);
    if (rc == 0)
        rc = disk_sync(file);
    if (rc == 0)
        rc = disk_rename(log->disk, from, name);
    if (rc == 0)
        rc = disk_sync_dir(log->disk);
    if (rc != 0) {
        disk_close(file);
        return rc;
    }
    become_current(log, file, &header, is_cached);
    log->zeroed_to = log->settings.segment_bytes;
    return 0;
}

/* The very first is not written with zeros at once: a node starts at once. */
int segment_open_first(struct log *log)
{
    struct disk_file *file;
    int rc = disk_open(log->disk, SPARE_NEW, DISK_CREATE | DISK_DIRECT, &file);

    if (rc != 0)
        return rc;
    rc = disk_reserve(file, log->settings.segment_bytes);
    disk_close(file);
    if (rc == 0)
        rc = begin_segment(log, SPARE_NEW);
    log->zeroed_to = 0;
    return rc;
}

/* The process before may have been killed before its sync of the last batch, or was told that it failed: then
 * what replay has read may be in the page cache alone, and after a failed sync no other writes it back. What
 * is shown to clients from now on must not vanish, so it is written and synced once more. */
static int rewrite_last_batch(struct log *log)
{
    struct segment_reader *reader = &log->reader;
    int rc = 0;

    if (log->replayed != 0) {
        rc = segment_reader_open(reader, log, log->position.segment);
        if (rc == 0)
            rc = segment_reader_load(reader, log->position.offset);
        if (rc == 0)
            rc = disk_write(log->file, reader->data + log->replayed,
                            (size_t)(log->position.offset - log->replayed), log->replayed);
    }
    return rc == 0 ? disk_sync(log->file) : rc;
}

int segment_open_last(struct log *log)
{
    char name[DISK_NAME_MAX];
    int rc;

    log->current = segment_find(log, log->position.segment);
    BUG_ON(!log->current, "the segment that is written to is unknown");
    segment_name(log->position.segment, name);
    rc = disk_open(log->disk, name, DISK_DIRECT, &log->file);
    return rc == 0 ? rewrite_last_batch(log) : rc;
}

/* Wait for a prepared file: without one nothing can be written, and nothing is promised meanwhile. */
static int take_spare(struct log *log, uint64_t *number)
{
    int rc = 0;

    pthread_mutex_lock(&log->mutex);
    log->wants_spare = true;
    while (log->spare_count == 0 && rc == 0) {
        if (!log->has_threads) {
            pthread_mutex_unlock(&log->mutex);
            rc = segment_prepare(log);
            pthread_mutex_lock(&log->mutex);
        } else if ((log->is_ending || atomic_load(&log->is_stopping)) && log->is_space_low) {
            rc = -ENOSPC;
        } else {
            pthread_cond_broadcast(&log->changed);
            pthread_cond_wait(&log->changed, &log->mutex);
        }
    }
    if (rc == 0) {
        *number = log->spares[0];
        log->spares[0] = log->spares[1];
        log->spare_count--;
        log->wants_spare = false;
    }
    pthread_mutex_unlock(&log->mutex);
    return rc;
}

/* Does the disk hold nearly as much as FORMAT.md, section 7, promises? What was written since the newest checkpoint
 * may be live, and takes itself. A growing backlog takes little more than itself, and a body that many queues share is
 * weighed as often as they do: neither is ever too much. Thread: under log->mutex. */
static bool is_crowded(const struct log *log)
{
    const struct cleaner *cleaner = &log->cleaner;
    uint64_t each = log->settings.segment_bytes;
    uint64_t since = (log->position.segment - cleaner->weighed_in + 1) * each;
    uint64_t use = log->spare_count * each;

    if (cleaner->weighed_in == 0)
        return false;
    for (const struct segment *segment = log->segments; segment; segment = segment->next)
        use += segment->header.octets;
    return use > 2 * cleaner->weight + MIN(since, 2 * log->settings.checkpoint_bytes) +
                     (RESERVE_SEGMENTS - 2) * each;
}

/* The cleaner and checkpoints can let go of less in a second than can be written. */
static void wait_for_cleaner(struct log *log)
{
    uint64_t until = clock_mono_ns() + log->settings.segment_bytes * 1000 / CROWDED_RATE;
    struct timespec at = {.tv_sec = (time_t)(until / 1000000000U),
                          .tv_nsec = (long)(until % 1000000000U)};
    int rc = 0;

    if (!log->has_threads)
        return;
    pthread_mutex_lock(&log->mutex);
    while (rc == 0 && !log->is_ending && !atomic_load(&log->is_stopping) && is_crowded(log))
        rc = pthread_cond_timedwait(&log->changed, &log->mutex, &at);
    pthread_mutex_unlock(&log->mutex);
}

int segment_roll(struct log *log)
{
    char name[DISK_NAME_MAX];
    uint64_t number = 0;
    int rc;

    wait_for_cleaner(log);
    rc = take_spare(log, &number);

    if (rc != 0)
        return rc;
    spare_name(number, name);
    return begin_segment(log, name);
}

/* ---- letting go ---- */

struct sweep {
    struct log *log;
    uint64_t keep_from;
    const struct log_ranges *live;
    const struct log_ranges *read;
};

static bool keep_part(void *context, const struct part_place *place)
{
    const struct sweep *sweep = context;
    struct segment *segment = sweep->log->slots[place->segment];

    if (!segment_is_before(sweep->log, segment, sweep->keep_from) ||
        live_has(sweep->live, place->number) ||
        (sweep->read && live_has(sweep->read, place->number)))
        return true;
    segment->parts--;
    return false;
}

void log_forget_parts(struct log *log, places_keep_fn keep, void *context)
{
    size_t capacity = 0;
    size_t at = 0;

    do {
        pthread_mutex_lock(&log->mutex);
        if (capacity != log->places.capacity)
            at = 0;
        capacity = log->places.capacity;
        at = places_sweep(&log->places, at, SWEEP_SLOTS, keep, context);
        if (at == capacity)
            places_shrink(&log->places);
        pthread_mutex_unlock(&log->mutex);
    } while (at < capacity);
}

static void recycle_file(struct log *log, const struct segment_header *header)
{
    char from[DISK_NAME_MAX];
    char to[DISK_NAME_MAX];
    bool is_wanted;

    segment_name(header->number, from);
    pthread_mutex_lock(&log->mutex);
    /* The setting may have changed since. */
    is_wanted =
        log->spare_count < ARRAY_LEN(log->spares) && header->octets == log->settings.segment_bytes;
    pthread_mutex_unlock(&log->mutex);
    if (!is_wanted) {
        segment_drop_file(log, from);
        return;
    }
    spare_name(++log->last_spare, to);
    if (disk_rename(log->disk, from, to) == 0)
        add_spare(log, log->last_spare);
    else
        segment_drop_file(log, from);
}

/* Its parts may have moved away between the writing of PARTS and now: it goes with the checkpoint after. */
static bool is_listed(const struct log *log, const struct segment *segment)
{
    return log->checkpoint != 0 && segment->listed_in == log->checkpoint;
}

/* Take out what holds no part; what is listed or being read goes with the next checkpoint. */
static struct segment *take_empty(struct log *log, uint64_t keep_from)
{
    struct segment *gone = NULL;
    struct segment **at = &log->segments;

    pthread_mutex_lock(&log->mutex);
    while (*at) {
        struct segment *segment = *at;
        if (!segment_is_before(log, segment, keep_from) || segment->parts > 0 ||
            is_listed(log, segment) || fetch_reads(log, segment)) {
            at = &segment->next;
            continue;
        }
        *at = segment->next;
        segment->next = gone;
        gone = segment;
        log->slots[segment->slot] = NULL;
        fetch_forget(log, segment);
    }
    pthread_mutex_unlock(&log->mutex);
    return gone;
}

void segments_recycle(struct log *log, uint64_t keep_from, const struct log_ranges *live,
                      const struct log_ranges *read)
{
    struct sweep sweep = {log, keep_from, live, read};
    struct segment *gone;

    log_forget_parts(log, keep_part, &sweep);
    gone = take_empty(log, keep_from);
    while (gone) {
        struct segment *segment = gone;
        gone = segment->next;
        recycle_file(log, &segment->header);
        segment_free(segment);
    }
}
