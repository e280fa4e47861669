/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of fetching beside writing: shards append, fetch and forget while checkpoints recycle segments. */
#include "storage/fetch_fixture.h"

#include <errno.h>
#include <time.h>

#define SHARDS 3U
#define TURNS 1500U
#define RECORDS (TURNS * 8U)
#define FETCHES 6U /* of a shard at a time */

/* Thread: its own; `wants_checkpoint` any. */
struct shard {
    struct world *world;
    struct log_stream *stream;
    struct chance chance;
    uint32_t count;
    uint32_t dropped; /* records below are not live in the newest checkpoint, or will not be */
    uint32_t under_way;
    uint32_t answered;
    uint32_t missing;
    uint64_t ids[RECORDS];
    uint32_t octets[RECORDS];
    _Atomic bool wants_checkpoint;
    pthread_t thread;
};

struct world {
    struct rig rig;
    bool may_fail;
    struct shard shards[SHARDS];
    pthread_mutex_t mutex;
    struct log_checkpoint *checkpoint;
    uint32_t missing; /* shards that have not added yet */
    uint32_t running;
    _Atomic uint32_t failures; /* cmocka asserts work in the main thread only */
};

/* An asker's memory. */
struct request {
    struct log_fetch fetch;
    uint32_t count;
    uint32_t indexes[64];
    struct log_fetched records[64];
};

#define CHECK(shard, condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("shard %u: %s\n", (shard)->stream->id, #condition);                        \
            atomic_fetch_add(&(shard)->world->failures, 1);                                        \
        }                                                                                          \
    } while (0)

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

static uint64_t seed_of(const struct shard *shard, uint32_t index)
{
    return (uint64_t)shard->stream->id << 32 | index;
}

static void append(struct shard *shard)
{
    uint32_t i = shard->count++;
    uint64_t most = chance_hits(&shard->chance, 1, 50) ? 50000 : 1200;
    uint8_t *payload;

    shard->octets[i] = (uint32_t)chance_below(&shard->chance, most);
    payload = log_append(shard->stream, RIG_KIND, 1, shard->octets[i], &shard->ids[i]);
    fill_payload(payload, shard->octets[i], seed_of(shard, i));
}

/* Random ones, or neighbours; also some that are gone and some that were not submitted. */
static void ask(struct shard *shard)
{
    struct request *request = mem_alloc_zero(sizeof *request);
    bool in_order = chance_hits(&shard->chance, 1, 2);
    uint32_t first = (uint32_t)chance_below(&shard->chance, shard->count);

    request->count = 1 + (uint32_t)chance_below(&shard->chance, ARRAY_LEN(request->records));
    for (uint32_t i = 0; i < request->count; i++) {
        uint32_t index = in_order ? MIN(first + i, shard->count - 1)
                                  : (uint32_t)chance_below(&shard->chance, shard->count);
        request->indexes[i] = index;
        request->records[i].id = shard->ids[index];
    }
    request->fetch.stream = shard->stream;
    request->fetch.records = request->records;
    request->fetch.count = request->count;
    shard->under_way++;
    log_fetch_submit(shard->stream->log, &request->fetch);
}

static void check_record(struct shard *shard, const struct log_fetched *record, uint32_t index)
{
    if (record->rc == ERR_NOT_FOUND) {
        bool was_open =
            shard->stream->open && record_id_part(record->id) == shard->stream->open->number;
        CHECK(shard, index < shard->dropped || was_open);
        shard->missing++;
    } else if (record->rc == -EIO) {
        CHECK(shard, shard->world->may_fail);
    } else {
        CHECK(shard, record->rc == 0);
    }
    CHECK(shard, (record->payload != NULL) == (record->rc == 0));
    if (!record->payload)
        return;
    CHECK(shard, record->header.octets == shard->octets[index]);
    CHECK(shard, payload_is(record->payload, record->header.octets, seed_of(shard, index)));
}

static void take(struct shard *shard)
{
    struct log_fetch *fetch = log_fetch_take(shard->stream);

    while (fetch) {
        struct log_fetch *next = fetch->next;
        struct request *request = CONTAINER_OF(fetch, struct request, fetch);
        for (uint32_t i = 0; i < request->count; i++)
            check_record(shard, &request->records[i], request->indexes[i]);
        log_fetch_release(fetch);
        mem_free(request);
        shard->under_way--;
        shard->answered++;
        fetch = next;
    }
}

