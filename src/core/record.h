/* SPDX-License-Identifier: Apache-2.0 */
/* Records of queues and the catalog as they stand in the log and in checkpoints. */
#ifndef TOKKI_CORE_RECORD_H
#define TOKKI_CORE_RECORD_H

#include "core/message.h"
#include "storage/format.h"

/* All numbers big-endian, in the order given. A queue command begins with
 *
 *     queue's incarnation:64 epoch:64 sequence:64 transaction:64
 *
 * `epoch` is 0 on a queue that was never replicated; `sequence` counts the commands of the incarnation
 * from 1 without a gap (cluster.md, section 5); `transaction` is 0 outside of one.
 *
 *     BODY        body
 *     CHUNK       crc:32 0:32 octets of a body
 *     ENQUEUE     command position:64 expires:64 body          the id of this record is the body's
 *     ENQUEUE_REF command position:64 expires:64 body id:64 image-length:32 body-size:32 span:32 0:32
 *     SETTLE      command first:64 count:64                    acknowledged, rejected, purged
 *     EXPIRE      command first:64 count:64 time:64
 *     DELIVERED   incarnation:64 upto:64                       positions below may have been delivered
 *     COMMIT      transaction:64
 *     UNDO        transaction:64                               those up to it without a COMMIT so far are undone
 *     CATALOG     a catalog command (core/catalog/command_codec.h)
 *
 *     PAGE        incarnation:64 first position:64 count:32 crc:32 entry ...
 *                 entry: body id:64 expires:64 image-length:32 body-size:32 span:32 0:32
 *                 body id 0: nothing is there
 *                 A chunk of a queue whose entries left memory. No command: replay passes over it
 *
 * body: image-length:32 names-length:16 flags:8 0:8 body-size:64 chunk-count:32 crc:32 chunk id:64 ... image
 * (the image as message.h draws it; of a chained body the octets are those of the chunks).
 * `span`: 0 without chunks; else in how many parts they lie, up to and with that of the body's record.
 * Times are wall-clock milliseconds; 0 = never.
 *
 * What is read back while the node runs is read without the rest of its part, so it has a checksum of its
 * own: `crc` is CRC32C over the other octets of the body, the chunk, the page.
 *
 * In checkpoints only:
 *
 *     QUEUE_STATE   incarnation:64 sequence:64 tail:64 delivered:64 epoch:64 count:32 pages:32 entry ... page ...
 *                   entry: position:64 (top bit: redelivered) expires:64 body id:64 image-length:32 body-size:32
 *                          span:32 0:32
 *                   page: first position:64 record id:64 live:128 redelivered:128 body-size:64 expires:64
 *                         first part:64 last part:64
 *     SPILL_STATE   incarnation:64 bodies:32 pages:32 body ... page ...
 *                   body: record id:64 image-length:32 span:32
 *                   page: first position:64 record id:64 live:128
 *                   Only for the cleaner of the spill: what a queue has there
 *     CATALOG_STATE captured:64 last incarnation:64 last transaction:64
 *
 * Several of a queue stand one behind the other, written at different times: the first says with which command
 * replay goes on, the last the true tail (FORMAT.md, invariant 14). `captured` is the identity of the first record that the catalog's
 * state does not reflect: replay passes over catalog records below it. */
enum record_kind {
    RECORD_BODY = 1,
    RECORD_CHUNK = 2,
    RECORD_ENQUEUE = 3,
    RECORD_ENQUEUE_REF = 4,
    RECORD_SETTLE = 5,
    RECORD_EXPIRE = 6,
    RECORD_DELIVERED = 7,
    RECORD_COMMIT = 8,
    RECORD_CATALOG = 9,
    RECORD_QUEUE_STATE = 10,
    RECORD_CATALOG_STATE = 11,
    RECORD_UNDO = 12,
    RECORD_PAGE = 13,
    RECORD_SPILL_STATE = 14,
};

/* Of every kind. */
#define RECORD_VERSION 1U

