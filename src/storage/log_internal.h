/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the log share. */
#ifndef TOKKI_STORAGE_LOG_INTERNAL_H
#define TOKKI_STORAGE_LOG_INTERNAL_H

#include "storage/clean.h"
#include "storage/fetch_internal.h"
#include "storage/log.h"
#include "storage/places.h"

#include <pthread.h>

/* A batch is cut at this, so that the confirms of a burst do not wait for all of it. */
#define BATCH_BYTES (4U * 1024U * 1024U)

#define FORMAT_FILE "tokkimq.format"
#define LOCK_FILE "tokkimq.lock"

/* Records under way to the disk, or of a checkpoint. Owner: the stream, then the log, then (returned)
 * the stream again. */
struct log_part {
    struct log_part *next;
    struct log_stream *stream;
    uint64_t number;
    uint32_t used;
    uint32_t capacity;
    uint16_t flags; /* PART_...: of one that the cleaner moves */
    bool is_vital;  /* of a checkpoint: written twice */
    uint8_t data[] __attribute__((aligned(RECORD_ALIGN)));
};

/* In the number of a cold segment (cold.c): those come behind all others and are none of the replay's. */
#define SEGMENT_COLD (1ULL << 63)

/* A segment that may hold something needed. Owner: the log. Thread: under log->mutex once threads run. */
struct segment {
    struct segment *next; /* the following number */
    struct segment_header header;
    uint32_t seed;
    uint32_t slot;          /* log->slots[slot] is this one */
    uint32_t parts;         /* that log->places has in it */
    uint64_t listed_in;     /* number of the newest checkpoint whose PARTS name it */
    bool is_cached;         /* it was written through the page cache, and is read so */
    bool is_stuck;          /* something in it could not be moved: the cleaner passes it over */
    uint64_t read_in;       /* the newest round of fetches that reads it: not recycled meanwhile */
    struct disk_file *file; /* the reader's; NULL: not open */
};

static inline bool segment_is_cold(const struct segment *segment)
{
    return (segment->header.number & SEGMENT_COLD) != 0;
}

/* Where a batch begins. */
struct log_position {
    uint64_t segment; /* 0: nothing was ever written */
    uint64_t offset;
    uint64_t sequence;
};

struct stream_mark {
    uint16_t stream;
    lsn_t upto;
};

/* Owner: who gathers, then the log. */
struct log_checkpoint {
    struct log *log;
    struct log_position replay;
    struct log_gather all;
    struct stream_mark *marks;
    size_t mark_count;
    bool is_clean;
};

/* Reading one segment from its beginning, as far as needed. */
struct segment_reader {
    struct log *log;
    struct disk_file *file;
    uint64_t number; /* 0: none is open */
    uint64_t size;
    uint64_t loaded;
    uint64_t checked; /* part whose checksum was right the last time */
    uint64_t capacity;
    uint8_t *data;
};

/* Owner: the node. Threads: `writer` writes batches, `helper` prepares segments and writes checkpoints;
 * `reader` answers fetches; with is_threaded false all are the caller of log_step. */
struct log {
    struct disk *disk;
    struct log_settings settings;
    uint64_t directory_id;
    uint32_t part_bytes;
    struct log_stream *streams;
    bool is_new;
    bool was_clean;

    /* Any thread. */
    _Atomic uint64_t next_part;
    _Atomic(struct log_part *) submitted; /* newest first */
    _Atomic bool is_sleeping;             /* the writer */
    _Atomic bool is_idle;                 /* it has nothing under way */
    _Atomic bool is_stopping;
    _Atomic bool expects_reads;
    _Atomic int failure;
    pthread_mutex_t wake_mutex;
    pthread_cond_t wake;

    /* The writer's. */
    struct log_part *first; /* taken, not written yet, oldest first */
    struct log_part *last;
    struct disk_file *file; /* of the last segment */
    struct segment *current;
    uint64_t zeroed_to; /* the current segment was written once up to here */
    uint64_t
        replayed; /* where the last batch of the replay begins; 0: none is in the last segment */
    uint8_t *buffer;
    uint64_t salt_state;
    bool is_sealed; /* nothing durable is at the very end of the log */

    /* Under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct segment *segments; /* oldest first */
    struct segment **slots;   /* the same by their slots; NULL: free */
    uint32_t slot_count;
    struct places places;         /* of all parts that may be asked for */
    struct log_position position; /* of the next batch */
    uint64_t since_checkpoint;    /* octets */
    bool is_checkpoint_due;       /* told, and not begun yet */
    bool wants_spare;
    bool is_space_low;    /* the next segment could not be prepared ... */
    bool has_told_low;    /* ... and events.space knows */
    uint64_t next_ask_ms; /* for a checkpoint that may make room; the helper's */
    bool has_writer_ended;
    /* Somebody waits for what was submitted: a full disk is not waited for any more. */
    bool is_ending;
    uint64_t spares[2]; /* numbers of prepared files */
    uint32_t spare_count;
    uint64_t last_spare; /* number given out */
    uint64_t checkpoint; /* number of the newest file, 0 when there is none */
    bool is_checkpointing;
    struct log_checkpoint *pending; /* for the helper */

    /* Replay. */
    struct log_position replay;
    struct segment_reader reader;
    char report_name[DISK_NAME_MAX];
    struct disk_file *report;
    uint64_t report_end;

    struct fetcher fetcher;
    struct cleaner cleaner;

    pthread_t writer;
    pthread_t helper;
    bool has_threads;
};

