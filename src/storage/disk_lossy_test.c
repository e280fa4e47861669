/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of disk_lossy.c over a real directory: what below sees when, the cut, its process, its threads. */
#include "storage/disk_lossy.h"

#include "storage/disk_memory.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char path[64];
    struct disk *real; /* a second look at the directory */
    struct disk *disk; /* lossy */
};

static struct disk *lossy_over(const char *path, uint64_t seed)
{
    struct disk *below;
    struct disk *disk;

    assert_int_equal(disk_open_directory(path, &below), 0);
    assert_int_equal(disk_lossy_new(below, seed, &disk), 0);
    return disk;
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc_zero(sizeof(*f));

    snprintf(f->path, sizeof(f->path), "disk_lossy_test.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    assert_int_equal(disk_open_directory(f->path, &f->real), 0);
    f->disk = lossy_over(f->path, 1);
    *state = f;
    return 0;
}

static void remove_name(void *context, const char *name)
{
    assert_int_equal(disk_unlink(context, name), 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    disk_free(f->disk);
    assert_int_equal(disk_list(f->real, remove_name, f->real), 0);
    disk_free(f->real);
    assert_int_equal(rmdir(f->path), 0);
    mem_free(f);
    return 0;
}

/* The power has gone and come back. */
static void reboot(struct fixture *f, uint64_t seed)
{
    disk_lossy_cut(f->disk);
    disk_free(f->disk);
    f->disk = lossy_over(f->path, seed);
}

static struct disk_file *open_file(struct disk *disk, const char *name, unsigned flags)
{
    struct disk_file *file;

    assert_int_equal(disk_open(disk, name, flags, &file), 0);
    return file;
}

/* The content of the file as text, "-" when there is no such file. */
static const char *text_of(struct disk *disk, const char *name)
{
    static char text[64];
    struct disk_file *file;
    size_t got = 0;

    if (disk_open(disk, name, 0, &file) == -ENOENT)
        return "-";
    assert_int_equal(disk_read(file, text, sizeof(text) - 1, 0, &got), 0);
    text[got] = '\0';
    disk_close(file);
    return text;
}

static void write_text(struct disk_file *file, const char *text, uint64_t offset)
{
    assert_int_equal(disk_write(file, text, strlen(text), offset), 0);
}

static void below_sees_what_is_sure(void **state)
{
    struct fixture *f = *state;
    struct disk_file *file = open_file(f->disk, "a", DISK_CREATE);

    write_text(file, "one", 0);
    assert_int_equal(disk_sync(file), 0);
    assert_string_equal(text_of(f->disk, "a"), "one");
    assert_string_equal(text_of(f->real, "a"), "-");
    assert_int_equal(disk_sync_dir(f->disk), 0);
    assert_string_equal(text_of(f->real, "a"), "one");
    write_text(file, "two", 1);
    assert_string_equal(text_of(f->disk, "a"), "otwo");
    assert_string_equal(text_of(f->real, "a"), "one");
    assert_int_equal(disk_rename(f->disk, "a", "b"), 0);
    assert_int_equal(disk_sync(file), 0);
    assert_string_equal(text_of(f->disk, "a"), "-");
    assert_string_equal(text_of(f->real, "a"), "otwo");
    disk_close(file);
    assert_int_equal(disk_sync_dir(f->disk), 0);
    assert_string_equal(text_of(f->real, "a"), "-");
    assert_string_equal(text_of(f->real, "b"), "otwo");
    assert_int_equal(disk_unlink(f->disk, "b"), 0);
    assert_string_equal(text_of(f->real, "b"), "otwo");
    assert_int_equal(disk_sync_dir(f->disk), 0);
    assert_string_equal(text_of(f->real, "b"), "-");
}

/* kill -9 is the harshest cut: nothing unsure is left. */
static void a_process_that_just_ends_loses_the_unsure(void **state)
{
    struct fixture *f = *state;
    struct disk_file *file = open_file(f->disk, "a", DISK_CREATE);

    write_text(file, "sure", 0);
    assert_int_equal(disk_sync(file), 0);
    assert_int_equal(disk_sync_dir(f->disk), 0);
    write_text(file, "else", 0);
    disk_close(file);
    disk_close(open_file(f->disk, "b", DISK_CREATE));
    disk_free(f->disk);
    f->disk = lossy_over(f->path, 1);
    assert_string_equal(text_of(f->disk, "a"), "sure");
    assert_string_equal(text_of(f->disk, "b"), "-");
}

static void a_cut_keeps_the_sure_and_any_part_of_the_rest(void **state)
{
    struct fixture *f = *state;
    int seen[5] = {0};

    for (uint64_t seed = 0; seed < 60; seed++) {
        struct disk_file *file = open_file(f->disk, "a", DISK_CREATE);
        assert_int_equal(disk_truncate(file, 0), 0);
        write_text(file, "old", 0);
        assert_int_equal(disk_sync(file), 0);
        assert_int_equal(disk_sync_dir(f->disk), 0);
        write_text(file, "new", 0);
        assert_int_equal(disk_rename(f->disk, "a", "b"), 0);
        disk_close(file);
        reboot(f, seed);
        const char *name = strcmp(text_of(f->disk, "a"), "-") ? "a" : "b";
        const bool is_new = strcmp(text_of(f->disk, name), "new") == 0;
        if (!is_new)
            assert_string_equal(text_of(f->disk, name), "old");
        seen[(*name == 'b') * 2 + is_new]++;
        assert_int_equal(disk_unlink(f->disk, name), 0);
        assert_int_equal(disk_sync_dir(f->disk), 0);
        seen[4] += strcmp(text_of(f->real, "b"), "-") != 0;
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3] && !seen[4]);
}

static void after_a_cut_all_is_dead(void **state)
{
    struct fixture *f = *state;
    struct disk_file *file = open_file(f->disk, "a", DISK_CREATE);
    char c;
    size_t got;

    disk_lossy_cut(f->disk);
    disk_lossy_cut(f->disk);
    assert_int_equal(disk_write(file, "x", 1, 0), -EIO);
    assert_int_equal(disk_read(file, &c, 1, 0, &got), -EIO);
    assert_int_equal(disk_sync(file), -EIO);
    assert_int_equal(disk_sync_dir(f->disk), -EIO);
    assert_int_equal(disk_open(f->disk, "b", DISK_CREATE, &(struct disk_file *){NULL}), -EIO);
    disk_close(file);
}

/* The planned cut ends the process in the middle of its n-th change. */
static void a_planned_cut_ends_the_process(void **state)
{
    struct fixture *f = *state;
    struct disk_file *file;
    int status = 0;
    pid_t child;

    disk_close(open_file(f->disk, "log", DISK_CREATE));
    assert_int_equal(disk_sync_dir(f->disk), 0);
    disk_free(f->disk);
    for (uint64_t n = 1; n <= 6; n++) {
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            f->disk = lossy_over(f->path, n);
            disk_lossy_cut_after(f->disk, n);
            file = open_file(f->disk, "log", 0);
            for (uint64_t i = 0; i < 100; i++) {
                write_text(file, "record", 6 * i);
                assert_int_equal(disk_sync(file), 0);
            }
            _exit(1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), DISK_LOSSY_EXIT);
        /* Changes 2, 4 and so on are syncs, and those before the n-th have returned. */
        assert_true(strlen(text_of(f->real, "log")) >= (n - 1) / 2 * 6);
        assert_memory_equal(text_of(f->real, "log"), "recordrecordrecord", (n - 1) / 2 * 6);
    }
    f->disk = lossy_over(f->path, 1);
}

