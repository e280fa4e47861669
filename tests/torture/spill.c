/* SPDX-License-Identifier: Apache-2.0 */
/* The spill of the simulated node: begun, swept and ended as broker/spill.c does, on a disk of its own. */
#include "torture.h"

#include "core/queue/spill.h"
#include "core/recovery/marks.h"
#include "storage/disk_unsynced.h"

#include <errno.h>

/* ---- settings ---- */

static void on_due(void *context)
{
    ((struct sim *)context)->spill.wants_sweep = true;
}

/* As main/store.c: open_spill. */
static struct log_settings settings_of(struct sim *sim)
{
    return (struct log_settings){
        .segment_bytes = sim->segment_bytes,
        .checkpoint_bytes = sim->checkpoint_bytes,
        .streams = sim->shard_count,
        .seed = chance_next(&sim->chance),
        .slack_bytes = 2 * sim->segment_bytes,
        .events = {.context = sim, .checkpoint_due = on_due},
        .mark = marks_of_spill,
    };
}

static int nothing(void *context, uint64_t id, const struct record_header *header,
                   const uint8_t *payload)
{
    (void)context;
    (void)id;
    (void)header;
    (void)payload;
    return 0;
}

/* ---- what happens to its disk ---- */

static void plan_fault(struct sim *sim)
{
    static const int errors[] = {-EIO, -ENOSPC};
    unsigned calls = hits(sim, 1, 2) ? DISK_CALL_ALL : 1U << roll(sim, 10);
    uint64_t after = roll(sim, 60);
    int error = errors[roll(sim, 2)];
    enum disk_fault_mode mode = hits(sim, 1, 2) ? DISK_FAULT_ONCE : DISK_FAULT_FOR_EVER;

    say(sim, "the spill's call %llu of kinds %x will be %d%s", (unsigned long long)after, calls,
        error, mode == DISK_FAULT_ONCE ? "" : ", and all from there on");
    disk_memory_fail(sim->spill.disk, calls, after, error, mode);
    sim->spill.has_failed_call = true;
}

static void plan_limit(struct sim *sim)
{
    uint64_t limit = hits(sim, 1, 2) ? 4096 : (1 + roll(sim, 6)) * sim->segment_bytes;

    say(sim, "the spill's disk is full at %llu octets", (unsigned long long)limit);
    disk_memory_set_limit(sim->spill.disk, limit);
    sim->spill.has_failed_call = true;
}

/* ---- a life ---- */

/* A node does this at its start; here not in lives that never need it, for their number. */
static void open_spill(struct sim *sim)
{
    struct log_settings settings = settings_of(sim);
    struct sim_spill *spill = &sim->spill;
    struct log_error error = {0};
    struct disk *disk;
    int rc;

    if (!spill->disk)
        spill->disk = disk_memory_new();
    rc = disk_unsynced_new(disk_lend(spill->disk, &spill->span), &disk);
    if (rc == 0)
        rc = log_open(disk, &settings, &spill->log, &error);
    if (rc == 0)
        rc = log_replay(spill->log, nothing, NULL, &error);
    CHECK(sim, rc == 0, "the spill cannot be opened: '%s': %s (%d)", error.file, error.reason, rc);
    for (uint16_t i = 0; i < sim->shard_count; i++) {
        spill->stages[i] = (struct stage){.wall_offset_ms = SIM_WALL_OFFSET};
        spill->stages[i].stream = log_stream(spill->log, i);
    }
    spill->is_sweep_written = true;
    if (hits(sim, 1, 16))
        plan_fault(sim);
    else if (hits(sim, 1, 16))
        plan_limit(sim);
}

static void start(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;
    struct log_error error = {0};
    int rc = log_start(spill->log, &error);

    CHECK(sim, rc == 0 || spill->has_failed_call, "the spill cannot be started: %s", error.reason);
    spill->is_started = rc == 0;
    if (rc == 0)
        return;
    say(sim, "transient messages stay in memory");
    torture_counts.spill_refusals++;
    if (hits(sim, 1, 2)) { /* the next time it works */
        disk_memory_set_limit(spill->disk, UINT64_MAX);
        disk_memory_fail(spill->disk, 0, 0, 0, DISK_FAULT_ONCE);
    }
}

void spill_begin(struct sim *sim, uint16_t shard)
{
    struct sim_spill *spill = &sim->spill;
    struct queue_host *host = &sim->shards[shard].host;

    if (host->spill)
        return;
    if (!spill->log)
        open_spill(sim);
    if (!spill->is_started)
        start(sim);
    if (spill->is_started)
        host->spill = &spill->stages[shard];
}

