/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the newest checkpoint: where replay begins, where live bodies are, and the records. */
#include "base/bug.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

/* A frame with its padding. */
#define FRAME_WHOLE_MAX (LOG_PART_BYTES + FORMAT_BLOCK)

struct frame_reader {
    struct log *log;
    char name[DISK_NAME_MAX];
    struct disk_file *file;
    uint8_t *buffer;
    uint64_t at;
    uint32_t index;
    bool is_clean;
    log_replay_fn fn;
    void *context;
    struct log_error *error;
};

static int damaged(struct frame_reader *from, const char *reason)
{
    return log_error_set(from->error, ERR_CORRUPT, from->name, from->at, "%s", reason);
}

/* The next frame; its payload is behind the header in the buffer. */
static int read_frame(struct frame_reader *from, struct frame_header *frame)
{
    size_t got = 0;
    int rc = disk_read(from->file, from->buffer, FRAME_WHOLE_MAX, from->at, &got);

    if (rc != 0)
        return log_error_set(from->error, rc, from->name, from->at, "cannot be read: %s",
                             err_text(rc));
    if (frame_header_read(from->buffer, got, frame) != 0)
        return damaged(from, "a frame of the checkpoint is damaged");
    if (frame->checkpoint != from->log->checkpoint || frame->index != from->index)
        return damaged(from, "a frame of the checkpoint is not the one that belongs here");
    from->index++;
    return 0;
}

static int take_head(struct frame_reader *from, const struct frame_header *frame)
{
    struct log *log = from->log;
    struct cursor in = cursor_of(from->buffer + FRAME_HEADER_BYTES, frame->octets);
    uint32_t version = cursor_u32(&in);
    uint64_t directory;
    uint64_t next_part;

    from->is_clean = cursor_u32(&in) != 0;
    directory = cursor_u64(&in);
    log->replay.segment = cursor_u64(&in);
    log->replay.offset = cursor_u64(&in);
    log->replay.sequence = cursor_u64(&in);
    next_part = cursor_u64(&in);
    (void)cursor_u64(&in); /* when it was written, for people */
    if (!cursor_is_done(&in) || version > FORMAT_VERSION)
        return damaged(from, "the head of the checkpoint is of another version");
    if (directory != log->directory_id)
        return damaged(from, "the checkpoint belongs to another data directory");
    atomic_store(&log->next_part, MAX(next_part, atomic_load(&log->next_part)));
    return 0;
}

static int take_places(struct frame_reader *from, const struct frame_header *frame)
{
    struct log *log = from->log;
    struct cursor in = cursor_of(from->buffer + FRAME_HEADER_BYTES, frame->octets);
    struct segment *segment = NULL;

    while (!in.failed && cursor_left(&in) > 0) {
        uint64_t part = cursor_u64(&in);
        uint64_t number = cursor_u64(&in);
        uint32_t offset = cursor_u32(&in);
        uint32_t octets = cursor_u32(&in);
        if (in.failed || !places_fits(part, offset, octets))
            return damaged(from, "a list of parts is malformed");
        if (!segment || segment->header.number != number)
            segment = segment_find(log, number);
        if (segment)
            segment_add_part(log, segment, part, offset, octets);
        else if (!log->settings.recovers)
            return log_error_set(from->error, ERR_CORRUPT, from->name, from->at,
                                 "segment %llu, which the checkpoint needs, is missing",
                                 (unsigned long long)number);
    }
    return 0;
}

static int take_records(struct frame_reader *from, const struct frame_header *frame)
{
    int rc =
        part_walk(0, from->buffer + FRAME_HEADER_BYTES, frame->octets, from->fn, from->context);
    return rc == ERR_CORRUPT ? damaged(from, "a record of the checkpoint is malformed") : rc;
}

static int take_frame(struct frame_reader *from, const struct frame_header *frame)
{
    switch ((enum frame_kind)frame->kind) {
    case FRAME_HEAD:
        return take_head(from, frame);
    case FRAME_PARTS:
        return take_places(from, frame);
    case FRAME_RECORDS:
        return take_records(from, frame);
    case FRAME_END:
        return 0;
    }
    return damaged(from, "a frame of the checkpoint is of an unknown kind");
}

static int read_frames(struct frame_reader *from)
{
    struct frame_header frame = {0};
    int rc = 0;

    while (rc == 0 && frame.kind != FRAME_END) {
        rc = read_frame(from, &frame);
        if (rc == 0 && (from->index == 1) != (frame.kind == FRAME_HEAD))
            rc = damaged(from, "the checkpoint does not begin with its head");
        if (rc == 0)
            rc = take_frame(from, &frame);
        from->at += format_round_up(FRAME_HEADER_BYTES + frame.octets, FORMAT_BLOCK);
    }
    return rc;
}

int checkpoint_read(struct log *log, log_replay_fn fn, void *context, struct log_error *error)
{
    struct frame_reader from = {.log = log, .fn = fn, .context = context, .error = error};
    int rc;

    checkpoint_name(log->checkpoint, from.name);
    rc = disk_open(log->disk, from.name, DISK_DIRECT, &from.file);
    if (rc != 0)
        return log_error_set(error, rc, from.name, 0, "cannot be opened: %s", err_text(rc));
    from.buffer = mem_alloc_aligned(DISK_ALIGN, FRAME_WHOLE_MAX);
    rc = read_frames(&from);
    mem_free(from.buffer);
    disk_close(from.file);
    log->was_clean = rc == 0 && from.is_clean;
    return rc;
}
