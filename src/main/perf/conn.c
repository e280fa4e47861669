/* SPDX-License-Identifier: Apache-2.0 */
/* Non-blocking reading and writing of a load connection, and its orderly end. */
#include "main/perf/conn.h"

#include "main/perf/client.h"
#include "main/perf/worker.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/mem.h"
#include "proto/amqp091/codec.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static_assert(CONN_FRAME_HEADER == AMQP_FRAME_HEADER_SIZE, "frame header");
static_assert(CONN_FRAME_EXTRA == AMQP_FRAME_OVERHEAD, "frame overhead");
static_assert(CONN_FRAME_END == AMQP_FRAME_END, "frame end");

void conn_init(struct conn *conn, const struct conn_ops *ops, struct worker *worker, int fd,
               uint32_t frame_max, uint16_t channel_count)
{
    *conn = (struct conn){.ops = ops, .worker = worker, .fd = fd, .channel_count = channel_count};
    conn->payload_max = frame_max;
}

void conn_free(struct conn *conn)
{
    if (conn->fd != -1)
        close(conn->fd);
    mem_free(conn->carry);
    conn->ops->free(conn);
}

int conn_frame_broken(const struct conn *conn, const uint8_t *p, size_t len)
{
    return failure_set(&conn->worker->failure, ERR_CORRUPT,
                       "the broker sent a broken frame: type %u, %u octets (%zu bytes here)", p[0],
                       load_u32(p + 3), len);
}

int conn_control(struct conn *conn, const uint8_t *frame, size_t len)
{
    if (frame[0] != AMQP_FRAME_METHOD)
        return 0;
    struct cursor in = cursor_of(frame + AMQP_FRAME_HEADER_SIZE, len - AMQP_FRAME_OVERHEAD);
    const uint32_t id = cursor_u32(&in);
    if (id == AMQP_CONNECTION_BLOCKED)
        fprintf(stderr, "tokki-perf: the broker blocks publishers: %.*s\n",
                STR_ARG(cursor_shortstr(&in)));
    return client_refusal(id, in, &conn->worker->failure);
}

/* --- Reading --- */

static void carry_save(struct conn *conn, const uint8_t *rest, size_t len)
{
    if (len > conn->carry_cap) {
        conn->carry_cap = MAX(len, (size_t)256);
        conn->carry = mem_resize(conn->carry, conn->carry_cap);
    }
    if (len)
        memcpy(conn->carry, rest, len);
    conn->carry_len = len;
}

/* The buffer has room for what is carried (below a frame) plus a full recv(). */
static size_t buffer_room(const struct conn *conn)
{
    return WORKER_BUFFER_BYTES - conn->carry_len;
}

int conn_read(struct conn *conn)
{
    struct worker *w = conn->worker;
    if (buffer_room(conn) == 0)
        return failure_set(&w->failure, ERR_TOO_BIG, "the broker sent a frame above %u bytes",
                           WORKER_BUFFER_BYTES);
    const ssize_t n = recv(conn->fd, w->buffer + conn->carry_len, buffer_room(conn), MSG_DONTWAIT);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n == -1)
        return failure_set(&w->failure, -errno, "receive: %s", strerror(errno));
    if (n == 0)
        return failure_set(&w->failure, ERR_EOF, "the broker closed the socket");
    w->now_ns = clock_mono_ns();
    if (conn->carry_len)
        memcpy(w->buffer, conn->carry, conn->carry_len);
    const size_t len = conn->carry_len + (size_t)n;
    const int64_t used = conn->ops->input(conn, w->buffer, len);
    if (used < 0)
        return (int)used;
    carry_save(conn, w->buffer + used, len - (size_t)used);
    return 0;
}

/* --- Writing --- */

static int wait_out(struct conn *conn, bool on)
{
    if (conn->is_waiting_out == on)
        return 0;
    struct epoll_event event = {.events = EPOLLIN | (on ? EPOLLOUT : 0U), .data.ptr = conn};
    if (epoll_ctl(conn->worker->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) == -1)
        return failure_set(&conn->worker->failure, -errno, "epoll_ctl: %s", strerror(errno));
    conn->is_waiting_out = on;
    return 0;
}

