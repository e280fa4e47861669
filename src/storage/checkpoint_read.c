/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the newest checkpoint: where replay begins, where live bodies are, and the records. */
#include "base/bug.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <errno.h>

/* A frame with its padding. */
#define FRAME_WHOLE_MAX (LOG_PART_BYTES + FORMAT_BLOCK)

/* Indexes [first, end) were not found whole. */
struct lost_frames {
    uint32_t first;
    uint32_t end;
};

struct frame_reader {
    struct log *log;
    char name[DISK_NAME_MAX];
    struct disk_file *file;
    uint64_t size;
    uint8_t *buffer;
    uint64_t at;
    uint32_t index; /* of the next frame */
    bool is_clean;
    bool is_damaged;
    struct lost_frames *lost; /* by index */
    size_t lost_count;
    uint32_t first_copy; /* its index; UINT32_MAX: none was seen */
    uint32_t replaced;   /* frames that were lost and taken from their copies */
    log_replay_fn fn;
    void *context;
    struct log_error *error;
};

static int damaged(struct frame_reader *from, const char *reason)
{
    return log_error_set(from->error, ERR_CORRUPT, from->name, from->at, "%s", reason);
}

/* With --recover what can be read is worth more than what cannot. */
static int pass_damage(struct frame_reader *from, int rc)
{
    if ((rc != ERR_CORRUPT && rc != -EIO) || !from->log->settings.recovers)
        return rc;
    log_report(from->log, from->error);
    from->is_damaged = true;
    return 0;
}

/* ---- frames ---- */

/* The next frame; its payload is behind the header in the buffer. */
static int read_frame(struct frame_reader *from, struct frame_header *frame)
{
    size_t got = 0;
    int rc = log_read_around(from->log, from->file, from->buffer, FRAME_WHOLE_MAX, from->at, &got);

    if (rc != 0 && rc != ERR_CORRUPT)
        return log_error_set(from->error, rc, from->name, from->at, "cannot be read: %s",
                             err_text(rc));
    if (frame_header_read(from->buffer, got, frame) != 0)
        return damaged(from, "a frame of the checkpoint is damaged");
    if (frame->checkpoint != from->log->checkpoint || frame->index != from->index)
        return damaged(from, "a frame of the checkpoint is not the one that belongs here");
    return 0;
}

/* Does a later frame of this checkpoint begin here? Most blocks show at their first octets that none does. */
static bool is_later_frame(struct frame_reader *from, struct frame_header *frame)
{
    size_t got = 0;
    int rc;

    if (disk_read(from->file, from->buffer, FORMAT_BLOCK, from->at, &got) != 0 ||
        got < FORMAT_BLOCK || !frame_may_begin(from->buffer))
        return false;
    /* What cannot be read may lie behind the frame. */
    rc = log_read_around(from->log, from->file, from->buffer, FRAME_WHOLE_MAX, from->at, &got);
    if (rc != 0 && rc != ERR_CORRUPT)
        return false;
    return frame_header_read(from->buffer, got, frame) == 0 &&
           frame->checkpoint == from->log->checkpoint && frame->index >= from->index;
}

static void note_lost(struct frame_reader *from, uint32_t end)
{
    if (end == from->index)
        return;
    from->lost = mem_resize(from->lost, (from->lost_count + 1) * sizeof *from->lost);
    from->lost[from->lost_count++] = (struct lost_frames){from->index, end};
}

/* Go on behind damage. */
static int find_frame(struct frame_reader *from, struct frame_header *frame)
{
    do
        from->at += FORMAT_BLOCK;
    while (from->at < from->size && !is_later_frame(from, frame));
    if (from->at >= from->size) {
        *frame = (struct frame_header){.index = from->index, .kind = FRAME_END};
        return pass_damage(from, damaged(from, "the checkpoint has no end"));
    }
    note_lost(from, frame->index);
    return 0;
}

static int next_frame(struct frame_reader *from, struct frame_header *frame)
{
    int rc = read_frame(from, frame);

    if (rc != 0) {
        rc = pass_damage(from, rc);
        if (rc == 0)
            rc = find_frame(from, frame);
    }
    from->index = frame->index + 1;
    return rc;
}

static bool is_lost(const struct frame_reader *from, uint32_t index)
{
    for (size_t i = 0; i < from->lost_count; i++)
        if (index >= from->lost[i].first && index < from->lost[i].end)
            return true;
    return false;
}

/* ---- what is in them ---- */

static int take_head(struct frame_reader *from, const struct frame_header *frame)
{
    struct log *log = from->log;
    struct cursor in = cursor_of(from->buffer + FRAME_HEADER_BYTES, frame->octets);
    uint32_t version = cursor_u32(&in);
    struct log_position replay;
    uint64_t directory;
    uint64_t next_part;

    from->is_clean = cursor_u32(&in) != 0;
    directory = cursor_u64(&in);
    replay.segment = cursor_u64(&in);
    replay.offset = cursor_u64(&in);
    replay.sequence = cursor_u64(&in);
    next_part = cursor_u64(&in);
    (void)cursor_u64(&in); /* when it was written, for people */
    if (!cursor_is_done(&in) || version > FORMAT_VERSION)
        return damaged(from, "the head of the checkpoint is of another version");
    if (directory != log->directory_id)
        return damaged(from, "the checkpoint belongs to another data directory");
    log->replay = replay;
    atomic_store(&log->next_part, MAX(next_part, atomic_load(&log->next_part)));
    return 0;
}

