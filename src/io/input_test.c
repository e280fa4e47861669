/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of input.c: frames come out of any cut of the bytes, and blocks are kept and given back. */
#include "io/input.h"

#include "base/err.h"
#include "io/shard_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void ignore(struct stream *stream)
{
    (void)stream;
}

static void ignore_failure(struct stream *stream, int error)
{
    (void)stream;
    (void)error;
}

static const struct stream_events events = {ignore, ignore, ignore_failure};

/* A connection that reads frames `u32 length, bytes`; the bytes go on counting over all frames. */
struct client {
    struct input input;
    struct stream stream;
    int peer;
    uint32_t written; /* counters of both sides */
    uint32_t read;
    uint8_t *waiting; /* written, not taken by the socket yet */
    size_t waiting_first;
    size_t waiting_len;
};

#define WAITING_MAX (2U * 1024U * 1024U)

static void client_open(struct client *client, struct shard *shard)
{
    int fds[2];
    int large = 1 << 20;

    memset(client, 0, sizeof *client);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    assert_int_equal(stream_open(&client->stream, shard, fds[0], &events), 0);
    client->peer = fds[1];
    client->waiting = malloc(WAITING_MAX);
}

static void client_close(struct client *client, struct shard *shard)
{
    input_fini(&client->input, shard);
    stream_close(&client->stream);
    close(client->peer);
    free(client->waiting);
}

static void peer_flush(struct client *client, size_t most)
{
    ssize_t n = send(client->peer, client->waiting + client->waiting_first,
                     MIN(most, client->waiting_len), MSG_DONTWAIT);
    assert_true(n >= 0 || errno == EAGAIN);
    if (n > 0) {
        client->waiting_first += (size_t)n;
        client->waiting_len -= (size_t)n;
    }
}

static void peer_write_frame(struct client *client, uint32_t length)
{
    uint8_t *at;
    memmove(client->waiting, client->waiting + client->waiting_first, client->waiting_len);
    client->waiting_first = 0;
    if (client->waiting_len + 4 + length > WAITING_MAX)
        return;
    at = client->waiting + client->waiting_len;
    memcpy(at, &length, 4);
    for (uint32_t i = 0; i < length; i++)
        at[4 + i] = (uint8_t)(client->written++ * 40503U >> 7);
    client->waiting_len += 4 + length;
}

/* Parse as a protocol does: whole frames only; partial ones stay. */
static void parse(struct client *client)
{
    struct input *input = &client->input;
    uint32_t length;

    while (input->end - input->start >= 4) {
        const uint8_t *at = input->block->data + input->start;
        memcpy(&length, at, 4);
        if (input->end - input->start < 4 + length)
            return;
        for (uint32_t i = 0; i < length; i++)
            if (at[4 + i] != (uint8_t)((client->read + i) * 40503U >> 7))
                fail_msg("byte %u of a frame of %u is wrong", i, length);
        client->read += length;
        input->start += 4 + length;
    }
}

static long client_turn(struct client *client, struct shard *shard)
{
    long n = input_fill(&client->input, &client->stream, INPUT_READ_MAX);
    parse(client);
    input_settle(&client->input, shard);
    return n;
}

/* Quiet and busy connections share one shard; all frames come out whole and in order. */
static void random_cuts_lose_nothing(void **state)
{
    enum { CLIENTS = 5, ROUNDS = 6000, LARGEST = 400000 };
    struct shard_set *set = shards_open(1);
    struct shard *shard = set->shards[0];
    struct client clients[CLIENTS];
    struct dice dice = {3};
    bool was_owned = false;

    for (int i = 0; i < CLIENTS; i++)
        client_open(&clients[i], shard);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t i = dice_roll(&dice, CLIENTS);
        /* The first client writes small frames only, the last ones up to 400 KiB. */
        uint64_t bits = i == 0 ? 6 : 19;
        uint64_t size = dice_roll(&dice, 1ULL << (1 + dice_roll(&dice, bits)));
        if (clients[i].waiting_len < WAITING_MAX / 4)
            peer_write_frame(&clients[i], (uint32_t)MIN(size, (uint64_t)LARGEST));
        peer_flush(&clients[i], dice_roll(&dice, 300000));
        i = dice_roll(&dice, CLIENTS);
        client_turn(&clients[i], shard);
        was_owned |= clients[i].input.is_owned;
    }
    for (int i = 0; i < CLIENTS; i++) {
        while (clients[i].read != clients[i].written) {
            peer_flush(&clients[i], SIZE_MAX);
            client_turn(&clients[i], shard);
        }
        assert_int_equal(client_turn(&clients[i], shard), ERR_AGAIN);
        assert_null(clients[i].input.block); /* idle connections own no block */
        client_close(&clients[i], shard);
    }
    assert_true(was_owned);
    assert_int_equal(shard->carry_bytes, 0);
    assert_int_equal(shard->receive_owned, 0);
    assert_int_equal(shards_settle(set), shard->receive ? BLOCK_RECEIVE_BYTES : 0);
    shards_close(set);
}

