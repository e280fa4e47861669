/* SPDX-License-Identifier: Apache-2.0 */
/* One history: lives of a node on one disk, each with its end, the next one finding what it left. */
#include "torture.h"

#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

struct torture_counts torture_counts;

void say(const struct sim *sim, const char *format, ...)
{
    va_list args;

    if (!sim->is_verbose)
        return;
    va_start(args, format);
    printf("  ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void torture_fail(const struct sim *sim, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("history %llu, life %llu: ", (unsigned long long)sim->seed,
           (unsigned long long)sim->lives);
    vprintf(format, args);
    printf("\nagain: torture --seed %llu --verbose\n0 passed, 1 failed, 0 skipped\n",
           (unsigned long long)sim->seed);
    va_end(args);
    fflush(stdout);
    _exit(1); /* what it held is of no interest */
}

/* ---- what happens to the disk ---- */

static void plan_fault(struct sim *sim, unsigned calls, uint64_t within)
{
    static const int errors[] = {-EIO, -ENOSPC};
    uint64_t after = roll(sim, within);
    int error = errors[roll(sim, 2)];
    enum disk_fault_mode mode = hits(sim, 1, 2) ? DISK_FAULT_ONCE : DISK_FAULT_FOR_EVER;

    say(sim, "call %llu of kinds %x will be %d%s", (unsigned long long)after, calls, error,
        mode == DISK_FAULT_ONCE ? "" : ", and all from there on");
    disk_memory_fail(sim->disk, calls, after, error, mode);
    sim->has_failed_call = true;
}

/* One kind of call, or any. */
static unsigned random_calls(struct sim *sim)
{
    return hits(sim, 1, 2) ? DISK_CALL_ALL : 1U << roll(sim, 10);
}

/* A power cut in the middle of a call, or a kill between two. */
static void plan_end(struct sim *sim, uint64_t within)
{
    uint64_t after = 1 + roll(sim, within);

    if (hits(sim, 1, 3)) {
        say(sim, "the process will be killed before change %llu", (unsigned long long)after);
        sim->span.calls_left = after;
        return;
    }
    say(sim, "the power will go in change %llu", (unsigned long long)after);
    disk_memory_cut_after(sim->disk, after);
}

/* ---- ends ---- */

static void power_cut(struct sim *sim)
{
    say(sim, "-- power cut");
    torture_counts.cuts++;
    disk_memory_crash(sim->disk, chance_next(&sim->chance));
}

static void restart(struct sim *sim)
{
    say(sim, "-- killed");
    torture_counts.kills++;
    disk_memory_restart(sim->disk);
}

static void end_disk(struct sim *sim)
{
    bool is_killed = sim->span.is_over && !disk_memory_is_cut(sim->disk);

    sim->span = (struct life_span){0};
    disk_memory_fail(sim->disk, 0, 0, 0, DISK_FAULT_ONCE);
    disk_memory_cut_after(sim->disk, 0);
    if (disk_memory_is_cut(sim->disk) || (!is_killed && hits(sim, 2, 3)))
        power_cut(sim);
    else
        restart(sim);
}

static void end_life(struct sim *sim)
{
    bool is_over = disk_memory_is_cut(sim->disk) || sim->span.is_over;
    bool may_stop = log_failure(sim->log) == 0 && !is_over && !sim->is_unreadable;
    bool stops = may_stop && (sim->spill.has_failed || hits(sim, 1, 4));

    torture_counts.failures += log_failure(sim->log) != 0 && !is_over;
    if (stops) {
        say(sim, "-- stop");
        torture_counts.stops += life_stop(sim);
    }
    life_end(sim);
    end_disk(sim);
}

/* ---- a life ---- */

