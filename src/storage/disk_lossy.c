/* SPDX-License-Identifier: Apache-2.0 */
/* Disk that holds back all that is not synced: the calls of disk.h; disk_lossy_internal.h explains it. */
#include "storage/disk_lossy_internal.h"

#include "storage/disk_ram.h"

#include "base/bug.h"
#include "base/mem.h"

#include <string.h>
#include <unistd.h>

static int enter_file(struct lossy_disk *d, const struct lossy_file *f)
{
    int rc = lossy_enter(d);

    return rc == 0 && f->generation != d->generation ? -EIO : rc;
}

static void cut_and_exit_when_due(struct lossy_disk *d)
{
    if (d->cut_at == 0 || d->counts.changes < d->cut_at)
        return;
    lossy_cut(d);
    _exit(DISK_LOSSY_EXIT);
}

/* A call that adds something unsure has done so. Cut here is cut within it: any part of it may stay. */
static int changed(struct lossy_disk *d, int rc)
{
    d->counts.changes++;
    cut_and_exit_when_due(d);
    return rc;
}

/* A call is about to make things sure. Cut here is cut within it: any part may have become sure. */
static void before_sync(struct lossy_disk *d)
{
    d->counts.changes++;
    cut_and_exit_when_due(d);
}

static struct lossy_inode *create(struct lossy_disk *d, const char *name)
{
    struct lossy_inode *inode = lossy_inode_new(d, 0);

    lossy_inode_open_new(d, inode);
    lossy_names_put(&d->visible, name, inode);
    lossy_change_push(d, LOSSY_CHANGE_CREATE, inode, name, "");
    (void)!changed(d, 0);
    return inode;
}

static int open_locked(struct lossy_disk *d, const char *name, unsigned flags,
                       struct disk_file **out)
{
    struct lossy_inode *inode = lossy_names_get(&d->visible, name);
    int rc;

    if (!inode && !(flags & DISK_CREATE))
        return -ENOENT;
    if (!inode)
        inode = create(d, name);
    if ((rc = lossy_inode_open_base(d, inode)) != 0)
        return rc;
    struct lossy_file *f = mem_alloc(sizeof(*f));
    f->file.disk = &d->disk;
    f->inode = inode;
    f->generation = d->generation;
    f->is_direct = flags & DISK_DIRECT;
    inode->handles++;
    *out = &f->file;
    return 0;
}

static int lossy_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **out)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = lossy_enter(d);

    *out = NULL;
    return lossy_leave(d, rc == 0 ? open_locked(d, name, flags, out) : rc);
}

static void lossy_close(struct disk_file *file)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    struct lossy_file *f = lossy_file(file);

    if (enter_file(d, f) == 0) {
        f->inode->handles--;
        lossy_inode_free_unused(d, f->inode);
    }
    (void)!lossy_leave(d, 0);
    mem_free(f);
}

static void check_extent(const struct lossy_file *f, const void *data, size_t n, uint64_t offset)
{
    BUG_ON(f->is_direct && !disk_is_aligned(data, n, offset), "unaligned: %p, %zu octets at %llu",
           data, n, (unsigned long long)offset);
}

static int lossy_read(struct disk_file *file, void *data, size_t n, uint64_t offset, size_t *got)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    struct lossy_file *f = lossy_file(file);
    int rc = enter_file(d, f);

    check_extent(f, data, n, offset);
    *got = 0;
    if (rc == 0)
        rc = unsure_read(&f->inode->unsure, f->inode->base, data, n, offset, got);
    return lossy_leave(d, rc);
}

static int lossy_write(struct disk_file *file, const void *data, size_t n, uint64_t offset)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    struct lossy_file *f = lossy_file(file);
    int rc = enter_file(d, f);

    check_extent(f, data, n, offset);
    if (rc == 0) {
        d->counts.writes++;
        d->counts.write_bytes += n;
        rc = changed(d, unsure_write(&f->inode->unsure, f->inode->base, data, n, offset));
    }
    return lossy_leave(d, rc);
}

static int lossy_sync(struct disk_file *file)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    struct lossy_inode *inode = lossy_file(file)->inode;
    int rc = enter_file(d, lossy_file(file));

    if (rc == 0) {
        d->counts.syncs++;
        before_sync(d);
        rc = unsure_apply(&inode->unsure, inode->base);
    }
    return lossy_leave(d, rc);
}

static int lossy_size(struct disk_file *file, uint64_t *bytes)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    int rc = enter_file(d, lossy_file(file));

    if (rc == 0)
        *bytes = lossy_file(file)->inode->unsure.size;
    return lossy_leave(d, rc);
}

static int lossy_reserve(struct disk_file *file, uint64_t bytes)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    int rc = enter_file(d, lossy_file(file));

    if (rc == 0) {
        unsure_reserve(&lossy_file(file)->inode->unsure, bytes);
        rc = changed(d, 0);
    }
    return lossy_leave(d, rc);
}

static int lossy_truncate(struct disk_file *file, uint64_t bytes)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    struct lossy_inode *inode = lossy_file(file)->inode;
    int rc = enter_file(d, lossy_file(file));

    if (rc == 0)
        rc = changed(d, unsure_truncate(&inode->unsure, inode->base, bytes));
    return lossy_leave(d, rc);
}

static int rename_locked(struct lossy_disk *d, const char *from, const char *to)
{
    struct lossy_inode *inode = lossy_names_get(&d->visible, from);
    struct lossy_inode *replaced = lossy_names_get(&d->visible, to);

    if (!inode)
        return -ENOENT;
    if (inode == replaced)
        return 0;
    lossy_change_push(d, LOSSY_CHANGE_RENAME, inode, from, to);
    lossy_names_rename(&d->visible, from, to);
    if (replaced)
        lossy_inode_free_unused(d, replaced);
    return changed(d, 0);
}

