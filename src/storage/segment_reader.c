/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a segment as far as needed: a new node does not read 64 MiB of zeros. */
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <errno.h>
#include <string.h>

/* Octets per read. */
#define READ_BYTES (1024U * 1024U)

int log_read_around(const struct log *log, struct disk_file *file, uint8_t *data, size_t n,
                    uint64_t offset, size_t *got)
{
    int rc = disk_read(file, data, n, offset, got);
    size_t lost = 0;

    if (rc != -EIO || !log->settings.recovers)
        return rc;
    *got = 0;
    while (*got < n) {
        size_t part = 0;
        size_t room = MIN(n - *got, (size_t)FORMAT_BLOCK);
        rc = disk_read(file, data + *got, room, offset + *got, &part);
        if (rc != 0 && rc != -EIO)
            return rc;
        if (rc == -EIO) {
            memset(data + *got, 0, room);
            part = room;
            lost++;
        }
        *got += part;
        if (part < room)
            break;
    }
    return lost > 0 ? ERR_CORRUPT : 0;
}

int segment_reader_open(struct segment_reader *reader, struct log *log, uint64_t number)
{
    char name[DISK_NAME_MAX];
    uint64_t capacity;
    int rc;

    if (reader->number == number)
        return 0;
    disk_close(reader->file);
    reader->file = NULL;
    reader->number = 0;
    reader->loaded = 0;
    reader->checked = 0;
    segment_name(number, name);
    rc = disk_open(log->disk, name, DISK_DIRECT, &reader->file);
    if (rc == 0)
        rc = disk_size(reader->file, &reader->size);
    if (rc != 0)
        return rc;
    capacity = (reader->size / READ_BYTES + 1) * READ_BYTES;
    if (capacity > reader->capacity) {
        mem_free(reader->data);
        reader->data = mem_alloc_aligned(DISK_ALIGN, capacity);
        reader->capacity = capacity;
    }
    reader->number = number;
    reader->log = log;
    return 0;
}

/* What the disk does not give counts as damage: the batches in it are missed, or were the last. */
static void report_unreadable(const struct segment_reader *reader)
{
    struct log_error error;
    char name[DISK_NAME_MAX];

    segment_name(reader->number, name);
    (void)log_error_set(&error, ERR_CORRUPT, name, reader->loaded,
                        "some of the next %u octets cannot be read", READ_BYTES);
    log_report(reader->log, &error);
}

int segment_reader_load(struct segment_reader *reader, uint64_t end)
{
    while (reader->loaded < MIN(end, reader->size)) {
        size_t got = 0;
        int rc = log_read_around(reader->log, reader->file, reader->data + reader->loaded,
                                 READ_BYTES, reader->loaded, &got);
        if (rc == ERR_CORRUPT)
            report_unreadable(reader);
        else if (rc != 0)
            return rc;
        reader->loaded += got;
        if (got < READ_BYTES)
            reader->size = reader->loaded; /* cut behind our back, or not a multiple */
    }
    return 0;
}

void segment_reader_close(struct segment_reader *reader)
{
    disk_close(reader->file);
    mem_free(reader->data);
    *reader = (struct segment_reader){0};
}
