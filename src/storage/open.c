/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a data directory: its lock, its version, what files are in it. */
#include "base/bug.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/cold.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int log_error_set(struct log_error *error, int code, const char *file, uint64_t offset,
                  const char *format, ...)
{
    va_list args;

    snprintf(error->file, sizeof error->file, "%s", file);
    error->offset = offset;
    va_start(args, format);
    vsnprintf(error->reason, sizeof error->reason, format, args);
    va_end(args);
    return code;
}

/* ---- the files ---- */

struct listing {
    struct log *log;
    uint64_t *segments;
    size_t segment_count;
    uint64_t *spares;
    size_t spare_count;
    uint64_t *checkpoints;
    size_t checkpoint_count;
};

static void push_number(uint64_t **numbers, size_t *count, uint64_t number)
{
    *numbers = mem_resize(*numbers, (*count + 1) * sizeof **numbers);
    (*numbers)[(*count)++] = number;
}

static bool numbered(const char *name, const char *prefix, uint64_t *number)
{
    size_t n = strlen(prefix);
    char *end;

    if (strncmp(name, prefix, n) != 0 || strlen(name) != n + 16)
        return false;
    *number = strtoull(name + n, &end, 16);
    return *end == '\0';
}

static void note_name(void *context, const char *name)
{
    struct listing *listing = context;
    uint64_t number;

    if (numbered(name, "segment-", &number))
        push_number(&listing->segments, &listing->segment_count, number);
    else if (numbered(name, "cold-", &number))
        push_number(&listing->segments, &listing->segment_count, number | SEGMENT_COLD);
    else if (numbered(name, "spare-", &number))
        push_number(&listing->spares, &listing->spare_count, number);
    else if (numbered(name, "checkpoint-", &number))
        push_number(&listing->checkpoints, &listing->checkpoint_count, number);
}

static void free_listing(struct listing *listing)
{
    mem_free(listing->segments);
    mem_free(listing->spares);
    mem_free(listing->checkpoints);
}

static void remove_quietly(struct log *log, const char *name)
{
    int rc = disk_unlink(log->disk, name);
    if (rc != 0 && rc != -ENOENT)
        log_warn("cannot remove a left-over file", "file=%s error='%s'", name, err_text(rc));
}

/* The header stands twice: without it the salt is unknown, and not one batch can be read. */
static int header_of(const char *name, const uint8_t *block, struct segment_header *header)
{
    if (segment_header_read(block, header) == 0)
        return 0;
    if (segment_header_read(block + SEGMENT_HEADER_COPY, header) != 0)
        return ERR_CORRUPT;
    log_warn("the header of a segment is damaged; its copy is whole", "file=%s", name);
    return 0;
}

static int read_segment_header(struct log *log, const char *name, struct segment_header *header,
                               uint64_t *size)
{
    uint8_t *block = mem_alloc_aligned(DISK_ALIGN, SEGMENT_HEADER_BYTES);
    struct disk_file *file;
    size_t got = 0;
    int rc = disk_open(log->disk, name, DISK_DIRECT, &file);

    if (rc == 0) {
        rc = disk_read(file, block, SEGMENT_HEADER_BYTES, 0, &got);
        if (rc == 0)
            rc = got == SEGMENT_HEADER_BYTES ? header_of(name, block, header) : ERR_CORRUPT;
        if (rc == 0)
            rc = disk_size(file, size);
        disk_close(file);
    }
    mem_free(block);
    return rc;
}

/* The next start must not find it again; people may still want to look at it. */
static void set_aside(struct log *log, uint64_t number)
{
    char from[DISK_NAME_MAX];
    char to[DISK_NAME_MAX];
    int rc;

    segment_name(number, from);
    snprintf(to, sizeof to, "damaged-%016llx", (unsigned long long)number);
    rc = disk_rename(log->disk, from, to);
    if (rc != 0)
        log_warn("cannot set a damaged file aside", "file=%s error='%s'", from, err_text(rc));
}

