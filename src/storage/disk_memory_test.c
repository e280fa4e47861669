/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of disk_memory.c and what it stands on: what a crash may leave, and what faults do. */
#include "storage/disk_memory.h"

#include "storage/chance.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 400

static struct disk_file *open_file(struct disk *disk, const char *name, unsigned flags)
{
    struct disk_file *file;

    assert_int_equal(disk_open(disk, name, flags, &file), 0);
    return file;
}

static void write_all(struct disk_file *file, char octet, size_t n, uint64_t offset)
{
    char *data = mem_alloc(n);

    memset(data, octet, n);
    assert_int_equal(disk_write(file, data, n, offset), 0);
    mem_free(data);
}

/* The octet that fills [offset, offset + n), -1 when there are several, 0 where the file has ended. */
static int octet_of(struct disk_file *file, size_t n, uint64_t offset)
{
    unsigned char data[4096] = {0};
    size_t got;

    assert_true(n <= sizeof(data));
    assert_int_equal(disk_read(file, data, n, offset, &got), 0);
    for (size_t i = 1; i < got; i++)
        if (data[i] != data[0])
            return -1;
    return data[0];
}

static uint64_t size_of(struct disk_file *file)
{
    uint64_t bytes = 0;

    assert_int_equal(disk_size(file, &bytes), 0);
    return bytes;
}

/* A disk with one sure file "f" of `n` octets 'o'. */
static struct disk *disk_with_file(size_t n)
{
    struct disk *disk = disk_memory_new();
    struct disk_file *file = open_file(disk, "f", DISK_CREATE);

    if (n > 0)
        write_all(file, 'o', n, 0);
    assert_int_equal(disk_sync(file), 0);
    assert_int_equal(disk_sync_dir(disk), 0);
    disk_close(file);
    return disk;
}

static bool exists(struct disk *disk, const char *name)
{
    struct disk_file *file;
    int rc = disk_open(disk, name, 0, &file);

    disk_close(file);
    return rc == 0;
}

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

/* One file of sectors: which values each may have after a crash. Value 0: a hole. */
enum { MODEL_SECTORS = 24, MODEL_VALUES = 60 };

struct model {
    bool allowed[MODEL_SECTORS][MODEL_VALUES];
    unsigned now[MODEL_SECTORS];
    unsigned size; /* in sectors */
    unsigned min_size;
    unsigned max_size;
};

static void model_sync(struct model *m)
{
    memset(m->allowed, 0, sizeof(m->allowed));
    for (unsigned i = 0; i < MODEL_SECTORS; i++)
        m->allowed[i][m->now[i]] = true;
    m->min_size = m->max_size = m->size;
}

static void model_set(struct model *m, unsigned sector, unsigned value)
{
    m->now[sector] = value;
    m->allowed[sector][value] = true;
}

static void model_resize(struct model *m, unsigned size)
{
    for (unsigned i = size; i < m->size; i++)
        model_set(m, i, 0);
    m->size = size;
    m->min_size = MIN(m->min_size, size);
    m->max_size = MAX(m->max_size, size);
}

static void model_check(const struct model *m, struct disk_file *file, bool after_crash)
{
    const uint64_t sectors = size_of(file) / DISK_SECTOR;

    assert_int_equal(size_of(file) % DISK_SECTOR, 0);
    if (after_crash)
        assert_true(sectors >= m->min_size && sectors <= m->max_size);
    else
        assert_int_equal(sectors, m->size);
    for (unsigned i = 0; i < sectors; i++) {
        const int value = octet_of(file, DISK_SECTOR, (uint64_t)i * DISK_SECTOR);
        assert_true(value >= 0);
        if (after_crash)
            /* A hole shows where the size was kept and the sector was not. */
            assert_true(m->allowed[i][value] || (value == 0 && i >= m->min_size));
        else
            assert_int_equal(value, m->now[i]);
    }
}

static void model_step(struct model *m, struct disk_file *file, unsigned value, struct chance *c)
{
    const unsigned first = (unsigned)chance_below(c, MODEL_SECTORS);
    const unsigned last = first + (unsigned)chance_below(c, MODEL_SECTORS - first);

    switch (chance_below(c, 12)) {
    case 0:
    case 1:
        assert_int_equal(disk_sync(file), 0);
        model_sync(m);
        break;
    case 2:
        assert_int_equal(disk_truncate(file, (uint64_t)first * DISK_SECTOR), 0);
        model_resize(m, first);
        break;
    case 3:
        assert_int_equal(disk_reserve(file, (uint64_t)first * DISK_SECTOR), 0);
        model_resize(m, MAX(m->size, first));
        break;
    default:
        write_all(file, (char)value, (size_t)(last - first + 1) * DISK_SECTOR,
                  (uint64_t)first * DISK_SECTOR);
        model_resize(m, MAX(m->size, last + 1));
        for (unsigned i = first; i <= last; i++)
            model_set(m, i, value);
    }
}