/* What a message points to must stay as it was: later reads never write over consumed bytes. */
static void consumed_bytes_stay_while_referenced(void **state)
{
    enum { KEPT = 300, SIZE = 20000 };
    struct shard_set *set = shards_open(1);
    struct shard *shard = set->shards[0];
    struct client clients[2];
    struct block *blocks[KEPT];
    const uint8_t *places[KEPT];
    uint8_t *copies = malloc((size_t)KEPT * SIZE);

    client_open(&clients[0], shard);
    client_open(&clients[1], shard);
    for (int i = 0; i < KEPT; i++) {
        struct client *client = &clients[i % 7 == 0];
        struct input *input = &client->input;
        for (uint32_t j = 0; j < SIZE; j++)
            copies[(size_t)i * SIZE + j] = (uint8_t)(j * 31 + (uint32_t)i);
        assert_int_equal(send(client->peer, copies + (size_t)i * SIZE, SIZE, 0), SIZE);
        assert_int_equal(input_fill(input, &client->stream, INPUT_READ_MAX), SIZE);
        /* All but a little at the end is consumed; the rest is carried to the next read. */
        places[i] = input->block->data + input->end - SIZE;
        blocks[i] = input->block;
        block_ref(input->block, 1);
        input->start = input->end - (uint32_t)(i % 3);
        input_settle(input, shard);
    }
    for (int i = 0; i < KEPT; i++) {
        assert_memory_equal(places[i], copies + (size_t)i * SIZE, SIZE - 3);
        block_unref(shard, blocks[i], 1);
    }
    client_close(&clients[0], shard);
    client_close(&clients[1], shard);
    assert_int_equal(shards_settle(set), BLOCK_RECEIVE_BYTES);
    free(copies);
    shards_close(set);
}

static void a_partial_frame_of_a_quiet_client_is_on_the_heap(void **state)
{
    struct shard_set *set = shards_open(1);
    struct shard *shard = set->shards[0];
    struct client client;

    client_open(&client, shard);
    peer_write_frame(&client, 1000);
    peer_flush(&client, 10);
    assert_int_equal(client_turn(&client, shard), 10);
    assert_null(client.input.block);
    assert_int_equal(client.input.carry_len, 10);
    assert_int_equal(shard->carry_bytes, 10);
    assert_int_equal(shard->receive->used, 0); /* the bytes took no room in the shared block */
    assert_int_equal(client_turn(&client, shard), ERR_AGAIN);
    assert_int_equal(shard->carry_bytes, 10);
    peer_flush(&client, SIZE_MAX);
    assert_int_equal(client_turn(&client, shard), 994);
    assert_int_equal(client.read, 1000);
    assert_int_equal(shard->carry_bytes, 0);
    assert_int_equal(shard->receive->used, 1004);
    client_close(&client, shard);
    shards_close(set);
}

