/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of the log to octets and back. */
#include "storage/format.h"

#include "base/bug.h"
#include "base/cursor.h"
#include "base/err.h"

#include <isa-l/crc.h>

#define SEGMENT_MAGIC 0x544F4B4B49534547ULL /* TOKKISEG */
#define BATCH_MAGIC 0x544B4241U             /* TKBA */
#define FRAME_MAGIC 0x544B4350U             /* TKCP */
#define SEGMENT_COVERED_FROM 16U
#define SEGMENT_COVERED_TO 64U

uint32_t format_crc(uint32_t seed, const void *data, size_t octets)
{
    const uint8_t *at = data;
    uint32_t crc = seed;

    /* isa-l takes an int. */
    while (octets > 0) {
        size_t part = MIN(octets, (size_t)(1U << 30));
        crc = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)part, crc);
        at += part;
        octets -= part;
    }
    return crc;
}

uint32_t format_seed(uint64_t salt)
{
    return format_crc(UINT32_MAX, &salt, sizeof salt);
}

/* ---- segments ---- */

void segment_header_write(const struct segment_header *header, uint8_t *out)
{
    struct writer w = writer_of(out, SEGMENT_HEADER_BYTES);

    memset(out, 0, SEGMENT_HEADER_BYTES);
    writer_u64(&w, SEGMENT_MAGIC);
    writer_u32(&w, FORMAT_VERSION);
    writer_u32(&w, 0);
    writer_u64(&w, header->directory_id);
    writer_u64(&w, header->number);
    writer_u64(&w, header->salt);
    writer_u64(&w, header->first_sequence);
    writer_u64(&w, header->previous_end);
    writer_u64(&w, header->octets);
    BUG_ON(w.failed || writer_len(&w) != SEGMENT_COVERED_TO, "segment header of %zu octets",
           writer_len(&w));
    store_u32(out + 12, format_crc(UINT32_MAX, out + SEGMENT_COVERED_FROM,
                                   SEGMENT_COVERED_TO - SEGMENT_COVERED_FROM));
    memcpy(out + SEGMENT_HEADER_COPY, out, SEGMENT_COVERED_TO);
}

int segment_header_read(const uint8_t *at, struct segment_header *out)
{
    struct cursor in = cursor_of(at, SEGMENT_COVERED_TO);
    uint32_t version;
    uint32_t crc;

    if (cursor_u64(&in) != SEGMENT_MAGIC)
        return ERR_CORRUPT;
    version = cursor_u32(&in);
    crc = cursor_u32(&in);
    /* A newer program changes the format file first, which is read before: here it is damage. */
    if (version != FORMAT_VERSION)
        return ERR_CORRUPT;
    if (crc != format_crc(UINT32_MAX, at + SEGMENT_COVERED_FROM,
                          SEGMENT_COVERED_TO - SEGMENT_COVERED_FROM))
        return ERR_CORRUPT;
    out->directory_id = cursor_u64(&in);
    out->number = cursor_u64(&in);
    out->salt = cursor_u64(&in);
    out->first_sequence = cursor_u64(&in);
    out->previous_end = cursor_u64(&in);
    out->octets = cursor_u64(&in);
    return 0;
}

/* ---- batches ---- */

void batch_header_write(const struct batch_header *header, uint32_t seed, uint8_t *out)
{
    struct writer w = writer_of(out, BATCH_HEADER_BYTES);

    writer_u32(&w, BATCH_MAGIC);
    writer_u32(&w, 0);
    writer_u64(&w, header->segment);
    writer_u64(&w, header->sequence);
    writer_u32(&w, header->octets);
    writer_u32(&w, header->parts);
    writer_u64(&w, header->wall_ms);
    BUG_ON(w.failed || writer_len(&w) != BATCH_HEADER_BYTES, "batch header of %zu octets",
           writer_len(&w));
    store_u32(out + 4, format_crc(seed, out + 8, BATCH_HEADER_BYTES - 8));
}