/* A segment has its full size before it has its name: what is behind its end is lost. */
static int note_short(struct log *log, const char *name, uint64_t size, uint64_t octets,
                      struct log_error *error)
{
    struct disk_file *file;
    int rc = log_error_set(error, ERR_CORRUPT, name, size, "the file ends here, not at %llu",
                           (unsigned long long)octets);

    if (!log->settings.recovers)
        return rc;
    log_report(log, error);
    rc = disk_open(log->disk, name, 0, &file);
    if (rc == 0) {
        rc = disk_reserve(file, octets);
        if (rc == 0)
            rc = disk_sync(file);
        disk_close(file);
    }
    return rc == 0 ? 0
                   : log_error_set(error, rc, name, size, "cannot be made whole: %s", err_text(rc));
}

/* It was being recycled, for something newer of its kind or for the other kind: its old name had not gone for good. */
static bool was_recycled(uint64_t number, uint64_t header)
{
    return header > number || (header & SEGMENT_COLD) != (number & SEGMENT_COLD);
}

/* A file gets the name of a segment when its header is on the disk, so one whose header does not fit its
 * name is damaged. */
static int note_segment(struct log *log, uint64_t number, struct log_error *error)
{
    struct segment_header header;
    char name[DISK_NAME_MAX];
    uint64_t size;
    int rc;

    segment_name(number, name);
    rc = read_segment_header(log, name, &header, &size);
    if (rc == 0 && was_recycled(number, header.number)) {
        remove_quietly(log, name);
        return 0;
    }
    if (rc == 0 && header.directory_id != log->directory_id)
        rc = log_error_set(error, ERR_CORRUPT, name, 0, "belongs to another data directory");
    else if (rc == ERR_CORRUPT || (rc == 0 && header.number != number))
        rc = log_error_set(error, ERR_CORRUPT, name, 0,
                           "the header of the segment is damaged, or of a newer version");
    else if (rc != 0)
        (void)log_error_set(error, rc, name, 0, "cannot be read: %s", err_text(rc));
    if (rc == 0) {
        segment_add(log, &header);
        return size < header.octets ? note_short(log, name, size, header.octets, error) : 0;
    }
    if (!log->settings.recovers || (rc != ERR_CORRUPT && rc != -EIO))
        return rc;
    log_report(log, error);
    set_aside(log, number);
    return 0;
}

static uint64_t newest(const uint64_t *numbers, size_t count)
{
    uint64_t max = 0;
    for (size_t i = 0; i < count; i++)
        max = MAX(max, numbers[i]);
    return max;
}

static void note_spares(struct log *log, const struct listing *listing)
{
    char name[DISK_NAME_MAX];

    log->last_spare = newest(listing->spares, listing->spare_count);
    for (size_t i = 0; i < listing->spare_count; i++) {
        if (log->spare_count < ARRAY_LEN(log->spares)) {
            log->spares[log->spare_count++] = listing->spares[i];
            continue;
        }
        spare_name(listing->spares[i], name);
        remove_quietly(log, name);
    }
}

/* An older checkpoint was left behind by a crash between rename and unlink. */
static void note_checkpoints(struct log *log, const struct listing *listing)
{
    char name[DISK_NAME_MAX];

    log->checkpoint = newest(listing->checkpoints, listing->checkpoint_count);
    for (size_t i = 0; i < listing->checkpoint_count; i++) {
        if (listing->checkpoints[i] == log->checkpoint)
            continue;
        checkpoint_name(listing->checkpoints[i], name);
        remove_quietly(log, name);
    }
}

/* A prepared file may have another size when the setting has changed. */
static void drop_odd_spares(struct log *log)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < log->spare_count; i++) {
        struct disk_file *file;
        uint64_t size = 0;
        char name[DISK_NAME_MAX];
        spare_name(log->spares[i], name);
        if (disk_open(log->disk, name, 0, &file) == 0) {
            if (disk_size(file, &size) != 0)
                size = 0;
            disk_close(file);
        }
        if (size == log->settings.segment_bytes)
            log->spares[kept++] = log->spares[i];
        else
            remove_quietly(log, name);
    }
    log->spare_count = kept;
}

