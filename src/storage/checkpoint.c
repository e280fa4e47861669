/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: gathered by the shards, written as one file by the helper, then segments are let go. */
#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include "base/cursor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PLACE_BYTES 24U
/* Payload of one frame. */
#define FRAME_BYTES LOG_PART_BYTES

void checkpoint_name(uint64_t number, char name[DISK_NAME_MAX])
{
    snprintf(name, DISK_NAME_MAX, "checkpoint-%016llx", (unsigned long long)number);
}

/* ---- gathering ---- */

uint8_t *log_gather_record(struct log_gather *gather, uint8_t kind, uint8_t version,
                           uint32_t octets)
{
    uint32_t whole = format_round_up(RECORD_HEADER_BYTES + octets, RECORD_ALIGN);
    struct record_header header = {.octets = octets, .kind = kind, .version = version};
    struct log_part *part = gather->last;
    uint8_t *at;

    BUG_ON(whole > FRAME_BYTES, "record of %u octets", octets);
    if (!part || part->used + whole > FRAME_BYTES || part->is_vital != gather->is_vital) {
        part = part_new(FRAME_BYTES);
        part->is_vital = gather->is_vital;
        if (gather->last)
            gather->last->next = part;
        else
            gather->first = part;
        gather->last = part;
    }
    at = part->data + part->used;
    record_header_write(&header, at);
    memset(at + RECORD_HEADER_BYTES, 0, whole - RECORD_HEADER_BYTES);
    part->used += whole;
    return at + RECORD_HEADER_BYTES;
}

void log_gather_free(struct log_gather *gather)
{
    while (gather->first) {
        struct log_part *part = gather->first;
        gather->first = part->next;
        mem_free(part);
    }
    mem_free(gather->live.all);
    mem_free(gather->read.all);
    *gather = (struct log_gather){0};
}

/* ---- life of one ---- */

struct log_checkpoint *log_checkpoint_begin(struct log *log)
{
    struct log_checkpoint *checkpoint = mem_alloc_zero(sizeof *checkpoint);

    checkpoint->log = log;
    pthread_mutex_lock(&log->mutex);
    BUG_ON(log->is_checkpointing, "a second checkpoint at a time");
    log->is_checkpointing = true;
    log->is_checkpoint_due = false;
    clean_note_begin(log);
    log->since_checkpoint = 0;
    checkpoint->replay = log->position;
    pthread_mutex_unlock(&log->mutex);
    return checkpoint;
}

void log_checkpoint_add(struct log_checkpoint *checkpoint, struct log_gather *gather,
                        uint16_t stream, lsn_t upto)
{
    struct log_gather *all = &checkpoint->all;

    if (gather->first) {
        if (all->last)
            all->last->next = gather->first;
        else
            all->first = gather->first;
        all->last = gather->last;
        gather->first = NULL;
    }
    live_add(all, gather);
    log_gather_weight(all, gather->messages, gather->live_octets);
    log_gather_free(gather);
    checkpoint->marks =
        mem_resize(checkpoint->marks, (checkpoint->mark_count + 1) * sizeof *checkpoint->marks);
    checkpoint->marks[checkpoint->mark_count++] = (struct stream_mark){stream, upto};
}

void checkpoint_free(struct log_checkpoint *checkpoint)
{
    log_gather_free(&checkpoint->all);
    mem_free(checkpoint->marks);
    mem_free(checkpoint);
}

bool checkpoint_is_durable(const struct log_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->mark_count; i++) {
        const struct stream_mark *mark = &checkpoint->marks[i];
        if (log_durable(&checkpoint->log->streams[mark->stream]) < mark->upto)
            return false;
    }
    return true;
}

void log_checkpoint_cancel(struct log_checkpoint *checkpoint)
{
    struct log *log = checkpoint->log;

    checkpoint_free(checkpoint);
    pthread_mutex_lock(&log->mutex);
    log->is_checkpointing = false;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
}

void log_checkpoint_finish(struct log_checkpoint *checkpoint, bool is_clean)
{
    struct log *log = checkpoint->log;

    checkpoint->is_clean = is_clean;
    pthread_mutex_lock(&log->mutex);
    log->pending = checkpoint;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
}

/* ---- writing ---- */

struct frame_writer {
    struct disk_file *file;
    uint8_t *buffer; /* aligned: header, payload, padding */
    uint64_t at;
    uint64_t checkpoint;
    uint32_t index;
    uint32_t copy_of; /* of the next frame, when copies are written; else 0 */
};

static uint8_t *frame_payload(struct frame_writer *to)
{
    return to->buffer + FRAME_HEADER_BYTES;
}

static int frame_put(struct frame_writer *to, enum frame_kind kind, uint32_t octets)
{
    uint32_t whole = format_round_up(FRAME_HEADER_BYTES + octets, FORMAT_BLOCK);
    struct frame_header header = {to->checkpoint, to->index++, octets, kind, to->copy_of};
    int rc;

    to->copy_of += to->copy_of != 0;

    memset(frame_payload(to) + octets, 0, whole - FRAME_HEADER_BYTES - octets);
    frame_header_write(&header, to->buffer);
    rc = disk_write(to->file, to->buffer, whole, to->at);
    to->at += whole;
    return rc;
}

