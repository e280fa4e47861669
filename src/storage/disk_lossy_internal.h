/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the lossy disk share: what it is made of, and what each file does.
 *
 *   visible   names as the caller sees them           sure      names as the disk below has them
 *   changes   leads from sure to visible; disk_sync_dir plays it on the disk below
 *
 * A file is an inode with an overlay of unsure sectors over its base, which holds what was synced. The base
 * of a new file lies in the nursery, a disk in memory, since the disk below must not show it before its
 * name is sure; disk_sync_dir moves it. A base below is opened with the file and stays open while a handle or
 * something unsure needs it, so it outlives its name. */
#ifndef TOKKI_STORAGE_DISK_LOSSY_INTERNAL_H
#define TOKKI_STORAGE_DISK_LOSSY_INTERNAL_H

#include "storage/disk_lossy.h"
#include "storage/unsure.h"

#include "base/list.h"

#include <errno.h>
#include <pthread.h>

/* Freed by: lossy_inode_free_unused, when neither a handle nor a name nor a change has it. */
struct lossy_inode {
    struct list link;
    struct disk_file *base; /* NULL: below, under its sure name, not open now */
    bool is_in_nursery;
    unsigned handles;
    unsigned changes;
    struct unsure unsure;
};

struct lossy_name {
    char text[DISK_NAME_MAX];
    struct lossy_inode *inode;
};

struct lossy_names {
    struct lossy_name *list;
    size_t count;
    size_t capacity;
};

enum lossy_change_kind { LOSSY_CHANGE_CREATE, LOSSY_CHANGE_RENAME, LOSSY_CHANGE_UNLINK };

struct lossy_change {
    enum lossy_change_kind kind;
    struct lossy_inode *inode;
    char name[DISK_NAME_MAX];
    char to[DISK_NAME_MAX]; /* of LOSSY_CHANGE_RENAME */
};

struct lossy_disk {
    struct disk disk;
    pthread_mutex_t mutex; /* of everything below */
    struct disk *below;
    struct disk *nursery;
    struct list inodes;
    struct lossy_names sure;
    struct lossy_names visible;
    struct lossy_change *changes;
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
    struct lossy_inode *inode; /* dangles when the generation is old */
    uint32_t generation;
    bool is_direct;
};

static inline struct lossy_disk *lossy_disk(struct disk *disk)
{
    return CONTAINER_OF(disk, struct lossy_disk, disk);
}

static inline struct lossy_file *lossy_file(struct disk_file *file)
{
    return CONTAINER_OF(file, struct lossy_file, file);
}

/* Each call locks, looks whether the disk is dead, and unlocks. Errors: -EIO after a cut, which has to be
 * left all the same. */
static inline int lossy_enter(struct lossy_disk *d)
{
    pthread_mutex_lock(&d->mutex);
    return d->is_cut ? -EIO : 0;
}

static inline int lossy_leave(struct lossy_disk *d, int rc)
{
    pthread_mutex_unlock(&d->mutex);
    return rc;
}

/* --- disk_lossy.c */

/* Takes `below` and does not look at it. */
struct lossy_disk *lossy_new_empty(struct disk *below);

/* --- disk_lossy_names.c; from here on all under the mutex, or while nobody else has the disk */

/* `to` has DISK_NAME_MAX octets; a longer name is a bug. */
void lossy_name_copy(char *to, const char *from);
/* NULL: none. Valid until a name is put or removed. */
struct lossy_name *lossy_names_find(const struct lossy_names *names, const char *text);
struct lossy_inode *lossy_names_get(const struct lossy_names *names, const char *text);
struct lossy_name *lossy_names_find_inode(const struct lossy_names *names,
                                          const struct lossy_inode *inode);
/* Replaces what has the name now. */
void lossy_names_put(struct lossy_names *names, const char *text, struct lossy_inode *inode);
void lossy_names_remove(struct lossy_names *names, const char *text);
void lossy_names_rename(struct lossy_names *names, const char *from, const char *to);

/* --- disk_lossy_inode.c */

/* Of `size` sure octets, without a base. */
struct lossy_inode *lossy_inode_new(struct lossy_disk *d, uint64_t size);
/* Give it an empty base in the nursery. */
void lossy_inode_open_new(struct lossy_disk *d, struct lossy_inode *inode);
/* Open the base when it is below and closed. Errors: those of below. */
MUST_CHECK int lossy_inode_open_base(struct lossy_disk *d, struct lossy_inode *inode);
/* The caller has seen that nothing has it. */
void lossy_inode_free(struct lossy_inode *inode);
/* After the end of a handle, a name or a change: free it when nothing has it, else close what is not
 * needed open. */
void lossy_inode_free_unused(struct lossy_disk *d, struct lossy_inode *inode);
/* Copy what is sure of a file that the nursery has, and sync it. Errors: those of `to`. */
MUST_CHECK int lossy_copy_sure(struct disk_file *from, struct disk_file *to);

/* --- disk_lossy_change.c */

/* Note a change of the directory that is visible already. `to` is "" but for a rename. */
void lossy_change_push(struct lossy_disk *d, enum lossy_change_kind kind, struct lossy_inode *inode,
                       const char *name, const char *to);
/* Play one change on the disk below. One that cannot be, as an earlier one did not happen (in a cut), is
 * passed over. Errors: those of below. */
MUST_CHECK int lossy_change_play(struct lossy_disk *d, const struct lossy_change *change);

/* --- disk_lossy_cut.c */

/* disk_lossy_cut; the second time nothing happens. */
void lossy_cut(struct lossy_disk *d);
/* Learn what the disk below has. Errors: those of below. */
MUST_CHECK int lossy_load(struct lossy_disk *d);
/* Drop all that is not below. */
void lossy_drop_all(struct lossy_disk *d);

#endif
