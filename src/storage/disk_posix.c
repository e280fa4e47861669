/* SPDX-License-Identifier: Apache-2.0 */
/* Disk over a real directory: pread, pwrite and fdatasync, past the page cache where that works. */
#include "storage/disk.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Zeros are written in pieces of this size where fallocate is unknown. */
#define ZERO_BYTES ((size_t)64 * 1024)

struct posix_disk {
    struct disk disk;
    int dir_fd;
    pthread_mutex_t mutex; /* of the locks */
    int *lock_fds;
    size_t lock_count;
};

struct posix_file {
    struct disk_file file;
    int fd;
    /* The descriptor has O_DIRECT now. */
    bool is_direct;
    /* The caller asked for DISK_DIRECT, so its calls must be aligned whatever the file system does:
     * else a mistake would show on other file systems only. */
    bool must_align;
};

static struct posix_disk *posix_disk(struct disk *disk)
{
    return CONTAINER_OF(disk, struct posix_disk, disk);
}

static struct posix_file *posix_file(struct disk_file *file)
{
    return CONTAINER_OF(file, struct posix_file, file);
}

/* openat that a signal does not end. */
static int open_retrying(int dir_fd, const char *name, int flags)
{
    int fd;

    do
        fd = openat(dir_fd, name, flags | O_CLOEXEC, 0640);
    while (fd == -1 && errno == EINTR);
    return fd == -1 ? -errno : fd;
}

static int posix_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **out)
{
    const int dir_fd = posix_disk(disk)->dir_fd;
    const int os_flags = O_RDWR | ((flags & DISK_CREATE) ? O_CREAT : 0);
    bool is_direct = flags & DISK_DIRECT;
    int fd;

    BUG_ON(strlen(name) >= DISK_NAME_MAX, "file name too long: %s", name);
    *out = NULL;
    fd = open_retrying(dir_fd, name, os_flags | (is_direct ? O_DIRECT : 0));
    if (fd == -EINVAL && is_direct) {
        is_direct = false;
        fd = open_retrying(dir_fd, name, os_flags);
    }
    if (fd < 0)
        return fd;

    struct posix_file *f = mem_alloc_zero(sizeof(*f));
    f->file.disk = disk;
    f->fd = fd;
    f->is_direct = is_direct;
    f->must_align = flags & DISK_DIRECT;
    *out = &f->file;
    return 0;
}

static void posix_close(struct disk_file *file)
{
    struct posix_file *f = posix_file(file);

    /* What close() could report was reported by the sync before it, or was not asked for. */
    close(f->fd);
    mem_free(f);
}

/* Go on through the page cache. Some file systems take O_DIRECT at open and refuse the calls; and what
 * is left after a short write may begin inside a block. True: try the call again. */
static bool fall_back_to_plain(struct posix_file *f)
{
    int flags;

    if (!f->is_direct)
        return false;
    flags = fcntl(f->fd, F_GETFL);
    if (flags == -1 || fcntl(f->fd, F_SETFL, flags & ~O_DIRECT) == -1)
        return false;
    f->is_direct = false;
    return true;
}

static int posix_read(struct disk_file *file, void *data, size_t n, uint64_t offset, size_t *got)
{
    struct posix_file *f = posix_file(file);

    DEBUG_BUG_ON(f->must_align && !disk_is_aligned(data, n, offset), "unaligned read: %zu at %llu",
                 n, (unsigned long long)offset);
    *got = 0;
    while (*got < n) {
        ssize_t rc = pread(f->fd, (char *)data + *got, n - *got, (off_t)(offset + *got));
        if (rc == -1 && (errno == EINTR || (errno == EINVAL && fall_back_to_plain(f))))
            continue;
        if (rc == -1)
            return -errno;
        if (rc == 0)
            break;
        *got += (size_t)rc;
    }
    return 0;
}

static int posix_write(struct disk_file *file, const void *data, size_t n, uint64_t offset)
{
    struct posix_file *f = posix_file(file);
    size_t done = 0;

    DEBUG_BUG_ON(f->must_align && !disk_is_aligned(data, n, offset), "unaligned write: %zu at %llu",
                 n, (unsigned long long)offset);
    while (done < n) {
        ssize_t rc = pwrite(f->fd, (const char *)data + done, n - done, (off_t)(offset + done));
        if (rc == -1 && (errno == EINTR || (errno == EINVAL && fall_back_to_plain(f))))
            continue;
        if (rc == -1)
            return -errno;
        /* POSIX allows 0 for no octet written; asking for ever would hang the node. */
        if (rc == 0)
            return -EIO;
        done += (size_t)rc;
    }
    return 0;
}

/* Never tried again, not even after EINTR: the kernel may have dropped the pages it could not write and
 * would tell the next caller that all is well. */
static int posix_sync(struct disk_file *file)
{
    return fdatasync(posix_file(file)->fd) == -1 ? -errno : 0;
}

/* Whatever it says, fdatasync says it again. */
static void posix_start_sync(struct disk_file *file, size_t n, uint64_t offset)
{
    if (!posix_file(file)->is_direct)
        (void)!sync_file_range(posix_file(file)->fd, (off_t)offset, (off_t)n,
                               SYNC_FILE_RANGE_WRITE);
}

