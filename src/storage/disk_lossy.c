/* SPDX-License-Identifier: Apache-2.0 */
/* Disk that holds back all that is not synced: an overlay per file, and a list of directory changes.
 *
 *   visible   names as the caller sees them           sure      names as the disk below has them
 *   changes   leads from sure to visible; disk_sync_dir plays it on the disk below
 *
 * A file is an inode with an overlay of unsure sectors over its base, which holds what was synced. The base
 * of a new file lies in the nursery, a disk in memory, since the disk below must not show it before its
 * name is sure; disk_sync_dir moves it. A base below is opened with the file and stays open while a handle or
 * something unsure needs it, so it outlives its name. */
#include "storage/disk_lossy.h"

#include "storage/disk_ram.h"
#include "storage/unsure.h"

#include "base/bug.h"
#include "base/list.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* Freed by: free_unused, when neither a handle nor a name nor a change has it. */
struct inode {
    struct list link;
    struct disk_file *base; /* NULL: below, under its sure name, not open now */
    bool is_in_nursery;
    unsigned handles;
    unsigned changes;
    struct unsure unsure;
};

struct name {
    char text[DISK_NAME_MAX];
    struct inode *inode;
};

struct names {
    struct name *list;
    size_t count;
    size_t capacity;
};

enum change_kind { CHANGE_CREATE, CHANGE_RENAME, CHANGE_UNLINK };

struct change {
    enum change_kind kind;
    struct inode *inode;
    char name[DISK_NAME_MAX];
    char to[DISK_NAME_MAX]; /* of CHANGE_RENAME */
};

struct lossy_disk {
    struct disk disk;
    pthread_mutex_t mutex; /* of everything below */
    struct disk *below;
    struct disk *nursery;
    struct list inodes;
    struct names sure;
    struct names visible;
    struct change *changes;
    size_t change_count;
    size_t change_capacity;
    struct chance chance;
    bool is_cut;
    uint32_t generation; /* of boots: handles of older ones are dead */
    uint64_t cut_at;     /* the value of counts.changes to cut at; 0: never */
    struct disk_lossy_counts counts;
};

struct lossy_file {
    struct disk_file file;
    struct inode *inode; /* dangles when the generation is old */
    uint32_t generation;
    bool is_direct;
};

static struct lossy_disk *lossy_disk(struct disk *disk)
{
    return CONTAINER_OF(disk, struct lossy_disk, disk);
}

static struct lossy_file *lossy_file(struct disk_file *file)
{
    return CONTAINER_OF(file, struct lossy_file, file);
}

/* --- Names. */

static void copy_name(char *to, const char *from)
{
    const size_t n = strlen(from);

    BUG_ON(n >= DISK_NAME_MAX, "file name too long: %s", from);
    memcpy(to, from, n + 1);
}

static struct name *names_find(const struct names *names, const char *text)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i].text, text) == 0)
            return &names->list[i];
    return NULL;
}

static struct inode *names_get(const struct names *names, const char *text)
{
    const struct name *name = names_find(names, text);

    return name ? name->inode : NULL;
}

static struct name *names_find_inode(const struct names *names, const struct inode *inode)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->list[i].inode == inode)
            return &names->list[i];
    return NULL;
}

/* Replaces what has the name now. */
static void names_put(struct names *names, const char *text, struct inode *inode)
{
    struct name *name = names_find(names, text);

    if (!name) {
        if (names->count == names->capacity) {
            names->capacity = MAX((size_t)8, 2 * names->capacity);
            names->list = mem_resize(names->list, names->capacity * sizeof(*names->list));
        }
        name = &names->list[names->count++];
        copy_name(name->text, text);
    }
    name->inode = inode;
}

static void names_remove(struct names *names, const char *text)
{
    struct name *name = names_find(names, text);

    if (name)
        *name = names->list[--names->count];
}

static void names_rename(struct names *names, const char *from, const char *to)
{
    struct inode *inode = names_get(names, from);

    names_remove(names, from);
    names_put(names, to, inode);
}

/* --- Inodes. */

static struct inode *inode_new(struct lossy_disk *d, uint64_t size)
{
    struct inode *inode = mem_alloc_zero(sizeof(*inode));

    unsure_init(&inode->unsure, size);
    list_push_back(&d->inodes, &inode->link);
    return inode;
}

