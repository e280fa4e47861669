/* SPDX-License-Identifier: Apache-2.0 */
/* A lossy disk once more, with what is sure and what is not. */
#include "storage/disk_lossy_internal.h"

#include "base/bug.h"

static struct lossy_inode *inode_clone(struct lossy_disk *to, const struct lossy_inode *from)
{
    struct lossy_inode *inode = lossy_inode_new(to, 0);

    inode->changes = from->changes;
    unsure_copy(&inode->unsure, &from->unsure);
    if (from->is_in_nursery) {
        lossy_inode_open_new(to, inode);
        int rc = lossy_copy_sure(from->base, inode->base);
        BUG_ON(rc != 0, "nursery: %d", rc);
    }
    return inode;
}

static void names_replace(struct lossy_names *names, const struct lossy_inode *old,
                          struct lossy_inode *new)
{
    struct lossy_name *name = lossy_names_find_inode(names, old);

    if (name)
        name->inode = new;
}

static void names_copy(struct lossy_names *to, const struct lossy_names *from)
{
    for (size_t i = 0; i < from->count; i++)
        lossy_names_put(to, from->list[i].text, from->list[i].inode);
}

struct disk *disk_lossy_clone(struct disk *disk, struct disk *below)
{
    struct lossy_disk *from = lossy_disk(disk);
    struct lossy_disk *to = lossy_new_empty(below);

    (void)!lossy_enter(from);
    names_copy(&to->sure, &from->sure);
    names_copy(&to->visible, &from->visible);
    for (size_t i = 0; i < from->change_count; i++) {
        const struct lossy_change *change = &from->changes[i];
        lossy_change_push(to, change->kind, change->inode, change->name, change->to);
        change->inode->changes--; /* lossy_change_push counted it on the original */
    }
    LIST_FOR_EACH (link, &from->inodes) {
        struct lossy_inode *old = CONTAINER_OF(link, struct lossy_inode, link);
        struct lossy_inode *new = inode_clone(to, old);
        names_replace(&to->sure, old, new);
        names_replace(&to->visible, old, new);
        for (size_t i = 0; i < to->change_count; i++)
            if (to->changes[i].inode == old)
                to->changes[i].inode = new;
        lossy_inode_free_unused(to, new);
    }
    to->chance = from->chance;
    to->is_cut = from->is_cut;
    (void)!lossy_leave(from, 0);
    return &to->disk;
}
