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
#define STEPS_MAX 6000U

/* ---- what lives ---- */

#define PAGE_BYTES (RECORD_HEADER_BYTES + record_page_size(ENTRIES_PER_CHUNK))

struct live {
    uint64_t sum;
    uint64_t large; /* in records that segments cannot be filled with */
};

static void add_body(const struct sim *sim, struct live *live, uint32_t number)
{
    live->sum += body_log_bytes(number);
    live->large += body_large_bytes(number, sim->segment_bytes / LARGE_PART);
}

static bool is_in_log(const struct entry_page *page)
{
    return !(page->id & SPILLED);
}

/* Of its own, or for what it has of the spill. */
static bool has_spilled(const struct entry_page *page)
{
    struct entry_bits spilled = bits_without(&page->live, &page->kept);
    return !is_in_log(page) || (page->spilled_id != 0 && bits_count(&spilled) > 0);
}

static uint64_t count_pages(const struct queue *queue, bool (*counts)(const struct entry_page *))
{
    uint64_t count = 0;

    for (uint64_t p = queue->entries.head; p < queue->entries.tail; p += ENTRIES_PER_CHUNK) {
        const struct entry_page *page = entries_page(&queue->entries, p);
        count += page && counts(page);
    }
    return count;
}

/* A body that several queues have is there once. */
static struct live live_in_log(const struct sim *sim)
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
            add_body(sim, &live, number);
        }
        if (queue->queue)
            live.sum += count_pages(queue->queue, is_in_log) * PAGE_BYTES;
    }
    mem_free(seen);
    return live;
}

/* ---- the same of the spill ---- */

static bool is_in_spill(const struct sim_queue *queue, const struct live_message *live)
{
    const struct entry_page *page = entries_page(&queue->queue->entries, live->position);
    uint32_t i = (uint32_t)(live->position % ENTRIES_PER_CHUNK);

    return page ? !bits_has(&page->kept, i) : spill_has(queue->queue, live->position);
}

static struct live live_in_spill(const struct sim *sim)
{
    struct live live = {0};

    for (int i = 0; i < SIM_QUEUES; i++) {
        const struct sim_queue *queue = &sim->queues[i];
        for (size_t k = 0; k < queue->count; k++)
            if (is_in_spill(queue, &queue->messages[k]))
                add_body(sim, &live, queue->messages[k].number);
        if (queue->queue)
            live.sum += count_pages(queue->queue, has_spilled) * PAGE_BYTES;
    }
    return live;
}

/* ---- what is taken ---- */

#define FILES_MAX 1024U

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

    if ((strncmp(name, "segment-", 8) == 0 || strncmp(name, "cold", 4) == 0 ||
         strncmp(name, "spare", 5) == 0) &&
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

static void count_look(const struct log *log, uint64_t use, uint64_t most)
{
    struct log_clean_counts counts = log_clean_counts((struct log *)log);
    uint64_t emptied = counts.segments * log->settings.segment_bytes;

    torture_counts.bounds++;
    torture_counts.bound_most = MAX(torture_counts.bound_most, use * 100 / most);
    torture_counts.bounds_near += use > most / 2;
    torture_counts.bounds_held += use + emptied > most + counts.moved;
}

static void check(const struct sim *sim, struct log *log, struct disk *disk, uint64_t live)
{
    const char *what = log == sim->log ? "log" : "spill";
    struct use use = disk_use(disk);
    uint64_t most = 2 * live + RESERVE_SEGMENTS * MAX(use.largest, (uint64_t)sim->segment_bytes) +
                    sim->checkpoint_bytes;

    if (is_stuck(log))
        return;
    say(sim, "%llu octets live, the %s has %llu, and may have %llu", (unsigned long long)live, what,
        (unsigned long long)use.sum, (unsigned long long)most);
    count_look(log, use.sum, most);
    CHECK(sim, use.sum <= most, "%llu octets of the %s for %llu live ones: %llu would be allowed",
          (unsigned long long)use.sum, what, (unsigned long long)live, (unsigned long long)most);
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

/* These return true when there is nothing left to do. */

static bool log_goes_on(struct sim *sim)
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

static bool spill_goes_on(struct sim *sim)
{
    return !spill_sweep_goes_on(sim) && sim->spill.log->cleaner.phase == CLEAN_IDLE;
}

static uint64_t emptied_segments(const struct sim *sim)
{
    uint64_t spilled = sim->spill.log ? log_clean_counts(sim->spill.log).segments : 0;
    return log_clean_counts(sim->log).segments + spilled;
}

/* Round after round, since what is moved does not fill segments of 64 KiB well enough: a batch that does not fit the
 * rest of one begins the next. The bound holds nevertheless. */
static bool is_cleaning(const struct sim *sim, uint64_t emptied)
{
    return emptied_segments(sim) > emptied + STEPS_MAX / 100;
}

/* False: the life ends. */
static bool await(struct sim *sim, bool (*is_over)(struct sim *sim))
{
    uint64_t emptied = emptied_segments(sim);
    uint32_t steps = 0;

    while (!is_over(sim)) {
        let_go(sim);
        if (!write_some(sim))
            return false;
        fetched(sim);
        if (++steps < STEPS_MAX)
            continue;
        CHECK(sim, is_cleaning(sim, emptied), "checkpoints never come to an end");
        torture_counts.restless++;
        break;
    }
    return true;
}

static bool is_too_large(struct live live)
{
    return live.large > live.sum / LARGE_SHARE;
}

static bool look_at_log(struct sim *sim)
{
    if (sim->has_failed_call || is_too_large(live_in_log(sim)))
        return true;
    sim->wants_checkpoint = true;
    if (!await(sim, log_goes_on))
        return false;
    check(sim, sim->log, sim->disk, live_in_log(sim).sum);
    return true;
}

static bool look_at_spill(struct sim *sim)
{
    struct sim_spill *spill = &sim->spill;

    if (!spill->is_started || spill->has_failed_call || is_too_large(live_in_spill(sim)))
        return true;
    spill_wake(sim);
    spill->wants_sweep = true;
    if (!await(sim, spill_goes_on))
        return false;
    check(sim, spill->log, spill->disk, live_in_spill(sim).sum);
    return true;
}

bool bound_look(struct sim *sim)
{
    say(sim, "clients pause");
    let_go(sim);
    /* What is written behind a checkpoint's beginning is the next one's. */
    return write_some(sim) && look_at_log(sim) && look_at_spill(sim);
}