static int lossy_rename(struct disk *disk, const char *from, const char *to)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = lossy_enter(d);

    return lossy_leave(d, rc == 0 ? rename_locked(d, from, to) : rc);
}

static int unlink_locked(struct lossy_disk *d, const char *name)
{
    struct lossy_inode *inode = lossy_names_get(&d->visible, name);

    if (!inode)
        return -ENOENT;
    lossy_change_push(d, LOSSY_CHANGE_UNLINK, inode, name, "");
    lossy_names_remove(&d->visible, name);
    return changed(d, 0);
}

static int lossy_unlink(struct disk *disk, const char *name)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = lossy_enter(d);

    return lossy_leave(d, rc == 0 ? unlink_locked(d, name) : rc);
}

/* Changes that were played are gone from the list, also when a later one fails. */
static int sync_dir_locked(struct lossy_disk *d)
{
    size_t played = 0;
    int rc = 0;

    d->counts.dir_syncs++;
    before_sync(d);
    for (; played < d->change_count; played++) {
        struct lossy_inode *inode = d->changes[played].inode;
        if ((rc = lossy_change_play(d, &d->changes[played])) != 0)
            break;
        inode->changes--;
        lossy_inode_free_unused(d, inode);
    }
    d->change_count -= played;
    if (played > 0)
        memmove(d->changes, d->changes + played, d->change_count * sizeof(*d->changes));
    return rc == 0 ? disk_sync_dir(d->below) : rc;
}

static int lossy_sync_dir(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = lossy_enter(d);

    return lossy_leave(d, rc == 0 ? sync_dir_locked(d) : rc);
}

static int lossy_list(struct disk *disk, void (*each)(void *context, const char *name),
                      void *context)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = lossy_enter(d);

    for (size_t i = 0; rc == 0 && i < d->visible.count; i++)
        each(context, d->visible.list[i].text);
    return lossy_leave(d, rc);
}

/* Of the disk below at once: a lock is not data. Its file, when new, is sure then. */
static int lossy_lock(struct disk *disk, const char *name)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = lossy_enter(d);

    if (rc == 0)
        rc = disk_lock(d->below, name);
    if (rc == 0 && !lossy_names_find(&d->visible, name) && !lossy_names_find(&d->sure, name)) {
        struct lossy_inode *inode = lossy_inode_new(d, 0);
        lossy_names_put(&d->sure, name, inode);
        lossy_names_put(&d->visible, name, inode);
    }
    return lossy_leave(d, rc);
}

static void lossy_free(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);

    lossy_drop_all(d);
    mem_free(d->sure.list);
    mem_free(d->visible.list);
    mem_free(d->changes);
    disk_free(d->nursery);
    disk_free(d->below);
    pthread_mutex_destroy(&d->mutex);
    mem_free(d);
}

static const struct disk_ops lossy_ops = {
    .open = lossy_open,
    .close = lossy_close,
    .read = lossy_read,
    .write = lossy_write,
    .sync = lossy_sync,
    .size = lossy_size,
    .reserve = lossy_reserve,
    .truncate = lossy_truncate,
    .rename = lossy_rename,
    .unlink = lossy_unlink,
    .sync_dir = lossy_sync_dir,
    .list = lossy_list,
    .lock = lossy_lock,
    .free = lossy_free,
};

struct lossy_disk *lossy_new_empty(struct disk *below)
{
    struct lossy_disk *d = mem_alloc_zero(sizeof(*d));

    d->disk.ops = &lossy_ops;
    pthread_mutex_init(&d->mutex, NULL);
    d->below = below;
    d->nursery = disk_ram_new();
    list_init(&d->inodes);
    return d;
}

int disk_lossy_new(struct disk *below, uint64_t seed, struct disk **out)
{
    struct lossy_disk *d = lossy_new_empty(below);
    int rc = lossy_load(d);

    d->chance.state = seed;
    *out = &d->disk;
    if (rc != 0) {
        *out = NULL;
        disk_free(&d->disk);
    }
    return rc;
}

void disk_lossy_count(struct disk *disk, struct disk_lossy_counts *counts)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!lossy_enter(d);
    *counts = d->counts;
    counts->unsure_changes = d->change_count;
    LIST_FOR_EACH (link, &d->inodes) {
        counts->unsure_sectors += CONTAINER_OF(link, struct lossy_inode, link)->unsure.count;
    }
    (void)!lossy_leave(d, 0);
}

void disk_lossy_seed(struct disk *disk, uint64_t seed)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!lossy_enter(d);
    d->chance.state = seed;
    (void)!lossy_leave(d, 0);
}

void disk_lossy_forget(struct disk_file *file)
{
    struct lossy_disk *d = lossy_disk(file->disk);

    if (enter_file(d, lossy_file(file)) == 0)
        unsure_forget(&lossy_file(file)->inode->unsure);
    (void)!lossy_leave(d, 0);
}

uint64_t disk_lossy_bytes(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);
    uint64_t sum = 0;

    (void)!lossy_enter(d);
    LIST_FOR_EACH (link, &d->inodes) {
        sum += CONTAINER_OF(link, struct lossy_inode, link)->unsure.size;
    }
    (void)!lossy_leave(d, 0);
    return sum;
}

struct disk *disk_lossy_below(struct disk *disk)
{
    return lossy_disk(disk)->below;
}
