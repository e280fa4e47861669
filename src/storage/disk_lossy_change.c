/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the directory of a lossy disk: noted, and played on the disk below. */
#include "storage/disk_lossy_internal.h"

#include "base/mem.h"

void lossy_change_push(struct lossy_disk *d, enum lossy_change_kind kind, struct lossy_inode *inode,
                       const char *name, const char *to)
{
    struct lossy_change *change;

    if (d->change_count == d->change_capacity) {
        d->change_capacity = MAX((size_t)8, 2 * d->change_capacity);
        d->changes = mem_resize(d->changes, d->change_capacity * sizeof(*d->changes));
    }
    change = &d->changes[d->change_count++];
    change->kind = kind;
    change->inode = inode;
    lossy_name_copy(change->name, name);
    lossy_name_copy(change->to, to);
    inode->changes++;
}

static void forget_sure_name(struct lossy_disk *d, const char *name)
{
    struct lossy_inode *inode = lossy_names_get(&d->sure, name);

    if (!inode)
        return;
    lossy_names_remove(&d->sure, name);
    lossy_inode_free_unused(d, inode);
}

static int unlink_below(struct lossy_disk *d, const char *name)
{
    int rc = disk_unlink(d->below, name);

    if (rc == 0)
        forget_sure_name(d, name);
    return rc;
}

static int create_below(struct lossy_disk *d, const char *name, struct lossy_inode *inode)
{
    struct disk_file *file;
    int rc = 0;

    if (!inode->is_in_nursery)
        return 0;
    /* Out of order, in a cut: the file that had the name was unlinked before. */
    if (lossy_names_find(&d->sure, name) && (rc = unlink_below(d, name)) != 0)
        return rc;
    if ((rc = disk_open(d->below, name, DISK_CREATE, &file)) != 0)
        return rc;
    if ((rc = lossy_copy_sure(inode->base, file)) != 0) {
        disk_close(file);
        return rc;
    }
    disk_close(inode->base);
    inode->base = file;
    inode->is_in_nursery = false;
    lossy_names_put(&d->sure, name, inode);
    return 0;
}

static int rename_below(struct lossy_disk *d, const char *from, const char *to)
{
    int rc = disk_rename(d->below, from, to);

    if (rc != 0)
        return rc;
    forget_sure_name(d, to);
    lossy_names_rename(&d->sure, from, to);
    return 0;
}

int lossy_change_play(struct lossy_disk *d, const struct lossy_change *change)
{
    const bool has_name = lossy_names_get(&d->sure, change->name) == change->inode;

    switch (change->kind) {
    case LOSSY_CHANGE_CREATE:
        return create_below(d, change->name, change->inode);
    case LOSSY_CHANGE_RENAME:
        return has_name ? rename_below(d, change->name, change->to) : 0;
    case LOSSY_CHANGE_UNLINK:
        return has_name ? unlink_below(d, change->name) : 0;
    }
    return 0;
}
