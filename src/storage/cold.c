/* SPDX-License-Identifier: Apache-2.0 */
/* Cold segments: what the cleaner has moved, in files of its own.
 *
 * Beside what is written now, most of which goes soon, moved parts would have to be moved again with every round:
 * with one queue of a hundred that nobody consumes, and 500 MB/s through the others, the log took 14 GB for
 * 200 MB. Among themselves they stay dense.
 *
 * A cold segment is laid out like another, but stands outside of the log's order: replay passes over it. A batch in
 * it counts when a checkpoint names its parts (PARTS); until then the places that the checkpoint before names are
 * kept, as they were. What a crash leaves behind in one has no part that a checkpoint names there, and goes. */
#include "storage/cold.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/batch.h"

#include <stdio.h>

/* Thread: under log->mutex, before the log's threads run. */
void cold_init(struct log *log)
{
    struct cold *cold = &log->cleaner.cold;

    for (const struct segment *segment = log->segments; segment; segment = segment->next)
        if (segment_is_cold(segment))
            cold->last = segment->header.number & ~SEGMENT_COLD;
}

void cold_fini(struct log *log)
{
    disk_close(log->cleaner.cold.file);
    log->cleaner.cold.file = NULL;
}

/* ---- beginning one ---- */

/* A file that is as large as a segment: a spare one, else a new one, which needs no zeros, since nobody waits for
 * these syncs. */
static int take_file(struct log *log, char name[DISK_NAME_MAX])
{
    struct disk_file *file;
    uint64_t number = 0;
    int rc;

    pthread_mutex_lock(&log->mutex);
    if (log->spare_count > 0)
        number = log->spares[--log->spare_count];
    pthread_mutex_unlock(&log->mutex);
    if (number != 0) {
        spare_name(number, name);
        return 0;
    }
    snprintf(name, DISK_NAME_MAX, "%s", COLD_NEW);
    rc = disk_open(log->disk, name, DISK_CREATE | DISK_DIRECT, &file);
    if (rc != 0)
        return rc;
    rc = disk_reserve(file, log->settings.segment_bytes);
    disk_close(file);
    if (rc != 0)
        segment_drop_file(log, name);
    return rc;
}

static int write_header(struct disk_file *file, const struct segment_header *header)
{
    uint8_t *block = mem_alloc_aligned(DISK_ALIGN, SEGMENT_HEADER_BYTES);
    int rc;

    segment_header_write(header, block);
    rc = disk_write(file, block, SEGMENT_HEADER_BYTES, 0);
    mem_free(block);
    return rc == 0 ? disk_sync(file) : rc;
}

/* As for other segments: header, name, directory, in this order. */
static int name_segment(struct log *log, const struct segment_header *header, const char *from,
                        struct disk_file **file)
{
    char name[DISK_NAME_MAX];
    int rc = disk_open(log->disk, from, DISK_DIRECT, file);

    if (rc != 0)
        return rc;
    segment_name(header->number, name);
    rc = write_header(*file, header);
    if (rc == 0)
        rc = disk_rename(log->disk, from, name);
    if (rc == 0)
        rc = disk_sync_dir(log->disk);
    if (rc != 0)
        disk_close(*file);
    return rc;
}

/* A file with which that fails is no spare one any more: it would lie there until the next start. */
static int make_segment(struct log *log, const struct segment_header *header,
                        struct disk_file **file)
{
    char from[DISK_NAME_MAX];
    int rc = take_file(log, from);

    if (rc != 0)
        return rc;
    rc = name_segment(log, header, from, file);
    if (rc != 0)
        segment_drop_file(log, from);
    return rc;
}

static int begin_segment(struct log *log)
{
    struct cold *cold = &log->cleaner.cold;
    struct disk_file *file;
    struct segment_header header = {
        .directory_id = log->directory_id,
        .number = SEGMENT_COLD | (cold->last + 1),
        .salt = log_next_salt(&cold->salt_state),
        .first_sequence = 1,
        .octets = log->settings.segment_bytes,
    };
    int rc = make_segment(log, &header, &file);

    if (rc != 0)
        return rc;
    disk_close(cold->file);
    cold->file = file;
    cold->last++;
    cold->offset = SEGMENT_HEADER_BYTES;
    cold->sequence = 1;
    pthread_mutex_lock(&log->mutex);
    cold->segment = segment_add(log, &header);
    pthread_mutex_unlock(&log->mutex);
    return 0;
}

/* ---- writing ---- */

static int write_batch(struct log *log, const struct batch *batch)
{
    struct cold *cold = &log->cleaner.cold;
    uint8_t *buffer;
    int rc = 0;

    if (!cold->file || cold->offset + batch->whole > cold->segment->header.octets)
        rc = begin_segment(log);
    if (rc != 0)
        return rc;
    buffer = mem_alloc_aligned(DISK_ALIGN, batch->whole);
    batch_fill(batch, cold->segment, cold->sequence, buffer);
    rc = disk_write(cold->file, buffer, batch->whole, cold->offset);
    if (rc == 0)
        rc = disk_sync(cold->file);
    mem_free(buffer);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&log->mutex);
    batch_note_places(batch, log, cold->segment, cold->offset);
    pthread_mutex_unlock(&log->mutex);
    cold->offset += batch->whole;
    cold->sequence++;
    return 0;
}

/* After an error nothing is known of the file: another one is begun, and this one goes when it is empty. */
static void give_up(struct log *log)
{
    struct cold *cold = &log->cleaner.cold;

    cold_fini(log);
    pthread_mutex_lock(&log->mutex);
    cold->segment = NULL;
    pthread_mutex_unlock(&log->mutex);
}

int cold_write(struct log *log, struct log_part *parts)
{
    uint64_t limit = log->settings.segment_bytes - SEGMENT_HEADER_BYTES - FORMAT_BLOCK;
    int rc = 0;

    while (parts && rc == 0) {
        struct batch batch = batch_choose(parts, MIN(limit, (uint64_t)COLD_BATCH_BYTES));
        rc = write_batch(log, &batch);
        parts = batch.end;
    }
    if (rc != 0)
        give_up(log);
    return rc;
}