static int posix_size(struct disk_file *file, uint64_t *bytes)
{
    struct stat info;

    if (fstat(posix_file(file)->fd, &info) == -1)
        return -errno;
    *bytes = (uint64_t)info.st_size;
    return 0;
}

static int posix_truncate(struct disk_file *file, uint64_t bytes)
{
    int rc;

    do
        rc = ftruncate(posix_file(file)->fd, (off_t)bytes);
    while (rc == -1 && errno == EINTR);
    return rc == -1 ? -errno : 0;
}

/* Write zeros from the end of the file up to `bytes`. */
static int append_zeros(struct disk_file *file, uint64_t bytes)
{
    static _Alignas(DISK_ALIGN) const char zeros[ZERO_BYTES];
    struct posix_file *f = posix_file(file);
    const bool must_align = f->must_align;
    uint64_t begin;
    int rc = posix_size(file, &begin);

    if (rc != 0)
        return rc;
    /* Neither end need be aligned; if it is not, the write falls back to the page cache. */
    f->must_align = false;
    for (uint64_t at = begin; rc == 0 && at < bytes; at += ZERO_BYTES)
        rc = posix_write(file, zeros, (size_t)MIN((uint64_t)ZERO_BYTES, bytes - at), at);
    f->must_align = must_align;
    /* Give back what a full disk let us have. The error to tell is the first one. */
    if (rc != 0)
        (void)!posix_truncate(file, begin);
    return rc;
}

static int posix_reserve(struct disk_file *file, uint64_t bytes)
{
    int rc;

    if (bytes == 0)
        return 0;
    do
        rc = fallocate(posix_file(file)->fd, 0, 0, (off_t)bytes);
    while (rc == -1 && errno == EINTR);
    if (rc == -1 && (errno == EOPNOTSUPP || errno == ENOSYS))
        return append_zeros(file, bytes);
    return rc == -1 ? -errno : 0;
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
    const int dir_fd = posix_disk(disk)->dir_fd;

    BUG_ON(strlen(to) >= DISK_NAME_MAX, "file name too long: %s", to);
    return renameat(dir_fd, from, dir_fd, to) == -1 ? -errno : 0;
}

static int posix_unlink(struct disk *disk, const char *name)
{
    return unlinkat(posix_disk(disk)->dir_fd, name, 0) == -1 ? -errno : 0;
}

static int posix_sync_dir(struct disk *disk)
{
    return fsync(posix_disk(disk)->dir_fd) == -1 ? -errno : 0;
}

static bool is_regular_file(int dir_fd, const struct dirent *entry)
{
    struct stat info;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    return fstatat(dir_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
}

static int posix_list(struct disk *disk, void (*each)(void *context, const char *name),
                      void *context)
{
    /* A descriptor of its own: each has one reading position, and lists may run side by side. */
    const int fd = open_retrying(posix_disk(disk)->dir_fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int rc = 0;

    if (!dir) {
        rc = fd < 0 ? fd : -errno;
        if (fd >= 0)
            close(fd);
        return rc;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            rc = -errno;
            break;
        }
        if (is_regular_file(fd, entry) && strlen(entry->d_name) < DISK_NAME_MAX)
            each(context, entry->d_name);
    }
    closedir(dir);
    return rc;
}

/* The pid is for people who wonder; the lock itself is the kernel's and ends with the process. */
static int write_pid(int fd)
{
    char text[24];
    const int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)n, 0) == -1)
        return -errno;
    return 0;
}

/* flock belongs to the open file, so a second disk of this very process is refused, too. */
static int posix_lock(struct disk *disk, const char *name)
{
    struct posix_disk *d = posix_disk(disk);
    const int fd = open_retrying(d->dir_fd, name, O_RDWR | O_CREAT);
    int rc;

    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) == -1)
        rc = errno == EWOULDBLOCK ? ERR_IN_USE : -errno;
    else
        rc = write_pid(fd);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    pthread_mutex_lock(&d->mutex);
    d->lock_fds = mem_resize(d->lock_fds, (d->lock_count + 1) * sizeof(*d->lock_fds));
    d->lock_fds[d->lock_count++] = fd;
    pthread_mutex_unlock(&d->mutex);
    return 0;
}

static void posix_free(struct disk *disk)
{
    struct posix_disk *d = posix_disk(disk);

    for (size_t i = 0; i < d->lock_count; i++)
        close(d->lock_fds[i]);
    mem_free(d->lock_fds);
    close(d->dir_fd);
    pthread_mutex_destroy(&d->mutex);
    mem_free(d);
}

static const struct disk_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .start_sync = posix_start_sync,
    .size = posix_size,
    .reserve = posix_reserve,
    .truncate = posix_truncate,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .lock = posix_lock,
    .free = posix_free,
};

int disk_open_directory(const char *path, struct disk **out)
{
    const int fd = open_retrying(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);

    *out = NULL;
    if (fd < 0)
        return fd;
    struct posix_disk *d = mem_alloc_zero(sizeof(*d));
    d->disk.ops = &posix_ops;
    d->dir_fd = fd;
    pthread_mutex_init(&d->mutex, NULL);
    *out = &d->disk;
    return 0;
}
