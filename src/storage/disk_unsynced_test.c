/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of disk_unsynced.c: it begins empty, never syncs, and reserves what is zeroed ahead. */
#include "storage/disk_unsynced.h"

#include "storage/disk_faulty.h"
#include "storage/disk_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint8_t octets[8192] __attribute__((aligned(DISK_ALIGN)));

static struct disk_file *made(struct disk *disk, const char *name)
{
    struct disk_file *file;

    assert_int_equal(disk_open(disk, name, DISK_CREATE, &file), 0);
    return file;
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
}

static void it_begins_empty(void **state)
{
    struct disk *below = disk_memory_new();
    struct disk *disk;
    int names = 0;

    disk_close(made(below, "left"));
    disk_close(made(below, "over"));
    assert_int_equal(disk_unsynced_new(below, &disk), 0);
    assert_int_equal(disk_list(disk, count_name, &names), 0);
    assert_int_equal(names, 0);
    disk_free(disk);
}

/* Syncs that would fail are not made; zeros behind the end are reserved, those within it written. */
static void syncs_and_zeros_cost_nothing(void **state)
{
    struct disk *faulty;
    struct disk *disk;
    struct disk_file *file;
    size_t got;

    assert_int_equal(disk_faulty_new(disk_memory_new(), "sync:EIO:1-,sync_dir:EIO:1-,write:EIO:3-",
                                     NULL, &faulty),
                     0);
    assert_int_equal(disk_unsynced_new(faulty, &disk), 0);
    file = made(disk, "a");
    memset(octets, 0, sizeof octets);
    assert_int_equal(disk_write(file, octets, sizeof octets, 0), 0); /* reserved */
    memset(octets, 7, sizeof octets);
    assert_int_equal(disk_write(file, octets, 4096, 0), 0); /* the first write */
    memset(octets, 0, sizeof octets);
    assert_int_equal(disk_write(file, octets, 100, 200), 0);   /* the second: within the file */
    assert_int_equal(disk_write(file, octets, 4096, 8192), 0); /* reserved */
    assert_int_equal(disk_sync(file), 0);
    assert_int_equal(disk_sync_dir(disk), 0);
    assert_int_equal(disk_read(file, octets, 8192, 0, &got), 0);
    assert_int_equal(got, 8192);
    assert_int_equal(octets[199], 7);
    assert_int_equal(octets[200], 0);
    assert_int_equal(octets[300], 7);
    assert_int_equal(octets[4096], 0);
    assert_int_equal(disk_write(file, "x", 1, 0), -EIO); /* the third */
    disk_close(file);
    disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_empty),
        cmocka_unit_test(syncs_and_zeros_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
