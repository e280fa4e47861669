/* SPDX-License-Identifier: Apache-2.0 */
/* Output queue of copied and referenced runs, sent with one sendmsg per turn. */
#include "io/stream.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/shard.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A piece ring starts at this; 16 runs are what a closed-loop client ever has queued. */
#define RING_SMALL 16U
/* One sendmsg: 64 chunks of 32 KiB are more than a socket buffer takes at once. */
#define IOV_PER_SEND 64

static_assert(sizeof(struct stream_chunk) == STREAM_CHUNK_BYTES, "chunk size");

void stream_pools_init(struct stream_pools *pools)
{
    pool_init(&pools->chunks, sizeof(struct stream_chunk), 16);
    pool_init(&pools->rings, RING_SMALL * sizeof(struct stream_piece), 32);
}

void stream_pools_fini(struct stream_pools *pools)
{
    pool_fini(&pools->chunks);
    pool_fini(&pools->rings);
}

/* ---- epoll interest ---- */

static void update_watch(struct stream *stream, uint32_t wanted)
{
    if (stream->fd == -1 || wanted == stream->watched)
        return;
    shard_rewatch(stream->shard, stream->fd, &stream->handler, wanted);
    stream->watched = wanted;
}

void stream_pause(struct stream *stream)
{
    stream->is_paused = true;
    update_watch(stream, stream->watched & ~(uint32_t)(EPOLLIN | EPOLLRDHUP));
}

void stream_watch_end(struct stream *stream)
{
    update_watch(stream, stream->watched | EPOLLRDHUP);
}

void stream_resume(struct stream *stream)
{
    stream->is_paused = false;
    update_watch(stream, (stream->watched | EPOLLIN) & ~(uint32_t)EPOLLRDHUP);
}

static void on_ready(struct io_handler *handler, struct shard *shard, uint32_t events)
{
    struct stream *stream = CONTAINER_OF(handler, struct stream, handler);

    (void)shard;
    if (stream->fd == -1)
        return; /* closed earlier in this turn */
    /* Sent when the turn ends: before that, what replies promise may not be committed. */
    if ((events & EPOLLOUT) && !list_is_linked(&stream->dirty))
        list_push_back(&stream->shard->dirty_streams, &stream->dirty);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
        return;
    if (stream->fd == -1)
        return;
    if (!stream->is_paused || (events & EPOLLRDHUP))
        stream->events->readable(stream);
    else if (events & (EPOLLHUP | EPOLLERR))
        stream->events->failed(stream, -ECONNRESET); /* epoll would tell it again and again */
}

int stream_open(struct stream *stream, struct shard *shard, int fd,
                const struct stream_events *events)
{
    int rc;
    memset(stream, 0, sizeof *stream);
    stream->handler.ready = on_ready;
    stream->shard = shard;
    stream->events = events;
    stream->fd = fd;
    stream->watched = EPOLLIN;
    stream->last_sent_ms = shard->now_ms;
    stream->last_received_ms = shard->now_ms;
    list_init(&stream->dirty);
    rc = shard_watch(shard, fd, &stream->handler, EPOLLIN);
    if (rc != 0) {
        close(fd);
        stream->fd = -1;
    }
    return rc;
}

/* ---- the queue of pieces ---- */

static struct stream_piece *piece_at(struct stream *stream, uint32_t i)
{
    return &stream->pieces[(stream->first + i) & (stream->capacity - 1)];
}

static void free_ring(struct stream *stream)
{
    if (stream->capacity == RING_SMALL)
        pool_give(&stream->shard->stream_pools.rings, stream->pieces);
    else if (stream->capacity > 0)
        mem_free(stream->pieces);
    stream->pieces = NULL;
    stream->capacity = 0;
    stream->first = 0;
}

static COLD void grow_ring(struct stream *stream)
{
    uint32_t capacity = stream->capacity ? stream->capacity * 2 : RING_SMALL;
    struct stream_piece *pieces = capacity == RING_SMALL
                                      ? pool_take(&stream->shard->stream_pools.rings)
                                      : mem_alloc(capacity * sizeof *pieces);
    for (uint32_t i = 0; i < stream->count; i++)
        pieces[i] = *piece_at(stream, i);
    free_ring(stream);
    stream->pieces = pieces;
    stream->capacity = capacity;
}

static struct stream_piece *push_piece(struct stream *stream)
{
    if (stream->count == stream->capacity)
        grow_ring(stream);
    return piece_at(stream, stream->count++);
}

static void drop_chunk(struct stream *stream, struct stream_chunk *chunk)
{
    if (chunk->pieces == 0 && chunk != stream->tail)
        pool_give(&stream->shard->stream_pools.chunks, chunk);
}

static void pop_piece(struct stream *stream)
{
    struct stream_piece *piece = piece_at(stream, 0);
    if (piece->chunk) {
        piece->chunk->pieces--;
        drop_chunk(stream, piece->chunk);
    } else {
        block_unref(stream->shard, piece->block, 1);
    }
    stream->first++;
    stream->count--;
}

/* Nothing queued: an idle stream owns no buffer. */
static void release_buffers(struct stream *stream)
{
    struct stream_chunk *tail = stream->tail;
    stream->tail = NULL;
    if (tail)
        drop_chunk(stream, tail);
    free_ring(stream);
}

static void drop_output(struct stream *stream);

static void mark_dirty(struct stream *stream)
{
    if (UNLIKELY(stream->fd == -1)) {
        drop_output(stream); /* written after the end: nobody will read it */
        return;
    }
    if (!list_is_linked(&stream->dirty) && !(stream->watched & EPOLLOUT))
        list_push_back(&stream->shard->dirty_streams, &stream->dirty);
}