/* A base without a name: it lives as long as it is open. */
static void open_in_nursery(struct lossy_disk *d, struct inode *inode)
{
    int rc = disk_open(d->nursery, "new", DISK_CREATE, &inode->base);

    BUG_ON(rc != 0 || disk_unlink(d->nursery, "new") != 0, "nursery: %d", rc);
    inode->is_in_nursery = true;
}

/* Open the base when it is below and closed. */
static int open_base(struct lossy_disk *d, struct inode *inode)
{
    const struct name *name;

    if (inode->base)
        return 0;
    name = names_find_inode(&d->sure, inode);
    BUG_ON(!name, "a file without a base has no sure name");
    return disk_open(d->below, name->text, 0, &inode->base);
}

static void inode_free(struct inode *inode)
{
    list_remove(&inode->link);
    disk_close(inode->base);
    unsure_fini(&inode->unsure);
    mem_free(inode);
}

static bool is_in_use(const struct lossy_disk *d, const struct inode *inode)
{
    return inode->handles > 0 || inode->changes > 0 || names_find_inode(&d->visible, inode);
}

/* After the end of a handle, a name or a change. A real base is not kept open for nothing: a node has
 * hundreds of segments. */
static void free_unused(struct lossy_disk *d, struct inode *inode)
{
    if (!is_in_use(d, inode) && !names_find_inode(&d->sure, inode)) {
        inode_free(inode);
    } else if (inode->handles == 0 && !inode->is_in_nursery && unsure_is_clean(&inode->unsure) &&
               names_find_inode(&d->sure, inode)) {
        disk_close(inode->base);
        inode->base = NULL;
    }
}

/* --- Changes of the directory. */

static void change_push(struct lossy_disk *d, enum change_kind kind, struct inode *inode,
                        const char *name, const char *to)
{
    struct change *change;

    if (d->change_count == d->change_capacity) {
        d->change_capacity = MAX((size_t)8, 2 * d->change_capacity);
        d->changes = mem_resize(d->changes, d->change_capacity * sizeof(*d->changes));
    }
    change = &d->changes[d->change_count++];
    change->kind = kind;
    change->inode = inode;
    copy_name(change->name, name);
    copy_name(change->to, to);
    inode->changes++;
}

static void forget_sure_name(struct lossy_disk *d, const char *name)
{
    struct inode *inode = names_get(&d->sure, name);

    if (!inode)
        return;
    names_remove(&d->sure, name);
    free_unused(d, inode);
}

static int unlink_below(struct lossy_disk *d, const char *name)
{
    int rc = disk_unlink(d->below, name);

    if (rc == 0)
        forget_sure_name(d, name);
    return rc;
}

/* Copy what is sure of a file that the nursery has. */
static int copy_sure(struct disk_file *from, struct disk_file *to)
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

static int create_below(struct lossy_disk *d, const char *name, struct inode *inode)
{
    struct disk_file *file;
    int rc = 0;

    if (!inode->is_in_nursery)
        return 0;
    /* Out of order, in a cut: the file that had the name was unlinked before. */
    if (names_find(&d->sure, name) && (rc = unlink_below(d, name)) != 0)
        return rc;
    if ((rc = disk_open(d->below, name, DISK_CREATE, &file)) != 0)
        return rc;
    if ((rc = copy_sure(inode->base, file)) != 0) {
        disk_close(file);
        return rc;
    }
    disk_close(inode->base);
    inode->base = file;
    inode->is_in_nursery = false;
    names_put(&d->sure, name, inode);
    return 0;
}

static int rename_below(struct lossy_disk *d, const char *from, const char *to)
{
    int rc = disk_rename(d->below, from, to);

    if (rc != 0)
        return rc;
    forget_sure_name(d, to);
    names_rename(&d->sure, from, to);
    return 0;
}

/* Play one change on the disk below. One that cannot be, as an earlier one did not happen (in a cut), is
 * passed over. */
static int change_play(struct lossy_disk *d, const struct change *change)
{
    const bool has_name = names_get(&d->sure, change->name) == change->inode;

    switch (change->kind) {
    case CHANGE_CREATE:
        return create_below(d, change->name, change->inode);
    case CHANGE_RENAME:
        return has_name ? rename_below(d, change->name, change->to) : 0;
    case CHANGE_UNLINK:
        return has_name ? unlink_below(d, change->name) : 0;
    }
    return 0;
}

