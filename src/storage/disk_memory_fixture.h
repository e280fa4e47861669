/* SPDX-License-Identifier: Apache-2.0 */
/* For tests only: files of one octet repeated on a disk in memory, and what is left of them. */
#ifndef TOKKI_STORAGE_DISK_MEMORY_FIXTURE_H
#define TOKKI_STORAGE_DISK_MEMORY_FIXTURE_H

#include "storage/disk_memory.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Crashes tried per test. */
#define SEEDS 400

static inline struct disk_file *open_file(struct disk *disk, const char *name, unsigned flags)
{
    struct disk_file *file;

    assert_int_equal(disk_open(disk, name, flags, &file), 0);
    return file;
}

static inline void write_all(struct disk_file *file, char octet, size_t n, uint64_t offset)
{
    char *data = mem_alloc(n);

    memset(data, octet, n);
    assert_int_equal(disk_write(file, data, n, offset), 0);
    mem_free(data);
}

/* The octet that fills [offset, offset + n), -1 when there are several, 0 where the file has ended. */
static inline int octet_of(struct disk_file *file, size_t n, uint64_t offset)
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

static inline uint64_t size_of(struct disk_file *file)
{
    uint64_t bytes = 0;

    assert_int_equal(disk_size(file, &bytes), 0);
    return bytes;
}

/* A disk with one sure file "f" of `n` octets 'o'. */
static inline struct disk *disk_with_file(size_t n)
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

static inline bool exists(struct disk *disk, const char *name)
{
    struct disk_file *file;
    int rc = disk_open(disk, name, 0, &file);

    disk_close(file);
    return rc == 0;
}

#endif
