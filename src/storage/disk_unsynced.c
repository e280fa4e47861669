/* SPDX-License-Identifier: Apache-2.0 */
/* Calls go through, but for syncs. */
#include "storage/disk_unsynced.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct unsynced_disk {
    struct disk disk;
    struct disk *below;
};

struct unsynced_file {
    struct disk_file file;
    struct disk_file *below;
    uint64_t end; /* octets of the file, as far as known here */
};

static struct disk *below_of(struct disk *disk)
{
    return CONTAINER_OF(disk, struct unsynced_disk, disk)->below;
}

static struct unsynced_file *file_of(struct disk_file *file)
{
    return CONTAINER_OF(file, struct unsynced_file, file);
}

static int unsynced_open(struct disk *disk, const char *name, unsigned flags,
                         struct disk_file **out)
{
    struct unsynced_file *file;
    struct disk_file *below;
    uint64_t end = 0;
    int rc = disk_open(below_of(disk), name, flags, &below);

    *out = NULL;
    if (rc != 0)
        return rc;
    rc = disk_size(below, &end);
    if (rc != 0) {
        disk_close(below);
        return rc;
    }
    file = mem_alloc(sizeof *file);
    *file = (struct unsynced_file){{disk}, below, end};
    *out = &file->file;
    return 0;
}

static void unsynced_close(struct disk_file *file)
{
    disk_close(file_of(file)->below);
    mem_free(file_of(file));
}

static int unsynced_read(struct disk_file *file, void *data, size_t n, uint64_t offset, size_t *got)
{
    return disk_read(file_of(file)->below, data, n, offset, got);
}

static bool is_zero(const uint8_t *data, size_t n)
{
    return data[0] == 0 && memcmp(data, data + 1, n - 1) == 0;
}

static int unsynced_write(struct disk_file *file, const void *data, size_t n, uint64_t offset)
{
    struct unsynced_file *f = file_of(file);
    bool is_behind = offset >= f->end;
    int rc;

    if (n == 0)
        return 0;
    rc = is_behind && is_zero(data, n) ? disk_reserve(f->below, offset + n)
                                       : disk_write(f->below, data, n, offset);
    if (rc == 0)
        f->end = MAX(f->end, offset + n);
    return rc;
}

static int unsynced_sync(struct disk_file *file)
{
    (void)file;
    return 0;
}

static int unsynced_size(struct disk_file *file, uint64_t *bytes)
{
    return disk_size(file_of(file)->below, bytes);
}

static int unsynced_reserve(struct disk_file *file, uint64_t bytes)
{
    struct unsynced_file *f = file_of(file);
    int rc = disk_reserve(f->below, bytes);

    if (rc == 0)
        f->end = MAX(f->end, bytes);
    return rc;
}

static int unsynced_truncate(struct disk_file *file, uint64_t bytes)
{
    int rc = disk_truncate(file_of(file)->below, bytes);

    if (rc == 0)
        file_of(file)->end = bytes;
    return rc;
}

static int unsynced_rename(struct disk *disk, const char *from, const char *to)
{
    return disk_rename(below_of(disk), from, to);
}

static int unsynced_unlink(struct disk *disk, const char *name)
{
    return disk_unlink(below_of(disk), name);
}

static int unsynced_sync_dir(struct disk *disk)
{
    (void)disk;
    return 0;
}

static int unsynced_list(struct disk *disk, void (*each)(void *context, const char *name),
                         void *context)
{
    return disk_list(below_of(disk), each, context);
}

static int unsynced_lock(struct disk *disk, const char *name)
{
    return disk_lock(below_of(disk), name);
}

static void unsynced_free(struct disk *disk)
{
    disk_free(below_of(disk));
    mem_free(CONTAINER_OF(disk, struct unsynced_disk, disk));
}

static const struct disk_ops unsynced_ops = {
    .open = unsynced_open,
    .close = unsynced_close,
    .read = unsynced_read,
    .write = unsynced_write,
    .sync = unsynced_sync,
    .size = unsynced_size,
    .reserve = unsynced_reserve,
    .truncate = unsynced_truncate,
    .rename = unsynced_rename,
    .unlink = unsynced_unlink,
    .sync_dir = unsynced_sync_dir,
    .list = unsynced_list,
    .lock = unsynced_lock,
    .free = unsynced_free,
};

/* ---- beginning ---- */

struct names {
    char (*all)[DISK_NAME_MAX];
    size_t count;
};

static void note_name(void *context, const char *name)
{
    struct names *names = context;

    names->all = mem_resize(names->all, (names->count + 1) * sizeof *names->all);
    snprintf(names->all[names->count++], DISK_NAME_MAX, "%s", name);
}

static int remove_all(struct disk *disk)
{
    struct names names = {0};
    int rc = disk_list(disk, note_name, &names);

    for (size_t i = 0; i < names.count && rc == 0; i++)
        rc = disk_unlink(disk, names.all[i]);
    mem_free(names.all);
    return rc;
}

int disk_unsynced_new(struct disk *below, struct disk **out)
{
    struct unsynced_disk *disk;
    int rc = remove_all(below);

    *out = NULL;
    if (rc != 0) {
        disk_free(below);
        return rc;
    }
    disk = mem_alloc(sizeof *disk);
    *disk = (struct unsynced_disk){{&unsynced_ops}, below};
    *out = &disk->disk;
    return 0;
}
