/* SPDX-License-Identifier: Apache-2.0 */
/* The cleaner: what survives in the emptiest segments is moved, so that they can be used again.
 *
 *   COUNT     the records of the newest checkpoint say what is live: octets per segment
 *   COLLECT   the emptiest are chosen; the same records say which records of those are live
 *   MOVE      these are read and written again, some at a time, as moved parts (moved.h)
 *   (end)     parts of the chosen segments without a live record are forgotten; the next checkpoint recycles
 *
 * Checkpoints go on meanwhile, but until COLLECT is over none of them recycles: what is looked at stays. */
#ifndef TOKKI_STORAGE_CLEAN_H
#define TOKKI_STORAGE_CLEAN_H

#include "storage/log.h"

/* ---- marking (mark.c) ---- */

#define MARKS_PENDING 256U

/* What was found of a segment. */
struct marked_segment {
    uint64_t number;  /* 0: it is not looked at */
    uint64_t octets;  /* of the file */
    uint64_t found;   /* octets of records that were counted */
    uint64_t records; /* that were counted */
    uint64_t live;    /* mark_sum: about how many octets of records are live */
    uint64_t *bits;   /* records by a hash of their identities: a shared body is counted once */
    bool is_chosen;
};

struct mark {
    uint64_t id;
    uint32_t octets;
};

/* Owner: the cleaner. Thread: the helper's. */
struct log_marker {
    struct log *log;
    bool collects;                   /* identities in chosen segments, instead of octets */
    struct marked_segment *segments; /* by their slots */
    uint32_t slot_count;
    uint64_t bit_count; /* of each */
    struct mark pending[MARKS_PENDING];
    uint32_t pending_count;
    uint64_t progress; /* of the record that is looked at; the log_mark_fn's */
    uint64_t *ids;     /* collected */
    size_t id_count;
    size_t id_capacity;
    struct log_fetch fetch; /* of log_mark_read */
};

/* Look at the segments before `keep_from`. */
void mark_begin(struct log_marker *marker, struct log *log, uint64_t keep_from);
/* Of the segment in this slot, NULL when that is not looked at: it may be a newer one. Thread: under log->mutex. */
struct marked_segment *mark_segment(const struct log_marker *marker, uint32_t slot);
/* After the last log_mark of a pass. */
void mark_flush(struct log_marker *marker);
/* Fill in what is live of each segment. Returns the sum. */
uint64_t mark_sum(struct log_marker *marker);
/* The identities, sorted, each once. */
void mark_sort(struct log_marker *marker);
void mark_free(struct log_marker *marker);

/* ---- cleaning (clean.c) ---- */

enum clean_phase { CLEAN_IDLE, CLEAN_COUNT, CLEAN_COLLECT, CLEAN_MOVE };

/* Where it writes (cold.c). */
struct cold {
    struct disk_file *file;  /* NULL: none is begun */
    struct segment *segment; /* of that; under log->mutex */
    uint64_t last;           /* number of the newest, without SEGMENT_COLD */
    uint64_t offset;         /* of the next batch */
    uint64_t sequence;       /* of the next batch */
    uint64_t salt_state;
};

/* Owner: the log. Thread: the helper's, but for what is said. */
struct cleaner {
    struct log_stream
        stream; /* answers to the cleaner's fetches are for this; none of the node's */
    enum clean_phase phase;
    struct log_checkpoint *checkpoint; /* that says what is live; NULL: not needed (any more) */
    const struct log_part *part;       /* of its records, the next to be looked at ... */
    uint32_t offset;                   /* ... and where in it */
    struct log_marker marker;
    struct cold cold;
    uint32_t waited;  /* times that something was not there yet */
    size_t next_id;   /* to be moved */
    uint64_t next_ns; /* not before */
    uint64_t look_ns; /* when to look again for what was settled */
    double share;  /* live octets by what the states say: bodies that queues share count for each */
    uint64_t old;  /* octets of segments before the replay */
    uint64_t live; /* of them, when last counted */
    uint32_t chosen;        /* segments of this round */
    uint64_t moved;         /* octets, in this round */
    bool has_counted;       /* since the start */
    bool was_passed;        /* a checkpoint was written meanwhile: what it says was not looked at */
    uint64_t begun_old;     /* as below, and ... */
    uint64_t begun_written; /* ... as further below, when the round began */
    uint64_t begun_settled;
    uint64_t begun_messages;
    bool is_urgent;            /* the bound is reached: no pauses */
    uint64_t messages;         /* live ones, in the newest checkpoint */
    uint64_t counted_messages; /* in that of the last count */
    uint64_t counted_settled;  /* by all streams, before it */

    /* Under log->mutex. */
    bool is_answered;
    uint64_t weight; /* live octets, as the newest checkpoint since the start says */
    uint64_t
        weighed_in;   /* number of the segment that was written when it began; 0: there was none */
    uint64_t written; /* octets since the last count */
    uint64_t settled; /* by all streams, when the newest checkpoint was begun */

    _Atomic uint64_t segments_cleaned;
    _Atomic uint64_t octets_moved;
};

void cleaner_init(struct log *log);
void cleaner_fini(struct log *log);
/* A checkpoint is about to be begun. Thread: under log->mutex. */
void clean_note_begin(struct log *log);
/* It was written, and is the cleaner's from here on: recycles, and may begin a round. */
void clean_take(struct log *log, struct log_checkpoint *checkpoint);
/* Can clean_step do something now? Else `*until` is lowered to when it can, if that is known (monotonic ns).
 * Thread: under log->mutex. */
bool clean_is_ready(struct log *log, uint64_t *until);
/* Some milliseconds of work. */
void clean_step(struct log *log);
/* Was so much settled that a checkpoint would bring back segments? Lowers `*until` as above. Thread: under
 * log->mutex. */
bool clean_wants_checkpoint(struct log *log, uint64_t *until);
/* Read; returns when all is answered. */
void clean_fetch(struct log *log, struct log_fetch *fetch);
/* The fetch was answered. Thread: the reader's. */
void clean_answered(struct log *log);

#endif
