/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of disk_memory.c by random histories with crashes, of one file and of the directory. */
#include "storage/disk_memory_fixture.h"

#include "storage/chance.h"

#include <errno.h>

/* --- A file. */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_histories_of_a_file_hold),
        cmocka_unit_test(random_histories_of_the_directory_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