int batch_header_read(const uint8_t *at, uint32_t seed, struct batch_header *out)
{
    struct cursor in = cursor_of(at, BATCH_HEADER_BYTES);

    if (cursor_u32(&in) != BATCH_MAGIC ||
        cursor_u32(&in) != format_crc(seed, at + 8, BATCH_HEADER_BYTES - 8))
        return ERR_CORRUPT;
    out->segment = cursor_u64(&in);
    out->sequence = cursor_u64(&in);
    out->octets = cursor_u32(&in);
    out->parts = cursor_u32(&in);
    out->wall_ms = cursor_u64(&in);
    return 0;
}

/* ---- parts ---- */

static uint32_t part_crc(uint32_t seed, const uint8_t *header, uint32_t octets)
{
    uint32_t crc = format_crc(seed, header, 16);
    return format_crc(crc, header + PART_HEADER_BYTES, octets);
}

void part_header_write(const struct part_header *header, uint32_t seed, uint8_t *out)
{
    struct writer w = writer_of(out, PART_HEADER_BYTES);

    writer_u64(&w, header->number);
    writer_u32(&w, header->octets);
    writer_u16(&w, header->stream);
    writer_u16(&w, header->flags);
    writer_u32(&w, part_crc(seed, out, header->octets));
    writer_u32(&w, 0);
}

int part_header_read(const uint8_t *at, size_t left, uint32_t seed, struct part_header *out)
{
    struct cursor in = cursor_of(at, MIN(left, (size_t)PART_HEADER_BYTES));

    out->number = cursor_u64(&in);
    out->octets = cursor_u32(&in);
    out->stream = cursor_u16(&in);
    out->flags = cursor_u16(&in);
    if (in.failed || left < PART_HEADER_BYTES || out->octets > left - PART_HEADER_BYTES ||
        out->octets % RECORD_ALIGN != 0 || (out->flags & ~(PART_MOVED | PART_PACKED)) != 0)
        return ERR_CORRUPT;
    return cursor_u32(&in) == part_crc(seed, at, out->octets) ? 0 : ERR_CORRUPT;
}

/* ---- records ---- */

void record_header_write(const struct record_header *header, uint8_t *out)
{
    store_u32(out, header->octets);
    out[4] = header->kind;
    out[5] = header->version;
    store_u16(out + 6, 0);
}

int record_header_read(const uint8_t *at, size_t left, struct record_header *out)
{
    if (left < RECORD_HEADER_BYTES)
        return ERR_CORRUPT;
    *out = (struct record_header){.octets = load_u32(at), .kind = at[4], .version = at[5]};
    return out->octets <= left - RECORD_HEADER_BYTES ? 0 : ERR_CORRUPT;
}

/* ---- frames of checkpoints ---- */

static uint32_t frame_crc(const uint8_t *at, uint32_t octets)
{
    uint32_t crc = format_crc(UINT32_MAX, at + 8, FRAME_HEADER_BYTES - 8);
    return format_crc(crc, at + FRAME_HEADER_BYTES, octets);
}

void frame_header_write(const struct frame_header *header, uint8_t *out)
{
    struct writer w = writer_of(out, FRAME_HEADER_BYTES);

    writer_u32(&w, FRAME_MAGIC);
    writer_u32(&w, 0);
    writer_u64(&w, header->checkpoint);
    writer_u32(&w, header->index);
    writer_u32(&w, header->octets);
    writer_u32(&w, header->kind);
    writer_u32(&w, header->copy_of);
    store_u32(out + 4, frame_crc(out, header->octets));
}

bool frame_may_begin(const uint8_t *at)
{
    return load_u32(at) == FRAME_MAGIC;
}

int frame_header_read(const uint8_t *at, size_t left, struct frame_header *out)
{
    struct cursor in = cursor_of(at, MIN(left, (size_t)FRAME_HEADER_BYTES));
    uint32_t magic = cursor_u32(&in);
    uint32_t crc = cursor_u32(&in);

    out->checkpoint = cursor_u64(&in);
    out->index = cursor_u32(&in);
    out->octets = cursor_u32(&in);
    out->kind = cursor_u32(&in);
    out->copy_of = cursor_u32(&in);
    if (in.failed || magic != FRAME_MAGIC || left < FRAME_HEADER_BYTES ||
        out->octets > left - FRAME_HEADER_BYTES)
        return ERR_CORRUPT;
    return crc == frame_crc(at, out->octets) ? 0 : ERR_CORRUPT;
}
