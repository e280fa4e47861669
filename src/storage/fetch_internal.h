/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of fetching share: the reader's state, a round of reads, buffers. */
#ifndef TOKKI_STORAGE_FETCH_INTERNAL_H
#define TOKKI_STORAGE_FETCH_INTERNAL_H

#include "storage/log.h"

#include <pthread.h>

struct segment;

/* The most octets that one read takes, and the gap that is read over rather than begin another. On an SSD
 * a read of 64 KiB takes about twice as long as one of 4 KiB. */
#define FETCH_READ_BYTES (1024U * 1024U)
/* The same for segments in the page cache. There large reads gain nothing, and what was read should still be in
 * the core's own cache when the records are looked at; a call costs as much as copying some KiB. */
#define FETCH_CACHED_BYTES (256U * 1024U)
#define FETCH_CACHED_GAP_BYTES (8U * 1024U)
#define FETCH_GAP_BYTES (64U * 1024U)
/* From the first to the last record of a want. */
#define FETCH_WANT_BYTES (256U * 1024U)
/* Fetches that are looked at together, unless they have many records. */
#define FETCH_ROUND 64U
#define FETCH_ROUND_RECORDS 16384U
/* Files that stay open for reading. */
#define FETCH_FILES 16U

/* ---- buffers ---- */

#define FETCH_SIZES 4U

/* Octets that were read. Owner: everybody who holds a count; the last gives them to the pool. */
struct fetch_octets {
    struct fetch_octets *next; /* in the pool */
    _Atomic uint32_t count;
    uint32_t size; /* index of its size */
    uint8_t *data; /* aligned for DISK_DIRECT */
};

/* That a fetch holds such octets. Owner: the fetch. */
struct fetch_buffer {
    struct fetch_buffer *next;
    struct fetch_octets *octets;
};

/* Memory for reads is kept: a megabyte from the kernel costs more than reading it. Thread: any. */
struct fetch_pool {
    pthread_mutex_t mutex;
    struct fetch_octets *free[FETCH_SIZES];
    size_t kept; /* octets in it */
};

/* Room for `octets` <= FETCH_READ_BYTES + 2 blocks. The caller holds it. */
struct fetch_octets *fetch_octets_new(struct fetch_pool *pool, size_t octets);
void fetch_octets_unref(struct fetch_pool *pool, struct fetch_octets *octets);
/* The fetch holds them from now on, too. */
void fetch_hold(struct log_fetch *fetch, struct fetch_octets *octets);
void fetch_pool_init(struct fetch_pool *pool);
void fetch_pool_fini(struct fetch_pool *pool);

/* ---- a round ---- */

/* Some records of a fetch to be read: neighbours in it, of one part, one behind the other and not far apart.
 * All places are offsets in the segment. */
struct fetch_want {
    struct segment *segment;
    struct log_fetch *fetch;
    uint32_t first; /* records[first, first + count) of the fetch */
    uint32_t count;
    uint64_t start; /* header of the first one */
    uint64_t last;  /* header of the last one */
    uint64_t end;   /* read up to here at least */
    uint64_t part;  /* header of their part */
    uint64_t limit; /* end of their part */
    bool
        is_packed; /* places are in the part's directory: all of it is read, from `start` = `part` */
};

/* Fetches whose records are all written, read together. Thread: the reader's. */
struct fetch_round {
    struct fetch_want *wants;
    size_t count;
    size_t capacity;
    size_t records; /* of all wants */
    uint32_t guess; /* octets that a record probably has, with its header */
    uint64_t told;  /* streams that got an answer */
};

/* Add the fetch, or answer it when nothing must be read. False: it waits for a part. `give_up`: what has no
 * place now is answered with this error; 0: it may wait. Thread: the reader's. */
bool fetch_resolve(struct log *log, struct log_fetch *fetch, int give_up);
/* Read and answer everything in the round. Thread: the reader's. */
void fetch_read(struct log *log);

/* What is read over in this segment rather than begin another read. */
uint32_t fetch_gap(const struct segment *segment);

/* ---- the reader ---- */

/* Owner: the log. */
struct fetcher {
    /* Any thread. */
    _Atomic(struct log_fetch *) submitted; /* newest first */
    _Atomic bool is_sleeping;              /* the reader */
    _Atomic bool is_closed;                /* the log was stopped: who submits answers */
    _Atomic bool waits;                    /* something waits for a batch */
    _Atomic uint64_t octets_read;
    _Atomic uint64_t octets_asked;
    struct fetch_pool pool;

    /* Under its mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool has_news;
    bool is_ending;

    /* Under log->mutex. */
    uint64_t round_number;              /* segments with read_in == this are being read */
    struct segment *files[FETCH_FILES]; /* those with an open file, used last first */

    /* The reader's. */
    struct log_fetch *first; /* to be looked at, oldest first */
    struct log_fetch *last;
    struct log_fetch *waiting; /* for parts; in any order */
    struct fetch_round round;

    pthread_t thread;
    bool has_thread;
};

void fetcher_init(struct fetcher *fetcher);
void fetcher_fini(struct fetcher *fetcher);
MUST_CHECK int fetch_start(struct log *log);
/* Answer what is under way, with an error what cannot be read, and end. The writer has ended. */
void fetch_stop(struct log *log);
/* Not threaded: answer what can be answered. */
void fetch_step(struct log *log);
/* A batch was written, or the log has failed: look again at what waits. Any thread. */
void fetch_news(struct log *log);
/* All its records are answered: it is the asker's. Streams are told by fetch_tell. */
void fetch_answer(struct log *log, struct log_fetch *fetch);
void fetch_tell(struct log *log);

/* ---- files (under log->mutex, but the first) ---- */

/* The open file of a segment that is being read. Thread: the reader's. */
MUST_CHECK int fetch_file(struct log *log, struct segment *segment, struct disk_file **out);
/* The segment goes away. */
void fetch_forget(struct log *log, const struct segment *segment);
/* Is it being read? */
bool fetch_reads(const struct log *log, const struct segment *segment);

#endif
