/* SPDX-License-Identifier: Apache-2.0 */
/* The node's log: records in, group commit, replay, checkpoints. FORMAT.md has layouts and invariants. */
#ifndef TOKKI_STORAGE_LOG_H
#define TOKKI_STORAGE_LOG_H

#include "storage/disk.h"
#include "storage/format.h"

#include <stdatomic.h>

struct log;
struct log_part;
struct log_fetch;

/* A log sequence number: the number of a part. 0 is always durable. Numbers of one stream rise, and each
 * stream's records become durable in their order, so it is compared with that stream's log_durable. */
typedef uint64_t lsn_t;

/* The most octets of records in a part; less where segments are small. */
#define LOG_PART_BYTES (1024U * 1024U)
/* The smallest segment, for tests; a record fits one. */
#define LOG_SEGMENT_MIN (64U * 1024U)

/* Called on the log's threads. */
struct log_events {
    void *context;
    /* More of this stream is durable. */
    void (*durable)(void *context, uint16_t stream);
    /* The log cannot keep its promise any more: nothing becomes durable from now on. */
    void (*failed)(void *context, int error);
    /* There is (no) room to prepare the next segment. */
    void (*space)(void *context, bool is_low);
    /* So much was written since the last checkpoint that the next is due. */
    void (*checkpoint_due)(void *context);
    /* log_fetch_take has something for this stream. */
    void (*fetched)(void *context, uint16_t stream);
};

struct log_marker;

/* Calls log_mark for every record of the log that this record of a checkpoint refers to, however far away.
 * ERR_NOT_YET: something that it has to read is under way to the disk; this is tried for
 * some seconds. ERR_AGAIN: some were, and it is to be called again with the same record; it takes milliseconds at most.
 * Else not 0: it cannot be known, and nothing is cleaned. Thread: the log's helper. */
typedef int (*log_mark_fn)(struct log_marker *marker, const struct record_header *header,
                           const uint8_t *payload);

struct log_settings {
    uint64_t segment_bytes;    /* multiple of FORMAT_BLOCK */
    uint64_t checkpoint_bytes; /* log written between checkpoints */
    uint16_t streams;
    bool is_threaded; /* false: log_step does the work, for tests that must repeat */
    bool recovers;    /* go on after damage, with a report */
    uint64_t seed;    /* of salts; random */
    struct log_events events;
    log_mark_fn mark;     /* NULL: nothing is cleaned */
    uint64_t slack_bytes; /* of segments before the replay that may be dead without being cleaned */
    uint64_t cached_bytes; /* log_expect_reads: of segments in the page cache */
};

/* What kept a log from being opened. */
struct log_error {
    char file[DISK_NAME_MAX];
    uint64_t offset;
    char reason[800]; /* a name of 255 octets and a refusal fit */
};

/* ---- streams: a shard's way in ---- */

/* Owner: the log. Thread: the shard that stages into it, but for the atomics. */
struct log_stream {
    struct log *log;
    struct log_part *open; /* being filled; NULL when nothing is staged */
    struct log_part *spare;
    uint32_t spare_count;
    uint16_t id;
    lsn_t last;               /* the newest part that got a record */
    _Atomic uint64_t settled; /* log_settled */
    /* The newest part that was begun, and the one before it: what else is not durable is below that. */
    _Atomic uint64_t begun;
    _Atomic uint64_t begun_before;
    _Atomic(struct log_part *) returned;
    CACHE_ALIGNED _Atomic uint64_t durable;
    _Atomic uint64_t octets_under_way;                 /* buffers submitted, not durable yet */
    CACHE_ALIGNED _Atomic(struct log_fetch *) fetched; /* answered, newest first */
};

struct log_stream *log_stream(struct log *log, uint16_t id);

/* The most octets that one record may have. Any thread. */
uint32_t log_record_max(const struct log *log);

/* Room for a record of `octets` (<= log_record_max), to be filled before the next call; `*id` is its
 * identity. Staged until log_submit. */
__attribute__((returns_nonnull)) uint8_t *log_append(struct log_stream *stream, uint8_t kind,
                                                     uint8_t version, uint32_t octets,
                                                     uint64_t *id);
/* The identity that the next record will have or precede: all records staged so far are below. */
uint64_t log_next_id(struct log_stream *stream);
/* Octets staged and not submitted. */
uint32_t log_staged(const struct log_stream *stream);
/* Hand over what is staged: written with the next batch. What another thread stages after it has seen an
 * effect of this (through any synchronisation) comes behind it in the log. */
void log_submit(struct log_stream *stream);