/* --- Cut and boot. */

static void shuffle(struct change *changes, size_t count, struct chance *chance)
{
    for (size_t i = count; i > 1; i--) {
        const size_t other = (size_t)chance_below(chance, i);
        const struct change moved = changes[i - 1];
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
            rc = change_play(d, &d->changes[i]);
        BUG_ON(rc != 0, "the disk below refused a change in a cut: %d", rc);
    }
}

/* Drop all that is not below. */
static void drop_all(struct lossy_disk *d)
{
    LIST_FOR_EACH_SAFE (link, &d->inodes) {
        inode_free(CONTAINER_OF(link, struct inode, link));
    }
    d->sure.count = 0;
    d->visible.count = 0;
    d->change_count = 0;
    d->generation++;
}

static void cut(struct lossy_disk *d)
{
    if (d->is_cut)
        return;
    cut_directory(d);
    for (size_t i = 0; i < d->sure.count; i++) {
        struct inode *inode = d->sure.list[i].inode;
        int rc = 0;
        if (!unsure_is_clean(&inode->unsure) && (rc = open_base(d, inode)) == 0)
            rc = unsure_cut(&inode->unsure, inode->base, &d->chance);
        BUG_ON(rc != 0, "the disk below failed in a cut: %d", rc);
    }
    int rc = disk_sync_dir(d->below);
    BUG_ON(rc != 0, "the disk below failed in a cut: %d", rc);
    drop_all(d);
    d->is_cut = true;
}

static void note_sure_name(void *context, const char *name)
{
    struct lossy_disk *d = context;

    names_put(&d->sure, name, inode_new(d, 0));
}

/* Learn what the disk below has. */
static int load(struct lossy_disk *d)
{
    int rc = disk_list(d->below, note_sure_name, d);

    for (size_t i = 0; rc == 0 && i < d->sure.count; i++) {
        struct name *name = &d->sure.list[i];
        uint64_t size = 0;
        if ((rc = open_base(d, name->inode)) != 0 ||
            (rc = disk_size(name->inode->base, &size)) != 0)
            break;
        unsure_init(&name->inode->unsure, size);
        names_put(&d->visible, name->text, name->inode);
        free_unused(d, name->inode);
    }
    return rc;
}

/* --- The calls. Each locks, looks whether its disk or file is dead, and unlocks. */

static int enter(struct lossy_disk *d)
{
    pthread_mutex_lock(&d->mutex);
    return d->is_cut ? -EIO : 0;
}

static int leave(struct lossy_disk *d, int rc)
{
    pthread_mutex_unlock(&d->mutex);
    return rc;
}

static int enter_file(struct lossy_disk *d, const struct lossy_file *f)
{
    int rc = enter(d);

    return rc == 0 && f->generation != d->generation ? -EIO : rc;
}

static void cut_and_exit_when_due(struct lossy_disk *d)
{
    if (d->cut_at == 0 || d->counts.changes < d->cut_at)
        return;
    cut(d);
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

static struct inode *create(struct lossy_disk *d, const char *name)
{
    struct inode *inode = inode_new(d, 0);

    open_in_nursery(d, inode);
    names_put(&d->visible, name, inode);
    change_push(d, CHANGE_CREATE, inode, name, "");
    (void)!changed(d, 0);
    return inode;
}

static int open_locked(struct lossy_disk *d, const char *name, unsigned flags,
                       struct disk_file **out)
{
    struct inode *inode = names_get(&d->visible, name);
    int rc;

    if (!inode && !(flags & DISK_CREATE))
        return -ENOENT;
    if (!inode)
        inode = create(d, name);
    if ((rc = open_base(d, inode)) != 0)
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
    int rc = enter(d);

    *out = NULL;
    return leave(d, rc == 0 ? open_locked(d, name, flags, out) : rc);
}

static void lossy_close(struct disk_file *file)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    struct lossy_file *f = lossy_file(file);

    if (enter_file(d, f) == 0) {
        f->inode->handles--;
        free_unused(d, f->inode);
    }
    (void)!leave(d, 0);
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
    return leave(d, rc);
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
    return leave(d, rc);
}