bool write_some(struct sim *sim)
{
    uint64_t cleaned = log_clean_counts(sim->log).segments;

    if (log_step(sim->log) != 0 || disk_memory_is_cut(sim->disk) || sim->span.is_over)
        return false;
    checkpoint_written(sim);
    torture_counts.rounds += log_clean_counts(sim->log).segments > cleaned;
    return spill_write_some(sim) && !sim->is_unreadable;
}

static bool live_on(struct sim *sim, uint64_t writes_of_8)
{
    bool is_bulk = sim->style != STYLE_MIXED && hits(sim, 1, 5);

    if (is_bulk)
        bulk_random(sim);
    else
        operation_random(sim);
    checkpoint_go_on(sim);
    spill_go_on(sim);
    if (hits(sim, writes_of_8, 8) && !write_some(sim))
        return false;
    if (hits(sim, 3, 4))
        fetched(sim);
    if (hits(sim, 1, is_bulk ? 12 : 400) && !bound_look(sim))
        return false;
    return !sim->is_unreadable && !sim->spill.has_failed;
}

static void live(struct sim *sim)
{
    uint64_t steps = roll(sim, 1 + (hits(sim, 1, 4) ? 600 : 120));
    uint64_t writes_of_8 = 1 + roll(sim, 8);
    bool goes_on = true;

    for (uint64_t i = 0; i < steps && goes_on; i++)
        goes_on = live_on(sim, writes_of_8);
    if (goes_on && sim->style != STYLE_MIXED && hits(sim, 1, 2))
        (void)bound_look(sim);
}

static void choose_settings(struct sim *sim)
{
    sim->shard_count = (uint16_t)(1 + roll(sim, SIM_SHARDS_MAX));
    sim->checkpoint_bytes = 16384U << roll(sim, 5);
    if (sim->segment_bytes == 0 || hits(sim, 1, 16))
        sim->segment_bytes = LOG_SEGMENT_MIN * (uint32_t)(1 + roll(sim, 3));
}

/* With a second cut, or a fault, while it recovers. False: nothing lives. */
static bool begin(struct sim *sim, bool is_quiet)
{
    bool is_cut = !is_quiet && hits(sim, 1, 5);

    sim->has_failed_call = false;
    sim->is_unreadable = false;
    if (is_cut)
        plan_end(sim, 12);
    else if (!is_quiet && hits(sim, 1, 12))
        plan_fault(sim, random_calls(sim), 25);
    if (!life_begin(sim)) {
        torture_counts.second_cuts += disk_memory_is_cut(sim->disk);
        return false;
    }
    if (!is_quiet && !is_cut && hits(sim, 1, 3))
        plan_end(sim, 150);
    else if (!is_quiet && !is_cut && hits(sim, 1, 8))
        plan_fault(sim, random_calls(sim), 150);
    return true;
}

void history_run(uint64_t seed, bool is_verbose)
{
    struct sim sim = {.seed = seed, .is_verbose = is_verbose, .chance = {seed}, .now_ms = 1000};
    uint64_t lives = 2 + roll(&sim, 5);

    sim.messages_max = hits(&sim, 1, 3) ? 640 : 200;
    if (hits(&sim, 1, 10))
        sim.style = (enum sim_style)roll(&sim, STYLES);
    sim.transient_of_60 = hits(&sim, 1, 2) ? 0 : hits(&sim, 1, 2) ? 60 : roll(&sim, 61);
    sim.disk = disk_memory_new();
    for (uint64_t i = 0; i <= lives; i++) {
        choose_settings(&sim);
        sim.now_ms += hits(&sim, 1, 2) ? roll(&sim, 1500) : 0;
        say(&sim, "-- start with %u shards", sim.shard_count);
        if (!begin(&sim, i == lives)) {
            if (sim.log)
                life_end(&sim);
            end_disk(&sim);
            continue;
        }
        if (i < lives)
            live(&sim);
        end_life(&sim);
    }
    torture_counts.lives += sim.lives;
    disk_free(sim.disk);
    spill_fini(&sim);
    model_fini(&sim.model);
}