static int put_head(struct frame_writer *to, const struct log_checkpoint *checkpoint)
{
    const struct log *log = checkpoint->log;
    struct writer w = writer_of(frame_payload(to), FRAME_BYTES);

    writer_u32(&w, FORMAT_VERSION);
    writer_u32(&w, checkpoint->is_clean);
    writer_u64(&w, log->directory_id);
    writer_u64(&w, checkpoint->replay.segment);
    writer_u64(&w, checkpoint->replay.offset);
    writer_u64(&w, checkpoint->replay.sequence);
    writer_u64(&w, atomic_load(&log->next_part));
    writer_u64(&w, clock_read_ns(CLOCK_REALTIME) / 1000000U);
    return frame_put(to, FRAME_HEAD, (uint32_t)writer_len(&w));
}

static int put_places(struct frame_writer *to, const struct live_places *places)
{
    size_t at = 0;
    int rc = 0;

    while (at < places->count && rc == 0) {
        size_t end = MIN(places->count, at + FRAME_BYTES / PLACE_BYTES);
        struct writer w = writer_of(frame_payload(to), FRAME_BYTES);
        for (; at < end; at++) {
            const struct live_place *place = &places->all[at];
            writer_u64(&w, place->number);
            writer_u64(&w, place->segment);
            writer_u32(&w, place->offset);
            writer_u32(&w, place->octets | (place->is_packed ? PLACE_PACKED : 0));
        }
        rc = frame_put(to, FRAME_PARTS, (uint32_t)writer_len(&w));
    }
    return rc;
}

static int put_records(struct frame_writer *to, const struct log_checkpoint *checkpoint,
                       bool is_vital)
{
    int rc = 0;

    for (const struct log_part *part = checkpoint->all.first; part && rc == 0; part = part->next) {
        if (part->is_vital != is_vital)
            continue;
        memcpy(frame_payload(to), part->data, part->used);
        rc = frame_put(to, FRAME_RECORDS, part->used);
    }
    return rc;
}

/* What is written twice. */
static int put_vital(struct frame_writer *to, const struct log_checkpoint *checkpoint,
                     const struct live_places *places)
{
    int rc = put_head(to, checkpoint);

    if (rc == 0)
        rc = put_places(to, places);
    return rc == 0 ? put_records(to, checkpoint, true) : rc;
}

/* Without its head, its places or the catalog the rest would be worth nothing: copies of them stand far from
 * the originals, at the end. */
static int put_all(struct frame_writer *to, const struct log_checkpoint *checkpoint)
{
    struct live_places places = live_places_collect(checkpoint);
    int rc = put_vital(to, checkpoint, &places);

    if (rc == 0)
        rc = put_records(to, checkpoint, false);
    to->copy_of = 1;
    if (rc == 0)
        rc = put_vital(to, checkpoint, &places);
    to->copy_of = 0;
    if (rc == 0)
        rc = frame_put(to, FRAME_END, 0);
    mem_free(places.all);
    return rc;
}

static int write_file(const struct log_checkpoint *checkpoint, uint64_t number)
{
    struct log *log = checkpoint->log;
    struct frame_writer to = {.checkpoint = number};
    int rc = disk_open(log->disk, CHECKPOINT_NEW, DISK_CREATE | DISK_DIRECT, &to.file);

    if (rc != 0)
        return rc;
    to.buffer = mem_alloc_aligned(DISK_ALIGN, FRAME_BYTES + FORMAT_BLOCK);
    rc = disk_truncate(to.file, 0);
    if (rc == 0)
        rc = put_all(&to, checkpoint);
    if (rc == 0)
        rc = disk_sync(to.file);
    mem_free(to.buffer);
    disk_close(to.file);
    /* It may be what fills the disk. */
    if (rc != 0 && disk_unlink(log->disk, CHECKPOINT_NEW) != 0)
        log_warn("cannot remove a half-made checkpoint", "file=%s", CHECKPOINT_NEW);
    return rc;
}

/* Its name makes it the newest; from then on the older file and the segments before are not needed. */
static int publish(struct log *log, uint64_t number)
{
    char name[DISK_NAME_MAX];
    int rc;

    checkpoint_name(number, name);
    rc = disk_rename(log->disk, CHECKPOINT_NEW, name);
    if (rc == 0)
        rc = disk_sync_dir(log->disk);
    if (rc != 0)
        return rc;
    if (log->checkpoint != 0) {
        checkpoint_name(log->checkpoint, name);
        if (disk_unlink(log->disk, name) != 0)
            log_warn("cannot remove the checkpoint before the last", "file=%s", name);
    }
    log->checkpoint = number;
    return 0;
}

int checkpoint_write(struct log_checkpoint *checkpoint)
{
    struct log *log = checkpoint->log;
    uint64_t number = log->checkpoint + 1;
    int rc = atomic_load(&log->failure);

    if (rc != 0)
        return rc;
    live_sort(&checkpoint->all);
    rc = write_file(checkpoint, number);
    if (rc == 0)
        rc = publish(log, number);
    if (rc != 0)
        return rc;
    log_debug("checkpoint written", "number=%llu segment=%llu offset=%llu live_ranges=%zu",
              (unsigned long long)number, (unsigned long long)checkpoint->replay.segment,
              (unsigned long long)checkpoint->replay.offset, checkpoint->all.live.count);
    return 0;
}

void checkpoint_recycle(const struct log_checkpoint *checkpoint,
                        const struct log_checkpoint *marked)
{
    segments_recycle(checkpoint->log, checkpoint->replay.segment, &checkpoint->all.live,
                     marked ? &marked->all.read : NULL);
}