int conn_flush(struct conn *conn)
{
    while (conn->out_len) {
        const ssize_t n = send(conn->fd, conn->out, conn->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && errno == EAGAIN)
            return wait_out(conn, true);
        /* A broker that refuses us closes its end; its reason is in what it sent before: read on. */
        if (n == -1 && (errno == EPIPE || errno == ECONNRESET)) {
            const int rc = conn_read(conn);
            return rc ? rc
                      : failure_set(&conn->worker->failure, -EPIPE, "the broker closed the socket");
        }
        if (n == -1)
            return failure_set(&conn->worker->failure, -errno, "send: %s", strerror(errno));
        conn->out += n;
        conn->out_len -= (size_t)n;
    }
    conn->ops->sent(conn);
    return wait_out(conn, false);
}

int conn_send(struct conn *conn, struct str bytes)
{
    BUG_ON(conn->out_len, "%zu bytes still on their way", conn->out_len);
    conn->out = (const uint8_t *)bytes.data;
    conn->out_len = bytes.len;
    return conn_flush(conn);
}

/* --- End --- */

/* Waits until the socket has `events`; false at the deadline. */
static bool socket_wait(int fd, short events, uint64_t deadline_ns)
{
    const uint64_t now = clock_mono_ns();
    struct pollfd p = {fd, events, 0};
    return now < deadline_ns && poll(&p, 1, (int)((deadline_ns - now) / 1000000 + 1)) == 1;
}

static bool send_until(int fd, const uint8_t *bytes, size_t len, uint64_t deadline_ns)
{
    while (len) {
        const ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == -1 && (errno != EAGAIN || !socket_wait(fd, POLLOUT, deadline_ns)))
            return false;
        bytes += MAX(n, 0);
        len -= (size_t)MAX(n, 0);
    }
    return true;
}

void conn_say_close(struct conn *conn, uint64_t deadline_ns)
{
    uint8_t frame[64];
    struct writer w = writer_of(frame, sizeof frame);
    const struct amqp_connection_close args = {AMQP_REPLY_SUCCESS, STR("done"), 0, 0};
    amqp_frame_method(&w, 0, AMQP_CONNECTION_CLOSE, &args);
    /* A started frame must be finished first: the broker would read our close as its body. */
    if (send_until(conn->fd, conn->out, conn->out_len, deadline_ns)) {
        if (conn->out_len)
            conn->ops->sent(conn);
        conn->out_len = 0;
        if (send_until(conn->fd, frame, writer_len(&w), deadline_ns))
            return;
    }
    close(conn->fd);
    conn->fd = -1;
}

/* Skips complete frames; true when one was close-ok. Saves the rest. */
static bool skip_to_close_ok(struct conn *conn, size_t len)
{
    const uint8_t *p = conn->worker->buffer;
    int64_t frame;
    while ((frame = conn_frame_len(conn, p, len)) > 0) {
        if (p[0] == AMQP_FRAME_METHOD && frame >= 12 && load_u32(p + 7) == AMQP_CONNECTION_CLOSE_OK)
            return true;
        p += frame;
        len -= (size_t)frame;
    }
    carry_save(conn, p, len);
    return frame < 0;
}

void conn_await_closed(struct conn *conn, uint64_t deadline_ns)
{
    while (conn->fd != -1 && buffer_room(conn) && socket_wait(conn->fd, POLLIN, deadline_ns)) {
        uint8_t *buffer = conn->worker->buffer;
        const ssize_t n = recv(conn->fd, buffer + conn->carry_len, buffer_room(conn), MSG_DONTWAIT);
        if (n <= 0)
            break;
        if (conn->carry_len)
            memcpy(buffer, conn->carry, conn->carry_len);
        if (skip_to_close_ok(conn, conn->carry_len + (size_t)n))
            break;
    }
}
