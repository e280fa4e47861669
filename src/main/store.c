/* SPDX-License-Identifier: Apache-2.0 */
/* From the option --data-dir to an open log. */
#include "main/store.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/alarm.h"
#include "core/recovery/marks.h"
#include "storage/disk_faulty.h"
#include "storage/disk_lossy.h"
#include "storage/disk_unsynced.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Log written between checkpoints: a start replays at most about twice as much. */
#define CHECKPOINT_BYTES (128ULL * 1024 * 1024)
/* Segments that may hold nothing live. The disk's use: storage/FORMAT.md, section 7. */
#define SLACK_SEGMENTS 2U
/* Of all memory: what a backlog may take of the page cache, which gives it up when others need it. */
#define CACHED_PART 4U

/* Of what need not survive: removed at each start. */
#define SPILL_DIRECTORY "transient"

void store_complain(const struct options *options, const struct log_error *error, int code)
{
    fprintf(stderr, "tokkimq: data directory '%s'%s%s", options->data_dir,
            error->file[0] ? ", file " : "", error->file);
    if (error->offset > 0)
        fprintf(stderr, ", offset %llu", (unsigned long long)error->offset);
    fprintf(stderr, ": %s\n", error->reason[0] ? error->reason : err_text(code));
    if (code == ERR_CORRUPT)
        fprintf(stderr, "tokkimq: nothing was changed. Start with --recover to keep everything "
                        "readable; what is dropped is written to a report there\n");
}

/* A power cut must not take the new directory with all that is synced in it. */
static int sync_parent(const char *path)
{
    size_t size = strlen(path) + 1;
    char *copy = mem_alloc(size);
    int fd;
    int rc;

    memcpy(copy, path, size);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = fd < 0 || fsync(fd) != 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    mem_free(copy);
    return rc;
}

static int make_directory(const char *path)
{
    if (mkdir(path, 0750) == 0)
        return sync_parent(path);
    return errno == EEXIST ? 0 : -errno;
}

#ifdef TOKKI_FAULTS
/* TOKKI_LOSSY_DISK=SEED[:N] keeps what is not synced in memory, and ends the process in the middle of the
 * N-th call that changes something, with any part of it on the disk. */
static int add_losses(const char *text, struct disk **disk)
{
    char *end = NULL;
    uint64_t seed = strtoull(text, &end, 10);
    int rc;

    rc = disk_lossy_new(*disk, seed, disk);
    if (rc == 0 && *end == ':')
        disk_lossy_cut_after(*disk, strtoull(end + 1, NULL, 10));
    return rc;
}

/* Test builds look at two variables; the other is TOKKI_FAULTY_DISK=RULES (disk_faulty.h). */
static int add_faults(struct disk **disk)
{
    const char *losses = getenv("TOKKI_LOSSY_DISK");
    const char *faults = getenv("TOKKI_FAULTY_DISK");
    int rc = losses ? add_losses(losses, disk) : 0;

    if (rc == 0 && faults)
        rc = disk_faulty_new(*disk, faults, losses ? disk_lossy_forget : NULL, disk);
    return rc;
}
#else
static int add_faults(struct disk **disk)
{
    (void)disk;
    return 0;
}
#endif

static int open_disk(const struct options *options, struct disk **disk)
{
    int rc = make_directory(options->data_dir);

    if (rc == 0)
        rc = disk_open_directory(options->data_dir, disk);
    if (rc == 0)
        rc = add_faults(disk);
    if (rc != 0)
        fprintf(stderr, "tokkimq: cannot open the data directory '%s': %s\n", options->data_dir,
                err_text(rc));
    return rc;
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

static struct log_settings settings_of(const struct options *options, uint16_t streams)
{
    struct log_settings settings = {
        .segment_bytes = options->segment_bytes,
        .checkpoint_bytes = MIN(CHECKPOINT_BYTES, 4 * options->segment_bytes),
        .streams = streams,
        .is_threaded = true,
        .recovers = options->recovers,
        .slack_bytes = SLACK_SEGMENTS * options->segment_bytes,
        .cached_bytes = memory_total() / CACHED_PART,
    };

    BUG_ON(getrandom(&settings.seed, sizeof settings.seed, 0) != sizeof settings.seed, "getrandom");
    return settings;
}

static int spill_disk(const struct options *options, struct disk **disk)
{
    char path[PATH_MAX];
    int rc = 0;

    if (snprintf(path, sizeof path, "%s/%s", options->data_dir, SPILL_DIRECTORY) >=
        (int)sizeof path)
        return -ENAMETOOLONG;
    rc = make_directory(path);
    if (rc == 0)
        rc = disk_open_directory(path, disk);
    return rc == 0 ? disk_unsynced_new(*disk, disk) : rc;
}

/* What an earlier process has left there is nobody's: the lock of the data directory is ours. */
static int open_spill(const struct options *options, uint16_t streams, struct log **out)
{
    struct log_settings settings = settings_of(options, streams);
    struct log_error error = {0};
    struct disk *disk = NULL;
    int rc = spill_disk(options, &disk);

    settings.mark = marks_of_spill;
    if (rc == 0)
        rc = log_open(disk, &settings, out, &error);
    if (rc == 0)
        rc = log_replay(*out, nothing, NULL, &error);
    if (rc != 0)
        fprintf(stderr, "tokkimq: cannot set up '%s/%s': %s\n", options->data_dir, SPILL_DIRECTORY,
                error.reason[0] ? error.reason : err_text(rc));
    return rc;
}

int store_open(const struct options *options, uint16_t streams, struct log **out,
               struct log **spill)
{
    struct log_settings settings = settings_of(options, streams);
    struct log_error error = {0};
    struct disk *disk = NULL;
    int rc = open_disk(options, &disk);

    if (rc != 0)
        return rc;
    settings.mark = marks_of_record;
    rc = log_open(disk, &settings, out, &error);
    if (rc != 0) {
        store_complain(options, &error, rc);
        return rc;
    }
    rc = open_spill(options, streams, spill);
    if (rc != 0)
        log_free(*out);
    return rc;
}
