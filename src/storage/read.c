/* SPDX-License-Identifier: Apache-2.0 */
/* Reading single records by their identity, after a replay. */
#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "storage/log_internal.h"
#include "storage/moved.h"

static int read_part(struct log *log, const struct part_place *place, const uint8_t **records,
                     struct log_error *error)
{
    struct segment_reader *reader = &log->reader;
    const struct segment *segment = log->slots[place->segment];
    uint64_t end = (uint64_t)place->offset + PART_HEADER_BYTES + place->octets;
    struct part_header header;
    char name[DISK_NAME_MAX];
    int rc = segment_reader_open(reader, log, segment->header.number);

    *records = reader->data + place->offset + PART_HEADER_BYTES;
    if (rc == 0 && reader->checked == place->number)
        return 0;
    segment_name(segment->header.number, name);
    if (rc == 0)
        rc = segment_reader_load(reader, end);
    if (rc != 0)
        return log_error_set(error, rc, name, place->offset, "cannot be read: %s", err_text(rc));
    if (end > reader->loaded ||
        part_header_read(reader->data + place->offset, end - place->offset, segment->seed,
                         &header) != 0 ||
        header.number != place->number || place->is_packed != ((header.flags & PART_PACKED) != 0))
        return log_error_set(error, ERR_CORRUPT, name, place->offset,
                             "part %llu, which holds live messages, is damaged",
                             (unsigned long long)place->number);
    reader->checked = place->number;
    return 0;
}

void log_locate(struct log *log, uint64_t id, struct log_error *error)
{
    struct part_place place;

    error->file[0] = '\0';
    error->offset = 0;
    pthread_mutex_lock(&log->mutex);
    if (places_find(&log->places, record_id_part(id), &place)) {
        segment_name(log->slots[place.segment]->header.number, error->file);
        error->offset = place.offset;
        if (!place.is_packed)
            error->offset += PART_HEADER_BYTES + record_id_offset(id);
    }
    pthread_mutex_unlock(&log->mutex);
}

static int record_at(const struct part_place *place, const uint8_t *records, uint32_t offset,
                     struct record_header *header, const uint8_t **payload)
{
    if (place->is_packed)
        return moved_find(records, place->octets, offset, header, payload);
    if (offset >= place->octets ||
        record_header_read(records + offset, place->octets - offset, header) != 0)
        return ERR_CORRUPT;
    *payload = records + offset + RECORD_HEADER_BYTES;
    return 0;
}

int log_read(struct log *log, uint64_t id, struct record_header *header, const uint8_t **payload,
             struct log_error *error)
{
    struct part_place place;
    uint32_t offset = record_id_offset(id);
    const uint8_t *records = NULL;
    int rc;

    if (!places_find(&log->places, record_id_part(id), &place))
        return log_error_set(error, ERR_NOT_FOUND, "", 0, "part %llu is not in the log",
                             (unsigned long long)record_id_part(id));
    rc = read_part(log, &place, &records, error);
    if (rc != 0)
        return rc;
    if (record_at(&place, records, offset, header, payload) != 0)
        return log_error_set(error, ERR_CORRUPT, "", place.offset, "part %llu has no record at %u",
                             (unsigned long long)record_id_part(id), offset);
    return 0;
}