COLD void stream_new_chunk(struct stream *stream)
{
    struct stream_chunk *old = stream->tail;
    stream->tail = pool_take(&stream->shard->stream_pools.chunks);
    stream->tail->used = 0;
    stream->tail->pieces = 0;
    if (old)
        drop_chunk(stream, old);
}

void stream_add_piece(struct stream *stream, const uint8_t *start, size_t n)
{
    if (UNLIKELY(n == 0))
        return; /* an empty run would never be consumed */
    *push_piece(stream) = (struct stream_piece){.data = start, .len = n, .chunk = stream->tail};
    stream->tail->pieces++;
    mark_dirty(stream);
}

void stream_write(struct stream *stream, const void *data, size_t n)
{
    const uint8_t *from = data;
    while (n > 0) {
        size_t part = MIN(n, (size_t)STREAM_RESERVE_MAX);
        memcpy(stream_reserve(stream, part), from, part);
        stream_commit(stream, part);
        from += part;
        n -= part;
    }
}

void stream_write_block(struct stream *stream, struct block *block, const uint8_t *data, size_t n)
{
    if (UNLIKELY(n == 0)) {
        block_unref(stream->shard, block, 1);
        return;
    }
    *push_piece(stream) = (struct stream_piece){.data = data, .len = n, .block = block};
    stream->out_bytes += n;
    mark_dirty(stream);
}

/* ---- sending ---- */

/* Returns the number of runs; `*bytes` is filled with their sum. */
static size_t gather(struct stream *stream, struct iovec *iov, size_t *bytes)
{
    uint32_t n = MIN(stream->count, (uint32_t)IOV_PER_SEND);
    *bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct stream_piece *piece = piece_at(stream, i);
        iov[i].iov_base = (void *)(uintptr_t)piece->data;
        iov[i].iov_len = piece->len;
        *bytes += piece->len;
    }
    return n;
}

static void consume(struct stream *stream, size_t sent)
{
    stream->out_bytes -= sent;
    stream->sent_total += sent;
    while (sent > 0) {
        struct stream_piece *piece = piece_at(stream, 0);
        if (sent < piece->len) {
            piece->data += sent;
            piece->len -= sent;
            return;
        }
        sent -= piece->len;
        pop_piece(stream);
    }
}

/* Returns the bytes sent, of `*asked`, 0 when the kernel takes no more, or -errno. */
static ssize_t send_once(struct stream *stream, size_t *asked)
{
    struct iovec iov[IOV_PER_SEND];
    struct msghdr message = {.msg_iov = iov};
    ssize_t n;

    message.msg_iovlen = gather(stream, iov, asked);
    /* A reply of one piece is the most frequent: without the message header to copy and check, the closed loop of
     * the bench takes a tenth less of the broker's time. */
    do {
        n = message.msg_iovlen == 1
                ? send(stream->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                : sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n == -1 && errno == EINTR);
    if (n == -1)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    return n;
}

static void drop_output(struct stream *stream)
{
    while (stream->count > 0)
        pop_piece(stream);
    stream->out_bytes = 0;
    release_buffers(stream);
}

void stream_send(struct stream *stream)
{
    ssize_t n = 1;
    uint64_t before = stream->out_bytes;

    if (stream->fd == -1 || stream->has_failed)
        return;
    while (stream->count > 0 && n > 0) {
        size_t asked;
        n = send_once(stream, &asked);
        if (n > 0)
            consume(stream, (size_t)n);
        if (n > 0 && (size_t)n < asked)
            n = 0; /* a short write: the buffer is full, asking again would only cost a call */
    }
    if (n < 0) {
        stream->has_failed = true;
        drop_output(stream);
        stream->events->failed(stream, (int)n);
        return;
    }
    if (stream->count == 0)
        release_buffers(stream);
    update_watch(stream, stream->count > 0 ? stream->watched | EPOLLOUT
                                           : stream->watched & ~(uint32_t)EPOLLOUT);
    if (stream->out_bytes != before) {
        stream->last_sent_ms = stream->shard->now_ms;
        stream->events->sent(stream);
    }
}

long stream_receive(struct stream *stream, void *buffer, size_t capacity)
{
    ssize_t n;
    do {
        n = recv(stream->fd, buffer, capacity, MSG_DONTWAIT);
    } while (n == -1 && errno == EINTR);
    if (n > 0) {
        stream->last_received_ms = stream->shard->now_ms;
        stream->received_total += (uint64_t)n;
        stream->shard->turn_input += (uint64_t)n;
        return n;
    }
    if (n == 0)
        return ERR_EOF;
    return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_AGAIN : -errno;
}

void stream_shutdown(struct stream *stream)
{
    /* ENOTCONN: the peer was faster; the next receive says so. */
    if (stream->fd != -1 && shutdown(stream->fd, SHUT_WR) == -1)
        BUG_ON(errno == EBADF, "shutdown of fd %d", stream->fd);
}

int stream_detach(struct stream *stream)
{
    int fd = stream->fd;
    BUG_ON(stream->count > 0, "stream moves with %u queued runs", stream->count);
    shard_unwatch(stream->shard, fd);
    list_remove(&stream->dirty);
    release_buffers(stream);
    stream->fd = -1;
    return fd;
}

void stream_close(struct stream *stream)
{
    if (stream->fd == -1)
        return;
    drop_output(stream);
    list_remove(&stream->dirty);
    shard_unwatch(stream->shard, stream->fd);
    close(stream->fd);
    stream->fd = -1;
}