static int lossy_sync(struct disk_file *file)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    struct inode *inode = lossy_file(file)->inode;
    int rc = enter_file(d, lossy_file(file));

    if (rc == 0) {
        d->counts.syncs++;
        before_sync(d);
        rc = unsure_apply(&inode->unsure, inode->base);
    }
    return leave(d, rc);
}

static int lossy_size(struct disk_file *file, uint64_t *bytes)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    int rc = enter_file(d, lossy_file(file));

    if (rc == 0)
        *bytes = lossy_file(file)->inode->unsure.size;
    return leave(d, rc);
}

static int lossy_reserve(struct disk_file *file, uint64_t bytes)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    int rc = enter_file(d, lossy_file(file));

    if (rc == 0) {
        unsure_reserve(&lossy_file(file)->inode->unsure, bytes);
        rc = changed(d, 0);
    }
    return leave(d, rc);
}

static int lossy_truncate(struct disk_file *file, uint64_t bytes)
{
    struct lossy_disk *d = lossy_disk(file->disk);
    struct inode *inode = lossy_file(file)->inode;
    int rc = enter_file(d, lossy_file(file));

    if (rc == 0)
        rc = changed(d, unsure_truncate(&inode->unsure, inode->base, bytes));
    return leave(d, rc);
}

static int rename_locked(struct lossy_disk *d, const char *from, const char *to)
{
    struct inode *inode = names_get(&d->visible, from);
    struct inode *replaced = names_get(&d->visible, to);

    if (!inode)
        return -ENOENT;
    if (inode == replaced)
        return 0;
    change_push(d, CHANGE_RENAME, inode, from, to);
    names_rename(&d->visible, from, to);
    if (replaced)
        free_unused(d, replaced);
    return changed(d, 0);
}

static int lossy_rename(struct disk *disk, const char *from, const char *to)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = enter(d);

    return leave(d, rc == 0 ? rename_locked(d, from, to) : rc);
}

static int unlink_locked(struct lossy_disk *d, const char *name)
{
    struct inode *inode = names_get(&d->visible, name);

    if (!inode)
        return -ENOENT;
    change_push(d, CHANGE_UNLINK, inode, name, "");
    names_remove(&d->visible, name);
    return changed(d, 0);
}

static int lossy_unlink(struct disk *disk, const char *name)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = enter(d);

    return leave(d, rc == 0 ? unlink_locked(d, name) : rc);
}

/* Changes that were played are gone from the list, also when a later one fails. */
static int sync_dir_locked(struct lossy_disk *d)
{
    size_t played = 0;
    int rc = 0;

    d->counts.dir_syncs++;
    before_sync(d);
    for (; played < d->change_count; played++) {
        struct inode *inode = d->changes[played].inode;
        if ((rc = change_play(d, &d->changes[played])) != 0)
            break;
        inode->changes--;
        free_unused(d, inode);
    }
    d->change_count -= played;
    if (played > 0)
        memmove(d->changes, d->changes + played, d->change_count * sizeof(*d->changes));
    return rc == 0 ? disk_sync_dir(d->below) : rc;
}

static int lossy_sync_dir(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = enter(d);

    return leave(d, rc == 0 ? sync_dir_locked(d) : rc);
}

static int lossy_list(struct disk *disk, void (*each)(void *context, const char *name),
                      void *context)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = enter(d);

    for (size_t i = 0; rc == 0 && i < d->visible.count; i++)
        each(context, d->visible.list[i].text);
    return leave(d, rc);
}

/* Of the disk below at once: a lock is not data. Its file, when new, is sure then. */
static int lossy_lock(struct disk *disk, const char *name)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc = enter(d);

    if (rc == 0)
        rc = disk_lock(d->below, name);
    if (rc == 0 && !names_find(&d->visible, name) && !names_find(&d->sure, name)) {
        struct inode *inode = inode_new(d, 0);
        names_put(&d->sure, name, inode);
        names_put(&d->visible, name, inode);
    }
    return leave(d, rc);
}

static void lossy_free(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);

    drop_all(d);
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

static struct lossy_disk *lossy_new_empty(struct disk *below)
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
    int rc = load(d);

    d->chance.state = seed;
    *out = &d->disk;
    if (rc != 0) {
        *out = NULL;
        disk_free(&d->disk);
    }
    return rc;
}

