/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of disk_posix.c on a directory of its own, with system calls that can be made to misbehave. */
#include "storage/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the next calls do instead of the system's; each is used up by one call unless it says for ever. */
static struct {
    int write_errors[4]; /* told one after the other */
    size_t write_at_most;
    int read_error;
    int fallocate_error; /* for ever */
    bool refuse_direct;  /* open with O_DIRECT is EINVAL, for ever */
    bool is_full;        /* writes are ENOSPC, for ever */
    int writes;
} fake;

static ssize_t fake_pwrite(int fd, const void *data, size_t n, off_t offset)
{
    int error = fake.write_errors[0];

    fake.writes++;
    if (fake.is_full)
        error = ENOSPC;
    memmove(fake.write_errors, fake.write_errors + 1, sizeof(fake.write_errors) - sizeof(int));
    if (error) {
        errno = error;
        return -1;
    }
    if (fake.write_at_most && n > fake.write_at_most)
        n = fake.write_at_most;
    return pwrite(fd, data, n, offset);
}

static ssize_t fake_pread(int fd, void *data, size_t n, off_t offset)
{
    if (fake.read_error) {
        errno = fake.read_error;
        fake.read_error = 0;
        return -1;
    }
    return pread(fd, data, n, offset);
}

static int fake_fallocate(int fd, int mode, off_t offset, off_t n)
{
    if (fake.fallocate_error) {
        errno = fake.fallocate_error;
        return -1;
    }
    return fallocate(fd, mode, offset, n);
}

static int fake_openat(int dir_fd, const char *name, int flags, unsigned mode)
{
    if (fake.refuse_direct && (flags & O_DIRECT)) {
        errno = EINVAL;
        return -1;
    }
    return openat(dir_fd, name, flags, mode);
}

#define pwrite fake_pwrite
#define pread fake_pread
#define fallocate fake_fallocate
#define openat fake_openat
#include "disk_posix.c"
#undef pwrite
#undef pread
#undef fallocate
#undef openat

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    char path[64];
    struct disk *disk;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc_zero(sizeof(*f));

    memset(&fake, 0, sizeof(fake));
    snprintf(f->path, sizeof(f->path), "disk_posix_test.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(disk_open_directory(f->path, &f->disk), 0);
    *state = f;
    return 0;
}

