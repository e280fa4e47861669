/* SPDX-License-Identifier: Apache-2.0 */
/* A connected TCP socket of one shard: output queue with batching, receive, flow control. */
#ifndef TOKKI_IO_STREAM_H
#define TOKKI_IO_STREAM_H

#include "base/list.h"
#include "base/pool.h"
#include "io/handler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block;
struct shard;
struct stream;

/* Output is gathered in chunks of this size; one record is never split over two. */
#define STREAM_CHUNK_BYTES (32U * 1024U)
/* The largest contiguous room stream_reserve gives. */
#define STREAM_RESERVE_MAX (16U * 1024U)

struct stream_chunk {
    uint32_t used;
    uint32_t pieces; /* queue entries that still point into it */
    uint8_t data[STREAM_CHUNK_BYTES - 8];
};

/* One run of bytes to send: in a chunk (copied) or in a block (referenced). */
struct stream_piece {
    const uint8_t *data;
    size_t len;
    struct stream_chunk *chunk; /* or NULL */
    struct block *block;        /* or NULL; one reference is held */
};

/* Per-shard pools; idle streams own nothing of them. */
struct stream_pools {
    struct pool chunks;
    struct pool rings; /* small piece rings; larger ones come from the heap */
};
void stream_pools_init(struct stream_pools *pools);
void stream_pools_fini(struct stream_pools *pools);

/* What the protocol learns about its stream. All set; called on the shard's thread. */
struct stream_events {
    /* Readable, or ended: call stream_receive. */
    void (*readable)(struct stream *stream);
    /* A send made progress: bytes left are in stream->out_bytes. */
    void (*sent)(struct stream *stream);
    /* The socket failed (-errno); nothing can be sent any more. The stream is still open. */
    void (*failed)(struct stream *stream, int error);
};

/* Owner: the protocol connection that embeds it. Thread: its shard's. Freed by: stream_close, then
 * the owner (deferred to the end of the turn). */
struct stream {
    struct io_handler handler;
    struct shard *shard;
    const struct stream_events *events;
    struct list dirty; /* on shard->dirty_streams while output waits for this turn's send */
    struct stream_piece *pieces;
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* power of two, 0 when idle */
    int fd;            /* -1 when closed */
    uint32_t watched;  /* epoll events asked for now */
    struct stream_chunk *tail;
    uint64_t out_bytes; /* queued, not taken by the kernel yet */
    uint64_t last_sent_ms;
    uint64_t last_received_ms;
    uint64_t sent_total;     /* bytes, for statistics */
    uint64_t received_total; /* bytes */
    bool has_failed;
    bool is_paused; /* not read: flow control */
};

/* Take the connected non-blocking socket `fd` and watch it. Errors: -errno (fd is closed). */
MUST_CHECK int stream_open(struct stream *stream, struct shard *shard, int fd,
                           const struct stream_events *events);
/* Drop queued output, stop watching, close. Safe to call twice. */
void stream_close(struct stream *stream);
/* Stop watching and give the socket up, for a move to another shard. No output may be queued. */
MUST_CHECK int stream_detach(struct stream *stream);
/* End the sending side (FIN) once; the peer's remaining input is still read. */
void stream_shutdown(struct stream *stream);

/* recv up to `capacity` bytes. Returns the count, ERR_AGAIN, ERR_EOF or -errno. */
MUST_CHECK long stream_receive(struct stream *stream, void *buffer, size_t capacity);

/* Stop or go on reading: flow control by the TCP window. */
void stream_pause(struct stream *stream);
/* While paused: be told when the peer has ended its side, and then read what it sent before (no more
 * than the socket holds). Else a peer that left would be noticed only after the pause. */
void stream_watch_end(struct stream *stream);
void stream_resume(struct stream *stream);

/* The rare parts of the two below. */
void stream_new_chunk(struct stream *stream);
void stream_add_piece(struct stream *stream, const uint8_t *start, size_t n);

/* Contiguous room for `n` <= STREAM_RESERVE_MAX bytes at the end of the output; filled, then
 * stream_commit(<= n) before anything else happens on the stream. Inline: both run per delivery. */
static inline __attribute__((returns_nonnull)) uint8_t *stream_reserve(struct stream *stream,
                                                                       size_t n)
{
    if (UNLIKELY(!stream->tail || stream->tail->used + n > sizeof stream->tail->data))
        stream_new_chunk(stream);
    return stream->tail->data + stream->tail->used;
}

static inline void stream_commit(struct stream *stream, size_t n)
{
    struct stream_chunk *tail = stream->tail;
    const uint8_t *start = tail->data + tail->used;
    struct stream_piece *last;

    tail->used += (uint32_t)n;
    stream->out_bytes += n;
    if (LIKELY(stream->count > 0)) {
        last = &stream->pieces[(stream->first + stream->count - 1) & (stream->capacity - 1)];
        if (LIKELY(last->chunk == tail && last->data + last->len == start)) {
            last->len += n;
            return;
        }
    }
    stream_add_piece(stream, start, n);
}
/* Copy `n` bytes (any size) to the output. */
void stream_write(struct stream *stream, const void *data, size_t n);
/* Queue bytes of `block` without copying; takes one reference (which the caller owned). */
void stream_write_block(struct stream *stream, struct block *block, const uint8_t *data, size_t n);

/* Send what is queued; called by the shard once a turn for dirty streams. */
void stream_send(struct stream *stream);

#endif