/* Everything of the stream up to here is durable. Any thread. */
static inline lsn_t log_durable(const struct log_stream *stream)
{
    return atomic_load_explicit(&stream->durable, memory_order_seq_cst);
}

/* Octets of buffers of this stream that wait for the disk. */
static inline uint64_t log_under_way(const struct log_stream *stream)
{
    return atomic_load_explicit(&stream->octets_under_way, memory_order_relaxed);
}

/* ---- life ---- */

/* Take `disk` (owned from now on, also on error) as the data directory: lock, version, newest
 * checkpoint. ERR_IN_USE: another broker has it. ERR_REFUSED: of a newer format. ERR_CORRUPT: damaged;
 * else -errno. `*error` says where and why. */
MUST_CHECK int log_open(struct disk *disk, const struct log_settings *settings, struct log **out,
                        struct log_error *error);

/* One record of the checkpoint (id 0) or of the log. Not 0 ends the replay. */
typedef int (*log_replay_fn)(void *context, uint64_t id, const struct record_header *header,
                             const uint8_t *payload);

/* Read the newest checkpoint and then the log behind it, in order. Errors as log_open. */
MUST_CHECK int log_replay(struct log *log, log_replay_fn fn, void *context,
                          struct log_error *error);

/* The record `id`, read from the disk after log_replay and before log_start. Borrowed until the next
 * call. ERR_NOT_FOUND: no such part is known. ERR_CORRUPT: damaged. */
MUST_CHECK int log_read(struct log *log, uint64_t id, struct record_header *header,
                        const uint8_t **payload, struct log_error *error);

/* Where record `id` lies, for people: file and offset of `*error`; no file when it is not known. Any thread. */
void log_locate(struct log *log, uint64_t id, struct log_error *error);

/* Note something that --recover has dropped; goes to the report and the log. */
void log_report(struct log *log, const struct log_error *error);
/* Name of the report file, or NULL when nothing was dropped. */
const char *log_report_name(const struct log *log);

/* Did the node before stop in good order (the checkpoint is the whole truth)? After log_replay. */
bool log_was_clean(const struct log *log);
/* Does it go on after damage? */
bool log_recovers(const struct log *log);
/* Is there nothing in the data directory yet? */
bool log_is_new(const struct log *log);

/* Begin to write behind what was replayed. */
MUST_CHECK int log_start(struct log *log, struct log_error *error);

/* The error that ended it, or 0. Any thread. */
int log_failure(struct log *log);

/* Who is told what. Before log_start. */
void log_set_events(struct log *log, const struct log_events *events);

/* Not threaded: write what was submitted and do what the helper thread would. Returns the log's
 * failure, or 0. */
int log_step(struct log *log);

/* At the end: wait until everything submitted is durable and no checkpoint is under way; when that needs
 * room which the disk does not have, the log fails. Returns the log's failure, or 0. Not on a shard. */
int log_wait_idle(struct log *log);
/* Submit what all streams have staged. All their threads have ended. */
void log_submit_all(struct log *log);
/* End the threads; what was submitted is written before, if the log has not failed. */
void log_stop(struct log *log);
/* After log_stop. Frees the disk. NULL is fine. */
void log_free(struct log *log);

/* ---- fetching: records are read back while the log runs ---- */

struct fetch_buffer;

/* One record of a fetch. */
struct log_fetched {
    uint64_t id;                 /* asked for */
    struct record_header header; /* answered */
    const uint8_t *payload;      /* borrowed until log_fetch_release; NULL when rc is not 0 */
    int rc;          /* ERR_NOT_FOUND: no such part. ERR_CORRUPT: damaged. Else -errno */
    bool is_checked; /* by the checksum of its part, all of which was read */
};

/* A request for some records, in any order. Owner: who asks, except between log_fetch_submit and
 * log_fetch_take, when it is the log's. */
struct log_fetch {
    struct log_fetch *next;      /* the log's */
    struct log_stream *stream;   /* who is told */
    struct log_fetched *records; /* the asker's memory */
    uint32_t count;
    /* NULL: payloads stay until log_fetch_release. Else it takes what it needs of records[i], which was read
     * without an error, may set its rc, and the payload is gone when it returns: what was just read is still in
     * the reader's cache, and in no other core's. Thread: the reader's. */
    void (*take)(struct log_fetch *fetch, uint32_t i);
    struct fetch_buffer *buffers; /* the log's until log_fetch_release */
    uint32_t left;                /* the log's: runs of records that were not answered yet */
    uint32_t waits_for;           /* the log's: the record whose part is not written yet */
};

