/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a segment as far as needed: a new node does not read 64 MiB of zeros. */
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

/* Octets per read. */
#define READ_BYTES (1024U * 1024U)

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
    return 0;
}

int segment_reader_load(struct segment_reader *reader, uint64_t end)
{
    while (reader->loaded < MIN(end, reader->size)) {
        size_t got = 0;
        int rc = disk_read(reader->file, reader->data + reader->loaded, READ_BYTES, reader->loaded,
                           &got);
        if (rc != 0)
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