/* Names of files. */
void segment_name(uint64_t number, char name[DISK_NAME_MAX]);
void spare_name(uint64_t number, char name[DISK_NAME_MAX]);
void checkpoint_name(uint64_t number, char name[DISK_NAME_MAX]);
#define CHECKPOINT_NEW "checkpoint.new"
#define SPARE_NEW "spare.new"

/* Fill *error and return `code`. */
__attribute__((format(printf, 5, 6))) int log_error_set(struct log_error *error, int code,
                                                        const char *file, uint64_t offset,
                                                        const char *format, ...);

/* format_file.c: by log->directory_id. */
MUST_CHECK int format_file_write(struct log *log);
/* Fills log->directory_id. ERR_NOT_FOUND: there is none. ERR_REFUSED: of a newer format. ERR_CORRUPT: damaged;
 * else -errno. `*is_whole`: its sum is right. */
MUST_CHECK int format_file_read(struct log *log, bool *is_whole, struct log_error *error);

/* part.c */
struct log_part *part_new(uint32_t capacity);
void stream_init(struct log_stream *stream, struct log *log, uint16_t id);
void stream_fini(struct log_stream *stream);
/* The writer is done with it. */
void part_return(struct log_part *part);
/* To the writer. A moved one is freed when it is written. Any thread. */
void part_submit(struct log *log, struct log_part *part);

/* segment.c */
struct segment *segment_add(struct log *log, const struct segment_header *header);
/* A part lies in this segment now; it may have been known elsewhere. Thread: under log->mutex once threads
 * run. */
void segment_add_part(struct log *log, struct segment *segment, const struct part_header *part,
                      uint32_t offset);
struct segment *segment_find(const struct log *log, uint64_t number);
/* Is it behind the replay, when that begins at `keep_from`: may it be cleaned and let go of? A cold one always, but
 * for the one that is being written. Thread: under log->mutex. */
bool segment_is_before(const struct log *log, const struct segment *segment, uint64_t keep_from);
/* Remove a file that is not needed any more; a warning when that fails. */
void segment_drop_file(struct log *log, const char *name);
/* Of a generator's own state. */
uint64_t log_next_salt(uint64_t *state);
void segment_free(struct segment *segment);
/* Begin the segment behind the current one. Thread: the writer's. */
MUST_CHECK int segment_roll(struct log *log);
/* Make a file ready to become a segment: the helper's job. */
MUST_CHECK int segment_prepare(struct log *log);
/* Let go of segments before `keep_from` that hold no part of the sorted ranges `live` and `read` (or NULL). */
void segments_recycle(struct log *log, uint64_t keep_from, const struct log_ranges *live,
                      const struct log_ranges *read);
MUST_CHECK int segment_open_first(struct log *log);
MUST_CHECK int segment_open_last(struct log *log);

/* Forget the parts that `keep` does not want, a stretch at a time: the writer waits for this mutex. `keep`
 * takes them from their segment's count itself. */
void log_forget_parts(struct log *log, places_keep_fn keep, void *context);

/* write.c: one batch of what was taken, or a seal when `seals`. Returns the failure, or 0. */
int log_write_batch(struct log *log, bool seals);
/* Take over what was submitted. True when there is something to write. */
bool log_take_submitted(struct log *log);
/* threads.c: make a checkpoint due. */
void log_ask_for_room(struct log *log);
void log_fail(struct log *log, int error, const char *what);

/* live.c */
struct live_place {
    uint64_t number;
    uint64_t segment;
    uint32_t offset;
    uint32_t octets;
    bool is_packed;
};
/* In a PARTS frame, beside the octets: the part is packed. */
#define PLACE_PACKED (1U << 31)
/* Owner of the list: who asked. */
struct live_places {
    struct live_place *all;
    size_t count;
};
/* Take over the ranges of another one. */
void live_add(struct log_gather *to, const struct log_gather *from);
/* Sort the ranges and join those that touch. */
void live_sort(struct log_gather *gather);
/* Is the part in one of the sorted ranges? */
bool live_has(const struct log_ranges *ranges, uint64_t part);
/* Where the live parts before the replay are, by their places. Thread: the helper's. */
struct live_places live_places_collect(const struct log_checkpoint *checkpoint);

/* checkpoint.c */
int checkpoint_write(struct log_checkpoint *checkpoint);
/* It was written: let go of what neither it needs nor who marks by an older one (or NULL). */
void checkpoint_recycle(const struct log_checkpoint *checkpoint,
                        const struct log_checkpoint *marked);
void checkpoint_free(struct log_checkpoint *checkpoint);
bool checkpoint_is_durable(const struct log_checkpoint *checkpoint);
/* checkpoint_read.c: fills log->replay, next_part and places, and calls fn with each record. */
MUST_CHECK int checkpoint_read(struct log *log, log_replay_fn fn, void *context,
                               struct log_error *error);

/* segment_reader.c */
/* disk_read; with --recover past blocks that the disk does not give, which read as zeros: then ERR_CORRUPT, and
 * `*got` counts. */
MUST_CHECK int log_read_around(const struct log *log, struct disk_file *file, uint8_t *data,
                               size_t n, uint64_t offset, size_t *got);
MUST_CHECK int segment_reader_open(struct segment_reader *reader, struct log *log, uint64_t number);
/* At least the octets up to `end`, when the file has them. */
MUST_CHECK int segment_reader_load(struct segment_reader *reader, uint64_t end);
void segment_reader_close(struct segment_reader *reader);

/* Walk the records of a part; `id` of the first is record_id(part, 0). */
MUST_CHECK int part_walk(uint64_t number, const uint8_t *records, uint32_t octets, log_replay_fn fn,
                         void *context);

#endif