static int missing(struct frame_reader *from, uint64_t number)
{
    char name[DISK_NAME_MAX];

    segment_name(number, name);
    return log_error_set(from->error, ERR_CORRUPT, from->name, from->at,
                         "%s, which the checkpoint needs, is missing", name);
}

static int take_places(struct frame_reader *from, const struct frame_header *frame)
{
    struct log *log = from->log;
    struct cursor in = cursor_of(from->buffer + FRAME_HEADER_BYTES, frame->octets);
    struct segment *segment = NULL;

    while (!in.failed && cursor_left(&in) > 0) {
        struct part_header part = {.number = cursor_u64(&in)};
        uint64_t number = cursor_u64(&in);
        uint32_t offset = cursor_u32(&in);
        uint32_t octets = cursor_u32(&in);
        part.octets = octets & ~PLACE_PACKED;
        part.flags = octets & PLACE_PACKED ? PART_MOVED | PART_PACKED : 0;
        if (in.failed || !places_fits(part.number, offset, part.octets))
            return damaged(from, "a list of parts is malformed");
        /* The head says it, too, when it is whole. */
        atomic_store(&log->next_part, MAX(part.number + 1, atomic_load(&log->next_part)));
        if (!segment || segment->header.number != number)
            segment = segment_find(log, number);
        if (segment)
            segment_add_part(log, segment, &part, offset);
        else if (!log->settings.recovers)
            return missing(from, number);
    }
    return 0;
}

static int take_record(void *context, uint64_t id, const struct record_header *header,
                       const uint8_t *payload)
{
    struct frame_reader *from = context;
    int rc = from->fn(from->context, id, header, payload);

    if (rc == ERR_CORRUPT)
        rc = pass_damage(from, damaged(from, "a record of the checkpoint is malformed"));
    return rc;
}

static int take_records(struct frame_reader *from, const struct frame_header *frame)
{
    int rc = part_walk(0, from->buffer + FRAME_HEADER_BYTES, frame->octets, take_record, from);
    return rc == ERR_CORRUPT ? damaged(from, "a record of the checkpoint is malformed") : rc;
}

/* Copies count when the original is lost. */
static bool is_wanted(struct frame_reader *from, const struct frame_header *frame)
{
    if (frame->copy_of == 0)
        return true;
    from->first_copy = MIN(from->first_copy, frame->index - (frame->copy_of - 1));
    if (!is_lost(from, frame->copy_of - 1))
        return false;
    from->replaced++;
    return true;
}

static int take_frame(struct frame_reader *from, const struct frame_header *frame)
{
    uint32_t place = frame->copy_of != 0 ? frame->copy_of - 1 : frame->index;

    if (!is_wanted(from, frame))
        return 0;
    if ((place == 0) != (frame->kind == FRAME_HEAD) && frame->kind != FRAME_END)
        return damaged(from, "the checkpoint does not begin with its head");
    switch ((enum frame_kind)frame->kind) {
    case FRAME_HEAD:
        return take_head(from, frame);
    case FRAME_PARTS:
        return pass_damage(from, take_places(from, frame));
    case FRAME_RECORDS:
        return pass_damage(from, take_records(from, frame));
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
        rc = next_frame(from, &frame);
        if (rc == 0)
            rc = take_frame(from, &frame);
        from->at += format_round_up(FRAME_HEADER_BYTES + frame.octets, FORMAT_BLOCK);
    }
    return rc;
}

/* What the damage has cost, behind the lines that say where it is. */
static void report_lost(struct frame_reader *from)
{
    uint32_t lost = 0;

    for (size_t i = 0; i < from->lost_count; i++)
        if (from->lost[i].first < from->first_copy)
            lost += MIN(from->lost[i].end, from->first_copy) - from->lost[i].first;
    if (from->replaced > 0) {
        (void)log_error_set(from->error, 0, from->name, 0, "%u frames were taken from their copies",
                            from->replaced);
        log_report(from->log, from->error);
    }
    if (lost > from->replaced) {
        (void)log_error_set(from->error, 0, from->name, 0,
                            "%u frames are lost: the queues in them lack messages",
                            lost - from->replaced);
        log_report(from->log, from->error);
    }
}

int checkpoint_read(struct log *log, log_replay_fn fn, void *context, struct log_error *error)
{
    struct frame_reader from = {
        .log = log, .first_copy = UINT32_MAX, .fn = fn, .context = context, .error = error};
    int rc;

    checkpoint_name(log->checkpoint, from.name);
    rc = disk_open(log->disk, from.name, DISK_DIRECT, &from.file);
    if (rc == 0)
        rc = disk_size(from.file, &from.size);
    if (rc != 0) {
        disk_close(from.file);
        return log_error_set(error, rc, from.name, 0, "cannot be opened: %s", err_text(rc));
    }
    from.buffer = mem_alloc_aligned(DISK_ALIGN, FRAME_WHOLE_MAX);
    rc = read_frames(&from);
    if (rc == 0)
        report_lost(&from);
    mem_free(from.buffer);
    mem_free(from.lost);
    disk_close(from.file);
    log->was_clean = rc == 0 && from.is_clean && !from.is_damaged;
    return rc;
}
