/* SPDX-License-Identifier: Apache-2.0 */
/* The ends and beginnings of a lossy disk: the power cut and what it keeps, boot, killed processes. */
#include "storage/disk_lossy_internal.h"

#include "base/bug.h"

static void shuffle(struct lossy_change *changes, size_t count, struct chance *chance)
{
    for (size_t i = count; i > 1; i--) {
        const size_t other = (size_t)chance_below(chance, i);
        const struct lossy_change moved = changes[i - 1];
        changes[i - 1] = changes[other];
        changes[other] = moved;
    }
}

enum keep { KEEP_ALL, KEEP_NOTHING, KEEP_PREFIX, KEEP_SOME, KEEP_KINDS };

static void cut_directory(struct lossy_disk *d)
{
    const enum keep keep = (enum keep)chance_below(&d->chance, KEEP_KINDS);
    const size_t prefix = (size_t)chance_below(&d->chance, (uint64_t)d->change_count + 1);

    if (keep == KEEP_SOME)
        shuffle(d->changes, d->change_count, &d->chance);
    for (size_t i = 0; i < d->change_count; i++) {
        int rc = 0;
        if (keep == KEEP_ALL || (keep == KEEP_PREFIX && i < prefix) ||
            (keep == KEEP_SOME && chance_hits(&d->chance, 1, 2)))
            rc = lossy_change_play(d, &d->changes[i]);
        BUG_ON(rc != 0, "the disk below refused a change in a cut: %d", rc);
    }
}

void lossy_drop_all(struct lossy_disk *d)
{
    LIST_FOR_EACH_SAFE (link, &d->inodes) {
        lossy_inode_free(CONTAINER_OF(link, struct lossy_inode, link));
    }
    d->sure.count = 0;
    d->visible.count = 0;
    d->change_count = 0;
    d->generation++;
}

void lossy_cut(struct lossy_disk *d)
{
    if (d->is_cut)
        return;
    cut_directory(d);
    for (size_t i = 0; i < d->sure.count; i++) {
        struct lossy_inode *inode = d->sure.list[i].inode;
        int rc = 0;
        if (!unsure_is_clean(&inode->unsure) && (rc = lossy_inode_open_base(d, inode)) == 0)
            rc = unsure_cut(&inode->unsure, inode->base, &d->chance);
        BUG_ON(rc != 0, "the disk below failed in a cut: %d", rc);
    }
    int rc = disk_sync_dir(d->below);
    BUG_ON(rc != 0, "the disk below failed in a cut: %d", rc);
    lossy_drop_all(d);
    d->is_cut = true;
}

static void note_sure_name(void *context, const char *name)
{
    struct lossy_disk *d = context;

    lossy_names_put(&d->sure, name, lossy_inode_new(d, 0));
}

int lossy_load(struct lossy_disk *d)
{
    int rc = disk_list(d->below, note_sure_name, d);

    for (size_t i = 0; rc == 0 && i < d->sure.count; i++) {
        struct lossy_name *name = &d->sure.list[i];
        uint64_t size = 0;
        if ((rc = lossy_inode_open_base(d, name->inode)) != 0 ||
            (rc = disk_size(name->inode->base, &size)) != 0)
            break;
        unsure_init(&name->inode->unsure, size);
        lossy_names_put(&d->visible, name->text, name->inode);
        lossy_inode_free_unused(d, name->inode);
    }
    return rc;
}

void disk_lossy_cut(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!lossy_enter(d);
    lossy_cut(d);
    (void)!lossy_leave(d, 0);
}

void disk_lossy_cut_after(struct disk *disk, uint64_t n)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!lossy_enter(d);
    d->cut_at = n ? d->counts.changes + n : 0;
    (void)!lossy_leave(d, 0);
}

void disk_lossy_boot(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc;

    (void)!lossy_enter(d);
    BUG_ON(!d->is_cut, "a boot without a cut");
    d->is_cut = false;
    rc = lossy_load(d);
    BUG_ON(rc != 0, "the disk below failed in a boot: %d", rc);
    (void)!lossy_leave(d, 0);
}

void disk_lossy_kill(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!lossy_enter(d);
    d->generation++;
    LIST_FOR_EACH_SAFE (link, &d->inodes) {
        struct lossy_inode *inode = CONTAINER_OF(link, struct lossy_inode, link);
        inode->handles = 0;
        lossy_inode_free_unused(d, inode);
    }
    (void)!lossy_leave(d, 0);
}
