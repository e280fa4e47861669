/* SPDX-License-Identifier: Apache-2.0 */
/* Replay: the log behind the newest checkpoint, its legal torn end, and damage told from it.
 *
 * A batch is written when the one before is durable. So what is not a whole batch is either the end of
 * the log (a batch that was under way when the power went), and then nothing valid lies behind it; or it
 * is damage, and then it is named and nothing is skipped unless --recover says so. */
#include "base/bug.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct replay {
    struct log *log;
    struct segment *segment;
    struct log_position at; /* of the next batch */
    int read_error;         /* of the disk: what it hides is not the end of the log */
    log_replay_fn fn;
    void *context;
    struct log_error *error;
};

static int report_damage(struct replay *replay, uint64_t offset, const char *reason)
{
    char name[DISK_NAME_MAX];

    segment_name(replay->segment->header.number, name);
    log_error_set(replay->error, ERR_CORRUPT, name, offset, "%s", reason);
    if (!replay->log->settings.recovers)
        return ERR_CORRUPT;
    log_report(replay->log, replay->error);
    return 0;
}

/* ---- one batch ---- */

/* Behind a batch that was dropped many records lack what they follow; those of other queues do not. */
static int take_record(void *context, uint64_t id, const struct record_header *header,
                       const uint8_t *payload)
{
    struct replay *replay = context;
    int rc = replay->fn(replay->context, id, header, payload);

    if (rc != ERR_CORRUPT)
        return rc;
    return report_damage(replay, replay->at.offset,
                         "a record is malformed, or what it follows is missing");
}

static int walk_parts(struct replay *replay, const struct batch_header *batch,
                      const uint8_t *octets)
{
    struct log *log = replay->log;
    uint32_t at = 0;
    int rc = 0;

    for (uint32_t i = 0; i < batch->parts && rc == 0; i++) {
        struct part_header part;
        rc = part_header_read(octets + at, batch->octets - at, replay->segment->seed, &part);
        if (rc != 0)
            return rc; /* checked before: cannot be */
        if (!places_fits(part.number, 0, part.octets))
            return ERR_CORRUPT;
        segment_add_part(log, replay->segment, &part,
                         (uint32_t)replay->at.offset + BATCH_HEADER_BYTES + at);
        if (part.number >= atomic_load(&log->next_part))
            atomic_store(&log->next_part, part.number + 1);
        /* Moved parts stood in the log before there were cold segments. They change nothing. */
        if (!(part.flags & PART_MOVED)) {
            log->was_clean = false;
            rc = part_walk(part.number, octets + at + PART_HEADER_BYTES, part.octets, take_record,
                           replay);
        }
        at += PART_HEADER_BYTES + part.octets;
    }
    return rc;
}

/* Are all parts whole? Before the first record is handed on: a batch counts as a whole or not at all. */
static bool parts_are_whole(const struct replay *replay, const struct batch_header *batch,
                            const uint8_t *octets)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < batch->parts; i++) {
        struct part_header part;
        if (part_header_read(octets + at, batch->octets - at, replay->segment->seed, &part) != 0)
            return false;
        at += PART_HEADER_BYTES + part.octets;
    }
    return at == batch->octets;
}

static bool load(struct replay *replay, uint64_t end)
{
    struct segment_reader *reader = &replay->log->reader;
    int rc = segment_reader_load(reader, end);

    if (rc != 0)
        replay->read_error = rc;
    return rc == 0 && end <= reader->loaded;
}

/* The header at `offset`, when it is one of this segment. */
static bool header_at(struct replay *replay, uint64_t offset, struct batch_header *batch)
{
    struct segment_reader *reader = &replay->log->reader;

    if (offset + BATCH_HEADER_BYTES > reader->size || !load(replay, offset + BATCH_HEADER_BYTES))
        return false;
    return batch_header_read(reader->data + offset, replay->segment->seed, batch) == 0 &&
           batch->segment == replay->segment->header.number;
}

/* The next batch, when it is there and whole. */
static bool next_batch(struct replay *replay, struct batch_header *batch)
{
    struct segment_reader *reader = &replay->log->reader;
    uint64_t end;

    if (!header_at(replay, replay->at.offset, batch) || batch->sequence != replay->at.sequence)
        return false;
    end = replay->at.offset + BATCH_HEADER_BYTES + batch->octets;
    if (end > reader->size || !load(replay, end))
        return false;
    return parts_are_whole(replay, batch, reader->data + replay->at.offset + BATCH_HEADER_BYTES);
}

/* ---- what follows the last whole batch of a segment ---- */

/* A valid batch behind the present place, in this segment. */
static bool find_later(struct replay *replay, uint64_t *offset, struct batch_header *batch)
{
    for (*offset = replay->at.offset; *offset < replay->log->reader.size; *offset += FORMAT_BLOCK)
        if (header_at(replay, *offset, batch) && batch->sequence > replay->at.sequence)
            return true;
    return false;
}

static bool follows(const struct replay *replay, const struct segment *next)
{
    return next->header.number == replay->segment->header.number + 1 &&
           next->header.previous_end == replay->at.offset &&
           next->header.first_sequence == replay->at.sequence;
}

static void go_to_segment(struct replay *replay, struct segment *next)
{
    replay->segment = next;
    replay->log->replayed = 0;
    replay->at = (struct log_position){next->header.number, SEGMENT_HEADER_BYTES,
                                       next->header.first_sequence};
}