static void remove_name(void *context, const char *name)
{
    assert_int_equal(unlinkat(posix_disk(context)->dir_fd, name, 0), 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(disk_list(f->disk, remove_name, f->disk), 0);
    disk_free(f->disk);
    assert_int_equal(rmdir(f->path), 0);
    mem_free(f);
    return 0;
}

static struct disk *disk_of(void **state)
{
    return ((struct fixture *)*state)->disk;
}

static void read_back(struct disk_file *file, uint64_t offset, const char *want, size_t n)
{
    char *data = mem_alloc_aligned(DISK_ALIGN, 2 * DISK_ALIGN);
    size_t got = 0;

    assert_int_equal(disk_read(file, data, 2 * DISK_ALIGN, offset, &got), 0);
    assert_int_equal(got, n);
    assert_memory_equal(data, want, n);
    mem_free(data);
}

static void assert_size(struct disk_file *file, uint64_t want)
{
    uint64_t bytes = 0;

    assert_int_equal(disk_size(file, &bytes), 0);
    assert_int_equal(bytes, want);
}

static void plain_files_read_what_was_written(void **state)
{
    struct disk_file *file;

    assert_int_equal(disk_open(disk_of(state), "a", 0, &file), -ENOENT);
    assert_null(file);
    assert_int_equal(disk_open(disk_of(state), "a", DISK_CREATE, &file), 0);
    assert_int_equal(disk_write(file, "hello", 5, 3), 0);
    assert_int_equal(disk_sync(file), 0);
    assert_size(file, 8);
    read_back(file, 0, "\0\0\0hello", 8);
    read_back(file, 100, "", 0);
    assert_int_equal(disk_truncate(file, 4), 0);
    assert_int_equal(disk_truncate(file, 6), 0);
    read_back(file, 0, "\0\0\0h\0\0", 6);
    disk_close(file);
    assert_int_equal(disk_open(disk_of(state), "a", 0, &file), 0);
    assert_size(file, 6);
    disk_close(file);
    assert_int_equal(disk_open_directory("no/such", &(struct disk *){NULL}), -ENOENT);
}

/* The same octets come back however much of O_DIRECT the file system knows. */
static void write_direct(struct disk *disk, bool *is_direct)
{
    char *data = mem_alloc_aligned(DISK_ALIGN, 2 * DISK_ALIGN);
    struct disk_file *file;

    memset(data, 'x', 2 * DISK_ALIGN);
    assert_int_equal(disk_open(disk, "d", DISK_CREATE | DISK_DIRECT, &file), 0);
    assert_int_equal(disk_write(file, data, 2 * DISK_ALIGN, DISK_ALIGN), 0);
    assert_int_equal(disk_sync(file), 0);
    assert_size(file, 3 * DISK_ALIGN);
    read_back(file, DISK_ALIGN, data, 2 * DISK_ALIGN);
    read_back(file, 2 * DISK_ALIGN, data, DISK_ALIGN);
    *is_direct = posix_file(file)->is_direct;
    disk_close(file);
    mem_free(data);
}

static void direct_works_where_it_does_and_is_plain_elsewhere(void **state)
{
    bool is_direct;

    write_direct(disk_of(state), &is_direct);
    fake.refuse_direct = true;
    write_direct(disk_of(state), &is_direct);
    assert_false(is_direct);
}

static void a_first_write_that_refuses_direct_goes_plain(void **state)
{
    bool is_direct;

    fake.write_errors[0] = EINVAL;
    write_direct(disk_of(state), &is_direct);
    assert_false(is_direct);
    assert_int_equal(fake.writes, 2);
    fake.read_error = EINVAL;
    write_direct(disk_of(state), &is_direct);
    assert_false(is_direct);
}

static void a_plain_file_tells_einval(void **state)
{
    struct disk_file *file;

    assert_int_equal(disk_open(disk_of(state), "a", DISK_CREATE, &file), 0);
    fake.write_errors[0] = EINVAL;
    assert_int_equal(disk_write(file, "x", 1, 0), -EINVAL);
    disk_close(file);
}

static void signals_and_short_writes_go_on(void **state)
{
    struct disk_file *file;
    bool is_direct;

    fake.write_errors[0] = EINTR;
    fake.write_errors[1] = EINTR;
    fake.write_at_most = 3;
    fake.read_error = EINTR;
    assert_int_equal(disk_open(disk_of(state), "a", DISK_CREATE, &file), 0);
    assert_int_equal(disk_write(file, "0123456789", 10, 0), 0);
    assert_int_equal(fake.writes, 2 + 4);
    read_back(file, 0, "0123456789", 10);
    disk_close(file);
    /* The rest of a direct write begins inside a block. */
    fake.write_at_most = 1000;
    write_direct(disk_of(state), &is_direct);
}

static void errors_are_told(void **state)
{
    struct disk_file *file;
    char byte;
    size_t got;

    assert_int_equal(disk_open(disk_of(state), "a", DISK_CREATE, &file), 0);
    fake.write_errors[0] = EIO;
    assert_int_equal(disk_write(file, "x", 1, 0), -EIO);
    fake.read_error = EIO;
    assert_int_equal(disk_read(file, &byte, 1, 0, &got), -EIO);
    disk_close(file);
    assert_int_equal(disk_unlink(disk_of(state), "none"), -ENOENT);
    assert_int_equal(disk_rename(disk_of(state), "none", "b"), -ENOENT);
}

static void reserve_grows_and_keeps(void **state)
{
    struct disk_file *file;
    char *want = mem_alloc_zero(DISK_ALIGN + 1);

    memcpy(want, "head", 4);
    for (int round = 0; round < 3; round++) {
        /* With fallocate, without it, without it on a DISK_DIRECT file that is not aligned. */
        assert_int_equal(disk_open(disk_of(state), "r", DISK_CREATE, &file), 0);
        assert_int_equal(disk_truncate(file, 0), 0);
        assert_int_equal(disk_write(file, "head", 4, 0), 0);
        if (round == 2) {
            disk_close(file);
            assert_int_equal(disk_open(disk_of(state), "r", DISK_DIRECT, &file), 0);
        }
        fake.fallocate_error = round > 0 ? EOPNOTSUPP : 0;
        assert_int_equal(disk_reserve(file, 0), 0);
        assert_size(file, 4);
        assert_int_equal(disk_reserve(file, DISK_ALIGN + 1), 0);
        assert_size(file, DISK_ALIGN + 1);
        read_back(file, 0, want, DISK_ALIGN + 1);
        assert_int_equal(disk_reserve(file, 100), 0);
        assert_size(file, DISK_ALIGN + 1);
        assert_int_equal(disk_reserve(file, 300000), 0);
        assert_size(file, 300000);
        disk_close(file);
    }
    mem_free(want);
}

static void a_full_disk_is_told_by_reserve(void **state)
{
    struct disk_file *file;

    assert_int_equal(disk_open(disk_of(state), "r", DISK_CREATE, &file), 0);
    assert_int_equal(disk_write(file, "head", 4, 0), 0);
    fake.fallocate_error = ENOSPC;
    assert_int_equal(disk_reserve(file, 100000), -ENOSPC);
    fake.fallocate_error = EOPNOTSUPP;
    fake.is_full = true;
    assert_int_equal(disk_reserve(file, 100000), -ENOSPC);
    assert_size(file, 4);
    disk_close(file);
}

static void note_name(void *context, const char *name)
{
    char *names = context;

    snprintf(names + strlen(names), 64 - strlen(names), "%s;", name);
}

static void the_directory_changes(void **state)
{
    struct disk *disk = disk_of(state);
    struct disk_file *file;
    char names[64] = "";

    assert_int_equal(disk_open(disk, "a", DISK_CREATE, &file), 0);
    assert_int_equal(disk_write(file, "A", 1, 0), 0);
    disk_close(file);
    assert_int_equal(disk_open(disk, "b", DISK_CREATE, &file), 0);
    assert_int_equal(disk_rename(disk, "a", "b"), 0);
    disk_close(file);
    assert_int_equal(disk_open(disk, "b", 0, &file), 0);
    read_back(file, 0, "A", 1);
    disk_close(file);
    assert_int_equal(disk_sync_dir(disk), 0);
    assert_int_equal(mkdirat(posix_disk(disk)->dir_fd, "folder", 0700), 0);
    assert_int_equal(disk_list(disk, note_name, names), 0);
    assert_string_equal(names, "b;");
    assert_int_equal(unlinkat(posix_disk(disk)->dir_fd, "folder", AT_REMOVEDIR), 0);
    assert_int_equal(disk_unlink(disk, "b"), 0);
    assert_int_equal(disk_open(disk, "b", 0, &file), -ENOENT);
}

static void a_lock_is_exclusive_until_its_disk_ends(void **state)
{
    struct fixture *f = *state;
    struct disk *other;
    struct disk_file *file;
    char pid[24];

    assert_int_equal(disk_lock(f->disk, "lock"), 0);
    assert_int_equal(disk_lock(f->disk, "lock"), ERR_IN_USE);
    assert_int_equal(disk_open_directory(f->path, &other), 0);
    assert_int_equal(disk_lock(other, "lock"), ERR_IN_USE);
    assert_int_equal(disk_lock(other, "lock2"), 0);
    assert_int_equal(disk_open(other, "lock", 0, &file), 0);
    read_back(file, 0, pid, (size_t)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid()));
    disk_close(file);
    disk_free(f->disk);
    assert_int_equal(disk_lock(other, "lock"), 0);
    f->disk = other;
    disk_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(plain_files_read_what_was_written),
        TEST(direct_works_where_it_does_and_is_plain_elsewhere),
        TEST(a_first_write_that_refuses_direct_goes_plain),
        TEST(a_plain_file_tells_einval),
        TEST(signals_and_short_writes_go_on),
        TEST(errors_are_told),
        TEST(reserve_grows_and_keeps),
        TEST(a_full_disk_is_told_by_reserve),
        TEST(the_directory_changes),
        TEST(a_lock_is_exclusive_until_its_disk_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
