/* SPDX-License-Identifier: Apache-2.0 */
/* Disk: one flat directory of files, behind calls that tests can make fail, tear and forget. */
#ifndef TOKKI_STORAGE_DISK_H
#define TOKKI_STORAGE_DISK_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is on a disk after a crash, whoever implements this:
 *
 *   write      nothing is sure until disk_sync of the file has returned 0: each 512-octet sector of a
 *              write may be there or not, independently; a sector is never half of each
 *   sync       what was written to the file before is sure
 *   create, rename, unlink
 *              sure after disk_sync_dir; before it each may have happened or not, in any order
 *
 * Reading sees what was written, sure or not. All calls block; errors are -errno. A file is used by one
 * thread at a time, a disk by any. */
struct disk;

struct disk_file {
    struct disk *disk;
};

enum disk_open_flag {
    DISK_CREATE = 1 << 0, /* make it when it is not there */
    /* Past the page cache where the file system allows; then buffers, lengths and offsets of reads and
     * writes are multiples of DISK_ALIGN. Where it does not allow it, plain, without an error. */
    DISK_DIRECT = 1 << 1,
};

/* Buffers and extents of DISK_DIRECT files. 4096 is the largest block in common use. */
#define DISK_ALIGN 4096U
/* What a drive writes whole or not at all. */
#define DISK_SECTOR 512U
/* Longest file name, with its NUL. */
#define DISK_NAME_MAX 64U

struct disk_ops {
    int (*open)(struct disk *disk, const char *name, unsigned flags, struct disk_file **out);
    /* Closes the file; what was not synced may be lost. */
    void (*close)(struct disk_file *file);
    int (*read)(struct disk_file *file, void *data, size_t n, uint64_t offset, size_t *got);
    int (*write)(struct disk_file *file, const void *data, size_t n, uint64_t offset);
    int (*sync)(struct disk_file *file);
    void (*start_sync)(struct disk_file *file, size_t n, uint64_t offset); /* NULL: does nothing */
    int (*size)(struct disk_file *file, uint64_t *bytes);
    int (*reserve)(struct disk_file *file, uint64_t bytes);
    int (*truncate)(struct disk_file *file, uint64_t bytes);
    int (*rename)(struct disk *disk, const char *from, const char *to);
    int (*unlink)(struct disk *disk, const char *name);
    int (*sync_dir)(struct disk *disk);
    int (*list)(struct disk *disk, void (*each)(void *context, const char *name), void *context);
    int (*lock)(struct disk *disk, const char *name);
    void (*free)(struct disk *disk);
};

/* Implementations embed it first. Owner: who opened it. Freed by: disk_free. */
struct disk {
    const struct disk_ops *ops;
};

/* May this extent be read or written on a DISK_DIRECT file? */
static inline bool disk_is_aligned(const void *data, size_t n, uint64_t offset)
{
    return ((uintptr_t)data | n | offset) % DISK_ALIGN == 0;
}

/* The directory `path` of the machine, which exists. Errors: -errno. */
MUST_CHECK int disk_open_directory(const char *path, struct disk **out);

/* Release the lock and everything else; all files are closed. NULL is fine. */
static inline void disk_free(struct disk *disk)
{
    if (disk)
        disk->ops->free(disk);
}

/* -ENOENT: no such file. Owner of `*out`: the caller. Freed by: disk_close. */
MUST_CHECK static inline int disk_open(struct disk *disk, const char *name, unsigned flags,
                                       struct disk_file **out)
{
    return disk->ops->open(disk, name, flags, out);
}

/* NULL is fine. */
static inline void disk_close(struct disk_file *file)
{
    if (file)
        file->disk->ops->close(file);
}

/* Up to `n` octets; `*got` is less only at the end of the file. */
MUST_CHECK static inline int disk_read(struct disk_file *file, void *data, size_t n,
                                       uint64_t offset, size_t *got)
{
    return file->disk->ops->read(file, data, n, offset, got);
}

/* All of it, or an error, after which nothing is known about that extent. */
MUST_CHECK static inline int disk_write(struct disk_file *file, const void *data, size_t n,
                                        uint64_t offset)
{
    return file->disk->ops->write(file, data, n, offset);
}

/* An error means that what was written may be lost and must not be tried again (fdatasync). */
MUST_CHECK static inline int disk_sync(struct disk_file *file)
{
    return file->disk->ops->sync(file);
}

/* What was written of this extent may go to the disk already; a sync will tell. Worth it for a large write through
 * the page cache in pieces: copying and the disk go on together. */
static inline void disk_start_sync(struct disk_file *file, size_t n, uint64_t offset)
{
    if (file->disk->ops->start_sync)
        file->disk->ops->start_sync(file, n, offset);
}

MUST_CHECK static inline int disk_size(struct disk_file *file, uint64_t *bytes)
{
    return file->disk->ops->size(file, bytes);
}

/* Make the file at least that long, with room on the disk behind it: a later write of this extent does
 * not run out of space (fallocate; writes zeros where that is unknown). New octets read as 0. */
MUST_CHECK static inline int disk_reserve(struct disk_file *file, uint64_t bytes)
{
    return file->disk->ops->reserve(file, bytes);
}

MUST_CHECK static inline int disk_truncate(struct disk_file *file, uint64_t bytes)
{
    return file->disk->ops->truncate(file, bytes);
}

/* Replaces `to` when it is there. */
MUST_CHECK static inline int disk_rename(struct disk *disk, const char *from, const char *to)
{
    return disk->ops->rename(disk, from, to);
}

MUST_CHECK static inline int disk_unlink(struct disk *disk, const char *name)
{
    return disk->ops->unlink(disk, name);
}

MUST_CHECK static inline int disk_sync_dir(struct disk *disk)
{
    return disk->ops->sync_dir(disk);
}

/* Call `each` with the name of every regular file, in no order; no call on the disk from within. Names
 * too long for DISK_NAME_MAX are not ours and left out. */
MUST_CHECK static inline int disk_list(struct disk *disk,
                                       void (*each)(void *context, const char *name), void *context)
{
    return disk->ops->list(disk, each, context);
}

/* Take the exclusive lock of this name (made when missing) for the life of the disk. ERR_IN_USE:
 * another process has it, or another disk of this one. */
MUST_CHECK static inline int disk_lock(struct disk *disk, const char *name)
{
    return disk->ops->lock(disk, name);
}

#endif
