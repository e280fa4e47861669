/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of stage.c: how large bodies are cut for the log. */
#include "core/stage.h"

#include "base/mem.h"
#include "core/message_fixture.h"
#include "storage/disk_memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BODY (8U * 1024U * 1024U)

/* A chained message whose body is one block. */
static struct message large(struct shard *shard, struct pool *descriptors)
{
    struct message message = message_make(shard, 1);
    struct message_shared *shared;

    message_share(&message, descriptors);
    message.flags |= MESSAGE_CHAINED;
    shared = message.shared;
    shared->body_bytes = BODY;
    shared->chunk_count = 1;
    shared->chunks = mem_alloc(sizeof *shared->chunks);
    shared->chunks[0].length = BODY;
    shared->chunks[0].block = block_new(shard, BODY);
    memset(shared->chunks[0].block->data, 7, BODY);
    return message;
}

/* How many parts a large body takes, with segments of this size. */
static uint64_t parts_of_a_large_body(uint64_t segment_bytes)
{
    struct log_settings settings = {
        .segment_bytes = segment_bytes, .checkpoint_bytes = UINT64_MAX, .streams = 1, .seed = 1};
    struct shard_set *set = shards_open(1);
    struct pool descriptors;
    struct log_error error;
    struct stage stage = {0};
    struct message message;
    struct log *log;
    uint64_t first;
    uint64_t count;

    pool_init(&descriptors, sizeof(struct message_shared), 16);
    assert_int_equal(log_open(disk_memory_new(), &settings, &log, &error), 0);
    assert_int_equal(log_start(log, &error), 0);
    stage.stream = log_stream(log, 0);
    message = large(set->shards[0], &descriptors);
    first = record_id_part(log_next_id(stage.stream));
    stage_body(&stage, &message);
    count = record_id_part(message.shared->body_id) - first + 1;
    (void)stage_submit(&stage, true);
    assert_int_equal(log_wait_idle(log), 0);
    message_unref(set->shards[0], &descriptors, &message);
    log_stop(log);
    log_free(log);
    pool_fini(&descriptors);
    shard_set_free(set);
    return count;
}

/* A chunk gets a part of its own size; where parts are small, chunks fill them: what a part does not use is
 * written as well with small segments, and staged always. */
static void test_chunks_fill_their_parts(void **state)
{
    (void)state;
    assert_in_range(parts_of_a_large_body(64ULL << 20), 16, 20);
    assert_in_range(parts_of_a_large_body(1ULL << 20), 16, 20);
    assert_in_range(parts_of_a_large_body(LOG_SEGMENT_MIN), 147, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_fill_their_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
