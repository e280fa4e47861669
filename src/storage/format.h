/* SPDX-License-Identifier: Apache-2.0 */
/* The octets of the log: headers of segments, batches, parts and records (FORMAT.md draws them). */
#ifndef TOKKI_STORAGE_FORMAT_H
#define TOKKI_STORAGE_FORMAT_H

#include "base/str.h"

/* The version that this code writes; it reads no newer one. */
#define FORMAT_VERSION 1U

/* Everything on the disk begins at a multiple of this (DISK_ALIGN). */
#define FORMAT_BLOCK 4096U
#define SEGMENT_HEADER_BYTES FORMAT_BLOCK
/* Where it stands again in that block: in the last sector. */
#define SEGMENT_HEADER_COPY (FORMAT_BLOCK - 512U)
#define BATCH_HEADER_BYTES 40U
#define PART_HEADER_BYTES 24U
#define RECORD_HEADER_BYTES 8U
#define FRAME_HEADER_BYTES 32U

/* Records begin at multiples of this within their part. */
#define RECORD_ALIGN 8U

/* Identity of a record, and of the body in it: number of its part, and where it begins in there. */
#define RECORD_ID_OFFSET_BITS 18U

static inline uint64_t record_id(uint64_t part, uint32_t offset)
{
    return part << RECORD_ID_OFFSET_BITS | offset / RECORD_ALIGN;
}

static inline uint64_t record_id_part(uint64_t id)
{
    return id >> RECORD_ID_OFFSET_BITS;
}

static inline uint32_t record_id_offset(uint64_t id)
{
    return (uint32_t)(id & ((1U << RECORD_ID_OFFSET_BITS) - 1)) * RECORD_ALIGN;
}

static inline uint32_t format_round_up(uint32_t octets, uint32_t align)
{
    return (octets + align - 1) / align * align;
}

/* CRC32C (Castagnoli) of the octets, begun from `seed`. */
uint32_t format_crc(uint32_t seed, const void *data, size_t octets);

struct segment_header {
    uint64_t directory_id; /* of the data directory: files of another one are told apart */
    uint64_t number;       /* rises by one from segment to segment: the epoch of a recycled file */
    uint64_t salt;         /* random: no message can hold octets that look like a batch of it */
    uint64_t first_sequence; /* of its first batch */
    uint64_t previous_end;   /* octets used of the segment before; 0 in the first */
    uint64_t octets;         /* size of the file */
};

struct batch_header {
    uint64_t segment;
    uint64_t sequence; /* rises by one from batch to batch over all segments */
    uint64_t wall_ms;  /* when it was written, for people */
    uint32_t octets;   /* of the parts with their headers */
    uint32_t parts;    /* 0 in a seal */
};

/* Moved by the cleaner: what survived of a part, under its number. Replay notes the place and no more. */
#define PART_MOVED 1U
/* With PART_MOVED: a directory says where the records are (moved.h); else they are where they were. */
#define PART_PACKED 2U

struct part_header {
    uint64_t number;
    uint32_t octets; /* of its records */
    uint16_t stream;
    uint16_t flags; /* PART_... */
};

struct record_header {
    uint32_t octets; /* behind the header, without padding */
    uint8_t kind;    /* the caller's */
    uint8_t version; /* of that kind */
};

enum frame_kind { FRAME_HEAD = 1, FRAME_RECORDS = 2, FRAME_PARTS = 3, FRAME_END = 4 };

/* A piece of a checkpoint file. */
struct frame_header {
    uint64_t checkpoint;
    uint32_t index; /* from 0 */
    uint32_t octets;
    uint32_t kind;    /* enum frame_kind */
    uint32_t copy_of; /* 1 + index of the frame that this is a copy of; 0: it is none */
};

/* Seed of all checksums in a segment. */
uint32_t format_seed(uint64_t salt);

/* Each writes exactly its *_BYTES (a segment header: a whole block, with the copy). That `out` is never
 * NULL is said for gcc 12 too: it warns of stores beside a NULL that it thought of itself. */
__attribute__((nonnull)) void segment_header_write(const struct segment_header *header,
                                                   uint8_t *out);
__attribute__((nonnull)) void batch_header_write(const struct batch_header *header, uint32_t seed,
                                                 uint8_t *out);
/* `out` is followed by the records, which are covered by the checksum. */
__attribute__((nonnull)) void part_header_write(const struct part_header *header, uint32_t seed,
                                                uint8_t *out);
__attribute__((nonnull)) void record_header_write(const struct record_header *header, uint8_t *out);
__attribute__((nonnull)) void frame_header_write(const struct frame_header *header,
                                                 uint8_t *out); /* payload behind it */
/* May a frame begin with these 4 octets? */
bool frame_may_begin(const uint8_t *at);

/* ERR_CORRUPT: no such header, another version, or a wrong checksum. A segment header is read at its place or
 * at its copy's. */
MUST_CHECK int segment_header_read(const uint8_t *at, struct segment_header *out);
MUST_CHECK int batch_header_read(const uint8_t *at, uint32_t seed, struct batch_header *out);
/* `left`: octets from `at` to the end of the batch. */
MUST_CHECK int part_header_read(const uint8_t *at, size_t left, uint32_t seed,
                                struct part_header *out);
/* `left`: octets from `at` to the end of the part. */
MUST_CHECK int record_header_read(const uint8_t *at, size_t left, struct record_header *out);
MUST_CHECK int frame_header_read(const uint8_t *at, size_t left, struct frame_header *out);

#endif