/* Random histories of one file with a crash: nothing sure is lost, nothing is invented. */
static void random_histories_of_a_file_hold(void **state)
{
    for (uint64_t seed = 0; seed < 5 * SEEDS; seed++) {
        struct chance c = {seed};
        struct disk *disk = disk_with_file(0);
        struct model m = {.size = 0};
        model_sync(&m);
        for (unsigned boot = 0; boot < 2; boot++) {
            struct disk_file *file = open_file(disk, "f", 0);
            const unsigned steps = 1 + (unsigned)chance_below(&c, MODEL_VALUES - 1);
            for (unsigned i = 1; i < steps; i++) {
                model_step(&m, file, i, &c);
                model_check(&m, file, false);
            }
            disk_close(file);
            disk_memory_crash(disk, chance_next(&c));
            file = open_file(disk, "f", 0);
            model_check(&m, file, true);
            assert_int_equal(disk_truncate(file, 0), 0);
            assert_int_equal(disk_sync(file), 0);
            disk_close(file);
            memset(&m, 0, sizeof(m));
            model_sync(&m);
        }
        disk_free(disk);
    }
}

/* --- The directory. */

enum { NAMES = 5, IDS = 64 };

/* sure[n]: who has the name for sure; may[n][id]: it has had it since; touched: a change concerns it. */
struct directory {
    unsigned now[NAMES];
    unsigned sure[NAMES];
    bool may[NAMES][IDS];
    bool touched[NAMES];
    unsigned ids;
};

static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};

static void directory_give(struct directory *m, unsigned name, unsigned id)
{
    m->now[name] = id;
    m->may[name][id] = true;
    m->touched[name] = true;
}

static void directory_sync(struct directory *m)
{
    memset(m->may, 0, sizeof(m->may));
    memset(m->touched, 0, sizeof(m->touched));
    for (unsigned i = 0; i < NAMES; i++)
        m->may[i][m->sure[i] = m->now[i]] = true;
}

static void directory_step(struct directory *m, struct disk *disk, struct chance *c)
{
    const unsigned name = (unsigned)chance_below(c, NAMES);
    const unsigned to = (unsigned)chance_below(c, NAMES);
    struct disk_file *file;

    switch (chance_below(c, 8)) {
    case 0:
        assert_int_equal(disk_sync_dir(disk), 0);
        directory_sync(m);
        break;
    case 1:
    case 2:
        assert_int_equal(disk_rename(disk, names[name], names[to]), m->now[name] ? 0 : -ENOENT);
        if (!m->now[name] || name == to)
            break;
        directory_give(m, to, m->now[name]);
        directory_give(m, name, 0);
        break;
    case 3:
        assert_int_equal(disk_unlink(disk, names[name]), m->now[name] ? 0 : -ENOENT);
        directory_give(m, name, 0);
        break;
    default:
        if (m->now[name] || m->ids + 1 == IDS)
            break;
        file = open_file(disk, names[name], DISK_CREATE);
        directory_give(m, name, ++m->ids);
        write_all(file, (char)m->ids, 600, 0);
        assert_int_equal(disk_sync(file), 0);
        disk_close(file);
    }
}

/* Who has the name on the disk: the number its octets tell, 0 for nobody. */
static unsigned id_on_disk(struct disk *disk, const char *name)
{
    struct disk_file *file;
    unsigned id;

    if (disk_open(disk, name, 0, &file) != 0)
        return 0;
    assert_int_equal(size_of(file), 600);
    id = (unsigned)octet_of(file, 600, 0);
    disk_close(file);
    return id;
}

static void directory_check(struct directory *m, struct disk *disk, bool after_crash)
{
    bool seen[IDS] = {false};

    for (unsigned i = 0; i < NAMES; i++) {
        const unsigned id = id_on_disk(disk, names[i]);
        assert_true(id < IDS);
        assert_false(id && seen[id]);
        seen[id] = true;
        if (!after_crash)
            assert_int_equal(id, m->now[i]);
        else if (!m->touched[i])
            assert_int_equal(id, m->sure[i]);
        else
            assert_true(id == 0 || m->may[i][id]);
        m->now[i] = id;
    }
    if (after_crash)
        directory_sync(m);
}

static void random_histories_of_the_directory_hold(void **state)
{
    for (uint64_t seed = 0; seed < 5 * SEEDS; seed++) {
        struct chance c = {seed};
        struct disk *disk = disk_memory_new();
        struct directory m = {.ids = 0};
        directory_sync(&m);
        for (unsigned boot = 0; boot < 3; boot++) {
            const unsigned steps = (unsigned)chance_below(&c, 40);
            for (unsigned i = 0; i < steps; i++) {
                directory_step(&m, disk, &c);
                directory_check(&m, disk, false);
            }
            disk_memory_crash(disk, chance_next(&c));
            directory_check(&m, disk, true);
        }
        disk_free(disk);
    }
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

/* --- Faults. */

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
        cmocka_unit_test(random_histories_of_a_file_hold),
        cmocka_unit_test(random_histories_of_the_directory_hold),
        cmocka_unit_test(a_synced_file_replaces_another_whole),
        cmocka_unit_test(an_unlinked_file_is_used_until_closed),
        cmocka_unit_test(open_files_die_in_a_crash),
        cmocka_unit_test(the_right_call_fails),
        cmocka_unit_test(a_failed_write_writes_any_part),
        cmocka_unit_test(a_failed_sync_is_not_healed_by_the_next),
        cmocka_unit_test(a_cut_hits_the_middle_of_a_call),
        cmocka_unit_test(a_full_disk_has_no_room),
        cmocka_unit_test(damage_is_what_was_asked_for),
        cmocka_unit_test(clones_live_on_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