/* Read what it asks for. Records whose part is not written yet are waited for. Any thread, after log_start.
 * When the log has failed or stops, what cannot be read any more is answered with its error. Neighbours are
 * read at once, so a payload may keep a megabyte of memory until it is given back. */
void log_fetch_submit(struct log *log, struct log_fetch *fetch);
/* Those of the stream that were answered, in a list by `next`, oldest first; NULL: none. Thread: the stream's. */
struct log_fetch *log_fetch_take(struct log_stream *stream);
/* Give the payloads back: before log_free. Any thread. */
void log_fetch_release(struct log_fetch *fetch);
/* Octets read for fetches, and octets of the records asked for: the first by the second is the read
 * amplification. Any thread. */
void log_fetch_counts(struct log *log, uint64_t *read, uint64_t *asked);

/* ---- checkpoints ---- */

/* Parts [first, last]. */
struct log_range {
    uint64_t first;
    uint64_t last;
};

/* Owner: who embeds it. Freed by: mem_free of `all`. */
struct log_ranges {
    struct log_range *all; /* heap */
    size_t count;
    size_t capacity;
};

/* Records of a checkpoint, gathered by one thread. */
struct log_gather {
    struct log_part *first;
    struct log_part *last;
    struct log_ranges live; /* parts that the records refer to, in any order */
    struct log_ranges read; /* of those, what is read when they are marked */
    uint64_t messages;      /* log_gather_weight */
    uint64_t live_octets;
    bool is_vital; /* what is gathered while it is set is written twice */
};

uint8_t *log_gather_record(struct log_gather *gather, uint8_t kind, uint8_t version,
                           uint32_t octets);
/* Parts [first, last] are still needed. */
void log_gather_live(struct log_gather *gather, uint64_t first, uint64_t last);
/* So is this one, and marking reads it (log_mark_read): it stays until all is marked, though a newer checkpoint does
 * not name it. A page is such a one: what is in it may live longer than the page. */
void log_gather_read(struct log_gather *gather, uint64_t part);
/* So many messages, with about so many octets in the log, are live. */
static inline void log_gather_weight(struct log_gather *gather, uint64_t messages, uint64_t octets)
{
    gather->messages += messages;
    gather->live_octets += octets;
}
void log_gather_free(struct log_gather *gather);

struct log_checkpoint;

/* Begin one: replay will start at what the log has written now. One at a time. */
MUST_CHECK struct log_checkpoint *log_checkpoint_begin(struct log *log);
/* Take what was gathered, which reflects everything that `stream` staged up to `upto`. Any thread, one
 * at a time. */
void log_checkpoint_add(struct log_checkpoint *checkpoint, struct log_gather *gather,
                        uint16_t stream, lsn_t upto);
/* Give it up. Takes the checkpoint. */
void log_checkpoint_cancel(struct log_checkpoint *checkpoint);
/* Write it when all it reflects is durable, and let go of the segments that nobody needs any more.
 * Threaded: returns at once, the helper thread does it. `is_clean`: nothing follows it. Takes the
 * checkpoint. */
void log_checkpoint_finish(struct log_checkpoint *checkpoint, bool is_clean);

/* What is written from now on will, or will not, be read before long: segments that are begun go through the page
 * cache, up to settings.cached_bytes of them, or past it. Thread: any. */
void log_expect_reads(struct log *log, bool expects);

/* ---- cleaning: live records leave segments that hold little else ---- */

/* For log_mark_fn: record `id`, with about `octets`, is live. */
void log_mark(struct log_marker *marker, uint64_t id, uint32_t octets);
/* For log_mark_fn: where it was in the record when it returned ERR_AGAIN; 0 at first. */
uint64_t *log_mark_progress(struct log_marker *marker);
/* For log_mark_fn: read these; the answers are borrowed until the next call. */
const struct log_fetched *log_mark_read(struct log_marker *marker, const uint64_t *ids,
                                        uint32_t count);
/* So many messages are not needed any more: a checkpoint becomes due when that was much, though little was
 * written. Thread: the stream's. */
static inline void log_settled(struct log_stream *stream, uint64_t messages)
{
    uint64_t before = atomic_load_explicit(&stream->settled, memory_order_relaxed);
    atomic_store_explicit(&stream->settled, before + messages, memory_order_relaxed);
}

struct log_clean_counts {
    uint64_t segments; /* emptied so far */
    uint64_t moved;    /* octets */
    uint64_t total;    /* octets of all segments */
};
/* Any thread. */
struct log_clean_counts log_clean_counts(struct log *log);

#endif
