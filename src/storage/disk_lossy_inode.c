/* SPDX-License-Identifier: Apache-2.0 */
/* The inodes of a lossy disk: where the base of each is, and when it is open. */
#include "storage/disk_lossy_internal.h"

#include "storage/disk_ram.h"

#include "base/bug.h"
#include "base/mem.h"

struct lossy_inode *lossy_inode_new(struct lossy_disk *d, uint64_t size)
{
    struct lossy_inode *inode = mem_alloc_zero(sizeof(*inode));

    unsure_init(&inode->unsure, size);
    list_push_back(&d->inodes, &inode->link);
    return inode;
}

/* A base without a name: it lives as long as it is open. */
void lossy_inode_open_new(struct lossy_disk *d, struct lossy_inode *inode)
{
    int rc = disk_open(d->nursery, "new", DISK_CREATE, &inode->base);

    BUG_ON(rc != 0 || disk_unlink(d->nursery, "new") != 0, "nursery: %d", rc);
    inode->is_in_nursery = true;
}

int lossy_inode_open_base(struct lossy_disk *d, struct lossy_inode *inode)
{
    const struct lossy_name *name;

    if (inode->base)
        return 0;
    name = lossy_names_find_inode(&d->sure, inode);
    BUG_ON(!name, "a file without a base has no sure name");
    return disk_open(d->below, name->text, 0, &inode->base);
}

void lossy_inode_free(struct lossy_inode *inode)
{
    list_remove(&inode->link);
    disk_close(inode->base);
    unsure_fini(&inode->unsure);
    mem_free(inode);
}

static bool is_in_use(const struct lossy_disk *d, const struct lossy_inode *inode)
{
    return inode->handles > 0 || inode->changes > 0 || lossy_names_find_inode(&d->visible, inode);
}

/* A real base is not kept open for nothing: a node has hundreds of segments. */
void lossy_inode_free_unused(struct lossy_disk *d, struct lossy_inode *inode)
{
    if (!is_in_use(d, inode) && !lossy_names_find_inode(&d->sure, inode)) {
        lossy_inode_free(inode);
    } else if (inode->handles == 0 && !inode->is_in_nursery && unsure_is_clean(&inode->unsure) &&
               lossy_names_find_inode(&d->sure, inode)) {
        disk_close(inode->base);
        inode->base = NULL;
    }
}

int lossy_copy_sure(struct disk_file *from, struct disk_file *to)
{
    uint64_t offset = 0;
    uint64_t size = 0;
    const void *data;
    size_t n;
    int rc = disk_size(from, &size);

    for (; rc == 0 && disk_ram_next_data(from, &offset, &data, &n); offset += n)
        rc = disk_write(to, data, n, offset);
    if (rc == 0)
        rc = disk_truncate(to, size);
    return rc == 0 ? disk_sync(to) : rc;
}
