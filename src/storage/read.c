/* SPDX-License-Identifier: Apache-2.0 */
/* Reading single records by their identity, after a replay. */
#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <stdlib.h>

struct indexed_part {
    struct part_place place;
    struct segment *segment;
};

/* All known parts by number. Owner: the log. */
struct part_index {
    size_t count;
    struct indexed_part parts[];
};

static int compare_parts(const void *left, const void *right)
{
    const struct indexed_part *a = left;
    const struct indexed_part *b = right;
    return (a->place.number > b->place.number) - (a->place.number < b->place.number);
}

static void build_index(struct log *log)
{
    size_t count = 0;

    for (struct segment *segment = log->segments; segment; segment = segment->next)
        count += segment->part_count;
    log->index = mem_alloc(sizeof *log->index + count * sizeof log->index->parts[0]);
    log->index->count = 0;
    for (struct segment *segment = log->segments; segment; segment = segment->next)
        for (size_t i = 0; i < segment->part_count; i++)
            log->index->parts[log->index->count++] =
                (struct indexed_part){segment->parts[i], segment};
    if (count > 0)
        qsort(log->index->parts, count, sizeof log->index->parts[0], compare_parts);
}

static const struct indexed_part *find_part(struct log *log, uint64_t number)
{
    struct indexed_part key = {.place.number = number};

    if (!log->index)
        build_index(log);
    if (log->index->count == 0)
        return NULL;
    return bsearch(&key, log->index->parts, log->index->count, sizeof key, compare_parts);
}

static int read_part(struct log *log, const struct indexed_part *part, const uint8_t **records,
                     struct log_error *error)
{
    struct segment_reader *reader = &log->reader;
    uint64_t end = (uint64_t)part->place.offset + PART_HEADER_BYTES + part->place.octets;
    struct part_header header;
    char name[DISK_NAME_MAX];
    int rc = segment_reader_open(reader, log, part->segment->header.number);

    *records = reader->data + part->place.offset + PART_HEADER_BYTES;
    if (rc == 0 && reader->checked == part->place.number)
        return 0;
    segment_name(part->segment->header.number, name);
    if (rc == 0)
        rc = segment_reader_load(reader, end);
    if (rc != 0)
        return log_error_set(error, rc, name, part->place.offset, "cannot be read: %s",
                             err_text(rc));
    if (end > reader->loaded ||
        part_header_read(reader->data + part->place.offset, end - part->place.offset,
                         part->segment->seed, &header) != 0 ||
        header.number != part->place.number)
        return log_error_set(error, ERR_CORRUPT, name, part->place.offset,
                             "part %llu, which holds live messages, is damaged",
                             (unsigned long long)part->place.number);
    reader->checked = part->place.number;
    return 0;
}

void log_locate(struct log *log, uint64_t id, struct log_error *error)
{
    const struct indexed_part *part = find_part(log, record_id_part(id));

    error->file[0] = '\0';
    error->offset = 0;
    if (!part)
        return;
    segment_name(part->segment->header.number, error->file);
    error->offset = part->place.offset + PART_HEADER_BYTES + record_id_offset(id);
}

int log_read(struct log *log, uint64_t id, struct record_header *header, const uint8_t **payload,
             struct log_error *error)
{
    const struct indexed_part *part = find_part(log, record_id_part(id));
    uint32_t offset = record_id_offset(id);
    const uint8_t *records = NULL;
    int rc;

    if (!part)
        return log_error_set(error, ERR_NOT_FOUND, "", 0, "part %llu is not in the log",
                             (unsigned long long)record_id_part(id));
    rc = read_part(log, part, &records, error);
    if (rc != 0)
        return rc;
    if (offset >= part->place.octets ||
        record_header_read(records + offset, part->place.octets - offset, header) != 0)
        return log_error_set(error, ERR_CORRUPT, "", part->place.offset,
                             "part %llu has no record at %u",
                             (unsigned long long)record_id_part(id), offset);
    *payload = records + offset + RECORD_HEADER_BYTES;
    return 0;
}
