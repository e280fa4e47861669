/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of stream.c over socket pairs: what goes in comes out, however little the kernel takes. */
#include "io/stream.h"

#include "base/err.h"
#include "io/shard_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int readable_calls;
static int sent_calls;
static int failed_with;

static void on_readable(struct stream *stream)
{
    readable_calls++;
}

static void on_sent(struct stream *stream)
{
    sent_calls++;
}

static void on_failed(struct stream *stream, int error)
{
    failed_with = error;
}

static const struct stream_events events = {
    .readable = on_readable, .sent = on_sent, .failed = on_failed};

struct pair {
    struct shard_set *set;
    struct shard *shard;
    struct stream stream;
    int peer;
};

/* A stream and its peer; the socket buffers are as small as the kernel allows. */
static void pair_open(struct pair *pair)
{
    int fds[2];
    int small = 4608;

    readable_calls = sent_calls = failed_with = 0;
    pair->set = shards_open(1);
    pair->shard = pair->set->shards[0];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    assert_int_equal(stream_open(&pair->stream, pair->shard, fds[0], &events), 0);
    pair->peer = fds[1];
}

static void pair_close(struct pair *pair)
{
    stream_close(&pair->stream);
    assert_int_equal(pair->shard->stream_pools.chunks.in_use, 0);
    assert_int_equal(pair->shard->stream_pools.rings.in_use, 0);
    assert_int_equal(shards_settle(pair->set), 0);
    if (pair->peer != -1)
        close(pair->peer);
    shards_close(pair->set);
}

/* One turn of the shard: what is ready, then what is dirty. */
static void turn(struct pair *pair)
{
    struct list *link;
    struct epoll_event event;

    if (epoll_wait(pair->shard->epoll_fd, &event, 1, 0) == 1 && event.data.ptr) {
        struct io_handler *handler = event.data.ptr;
        handler->ready(handler, pair->shard, event.events);
    }
    while ((link = list_pop_front(&pair->shard->dirty_streams)))
        stream_send(CONTAINER_OF(link, struct stream, dirty));
}

static size_t peer_read(struct pair *pair, uint8_t *to, size_t most)
{
    ssize_t n = recv(pair->peer, to, most, MSG_DONTWAIT);
    assert_true(n >= 0 || errno == EAGAIN);
    return n > 0 ? (size_t)n : 0;
}

/* Copied and referenced pieces of all sizes, sent and read at a random pace. */
static void random_pieces_arrive_whole(void **state)
{
    enum { TOTAL = 3000000 };
    struct pair pair;
    struct dice dice = {11};
    uint8_t *sent = malloc(TOTAL);
    uint8_t *seen = malloc(TOTAL);
    size_t in = 0;
    size_t out = 0;

    pair_open(&pair);
    for (size_t i = 0; i < TOTAL; i++)
        sent[i] = (uint8_t)(i * 2654435761U >> 13);
    while (out < TOTAL) {
        if (in < TOTAL && pair.stream.out_bytes < 400000) {
            size_t n =
                MIN((size_t)dice_roll(&dice, 1ULL << (1 + dice_roll(&dice, 17))), TOTAL - in);
            uint64_t how = dice_roll(&dice, 3);
            if (how == 0) {
                stream_write(&pair.stream, sent + in, n);
            } else if (how == 1) {
                size_t some = MIN(n, (size_t)STREAM_RESERVE_MAX);
                memcpy(stream_reserve(&pair.stream, STREAM_RESERVE_MAX), sent + in, some);
                stream_commit(&pair.stream, some);
                n = some;
            } else {
                struct block *block = block_new(pair.shard, (uint32_t)n + 3);
                memcpy(block->data + 3, sent + in, n);
                stream_write_block(&pair.stream, block, block->data + 3, n);
            }
            in += n;
        }
        if (dice_roll(&dice, 3) == 0)
            turn(&pair);
        if (dice_roll(&dice, 2) == 0)
            out += peer_read(&pair, seen + out, 1 + dice_roll(&dice, 60000));
        assert_int_equal(pair.stream.out_bytes + pair.stream.sent_total, in);
    }
    assert_memory_equal(sent, seen, TOTAL);
    assert_int_equal(pair.stream.out_bytes, 0);
    turn(&pair);
    assert_int_equal(pair.stream.watched, EPOLLIN);
    assert_true(sent_calls > 10);
    pair_close(&pair);
    free(sent);
    free(seen);
}