/* Cold ones, which come last, are not of the log's order. */
static struct segment *in_order(struct segment *segment)
{
    return segment && segment_is_cold(segment) ? NULL : segment;
}

/* No whole batch is here: end of the segment, end of the log, or damage. Sets *done at the end. */
static int pass_gap(struct replay *replay, bool *done)
{
    struct segment *next = in_order(replay->segment->next);
    struct batch_header later;
    uint64_t offset;
    int rc;

    if (next && follows(replay, next)) {
        go_to_segment(replay, next);
        return 0;
    }
    if (find_later(replay, &offset, &later)) {
        rc = report_damage(replay, replay->at.offset, "a batch is damaged; whole ones follow it");
        replay->at.offset = offset;
        replay->at.sequence = later.sequence;
        return rc;
    }
    if (next) {
        rc = report_damage(replay, replay->at.offset,
                           "batches are missing between here and the next segment");
        go_to_segment(replay, next);
        return rc;
    }
    *done = true;
    return 0;
}

static int cannot(const struct replay *replay, int rc, uint64_t offset, const char *what)
{
    char name[DISK_NAME_MAX];

    segment_name(replay->segment->header.number, name);
    return log_error_set(replay->error, rc, name, offset, "cannot be %s: %s", what, err_text(rc));
}

static int replay_segments(struct replay *replay)
{
    struct log *log = replay->log;
    bool done = false;
    int rc = 0;

    while (!done && rc == 0) {
        struct batch_header batch;
        rc = segment_reader_open(&log->reader, log, replay->segment->header.number);
        if (rc != 0)
            return cannot(replay, rc, 0, "opened");
        if (!next_batch(replay, &batch)) {
            if (replay->read_error == 0)
                rc = pass_gap(replay, &done);
            if (replay->read_error != 0)
                return cannot(replay, replay->read_error, log->reader.loaded, "read");
            continue;
        }
        rc = walk_parts(replay, &batch, log->reader.data + replay->at.offset + BATCH_HEADER_BYTES);
        if (rc == ERR_CORRUPT)
            rc = report_damage(replay, replay->at.offset, "a record is malformed");
        log->replayed = replay->at.offset;
        replay->at.offset += format_round_up(BATCH_HEADER_BYTES + batch.octets, FORMAT_BLOCK);
        replay->at.sequence++;
    }
    return rc;
}

/* ---- where to begin ---- */

static int begin(struct replay *replay)
{
    struct log *log = replay->log;
    struct segment *first = in_order(log->segments);
    char name[DISK_NAME_MAX];

    if (log->checkpoint != 0 && log->replay.segment != 0) {
        replay->at = log->replay;
        replay->segment = segment_find(log, log->replay.segment);
        if (replay->segment)
            return 0;
        segment_name(log->replay.segment, name);
        log_error_set(replay->error, ERR_CORRUPT, name, log->replay.offset,
                      "replay begins in this file, which is missing");
    } else if (first && first->header.number != 1) {
        segment_name(first->header.number, name);
        log_error_set(replay->error, ERR_CORRUPT, name, 0,
                      "the log begins with this file, and no checkpoint says what was before");
    } else {
        if (first)
            go_to_segment(replay, first);
        return 0;
    }
    if (!log->settings.recovers)
        return ERR_CORRUPT;
    log_report(log, replay->error);
    if (first)
        go_to_segment(replay, first);
    return 0;
}

static int read_checkpoint(struct log *log, log_replay_fn fn, void *context,
                           struct log_error *error)
{
    int rc = log->checkpoint ? checkpoint_read(log, fn, context, error) : 0;

    if (rc != ERR_CORRUPT || !log->settings.recovers)
        return rc;
    log_report(log, error);
    return 0;
}

int log_replay(struct log *log, log_replay_fn fn, void *context, struct log_error *error)
{
    struct replay replay = {.log = log, .fn = fn, .context = context, .error = error};
    int rc = read_checkpoint(log, fn, context, error);

    if (rc == 0)
        rc = begin(&replay);
    if (rc != 0 || !replay.segment)
        return rc;
    rc = replay_segments(&replay);
    log->position = replay.at;
    log->is_sealed = false;
    return rc;
}

/* ---- the report of --recover ---- */

void log_report(struct log *log, const struct log_error *error)
{
    char line[DISK_NAME_MAX + sizeof error->reason + 64];
    int n;

    log_warn("dropped because of damage", "file=%s offset=%llu reason='%s'", error->file,
             (unsigned long long)error->offset, error->reason);
    if (!log->report) {
        snprintf(log->report_name, sizeof log->report_name, "recover-report.txt");
        if (disk_open(log->disk, log->report_name, DISK_CREATE, &log->report) != 0)
            return;
        if (disk_size(log->report, &log->report_end) != 0)
            log->report_end = 0;
    }
    n = snprintf(line, sizeof line, "%s offset %llu: %s\n", error->file,
                 (unsigned long long)error->offset, error->reason);
    if (disk_write(log->report, line, (size_t)n, log->report_end) == 0)
        log->report_end += (uint64_t)n;
}

const char *log_report_name(const struct log *log)
{
    return log->report ? log->report_name : NULL;
}