static int note_files(struct log *log, const struct listing *listing, struct log_error *error)
{
    int rc = 0;

    remove_quietly(log, SPARE_NEW);
    remove_quietly(log, COLD_NEW);
    remove_quietly(log, CHECKPOINT_NEW);
    note_spares(log, listing);
    drop_odd_spares(log);
    note_checkpoints(log, listing);
    for (size_t i = 0; i < listing->segment_count && rc == 0; i++)
        rc = note_segment(log, listing->segments[i], error);
    cold_init(log);
    return rc;
}

/* ---- what this directory is ---- */

/* Who the whole headers say that they belong to. */
struct vote {
    uint64_t id;
    size_t whole;
    size_t of_id;
};

/* Most of the segments are the directory's own, whatever else got in. */
static struct vote ask_segments(struct log *log, const struct listing *listing)
{
    struct segment_header header;
    struct vote vote = {0};
    char name[DISK_NAME_MAX];
    uint64_t size;

    for (size_t i = 0; i < listing->segment_count; i++) {
        segment_name(listing->segments[i], name);
        if (read_segment_header(log, name, &header, &size) != 0)
            continue;
        vote.whole++;
        if (vote.of_id == 0)
            vote.id = header.directory_id;
        if (header.directory_id == vote.id)
            vote.of_id++;
        else
            vote.of_id--;
    }
    return vote;
}

static int write_format_of(struct log *log, uint64_t id, struct log_error *error)
{
    int rc;

    log->directory_id = id;
    rc = format_file_write(log);
    return rc == 0
               ? 0
               : log_error_set(error, rc, FORMAT_FILE, 0, "cannot be written: %s", err_text(rc));
}

/* --recover: a damaged format file is written anew, by what the segments say. */
static int mend_format(struct log *log, const struct listing *listing, int rc, bool is_whole,
                       struct log_error *error)
{
    struct vote vote = ask_segments(log, listing);

    /* Of a newer program: not damage. Unless that is what the damage says. */
    if (rc == ERR_REFUSED && (is_whole || vote.whole == 0))
        return rc;
    if (rc == 0 && (vote.of_id != vote.whole || vote.whole == 0 || vote.id == log->directory_id))
        return 0;
    if (rc == 0)
        rc = log_error_set(error, ERR_CORRUPT, FORMAT_FILE, 0,
                           "all segments belong to another data directory");
    if (rc != ERR_CORRUPT && rc != ERR_REFUSED && rc != -EIO)
        return rc;
    log_report(log, error);
    return write_format_of(log, vote.whole > 0 ? vote.id : log->settings.seed | 1, error);
}

/* A new directory gets its format file; one whose file is gone or damaged only from --recover. */
static int identify(struct log *log, const struct listing *listing, struct log_error *error)
{
    bool is_whole = false;
    int rc = format_file_read(log, &is_whole, error);

    if (rc == ERR_NOT_FOUND && listing->segment_count + listing->checkpoint_count > 0)
        rc = log_error_set(error, ERR_CORRUPT, FORMAT_FILE, 0,
                           "is missing, but there are segments or checkpoints");
    if (rc == ERR_NOT_FOUND) {
        log->is_new = true;
        return write_format_of(log, log->settings.seed | 1, error);
    }
    return log->settings.recovers ? mend_format(log, listing, rc, is_whole, error) : rc;
}

static int look_around(struct log *log, struct log_error *error)
{
    struct listing listing = {.log = log};
    /* A process that was killed may have renamed files and not synced that. Nothing that they replaced goes,
     * and nothing is written into them, before their names are sure. */
    int rc = disk_sync_dir(log->disk);

    if (rc == 0)
        rc = disk_list(log->disk, note_name, &listing);
    if (rc != 0)
        log_error_set(error, rc, "", 0, "cannot be listed: %s", err_text(rc));
    else
        rc = identify(log, &listing, error);
    if (rc == 0)
        rc = note_files(log, &listing, error);
    free_listing(&listing);
    return rc;
}

