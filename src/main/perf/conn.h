/* SPDX-License-Identifier: Apache-2.0 */
/* A non-blocking connection of a load run: reads whole frames, writes borrowed bytes. */
#ifndef TOKKI_PERF_CONN_H
#define TOKKI_PERF_CONN_H

#include "main/perf/failure.h"

#include "base/cursor.h"

struct worker;
struct conn;

/* What publishers and consumers do differently. */
struct conn_ops {
    /* Handle the complete frames in [bytes, bytes + len) (borrowed). Returns how many bytes they
     * were, negative with worker->failure filled. */
    int64_t (*input)(struct conn *conn, const uint8_t *bytes, size_t len);
    /* All bytes given to conn_send() have left. */
    void (*sent)(struct conn *conn);
    void (*free)(struct conn *conn);
};

/* Owner: its worker. Thread: the worker's, the main thread before it starts and after it ended.
 * Freed by: conn_free(). Embedded in struct publisher_conn and struct consumer_conn. */
struct conn {
    const struct conn_ops *ops;
    struct worker *worker;
    int fd;
    uint16_t channel_count; /* channels are 1..channel_count */
    bool is_waiting_out;    /* EPOLLOUT is on */
    uint32_t payload_max;   /* of a frame of the broker */
    const uint8_t *out;     /* borrowed: what is not sent yet */
    size_t out_len;
    uint8_t *carry; /* start of a frame whose rest has not come */
    size_t carry_len, carry_cap;
};

/* Takes the connected socket `fd`. */
void conn_init(struct conn *conn, const struct conn_ops *ops, struct worker *worker, int fd,
               uint32_t frame_max, uint16_t channel_count);
/* Closes the socket, frees everything. */
void conn_free(struct conn *conn);

/* Read once (up to the worker's buffer) and handle what came. 0, or negative with worker->failure. */
MUST_CHECK int conn_read(struct conn *conn);

/* Send `bytes`, which stay untouched until ops->sent(); none may be on their way (BUG). */
MUST_CHECK int conn_send(struct conn *conn, struct str bytes);

/* Go on sending. 0 also when the socket is full; then EPOLLOUT brings the worker back. */
MUST_CHECK int conn_flush(struct conn *conn);

/* Everything but the hot methods: closes become failures, others are ignored. 0 or negative. */
MUST_CHECK int conn_control(struct conn *conn, const uint8_t *frame, size_t len);

COLD int conn_frame_broken(const struct conn *conn, const uint8_t *p, size_t len);

/* Orderly end in two steps, so that many connections end at once: conn_say_close() for all, then
 * conn_await_closed() for each: reads until close-ok, at most until `deadline_ns`. The worker's
 * thread has ended. */
void conn_say_close(struct conn *conn, uint64_t deadline_ns);
void conn_await_closed(struct conn *conn, uint64_t deadline_ns);

#define CONN_FRAME_HEADER 7
#define CONN_FRAME_EXTRA 8
#define CONN_FRAME_END 0xCE

/* Check the frame at `p` of which `len` bytes are there. Returns its whole length, 0 when more bytes
 * are needed, negative (worker->failure filled) for a broken one. */
static inline int64_t conn_frame_len(const struct conn *conn, const uint8_t *p, size_t len)
{
    if (len < CONN_FRAME_EXTRA)
        return 0;
    const uint32_t size = load_u32(p + 3);
    if (UNLIKELY(size > conn->payload_max))
        return conn_frame_broken(conn, p, len);
    const size_t whole = (size_t)size + CONN_FRAME_EXTRA;
    if (len < whole)
        return 0;
    if (UNLIKELY(p[whole - 1] != CONN_FRAME_END))
        return conn_frame_broken(conn, p, len);
    return (int64_t)whole;
}

#endif
