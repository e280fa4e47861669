/* SPDX-License-Identifier: Apache-2.0 */
/* Moved parts: built from the records that survive, and a record found in one. */
#include "storage/moved.h"

#include "base/cursor.h"
#include "base/err.h"

#include <string.h>

/* ---- finding ---- */

static const uint8_t *entry_at(const uint8_t *octets, uint32_t i)
{
    return octets + MOVED_HEAD_BYTES + MOVED_ENTRY_BYTES * (size_t)i;
}

int moved_find(const uint8_t *octets, uint32_t size, uint32_t offset, struct record_header *header,
               const uint8_t **payload)
{
    uint32_t low = 0;
    uint32_t high;
    uint32_t at;

    if (size < MOVED_HEAD_BYTES || load_u32(octets) > (size - MOVED_HEAD_BYTES) / MOVED_ENTRY_BYTES)
        return ERR_CORRUPT;
    high = load_u32(octets);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (load_u32(entry_at(octets, middle)) < offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == load_u32(octets) || load_u32(entry_at(octets, low)) != offset)
        return ERR_CORRUPT;
    at = load_u32(entry_at(octets, low) + 4);
    if (at > size || record_header_read(octets + at, size - at, header) != 0)
        return ERR_CORRUPT;
    *payload = octets + at + RECORD_HEADER_BYTES;
    return 0;
}

/* ---- building ---- */

static uint32_t whole(const struct log_fetched *record)
{
    return format_round_up(RECORD_HEADER_BYTES + record->header.octets, RECORD_ALIGN);
}

static void put_record(uint8_t *at, const struct log_fetched *record)
{
    memset(at + whole(record) - RECORD_ALIGN, 0, RECORD_ALIGN);
    record_header_write(&record->header, at);
    memcpy(at + RECORD_HEADER_BYTES, record->payload, record->header.octets);
}

static void put_packed(struct log_part *part, const struct log_fetched *records, uint32_t count)
{
    uint32_t at = MOVED_HEAD_BYTES + MOVED_ENTRY_BYTES * count;

    store_u32(part->data, count);
    store_u32(part->data + 4, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *entry = part->data + MOVED_HEAD_BYTES + MOVED_ENTRY_BYTES * (size_t)i;
        store_u32(entry, record_id_offset(records[i].id));
        store_u32(entry + 4, at);
        put_record(part->data + at, &records[i]);
        at += whole(&records[i]);
    }
}

static void put_in_place(struct log_part *part, const struct log_fetched *records, uint32_t count)
{
    memset(part->data, 0, part->used);
    for (uint32_t i = 0; i < count; i++)
        put_record(part->data + record_id_offset(records[i].id), &records[i]);
}

struct log_part *moved_part(const struct log_fetched *records, uint32_t count, uint32_t max)
{
    const struct log_fetched *last = &records[count - 1];
    uint32_t in_place = record_id_offset(last->id) + whole(last);
    uint64_t packed = MOVED_HEAD_BYTES + MOVED_ENTRY_BYTES * (uint64_t)count;
    struct log_part *part;

    for (uint32_t i = 0; i < count; i++)
        packed += whole(&records[i]);
    if (MIN((uint64_t)in_place, packed) > max)
        return NULL;
    part = part_new((uint32_t)MIN((uint64_t)in_place, packed));
    part->number = record_id_part(last->id);
    part->flags = PART_MOVED;
    if (packed < in_place) {
        part->used = (uint32_t)packed;
        part->flags |= PART_PACKED;
        put_packed(part, records, count);
    } else {
        part->used = in_place;
        put_in_place(part, records, count);
    }
    return part;
}