static void an_idle_stream_owns_no_buffer(void **state)
{
    struct pair pair;
    uint8_t bytes[64];

    pair_open(&pair);
    for (int round = 0; round < 3; round++) {
        stream_write(&pair.stream, "hello", 5);
        assert_int_equal(pair.shard->stream_pools.chunks.in_use, 1);
        turn(&pair);
        assert_int_equal(pair.shard->stream_pools.chunks.in_use, 0);
        assert_int_equal(pair.shard->stream_pools.rings.in_use, 0);
        assert_int_equal(peer_read(&pair, bytes, sizeof bytes), 5);
    }
    assert_int_equal(sent_calls, 3);
    pair_close(&pair);
}

/* Neighbouring records in one chunk are one run: one iovec, one piece. */
static void records_are_gathered(void **state)
{
    struct pair pair;

    pair_open(&pair);
    for (int i = 0; i < 100; i++) {
        memcpy(stream_reserve(&pair.stream, 20), "0123456789", 10);
        stream_commit(&pair.stream, 10);
    }
    assert_int_equal(pair.stream.count, 1);
    assert_int_equal(pair.stream.out_bytes, 1000);
    pair_close(&pair);
}

/* A frame of no bytes left a piece that sendmsg could never consume: the stream then waited for
 * EPOLLOUT, which is always there, and its shard span. Found when this test was written. */
static void empty_writes_leave_nothing_behind(void **state)
{
    struct pair pair;

    pair_open(&pair);
    stream_write(&pair.stream, "", 0);
    (void)stream_reserve(&pair.stream, 100);
    stream_commit(&pair.stream, 0);
    stream_write_block(&pair.stream, block_new(pair.shard, 8), NULL, 0);
    turn(&pair);
    assert_int_equal(pair.stream.count, 0);
    assert_int_equal(pair.stream.watched, EPOLLIN);
    pair_close(&pair);
}

/* More runs than one sendmsg takes all leave in the same turn when the socket has room for them;
 * the 65th had to wait for the next turn, behind two needless epoll_ctl. */
static void many_small_runs_leave_in_one_turn(void **state)
{
    struct pair pair;
    int large = 1 << 20;
    uint8_t bytes[1000];

    pair_open(&pair);
    assert_int_equal(setsockopt(pair.stream.fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof large), 0);
    for (int i = 0; i < 100; i++) {
        struct block *block = block_new(pair.shard, 4);
        memset(block->data, i, 4);
        stream_write_block(&pair.stream, block, block->data, 4);
    }
    list_remove(&pair.stream.dirty);
    stream_send(&pair.stream);
    assert_int_equal(pair.stream.count, 0);
    assert_int_equal(sent_calls, 1);
    assert_int_equal(peer_read(&pair, bytes, sizeof bytes), 400);
    for (int i = 0; i < 400; i++)
        assert_int_equal(bytes[i], i / 4);
    pair_close(&pair);
}

static void closing_drops_what_is_queued(void **state)
{
    struct pair pair;
    static const uint8_t bytes[100000];

    pair_open(&pair);
    stream_write(&pair.stream, bytes, sizeof bytes);
    stream_write_block(&pair.stream, block_new(pair.shard, 10), bytes, 10);
    turn(&pair);
    assert_true(pair.stream.watched & EPOLLOUT);
    assert_true(pair.stream.out_bytes > 0);
    stream_close(&pair.stream);
    stream_close(&pair.stream);
    assert_int_equal(pair.stream.out_bytes, 0);
    assert_int_equal(shards_settle(pair.set), 0);
    /* Written after the end: dropped at once. */
    stream_write(&pair.stream, bytes, 10);
    stream_write_block(&pair.stream, block_new(pair.shard, 10), bytes, 10);
    assert_true(list_is_empty(&pair.shard->dirty_streams));
    pair_close(&pair);
}

