/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of disk_memory.c and what it stands on: what a crash may leave, and clones. */
#include "storage/disk_memory_fixture.h"

#include "base/err.h"

#include <errno.h>

static void reading_sees_what_was_written(void **state)
{
    struct disk *disk = disk_memory_new();
    struct disk_file *file = open_file(disk, "f", DISK_CREATE);
    char data[8];
    size_t got;

    assert_int_equal(disk_open(disk, "none", 0, &(struct disk_file *){NULL}), -ENOENT);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(disk_write(file, "hello", 5, 510), 0);
        assert_int_equal(disk_write(file, "L", 1, 512), 0);
        assert_int_equal(disk_read(file, data, 8, 508, &got), 0);
        assert_int_equal(got, 7);
        assert_memory_equal(data, "\0\0heLlo", 7);
        assert_int_equal(disk_truncate(file, 511), 0);
        assert_int_equal(disk_truncate(file, 514), 0);
        assert_int_equal(disk_read(file, data, 8, 508, &got), 0);
        assert_int_equal(got, 6);
        assert_memory_equal(data, "\0\0h\0\0\0", 6);
        assert_int_equal(disk_sync(file), 0);
        assert_int_equal(disk_truncate(file, 0), 0);
    }
    assert_int_equal(disk_reserve(file, 100000), 0);
    assert_int_equal(size_of(file), 100000);
    assert_int_equal(octet_of(file, 4096, 90000), 0);
    disk_close(file);
    disk_free(disk);
}

static void what_was_synced_is_there(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk *disk = disk_with_file(5000);
        struct disk_file *file = open_file(disk, "f", 0);
        write_all(file, 'n', 700, 1000);
        assert_int_equal(disk_sync(file), 0);
        write_all(file, 'x', 512, 4096);
        disk_close(file);
        disk_memory_crash(disk, seed);
        file = open_file(disk, "f", 0);
        assert_int_equal(size_of(file), 5000);
        assert_int_equal(octet_of(file, 1000, 0), 'o');
        assert_int_equal(octet_of(file, 700, 1000), 'n');
        assert_int_equal(octet_of(file, 4096 - 1700, 1700), 'o');
        disk_close(file);
        disk_free(disk);
    }
}

/* Each sector is old, of the first or of the second write, never mixed, and each mixture comes up. */
static void unsynced_sectors_are_there_or_not(void **state)
{
    int seen[3][3] = {{0}};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk *disk = disk_with_file(1024);
        struct disk_file *file = open_file(disk, "f", 0);
        int kinds[2];
        write_all(file, '1', 1024, 0);
        write_all(file, '2', 1024, 0);
        disk_close(file);
        disk_memory_crash(disk, seed);
        file = open_file(disk, "f", 0);
        assert_int_equal(size_of(file), 1024);
        for (unsigned i = 0; i < 2; i++) {
            const int octet = octet_of(file, 512, (uint64_t)512 * i);
            assert_true(octet == 'o' || octet == '1' || octet == '2');
            kinds[i] = octet == 'o' ? 0 : octet - '0';
        }
        seen[kinds[0]][kinds[1]]++;
        /* What the crash left is sure. */
        disk_close(file);
        disk_memory_crash(disk, seed + 1);
        file = open_file(disk, "f", 0);
        assert_int_equal(octet_of(file, 512, 0), kinds[0] ? '0' + kinds[0] : 'o');
        disk_close(file);
        disk_free(disk);
    }
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            assert_true(seen[a][b] > 0);
}

/* A truncation that happened by half would show zeros, which nobody wrote. */
static void a_truncation_is_there_or_not(void **state)
{
    int kept = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk *disk = disk_with_file(2048);
        struct disk_file *file = open_file(disk, "f", 0);
        assert_int_equal(disk_truncate(file, 512), 0);
        disk_close(file);
        disk_memory_crash(disk, seed);
        file = open_file(disk, "f", 0);
        assert_true(size_of(file) == 512 || size_of(file) == 2048);
        assert_int_equal(octet_of(file, (size_t)size_of(file), 0), 'o');
        kept += size_of(file) == 2048;
        disk_close(file);
        disk_free(disk);
    }
    assert_true(kept > 0 && kept < SEEDS);
}

