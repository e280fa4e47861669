/* SPDX-License-Identifier: Apache-2.0 */
/* A disk lent to a log: the log frees what it was given, the history goes on with the disk behind it; and
 * it can be as if the process were killed at some call, with what was written before in the page cache. */
#include "torture.h"

#include "base/mem.h"

#include <errno.h>

struct lent_disk {
    struct disk disk;
    struct disk *inner;
    struct life_span *span;
};

struct lent_file {
    struct disk_file file;
    struct disk_file *inner;
};

static struct lent_disk *lent(struct disk *disk)
{
    return CONTAINER_OF(disk, struct lent_disk, disk);
}

static struct disk_file *inner(struct disk_file *file)
{
    return CONTAINER_OF(file, struct lent_file, file)->inner;
}

/* Does the process live to make this call? */
static bool is_alive(struct disk *disk)
{
    struct life_span *span = lent(disk)->span;

    if (span->calls_left > 0 && --span->calls_left == 0)
        span->is_over = true;
    return !span->is_over;
}

/* ---- files ---- */

static int lent_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **out)
{
    struct lent_file *file;
    struct disk_file *opened;
    int rc = is_alive(disk) ? disk_open(lent(disk)->inner, name, flags, &opened) : -EIO;

    *out = NULL;
    if (rc != 0)
        return rc;
    file = mem_alloc(sizeof *file);
    file->file.disk = disk;
    file->inner = opened;
    *out = &file->file;
    return 0;
}

static void lent_close(struct disk_file *file)
{
    disk_close(inner(file));
    mem_free(CONTAINER_OF(file, struct lent_file, file));
}

static int lent_read(struct disk_file *file, void *data, size_t n, uint64_t offset, size_t *got)
{
    return disk_read(inner(file), data, n, offset, got);
}

static int lent_write(struct disk_file *file, const void *data, size_t n, uint64_t offset)
{
    return is_alive(file->disk) ? disk_write(inner(file), data, n, offset) : -EIO;
}

static int lent_sync(struct disk_file *file)
{
    return is_alive(file->disk) ? disk_sync(inner(file)) : -EIO;
}

static int lent_size(struct disk_file *file, uint64_t *bytes)
{
    return disk_size(inner(file), bytes);
}

static int lent_reserve(struct disk_file *file, uint64_t bytes)
{
    return is_alive(file->disk) ? disk_reserve(inner(file), bytes) : -EIO;
}

static int lent_truncate(struct disk_file *file, uint64_t bytes)
{
    return is_alive(file->disk) ? disk_truncate(inner(file), bytes) : -EIO;
}

/* ---- the directory ---- */

static int lent_rename(struct disk *disk, const char *from, const char *to)
{
    return is_alive(disk) ? disk_rename(lent(disk)->inner, from, to) : -EIO;
}

static int lent_unlink(struct disk *disk, const char *name)
{
    return is_alive(disk) ? disk_unlink(lent(disk)->inner, name) : -EIO;
}

static int lent_sync_dir(struct disk *disk)
{
    return is_alive(disk) ? disk_sync_dir(lent(disk)->inner) : -EIO;
}

static int lent_list(struct disk *disk, void (*each)(void *context, const char *name),
                     void *context)
{
    return disk_list(lent(disk)->inner, each, context);
}

static int lent_lock(struct disk *disk, const char *name)
{
    return disk_lock(lent(disk)->inner, name);
}

static void lent_free(struct disk *disk)
{
    mem_free(lent(disk));
}

static const struct disk_ops lent_ops = {
    .open = lent_open,
    .close = lent_close,
    .read = lent_read,
    .write = lent_write,
    .sync = lent_sync,
    .size = lent_size,
    .reserve = lent_reserve,
    .truncate = lent_truncate,
    .rename = lent_rename,
    .unlink = lent_unlink,
    .sync_dir = lent_sync_dir,
    .list = lent_list,
    .lock = lent_lock,
    .free = lent_free,
};

struct disk *disk_lend(struct disk *disk, struct life_span *span)
{
    struct lent_disk *lent = mem_alloc_zero(sizeof *lent);

    lent->disk.ops = &lent_ops;
    lent->inner = disk;
    lent->span = span;
    return &lent->disk;
}