#define RECORD_COMMAND_BYTES 32U
#define RECORD_REF_BYTES (RECORD_COMMAND_BYTES + 40U)
#define RECORD_BODY_FIXED 24U
#define RECORD_STATE_FIXED 48U
#define RECORD_STATE_ENTRY 40U
#define RECORD_STATE_PAGE 80U
#define RECORD_SPILL_FIXED 16U
#define RECORD_SPILL_BODY 16U
#define RECORD_SPILL_PAGE 32U
#define RECORD_CHUNK_FIXED 8U
#define RECORD_PAGE_FIXED 24U
#define RECORD_PAGE_ENTRY 32U
#define RECORD_REDELIVERED (1ULL << 63)

struct record_command {
    uint64_t incarnation;
    uint64_t epoch;
    uint64_t sequence;
    uint64_t transaction;
};

/* What a body record says; pointers borrow from it. */
struct record_body {
    uint32_t image_len;
    uint16_t names_len;
    uint8_t flags; /* MESSAGE_ONE_FRAME, MESSAGE_CHAINED */
    uint64_t body_bytes;
    uint32_t chunk_count;
    const uint8_t *chunk_ids; /* big-endian */
    const uint8_t *image;
    uint32_t crc;
    const uint8_t *start; /* of the body; for record_body_is_whole */
};

static inline void record_command_write(struct writer *w, const struct record_command *command)
{
    writer_u64(w, command->incarnation);
    writer_u64(w, command->epoch);
    writer_u64(w, command->sequence);
    writer_u64(w, command->transaction);
}

static inline struct record_command record_command_read(struct cursor *in)
{
    struct record_command command;
    command.incarnation = cursor_u64(in);
    command.epoch = cursor_u64(in);
    command.sequence = cursor_u64(in);
    command.transaction = cursor_u64(in);
    return command;
}

/* The span of body `body` with chunks, and the first part of any. */
static inline uint32_t record_span_of(uint64_t body, uint64_t first_chunk)
{
    return (uint32_t)(record_id_part(body) - record_id_part(first_chunk) + 1);
}

static inline uint64_t record_first_part(uint64_t body, uint32_t span)
{
    return record_id_part(body) - (span > 0 ? span - 1 : 0);
}

/* The span of what will be, or is, body `body`. What is MESSAGE_OUT knows it by itself. */
uint32_t record_span(const struct message *message, uint64_t body);
/* Octets of the body of `message`. */
uint32_t record_body_size(const struct message *message);
/* The chunks of a chained one are logged already: message->shared has their identities. */
void record_body_write(struct writer *w, const struct message *message);
/* The rest of `in` is a body. ERR_CORRUPT: it is not well-formed, or the image is none. The checksum is left
 * to record_body_is_whole: in replay the part's own was looked at. */
MUST_CHECK int record_body_read(struct cursor *in, struct record_body *out);
bool record_body_is_whole(const struct record_body *body);

/* The body in an ENQUEUE or BODY record. Its checksum is looked at unless `is_checked`: its part's was right.
 * ERR_CORRUPT. */
MUST_CHECK int record_message_read(uint8_t kind, const uint8_t *payload, uint32_t octets,
                                   bool is_checked, struct record_body *out);

void record_chunk_write(struct writer *w, const uint8_t *octets, uint32_t n);
/* ERR_CORRUPT; `*out` borrows. */
MUST_CHECK int record_chunk_read(const uint8_t *payload, uint32_t octets, struct str *out);

/* One entry of a PAGE record. */
struct record_page_entry {
    uint64_t body; /* 0: nothing is there */
    uint64_t expires_ms;
    uint32_t image_len;
    uint32_t body_bytes;
    uint32_t span;
};

static inline uint32_t record_page_size(uint32_t count)
{
    return RECORD_PAGE_FIXED + count * RECORD_PAGE_ENTRY;
}
void record_page_write(struct writer *w, uint64_t incarnation, uint64_t first,
                       const struct record_page_entry *entries, uint32_t count);
/* ERR_CORRUPT: malformed, or not this page. */
MUST_CHECK int record_page_read(const uint8_t *payload, uint32_t octets, uint64_t incarnation,
                                uint64_t first, struct record_page_entry *entries, uint32_t count);

#endif
