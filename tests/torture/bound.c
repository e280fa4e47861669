/* SPDX-License-Identifier: Apache-2.0 */
/* The disk's use: when nothing is left to be done, twice what lives and a reserve (storage/FORMAT.md, section 7). */
#include "torture.h"

#include "base/mem.h"
#include "storage/log_internal.h"

#include <stdio.h>
#include <string.h>

/* Segments of the reserve. */
#define RESERVE_SEGMENTS 8U
/* A node's largest records are a 64th of a segment. Here are some of half of one, which leave the rest of it empty
 * wherever they are moved: where they are much of what lives, there is nothing to be promised. */
#define LARGE_PART 12U
#define LARGE_SHARE 8U
/* Steps in which checkpoints and the cleaner come to their end. */
#define STEPS_MAX 20000U

/* ---- what lives ---- */

static uint64_t page_bytes(const struct queue *queue)
{
    uint64_t sum = 0;

    for (uint64_t p = queue->entries.head; p < queue->entries.tail; p += ENTRIES_PER_CHUNK) {
        const struct entry_page *page = entries_page(&queue->entries, p);
        if (page && !(page->id & SPILLED))
            sum += RECORD_HEADER_BYTES + record_page_size(ENTRIES_PER_CHUNK);
    }
    return sum;
}

struct live {
    uint64_t sum;
    uint64_t large; /* in records that segments cannot be filled with */
};

/* A body that several queues have is there once. */
static struct live live_bytes(const struct sim *sim)
{
    uint8_t *seen = mem_alloc_zero((size_t)sim->next_number + 1);
    struct live live = {0};

    for (int i = 0; i < SIM_QUEUES; i++) {
        const struct sim_queue *queue = &sim->queues[i];
        for (size_t k = 0; k < queue->count; k++) {
            uint32_t number = queue->messages[k].number;
            uint8_t *is_counted = &seen[number & ~NUMBER_BITS];
            if (!queue->messages[k].is_kept || *is_counted)
                continue;
            *is_counted = 1;
            live.sum += body_log_bytes(number);
            live.large += body_large_bytes(number, sim->segment_bytes / LARGE_PART);
        }
        if (queue->queue)
            live.sum += page_bytes(queue->queue);
    }
    mem_free(seen);
    return live;
}

/* ---- what is taken ---- */

#define FILES_MAX 4096U

struct files {
    char names[FILES_MAX][DISK_NAME_MAX];
    uint32_t count;
};

struct use {
    uint64_t sum;
    uint64_t largest;
};

static void note_name(void *context, const char *name)
{
    struct files *files = context;

    if ((strncmp(name, "segment-", 8) == 0 || strncmp(name, "spare", 5) == 0) &&
        files->count < FILES_MAX)
        snprintf(files->names[files->count++], DISK_NAME_MAX, "%s", name);
}

static void add_file(struct use *use, struct disk *disk, const char *name)
{
    struct disk_file *file;
    uint64_t bytes = 0;

    if (disk_open(disk, name, 0, &file) != 0)
        return;
    if (disk_size(file, &bytes) == 0)
        use->sum += bytes;
    use->largest = MAX(use->largest, bytes);
    disk_close(file);
}

/* Asked of the disk, so that a file that the log has forgotten counts, too. */
static struct use disk_use(struct disk *disk)
{
    struct files *files = mem_alloc(sizeof *files);
    struct use use = {0};

    files->count = 0;
    if (disk_list(disk, note_name, files) == 0)
        for (uint32_t i = 0; i < files->count; i++)
            add_file(&use, disk, files->names[i]);
    mem_free(files);
    return use;
}

/* Something in it cannot be moved, since a segment became too small for it. */
static bool is_stuck(const struct log *log)
{
    for (const struct segment *segment = log->segments; segment; segment = segment->next)
        if (segment->is_stuck)
            return true;
    return false;
}

static void check(struct sim *sim)
{
    struct use use = disk_use(sim->disk);
    uint64_t live = live_bytes(sim).sum;
    struct log_clean_counts counts = log_clean_counts(sim->log);
    uint64_t most;

    if (is_stuck(sim->log))
        return;
    most = 2 * live + RESERVE_SEGMENTS * use.largest + sim->checkpoint_bytes;
    say(sim, "%llu octets live, the log has %llu, and may have %llu", (unsigned long long)live,
        (unsigned long long)use.sum, (unsigned long long)most);
    torture_counts.bounds++;
    torture_counts.bound_most = MAX(torture_counts.bound_most, use.sum * 100 / most);
    torture_counts.bounds_near += use.sum > most / 2;
    torture_counts.bounds_held +=
        use.sum + counts.segments * sim->segment_bytes > most + counts.moved;
    CHECK(sim, use.sum <= most, "%llu octets of the log for %llu live ones: %llu would be allowed",
          (unsigned long long)use.sum, (unsigned long long)live, (unsigned long long)most);
}

/* ---- a pause ---- */

static void let_go(struct sim *sim)
{
    mail_deliver_all(sim);
    for (uint16_t i = 0; i < sim->shard_count; i++)
        shard_hand_over(sim, i, true);
    sim->senders = 0;
    transactions_go_on(sim);
}

/* True when there is nothing left to do. */
static bool go_on(struct sim *sim)
{
    if (sim->checkpoint.step != CHECKPOINT_NONE) {
        checkpoint_go_on(sim);
        return false;
    }
    if (!sim->wants_checkpoint)
        return sim->log->cleaner.phase == CLEAN_IDLE;
    checkpoint_begin(sim);
    return false;
}

bool bound_look(struct sim *sim)
{
    struct live live = live_bytes(sim);
    uint32_t steps = 0;

    if (sim->has_failed_call || live.large > live.sum / LARGE_SHARE)
        return true;
    say(sim, "clients pause");
    let_go(sim);
    /* What is written behind a checkpoint's beginning is the next one's. */
    if (!write_some(sim))
        return false;
    sim->wants_checkpoint = true;
    while (!go_on(sim)) {
        let_go(sim);
        if (!write_some(sim))
            return false;
        fetched(sim);
        CHECK(sim, ++steps < STEPS_MAX, "checkpoints and the cleaner never come to an end");
    }
    check(sim);
    return true;
}