static int open_directory(struct log *log, struct log_error *error)
{
    int rc = disk_lock(log->disk, LOCK_FILE);

    if (rc == ERR_IN_USE)
        return log_error_set(error, rc, LOCK_FILE, 0, "another broker uses this data directory");
    if (rc != 0)
        return log_error_set(error, rc, LOCK_FILE, 0, "cannot be locked: %s", err_text(rc));
    return look_around(log, error);
}

/* ---- life ---- */

static struct log *log_new(struct disk *disk, const struct log_settings *settings)
{
    struct log *log = mem_alloc_zero(sizeof *log);
    pthread_condattr_t monotonic;

    BUG_ON(settings->segment_bytes < LOG_SEGMENT_MIN ||
               settings->segment_bytes % FORMAT_BLOCK != 0 || settings->streams > 64,
           "segments of %llu octets", (unsigned long long)settings->segment_bytes);
    log->disk = disk;
    log->settings = *settings;
    log->salt_state = settings->seed;
    /* A batch of one part fits a segment. */
    log->part_bytes = (uint32_t)MIN((uint64_t)LOG_PART_BYTES,
                                    settings->segment_bytes - SEGMENT_HEADER_BYTES - FORMAT_BLOCK);
    log->position.sequence = 1;
    log->is_idle = true;
    log->is_sealed = true;
    atomic_init(&log->next_part, 1);
    pthread_mutex_init(&log->mutex, NULL);
    pthread_mutex_init(&log->wake_mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->changed, &monotonic);
    pthread_cond_init(&log->wake, &monotonic);
    fetcher_init(&log->fetcher);
    cleaner_init(log);
    pthread_condattr_destroy(&monotonic);
    log->buffer = mem_alloc_aligned(
        DISK_ALIGN, (size_t)MIN((uint64_t)BATCH_BYTES, settings->segment_bytes) + FORMAT_BLOCK);
    log->streams = mem_alloc_aligned(CACHE_LINE_BYTES, settings->streams * sizeof *log->streams);
    for (uint16_t i = 0; i < settings->streams; i++)
        stream_init(&log->streams[i], log, i);
    return log;
}

int log_open(struct disk *disk, const struct log_settings *settings, struct log **out,
             struct log_error *error)
{
    struct log *log = log_new(disk, settings);
    int rc = open_directory(log, error);

    *out = rc == 0 ? log : NULL;
    if (rc != 0)
        log_free(log);
    return rc;
}

static void free_parts(struct log_part *part)
{
    while (part) {
        struct log_part *next = part->next;
        mem_free(part);
        part = next;
    }
}

void log_free(struct log *log)
{
    if (!log)
        return;
    BUG_ON(log->has_threads, "the log was not stopped");
    segment_reader_close(&log->reader);
    disk_close(log->file);
    disk_close(log->report);
    free_parts(log->first);
    free_parts(atomic_exchange(&log->submitted, NULL));
    for (uint16_t i = 0; i < log->settings.streams; i++)
        stream_fini(&log->streams[i]);
    if (log->pending)
        checkpoint_free(log->pending);
    while (log->segments) {
        struct segment *segment = log->segments;
        log->segments = segment->next;
        segment_free(segment);
    }
    mem_free(log->slots);
    places_fini(&log->places);
    cleaner_fini(log);
    fetcher_fini(&log->fetcher);
    mem_free(log->streams);
    mem_free(log->buffer);
    pthread_cond_destroy(&log->changed);
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->mutex);
    pthread_mutex_destroy(&log->wake_mutex);
    disk_free(log->disk);
    mem_free(log);
}

/* ---- small questions ---- */

struct log_stream *log_stream(struct log *log, uint16_t id)
{
    return &log->streams[id];
}

uint32_t log_record_max(const struct log *log)
{
    return log->part_bytes - RECORD_HEADER_BYTES;
}

bool log_was_clean(const struct log *log)
{
    return log->was_clean;
}

bool log_is_new(const struct log *log)
{
    return log->is_new;
}

bool log_recovers(const struct log *log)
{
    return log->settings.recovers;
}

int log_failure(struct log *log)
{
    return atomic_load(&log->failure);
}

void log_set_events(struct log *log, const struct log_events *events)
{
    log->settings.events = *events;
}