static void new_large_files_arrive_whole(void **state)
{
    enum { LARGE = 3 * 1024 * 1024 };
    struct fixture *f = *state;
    struct disk_file *file = open_file(f->disk, "s", DISK_CREATE | DISK_DIRECT);
    char *data = mem_alloc_aligned(DISK_ALIGN, LARGE);
    char *back = mem_alloc_aligned(DISK_ALIGN, LARGE);
    struct disk_lossy_counts counts;
    uint64_t size = 0;
    size_t got;

    for (size_t i = 0; i < LARGE; i++)
        data[i] = (char)(i * 7 + i / 4096);
    assert_int_equal(disk_reserve(file, 4 * LARGE), 0);
    assert_int_equal(disk_write(file, data, LARGE, LARGE), 0);
    disk_lossy_count(f->disk, &counts);
    assert_int_equal(counts.unsure_sectors, LARGE / DISK_SECTOR);
    assert_int_equal(counts.unsure_changes, 1);
    assert_int_equal(counts.write_bytes, LARGE);
    assert_int_equal(disk_sync(file), 0);
    assert_int_equal(disk_sync_dir(f->disk), 0);
    assert_int_equal(disk_write(file, data, LARGE, 2 * LARGE), 0);
    assert_int_equal(disk_sync(file), 0);
    disk_close(file);
    file = open_file(f->real, "s", 0);
    assert_int_equal(disk_size(file, &size), 0);
    assert_int_equal(size, 4 * LARGE);
    for (uint64_t part = 1; part <= 2; part++) {
        assert_int_equal(disk_read(file, back, LARGE, part * LARGE, &got), 0);
        assert_int_equal(got, LARGE);
        assert_memory_equal(back, data, LARGE);
    }
    disk_close(file);
    mem_free(data);
    mem_free(back);
}