/* The usual way to replace a file: the old one or the new one is there, whole. */
static void a_synced_file_replaces_another_whole(void **state)
{
    int seen[256] = {0};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk *disk = disk_with_file(3000);
        struct disk_file *file = open_file(disk, "new", DISK_CREATE);
        write_all(file, 'n', 3000, 0);
        assert_int_equal(disk_sync(file), 0);
        disk_close(file);
        assert_int_equal(disk_rename(disk, "new", "f"), 0);
        assert_false(exists(disk, "new"));
        if (seed % 2)
            assert_int_equal(disk_sync_dir(disk), 0);
        disk_memory_crash(disk, seed);
        file = open_file(disk, "f", 0);
        assert_int_equal(size_of(file), 3000);
        const int octet = octet_of(file, 3000, 0);
        assert_true(octet == 'n' || (octet == 'o' && seed % 2 == 0));
        seen[octet] += seed % 2 == 0;
        seen['?'] += exists(disk, "new");
        disk_close(file);
        disk_free(disk);
    }
    assert_true(seen['n'] && seen['o'] && seen['?']);
}

static void an_unlinked_file_is_used_until_closed(void **state)
{
    struct disk *disk = disk_with_file(1000);
    struct disk_file *file = open_file(disk, "f", 0);

    assert_int_equal(disk_unlink(disk, "f"), 0);
    for (int round = 0; round < 2; round++) {
        write_all(file, 'n', 100, 0);
        assert_int_equal(disk_sync(file), 0);
        assert_int_equal(octet_of(file, 100, 0), 'n');
        assert_int_equal(octet_of(file, 900, 100), 'o');
        assert_int_equal(disk_sync_dir(disk), 0);
    }
    disk_close(file);
    assert_false(exists(disk, "f"));
    disk_free(disk);
}

static void open_files_die_in_a_crash(void **state)
{
    struct disk *disk = disk_with_file(10);
    struct disk_file *file = open_file(disk, "f", 0);
    uint64_t bytes;
    size_t got;
    char c = 'c';

    assert_int_equal(disk_lock(disk, "lock"), 0);
    assert_int_equal(disk_lock(disk, "lock"), ERR_IN_USE);
    disk_memory_crash(disk, 1);
    assert_int_equal(disk_write(file, &c, 1, 0), -EIO);
    assert_int_equal(disk_read(file, &c, 1, 0, &got), -EIO);
    assert_int_equal(disk_sync(file), -EIO);
    assert_int_equal(disk_size(file, &bytes), -EIO);
    disk_close(file);
    assert_int_equal(disk_lock(disk, "lock"), 0);
    file = open_file(disk, "f", 0);
    write_all(file, 'n', 10, 0);
    disk_memory_restart(disk);
    assert_int_equal(disk_lock(disk, "lock"), 0);
    assert_int_equal(disk_sync(file), -EIO);
    disk_close(file);
    file = open_file(disk, "f", 0);
    assert_int_equal(octet_of(file, 10, 0), 'n');
    disk_close(file);
    disk_free(disk);
}

/* A clone goes through the same crash as the original would, and neither sees the other's writes. */
static void clones_live_on_their_own(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk *disk = disk_with_file(2048);
        struct disk_file *file = open_file(disk, "f", 0);
        struct disk_file *other = open_file(disk, "g", DISK_CREATE);
        struct disk *clone;
        write_all(other, 'g', 512, 0);
        assert_int_equal(disk_sync(other), 0);
        write_all(file, 'n', 2048, 0);
        clone = disk_memory_clone(disk);
        write_all(file, 'x', 2048, 0);
        assert_int_equal(disk_sync(file), 0);
        disk_close(file);
        disk_close(other);
        disk_memory_crash(clone, seed);
        file = open_file(clone, "f", 0);
        for (unsigned i = 0; i < 4; i++) {
            const int octet = octet_of(file, 512, (uint64_t)512 * i);
            assert_true(octet == 'o' || octet == 'n');
        }
        disk_close(file);
        if (exists(clone, "g")) {
            file = open_file(clone, "g", 0);
            assert_int_equal(octet_of(file, 512, 0), 'g');
            disk_close(file);
        }
        file = open_file(disk, "f", 0);
        assert_int_equal(octet_of(file, 2048, 0), 'x');
        disk_close(file);
        disk_free(disk);
        disk_free(clone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_sees_what_was_written),
        cmocka_unit_test(what_was_synced_is_there),
        cmocka_unit_test(unsynced_sectors_are_there_or_not),
        cmocka_unit_test(a_truncation_is_there_or_not),
        cmocka_unit_test(a_synced_file_replaces_another_whole),
        cmocka_unit_test(an_unlinked_file_is_used_until_closed),
        cmocka_unit_test(open_files_die_in_a_crash),
        cmocka_unit_test(clones_live_on_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