void disk_lossy_cut(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!enter(d);
    cut(d);
    (void)!leave(d, 0);
}

void disk_lossy_cut_after(struct disk *disk, uint64_t n)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!enter(d);
    d->cut_at = n ? d->counts.changes + n : 0;
    (void)!leave(d, 0);
}

void disk_lossy_count(struct disk *disk, struct disk_lossy_counts *counts)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!enter(d);
    *counts = d->counts;
    counts->unsure_changes = d->change_count;
    LIST_FOR_EACH (link, &d->inodes) {
        counts->unsure_sectors += CONTAINER_OF(link, struct inode, link)->unsure.count;
    }
    (void)!leave(d, 0);
}

void disk_lossy_seed(struct disk *disk, uint64_t seed)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!enter(d);
    d->chance.state = seed;
    (void)!leave(d, 0);
}

void disk_lossy_boot(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);
    int rc;

    (void)!enter(d);
    BUG_ON(!d->is_cut, "a boot without a cut");
    d->is_cut = false;
    rc = load(d);
    BUG_ON(rc != 0, "the disk below failed in a boot: %d", rc);
    (void)!leave(d, 0);
}

void disk_lossy_kill(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);

    (void)!enter(d);
    d->generation++;
    LIST_FOR_EACH_SAFE (link, &d->inodes) {
        struct inode *inode = CONTAINER_OF(link, struct inode, link);
        inode->handles = 0;
        free_unused(d, inode);
    }
    (void)!leave(d, 0);
}

void disk_lossy_forget(struct disk_file *file)
{
    struct lossy_disk *d = lossy_disk(file->disk);

    if (enter_file(d, lossy_file(file)) == 0)
        unsure_forget(&lossy_file(file)->inode->unsure);
    (void)!leave(d, 0);
}

uint64_t disk_lossy_bytes(struct disk *disk)
{
    struct lossy_disk *d = lossy_disk(disk);
    uint64_t sum = 0;

    (void)!enter(d);
    LIST_FOR_EACH (link, &d->inodes) {
        sum += CONTAINER_OF(link, struct inode, link)->unsure.size;
    }
    (void)!leave(d, 0);
    return sum;
}

struct disk *disk_lossy_below(struct disk *disk)
{
    return lossy_disk(disk)->below;
}

/* --- Clone. */

static struct inode *inode_clone(struct lossy_disk *to, const struct inode *from)
{
    struct inode *inode = inode_new(to, 0);

    inode->changes = from->changes;
    unsure_copy(&inode->unsure, &from->unsure);
    if (from->is_in_nursery) {
        open_in_nursery(to, inode);
        int rc = copy_sure(from->base, inode->base);
        BUG_ON(rc != 0, "nursery: %d", rc);
    }
    return inode;
}

static void names_replace(struct names *names, const struct inode *old, struct inode *new)
{
    struct name *name = names_find_inode(names, old);

    if (name)
        name->inode = new;
}

static void names_copy(struct names *to, const struct names *from)
{
    for (size_t i = 0; i < from->count; i++)
        names_put(to, from->list[i].text, from->list[i].inode);
}

struct disk *disk_lossy_clone(struct disk *disk, struct disk *below)
{
    struct lossy_disk *from = lossy_disk(disk);
    struct lossy_disk *to = lossy_new_empty(below);

    (void)!enter(from);
    names_copy(&to->sure, &from->sure);
    names_copy(&to->visible, &from->visible);
    for (size_t i = 0; i < from->change_count; i++) {
        const struct change *change = &from->changes[i];
        change_push(to, change->kind, change->inode, change->name, change->to);
        change->inode->changes--; /* change_push counted it on the original */
    }
    LIST_FOR_EACH (link, &from->inodes) {
        struct inode *old = CONTAINER_OF(link, struct inode, link);
        struct inode *new = inode_clone(to, old);
        names_replace(&to->sure, old, new);
        names_replace(&to->visible, old, new);
        for (size_t i = 0; i < to->change_count; i++)
            if (to->changes[i].inode == old)
                to->changes[i].inode = new;
        free_unused(to, new);
    }
    to->chance = from->chance;
    to->is_cut = from->is_cut;
    (void)!leave(from, 0);
    return &to->disk;
}