static void the_lock_is_the_one_below(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(disk_lock(f->disk, "lock"), 0);
    assert_int_equal(disk_lock(f->real, "lock"), ERR_IN_USE);
    assert_true(strlen(text_of(f->real, "lock")) > 0);
}

/* An error from below is told, and what was to be synced is not promised by a later sync. */
static void errors_of_the_disk_below_are_told(void **state)
{
    struct disk *below = disk_memory_new();
    struct disk_file *file;
    struct disk *disk;

    assert_int_equal(disk_lossy_new(below, 1, &disk), 0);
    file = open_file(disk, "a", DISK_CREATE);
    disk_memory_fail(below, DISK_CALL_SYNC_DIR, 0, -EROFS, DISK_FAULT_ONCE);
    assert_int_equal(disk_sync_dir(disk), -EROFS);
    assert_int_equal(disk_sync_dir(disk), 0);
    write_text(file, "text", 0);
    disk_memory_fail(below, DISK_CALL_WRITE, 0, -ENOSPC, DISK_FAULT_ONCE);
    assert_int_equal(disk_sync(file), -ENOSPC);
    assert_string_equal(text_of(disk, "a"), "text");
    disk_close(file);
    disk_free(disk);
    below = disk_memory_new();
    disk_memory_fail(below, DISK_CALL_LIST, 0, -EACCES, DISK_FAULT_ONCE);
    assert_int_equal(disk_lossy_new(below, 1, &disk), -EACCES);
    assert_null(disk);
}

static void *write_own_file(void *argument)
{
    struct disk *disk = argument;
    char name[DISK_NAME_MAX];
    char text[8] = "";
    struct disk_file *file;
    size_t got = 0;

    snprintf(name, sizeof(name), "thread%lu", (unsigned long)pthread_self());
    if (disk_open(disk, name, DISK_CREATE, &file) != 0)
        return NULL;
    for (unsigned i = 0; i < 300; i++)
        if (disk_write(file, "abcdefg", 7, 7 * (uint64_t)i) != 0 || disk_sync(file) != 0 ||
            (i % 50 == 0 && disk_sync_dir(disk) != 0))
            break;
    if (disk_read(file, text, 7, 0, &got) != 0)
        got = 0;
    disk_close(file);
    return got == 7 && strcmp(text, "abcdefg") == 0 ? disk : NULL;
}

static void threads_use_their_files(void **state)
{
    struct fixture *f = *state;

    for (int round = 0; round < 2; round++) {
        pthread_t threads[4];
        void *result;
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, write_own_file, f->disk), 0);
        if (round == 1)
            disk_lossy_cut(f->disk);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
            assert_int_equal(pthread_join(threads[i], &result), 0);
            if (round == 0)
                assert_ptr_equal(result, f->disk);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(below_sees_what_is_sure),
        TEST(a_process_that_just_ends_loses_the_unsure),
        TEST(a_cut_keeps_the_sure_and_any_part_of_the_rest),
        TEST(after_a_cut_all_is_dead),
        TEST(a_planned_cut_ends_the_process),
        TEST(new_large_files_arrive_whole),
        TEST(the_lock_is_the_one_below),
        cmocka_unit_test(errors_of_the_disk_below_are_told),
        TEST(threads_use_their_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
