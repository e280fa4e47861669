/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of disk_faulty.c: rules as text, which calls fail, what a failed write and sync leave. */
#include "storage/disk_faulty.h"

#include "storage/disk_memory.h"

#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static unsigned forgotten;

static void forget(struct disk_file *file)
{
    assert_non_null(file);
    forgotten++;
}

static struct disk *disk_with(const char *rules)
{
    struct disk *disk;

    forgotten = 0;
    assert_int_equal(disk_faulty_new(disk_memory_new(), rules, forget, &disk), 0);
    return disk;
}

static struct disk_file *file_of(struct disk *disk, const char *name)
{
    struct disk_file *file;

    assert_int_equal(disk_open(disk, name, DISK_CREATE, &file), 0);
    return file;
}

static void wrong_rules_are_refused(void **state)
{
    static const char *const wrong[] = {"",           "sync",       "sync:EIO",    "sync:EIO:0",
                                        "sink:EIO:1", "sync:EUH:1", "sync:EIO:1,", "sync:EIO:1x"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct disk *disk;
        assert_int_equal(disk_faulty_new(disk_memory_new(), wrong[i], NULL, &disk), ERR_USAGE);
        assert_null(disk);
    }
}

static void only_the_named_calls_fail(void **state)
{
    struct disk *disk = disk_with("sync:EIO:2:a,sync_dir:ENOSPC:2-3,rename:EROFS:1-");
    struct disk_file *a = file_of(disk, "a");
    struct disk_file *b = file_of(disk, "b");

    assert_int_equal(disk_sync(b), 0);
    assert_int_equal(disk_sync(a), 0);
    assert_int_equal(disk_sync(b), 0);
    assert_int_equal(forgotten, 0);
    assert_int_equal(disk_sync(a), -EIO);
    assert_int_equal(forgotten, 1);
    assert_int_equal(disk_sync(a), 0);
    assert_int_equal(disk_sync_dir(disk), 0);
    assert_int_equal(disk_sync_dir(disk), -ENOSPC);
    assert_int_equal(disk_sync_dir(disk), -ENOSPC);
    assert_int_equal(disk_sync_dir(disk), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(disk_rename(disk, "a", "c"), -EROFS);
    disk_close(a);
    disk_close(b);
    disk_free(disk);
}

static void a_failed_write_leaves_its_first_half(void **state)
{
    static char data[2 * DISK_ALIGN];
    struct disk *disk = disk_with("write:EIO:1");
    struct disk_file *file = file_of(disk, "f");
    uint64_t size;

    memset(data, 'x', sizeof data);
    assert_int_equal(disk_write(file, data, sizeof data, 0), -EIO);
    assert_int_equal(disk_size(file, &size), 0);
    assert_int_equal(size, DISK_ALIGN);
    assert_int_equal(disk_write(file, data, sizeof data, 0), 0);
    assert_int_equal(disk_size(file, &size), 0);
    assert_int_equal(size, sizeof data);
    disk_close(file);
    disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_rules_are_refused),
        cmocka_unit_test(only_the_named_calls_fail),
        cmocka_unit_test(a_failed_write_leaves_its_first_half),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
