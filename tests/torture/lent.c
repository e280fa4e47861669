/* SPDX-License-Identifier: Apache-2.0 */
/* A disk lent to a log: the log frees what it was given, the history goes on with the disk behind it. */
#include "torture.h"

#include "base/mem.h"

struct lent_disk {
    struct disk disk;
    struct disk *inner;
};

static struct disk *inner(struct disk *disk)
{
    return CONTAINER_OF(disk, struct lent_disk, disk)->inner;
}

/* Files belong to the disk behind: their calls go there at once. */
static int lent_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **out)
{
    return disk_open(inner(disk), name, flags, out);
}

static int lent_rename(struct disk *disk, const char *from, const char *to)
{
    return disk_rename(inner(disk), from, to);
}

static int lent_unlink(struct disk *disk, const char *name)
{
    return disk_unlink(inner(disk), name);
}

static int lent_sync_dir(struct disk *disk)
{
    return disk_sync_dir(inner(disk));
}

static int lent_list(struct disk *disk, void (*each)(void *context, const char *name),
                     void *context)
{
    return disk_list(inner(disk), each, context);
}

static int lent_lock(struct disk *disk, const char *name)
{
    return disk_lock(inner(disk), name);
}

static void lent_free(struct disk *disk)
{
    mem_free(CONTAINER_OF(disk, struct lent_disk, disk));
}

static const struct disk_ops lent_ops = {
    .open = lent_open,
    .rename = lent_rename,
    .unlink = lent_unlink,
    .sync_dir = lent_sync_dir,
    .list = lent_list,
    .lock = lent_lock,
    .free = lent_free,
};

struct disk *disk_lend(struct disk *disk)
{
    struct lent_disk *lent = mem_alloc_zero(sizeof *lent);

    lent->disk.ops = &lent_ops;
    lent->inner = disk;
    return &lent->disk;
}
