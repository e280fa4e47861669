/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of disk_memory.c: calls that fail, cuts within a call, a full disk, damage. */
#include "storage/disk_memory_fixture.h"

#include <errno.h>

static void the_right_call_fails(void **state)
{
    struct disk *disk = disk_with_file(0);
    struct disk_file *file = open_file(disk, "f", 0);

    disk_memory_fail(disk, DISK_CALL_RESERVE | DISK_CALL_SYNC, 1, -EDQUOT, DISK_FAULT_ONCE);
    write_all(file, 'x', 10, 0);
    assert_int_equal(disk_sync(file), 0);
    assert_int_equal(disk_reserve(file, 100), -EDQUOT);
    assert_int_equal(size_of(file), 10);
    assert_int_equal(disk_reserve(file, 100), 0);
    disk_memory_fail(disk, DISK_CALL_RENAME | DISK_CALL_UNLINK | DISK_CALL_OPEN, 0, -EACCES,
                     DISK_FAULT_FOR_EVER);
    assert_int_equal(disk_rename(disk, "f", "g"), -EACCES);
    assert_int_equal(disk_unlink(disk, "f"), -EACCES);
    assert_int_equal(disk_open(disk, "f", 0, &(struct disk_file *){NULL}), -EACCES);
    disk_memory_fail(disk, 0, 0, 0, DISK_FAULT_ONCE);
    assert_true(exists(disk, "f"));
    assert_int_equal(disk_memory_calls(disk, DISK_CALL_RESERVE), 2);
    disk_close(file);
    disk_free(disk);
}

static void a_failed_write_writes_any_part(void **state)
{
    bool seen[2][2] = {{false}};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk *disk = disk_with_file(1024);
        char data[1024];
        memset(data, 'n', sizeof(data));
        disk_memory_crash(disk, seed);
        struct disk_file *file = open_file(disk, "f", 0);
        disk_memory_fail(disk, DISK_CALL_WRITE, 0, -EIO, DISK_FAULT_ONCE);
        assert_int_equal(disk_write(file, data, sizeof(data), 0), -EIO);
        seen[octet_of(file, 512, 0) == 'n'][octet_of(file, 512, 512) == 'n'] = true;
        disk_close(file);
        disk_free(disk);
    }
    assert_true(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1]);
}

static void a_failed_sync_is_not_healed_by_the_next(void **state)
{
    int lost = 0;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk *disk = disk_with_file(2048);
        struct disk_file *file = open_file(disk, "f", 0);
        write_all(file, '1', 1024, 0);
        disk_memory_fail(disk, DISK_CALL_SYNC, 0, -EIO, DISK_FAULT_ONCE);
        assert_int_equal(disk_sync(file), -EIO);
        assert_int_equal(octet_of(file, 1024, 0), '1');
        write_all(file, '2', 512, 512);
        write_all(file, '2', 512, 1024);
        assert_int_equal(disk_reserve(file, 3000), 0);
        assert_int_equal(disk_sync(file), 0);
        assert_int_equal(octet_of(file, 512, 0), '1');
        disk_close(file);
        disk_memory_crash(disk, seed);
        file = open_file(disk, "f", 0);
        lost += octet_of(file, 512, 0) == 'o';
        assert_int_equal(size_of(file), 3000);
        assert_int_equal(octet_of(file, 1024, 512), '2');
        assert_int_equal(octet_of(file, 512, 1536), 'o');
        disk_close(file);
        disk_free(disk);
    }
    assert_true(lost > 0 && lost < SEEDS);
}

/* Whichever call is cut: afterwards all is dead, what was synced before is there. */
static void a_cut_hits_the_middle_of_a_call(void **state)
{
    int synced_in_the_cut = 0;

    for (uint64_t n = 1; n <= 6; n++) {
        for (uint64_t seed = 0; seed < 50; seed++) {
            struct disk *disk = disk_with_file(512);
            char data[512];
            struct disk_file *file;
            int rc;
            memset(data, 'n', sizeof(data));
            disk_memory_cut_after(disk, n);
            file = open_file(disk, "f", 0);
            rc = disk_write(file, data, 512, 0);
            rc = rc ? rc : disk_sync(file);
            rc = rc ? rc : disk_truncate(file, 1024);
            rc = rc ? rc : disk_rename(disk, "f", "g");
            rc = rc ? rc : disk_sync_dir(disk);
            rc = rc ? rc : disk_unlink(disk, "g");
            assert_int_equal(rc, -EIO);
            assert_true(disk_memory_is_cut(disk));
            assert_int_equal(disk_open(disk, "f", 0, &(struct disk_file *){NULL}), -EIO);
            assert_int_equal(disk_lock(disk, "lock"), -EIO);
            disk_close(file);
            disk_memory_crash(disk, seed);
            assert_false(disk_memory_is_cut(disk));
            if (n < 6)
                assert_true(exists(disk, "f") != exists(disk, "g"));
            if (n < 4) {
                file = open_file(disk, "f", 0);
                rc = octet_of(file, 512, 0);
                assert_true(n == 3 ? rc == 'n' : rc == 'n' || rc == 'o');
                synced_in_the_cut += n == 2 && rc == 'n';
                disk_close(file);
            }
            disk_free(disk);
        }
    }
    assert_true(synced_in_the_cut > 0);
}

static void a_full_disk_has_no_room(void **state)
{
    struct disk *disk = disk_with_file(1000);
    struct disk_file *file = open_file(disk, "f", 0);
    char data[1000] = {0};

    disk_memory_set_limit(disk, 1500);
    assert_int_equal(disk_write(file, data, 1000, 0), 0);
    assert_int_equal(disk_write(file, data, 1000, 500), 0);
    assert_int_equal(disk_write(file, data, 1000, 501), -ENOSPC);
    assert_int_equal(disk_reserve(file, 1501), -ENOSPC);
    assert_int_equal(disk_truncate(file, 1501), -ENOSPC);
    assert_int_equal(size_of(file), 1500);
    disk_memory_set_limit(disk, UINT64_MAX);
    assert_int_equal(disk_reserve(file, 1501), 0);
    disk_close(file);
    disk_free(disk);
}

static void damage_is_what_was_asked_for(void **state)
{
    struct disk *disk = disk_with_file(20000);
    struct disk_file *file;

    assert_int_equal(disk_memory_corrupt(disk, "none", 0, 1), -ENOENT);
    assert_int_equal(disk_memory_corrupt(disk, "f", 20000, 1), -EINVAL);
    assert_int_equal(disk_memory_corrupt(disk, "f", 17000, 'o' ^ 'x'), 0);
    assert_int_equal(disk_memory_truncate(disk, "f", 17002), 0);
    disk_memory_crash(disk, 1);
    file = open_file(disk, "f", 0);
    assert_int_equal(size_of(file), 17002);
    assert_int_equal(octet_of(file, 1, 17000), 'x');
    assert_int_equal(octet_of(file, 4000, 13000), 'o');
    assert_int_equal(octet_of(file, 1, 17001), 'o');
    disk_close(file);
    disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_call_fails),
        cmocka_unit_test(a_failed_write_writes_any_part),
        cmocka_unit_test(a_failed_sync_is_not_healed_by_the_next),
        cmocka_unit_test(a_cut_hits_the_middle_of_a_call),
        cmocka_unit_test(a_full_disk_has_no_room),
        cmocka_unit_test(damage_is_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