void spill_hand_over(struct sim *sim, uint16_t shard)
{
    struct queue_host *host = &sim->shards[shard].host;

    if (host->spill)
        (void)stage_submit(host->spill, true);
}

void spill_stop(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;

    log_gather_free(&spill->gather);
    if (spill->sweep)
        log_checkpoint_cancel(spill->sweep);
    spill->sweep = NULL;
    if (spill->is_started) {
        torture_counts.spill_cleaned += log_clean_counts(spill->log).segments;
        log_stop(spill->log);
    }
    spill->is_started = false;
}

void spill_close(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;
    struct disk *disk = spill->disk;

    if (!disk)
        return;
    spill_stop(sim);
    log_free(spill->log);
    *spill = (struct sim_spill){.disk = disk};
    disk_memory_fail(disk, 0, 0, 0, DISK_FAULT_ONCE);
    disk_memory_set_limit(disk, UINT64_MAX);
    if (hits(sim, 1, 2))
        disk_memory_crash(disk, chance_next(&sim->chance));
    else
        disk_memory_restart(disk);
}

void spill_fini(struct sim *sim)
{
    if (sim->spill.disk)
        disk_free(sim->spill.disk);
}

/* ---- sweeps ---- */

static void begin_sweep(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;

    say(sim, "sweep of the spill begins");
    spill->wants_sweep = false;
    spill->sweep = log_checkpoint_begin(spill->log);
    spill->sweep_shard = 0;
    spill->walk = (struct queue_walk){0};
}

static void sweep_step(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;
    struct sim_shard *at = &sim->shards[spill->sweep_shard];

    shard_current = at->shard;
    if (!queue_host_gather_spilled(&at->host, &spill->walk, at->slots, &spill->gather,
                                   1 + roll(sim, 30)))
        return;
    spill->walk = (struct queue_walk){0};
    log_checkpoint_add(spill->sweep, &spill->gather, spill->sweep_shard, 0);
    if (++spill->sweep_shard < sim->shard_count)
        return;
    say(sim, "sweep of the spill is gathered");
    log_checkpoint_finish(spill->sweep, false);
    spill->sweep = NULL;
    spill->is_sweep_written = false;
}

/* A full disk: the threads of the log wait for room. Here nobody steps it. */
static void stall(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;

    if (!spill->is_stalled && hits(sim, 1, 80)) {
        say(sim, "the spill stalls");
        spill->is_stalled = true;
        torture_counts.stalls++;
    } else if (spill->is_stalled && hits(sim, 1, 10)) {
        spill_wake(sim);
    }
}

void spill_wake(struct sim *sim)
{
    if (sim->spill.is_stalled)
        say(sim, "the spill goes on");
    sim->spill.is_stalled = false;
}

void spill_go_on(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;

    if (!spill->is_started)
        return;
    stall(sim);
    if (spill->sweep)
        sweep_step(sim);
    else if (spill->is_sweep_written && (spill->wants_sweep || hits(sim, 1, 30)))
        begin_sweep(sim);
}

bool spill_sweep_goes_on(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;

    if (spill->sweep)
        sweep_step(sim);
    else if (spill->is_sweep_written && spill->wants_sweep)
        begin_sweep(sim);
    else
        return !spill->is_sweep_written;
    return true;
}

/* ---- the log's threads ---- */

static void sweep_written(struct sim *sim, uint64_t before)
{
    struct sim_spill *spill = &sim->spill;
    uint64_t after = log_clean_counts(spill->log).total;

    if (spill->is_sweep_written)
        return;
    spill->is_sweep_written = true;
    torture_counts.sweeps++;
    torture_counts.swept += before > after ? before - after : 0;
}

bool spill_write_some(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;
    uint64_t before;

    if (!spill->is_started || spill->is_stalled)
        return true;
    before = log_clean_counts(spill->log).total;
    if (log_step(spill->log) == 0) {
        sweep_written(sim, before);
        return true;
    }
    CHECK(sim, spill->has_failed_call, "the spill has failed: %d", log_failure(spill->log));
    say(sim, "the spill has failed: the node stops");
    torture_counts.spill_failures++;
    spill->has_failed = true;
    return false;
}

/* ---- what is in it ---- */

bool spill_has(const struct queue *queue, uint64_t position)
{
    return entries_chunk(&queue->entries, position) &&
           (entries_body(&queue->entries, position) & SPILLED);
}