static void a_dead_peer_is_reported_once(void **state)
{
    struct pair pair;
    struct block *block;

    pair_open(&pair);
    close(pair.peer);
    pair.peer = -1;
    block = block_new(pair.shard, 10);
    stream_write(&pair.stream, "x", 1);
    stream_write_block(&pair.stream, block, block->data, 10);
    turn(&pair);
    assert_int_equal(failed_with, -EPIPE);
    assert_true(pair.stream.has_failed);
    assert_int_equal(pair.stream.out_bytes, 0);
    assert_int_equal(shards_settle(pair.set), 0);
    failed_with = 0;
    stream_write(&pair.stream, "x", 1);
    turn(&pair);
    assert_int_equal(failed_with, 0);
    pair_close(&pair);
}

static void receiving_tells_ends_apart(void **state)
{
    struct pair pair;
    uint8_t bytes[16];

    pair_open(&pair);
    assert_int_equal(stream_receive(&pair.stream, bytes, sizeof bytes), ERR_AGAIN);
    assert_int_equal(send(pair.peer, "abc", 3, 0), 3);
    turn(&pair);
    assert_int_equal(readable_calls, 1);
    assert_int_equal(stream_receive(&pair.stream, bytes, 2), 2);
    assert_int_equal(stream_receive(&pair.stream, bytes, 2), 1);
    assert_int_equal(pair.stream.received_total, 3);
    assert_int_equal(shutdown(pair.peer, SHUT_WR), 0);
    assert_int_equal(stream_receive(&pair.stream, bytes, 2), ERR_EOF);
    stream_shutdown(&pair.stream);
    assert_int_equal(recv(pair.peer, bytes, 1, 0), 0);
    stream_shutdown(&pair.stream);
    pair_close(&pair);
}

static void a_paused_stream_is_not_read(void **state)
{
    struct pair pair;

    pair_open(&pair);
    stream_pause(&pair.stream);
    assert_int_equal(send(pair.peer, "abc", 3, 0), 3);
    turn(&pair);
    assert_int_equal(readable_calls, 0);
    /* Sending goes on, and does not begin to read by accident. */
    stream_write(&pair.stream, "x", 1);
    turn(&pair);
    assert_int_equal(pair.stream.watched, 0);
    stream_resume(&pair.stream);
    turn(&pair);
    assert_int_equal(readable_calls, 1);
    pair_close(&pair);
}

static void a_detached_socket_lives_on(void **state)
{
    struct pair pair;
    struct stream moved;
    int fd;

    pair_open(&pair);
    stream_write(&pair.stream, "a", 1);
    turn(&pair);
    fd = stream_detach(&pair.stream);
    assert_int_equal(pair.stream.fd, -1);
    assert_int_equal(stream_open(&moved, pair.shard, fd, &events), 0);
    stream_write(&moved, "b", 1);
    turn(&pair);
    assert_int_equal(peer_read(&pair, (uint8_t[2]){0}, 2), 2);
    stream_close(&moved);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_pieces_arrive_whole),
        cmocka_unit_test(an_idle_stream_owns_no_buffer),
        cmocka_unit_test(records_are_gathered),
        cmocka_unit_test(empty_writes_leave_nothing_behind),
        cmocka_unit_test(many_small_runs_leave_in_one_turn),
        cmocka_unit_test(closing_drops_what_is_queued),
        cmocka_unit_test(a_dead_peer_is_reported_once),
        cmocka_unit_test(receiving_tells_ends_apart),
        cmocka_unit_test(a_paused_stream_is_not_read),
        cmocka_unit_test(a_detached_socket_lives_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