/* A connection that fills 64 KiB a turn keeps its block; when it calms down the block goes back. */
static void a_busy_client_keeps_its_block(void **state)
{
    struct shard_set *set = shards_open(1);
    struct shard *shard = set->shards[0];
    struct client client;
    struct block *first;

    client_open(&client, shard);
    peer_write_frame(&client, 300000);
    peer_write_frame(&client, 300000);
    peer_write_frame(&client, 300000);
    peer_write_frame(&client, 300000);
    peer_flush(&client, 100000);
    assert_int_equal(client_turn(&client, shard), 100000);
    assert_true(client.input.is_owned);
    assert_int_equal(shard->receive_owned, 1);
    assert_null(shard->receive);
    first = client.input.block;
    assert_int_equal(first->refs, 1);
    while (client.waiting_len > 0) {
        peer_flush(&client, 100000);
        client_turn(&client, shard);
    }
    assert_int_equal(client.read, 1200000);
    assert_ptr_not_equal(client.input.block, first); /* renewed near its end */
    assert_int_equal(shard->blocks.receive_in_use, 1);
    peer_write_frame(&client, 5);
    peer_flush(&client, SIZE_MAX);
    assert_int_equal(client_turn(&client, shard), 9);
    assert_false(client.input.is_owned);
    assert_int_equal(shard->receive_owned, 0);
    assert_non_null(shard->receive);
    client_close(&client, shard);
    assert_int_equal(shards_settle(set), BLOCK_RECEIVE_BYTES);
    shards_close(set);
}

/* Beyond 16 owned megabytes partial frames are copied instead. */
static void owned_blocks_are_bounded(void **state)
{
    struct shard_set *set = shards_open(1);
    struct shard *shard = set->shards[0];
    struct client client;

    client_open(&client, shard);
    shard->receive_owned = 16;
    peer_write_frame(&client, 100000);
    peer_flush(&client, 90000);
    assert_int_equal(client_turn(&client, shard), 90000);
    assert_false(client.input.is_owned);
    assert_int_equal(shard->carry_bytes, 90000);
    peer_flush(&client, SIZE_MAX);
    client_turn(&client, shard);
    assert_int_equal(client.read, 100000);
    shard->receive_owned = 0;
    client_close(&client, shard);
    shards_close(set);
}

/* Closed in the middle of a frame, owned or carried: nothing stays behind. */
static void closing_amid_a_frame_leaks_nothing(void **state)
{
    static const size_t cuts[] = {3, 50000, 150000};

    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        struct shard_set *set = shards_open(1);
        struct shard *shard = set->shards[0];
        struct client client;
        client_open(&client, shard);
        peer_write_frame(&client, 200000);
        peer_flush(&client, cuts[i]);
        client_turn(&client, shard);
        client_close(&client, shard);
        assert_int_equal(shard->carry_bytes, 0);
        assert_int_equal(shard->receive_owned, 0);
        shards_close(set);
    }
}

/* The connection moves between two shards with some of a frame read. */
static void partial_frames_move_between_shards(void **state)
{
    static const size_t cuts[] = {0, 10, 100000};

    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        struct shard_set *set = shards_open(2);
        struct client client;
        uint8_t *bytes;
        uint32_t len;
        int fd;

        client_open(&client, set->shards[0]);
        peer_write_frame(&client, 150000);
        peer_flush(&client, cuts[i]);
        client_turn(&client, set->shards[0]);
        bytes = input_detach(&client.input, set->shards[0], &len);
        assert_int_equal(len, cuts[i]);
        assert_int_equal(bytes != NULL, len > 0);
        assert_int_equal(set->shards[0]->carry_bytes, 0);
        fd = stream_detach(&client.stream);
        shards_go(set, 1);
        assert_int_equal(stream_open(&client.stream, set->shards[1], fd, &events), 0);
        input_attach(&client.input, set->shards[1], bytes, len);
        assert_int_equal(set->shards[1]->carry_bytes, len);
        input_resume(&client.input, set->shards[1]);
        assert_int_equal(client.input.end - client.input.start, len);
        input_settle(&client.input, set->shards[1]);
        peer_flush(&client, SIZE_MAX);
        client_turn(&client, set->shards[1]);
        assert_int_equal(client.read, 150000);
        client_close(&client, set->shards[1]);
        shards_close(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_cuts_lose_nothing),
        cmocka_unit_test(consumed_bytes_stay_while_referenced),
        cmocka_unit_test(a_partial_frame_of_a_quiet_client_is_on_the_heap),
        cmocka_unit_test(a_busy_client_keeps_its_block),
        cmocka_unit_test(owned_blocks_are_bounded),
        cmocka_unit_test(closing_amid_a_frame_leaks_nothing),
        cmocka_unit_test(partial_frames_move_between_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