/* Half of what it has is not needed any more. */
static void add_to_checkpoint(struct shard *shard)
{
    struct world *world = shard->world;
    struct log_gather gather = {0};

    log_submit(shard->stream);
    shard->dropped += (shard->count - shard->dropped) / 2;
    for (uint32_t i = shard->dropped; i < shard->count; i++)
        log_gather_live(&gather, record_id_part(shard->ids[i]), record_id_part(shard->ids[i]));
    (void)log_gather_record(&gather, RIG_KIND, 1, 8);
    atomic_store(&shard->wants_checkpoint, false);
    pthread_mutex_lock(&world->mutex);
    log_checkpoint_add(world->checkpoint, &gather, shard->stream->id, shard->stream->last);
    if (--world->missing == 0)
        log_checkpoint_finish(world->checkpoint, false);
    pthread_mutex_unlock(&world->mutex);
}

static void *shard_main(void *arg)
{
    struct shard *shard = arg;

    for (uint32_t turn = 0; turn < TURNS; turn++) {
        uint64_t count = 1 + chance_below(&shard->chance, 7);
        while (count-- > 0)
            append(shard);
        if (shard->under_way < FETCHES)
            ask(shard);
        if (chance_hits(&shard->chance, 2, 3))
            log_submit(shard->stream);
        take(shard);
        if (atomic_load(&shard->wants_checkpoint))
            add_to_checkpoint(shard);
        if (log_under_way(shard->stream) > 100000)
            sleep_ms(1);
    }
    pthread_mutex_lock(&shard->world->mutex);
    shard->world->running--;
    pthread_mutex_unlock(&shard->world->mutex);
    while (atomic_load(&shard->wants_checkpoint))
        add_to_checkpoint(shard);
    return NULL;
}

static bool is_checkpointing(struct log *log)
{
    bool is;
    pthread_mutex_lock(&log->mutex);
    is = log->is_checkpointing;
    pthread_mutex_unlock(&log->mutex);
    return is;
}

/* One checkpoint after the other, as long as all shards run. */
static uint32_t make_checkpoints(struct world *world)
{
    struct log *log = world->rig.log;
    uint32_t count = 0;
    bool goes_on = true;

    while (goes_on && log_failure(log) == 0) {
        sleep_ms(2);
        if (is_checkpointing(log))
            continue;
        pthread_mutex_lock(&world->mutex);
        goes_on = world->running == SHARDS;
        if (goes_on) {
            world->checkpoint = log_checkpoint_begin(log);
            world->missing = SHARDS;
            for (uint32_t i = 0; i < SHARDS; i++)
                atomic_store(&world->shards[i].wants_checkpoint, true);
            count++;
        }
        pthread_mutex_unlock(&world->mutex);
    }
    return count;
}

static struct world *world_new(bool may_fail)
{
    struct world *world = mem_alloc_zero(sizeof *world);

    world->may_fail = may_fail;
    world->rig.segment_bytes = LOG_SEGMENT_MIN * 2;
    world->rig.streams = SHARDS;
    world->rig.is_threaded = true;
    world->rig.disk = disk_memory_new();
    if (may_fail)
        disk_memory_fail(world->rig.disk, DISK_CALL_SYNC, 150, -EIO, DISK_FAULT_ONCE);
    rig_open(&world->rig);
    pthread_mutex_init(&world->mutex, NULL);
    world->running = SHARDS;
    for (uint16_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &world->shards[i];
        shard->world = world;
        shard->stream = log_stream(world->rig.log, i);
        shard->chance.state = 100 + i;
        assert_int_equal(pthread_create(&shard->thread, NULL, shard_main, shard), 0);
    }
    return world;
}

/* The threads end with fetches under way, some of parts that were not submitted: all are answered. */
static void world_end(struct world *world)
{
    for (uint32_t i = 0; i < SHARDS; i++)
        pthread_join(world->shards[i].thread, NULL);
    for (uint32_t i = 0; i < SHARDS; i++) {
        append(&world->shards[i]);
        ask(&world->shards[i]);
    }
    log_stop(world->rig.log);
    for (uint32_t i = 0; i < SHARDS; i++) {
        take(&world->shards[i]);
        assert_int_equal(world->shards[i].under_way, 0);
        assert_true(world->shards[i].answered > 0);
    }
    assert_int_equal(atomic_load(&world->failures), 0);
    log_free(world->rig.log);
    pthread_mutex_destroy(&world->mutex);
    mem_free(world);
}

static void fetches_beside_writing(void **state)
{
    struct world *world = world_new(false);
    uint32_t checkpoints = make_checkpoints(world);
    (void)state;

    assert_true(checkpoints > 2);
    world_end(world);
}

static void a_log_that_fails_answers(void **state)
{
    struct world *world = world_new(true);
    (void)state;

    (void)make_checkpoints(world);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetches_beside_writing),
        cmocka_unit_test(a_log_that_fails_answers),
    };
    return cmocka_run_group_tests_name("storage-fetch-threads", tests, NULL, NULL);
}
