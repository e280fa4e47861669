/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of messages to records and back. */
#include "core/record.h"

#include "base/err.h"
#include "storage/format.h"

#define BODY_FLAGS (MESSAGE_ONE_FRAME | MESSAGE_CHAINED)
#define BODY_CRC_AT 20U
#define PAGE_CRC_AT 20U

static uint32_t chunk_count(const struct message *message)
{
    return message->flags & MESSAGE_CHAINED ? message->shared->logged_chunk_count : 0;
}

static uint32_t image_length(const struct message *message)
{
    return message->flags & MESSAGE_SHARED ? message->shared->place.length : message->length;
}

uint32_t record_span(const struct message *message, uint64_t body)
{
    if (message->flags & MESSAGE_OUT)
        return message->offset;
    if (!(message->flags & MESSAGE_CHAINED))
        return 0;
    return record_span_of(body, message->shared->logged_chunks[0]);
}

uint32_t record_body_size(const struct message *message)
{
    return RECORD_BODY_FIXED + 8 * chunk_count(message) + image_length(message);
}

static uint64_t body_bytes(const struct message *message)
{
    return message->flags & MESSAGE_SHARED ? message->shared->body_bytes : message->body_bytes;
}

/* Over `octets` at `at` but for the four at `crc_at`. */
static uint32_t checksum(const uint8_t *at, size_t octets, size_t crc_at)
{
    uint32_t crc = format_crc(UINT32_MAX, at, crc_at);
    return format_crc(crc, at + crc_at + 4, octets - crc_at - 4);
}

HOT void record_body_write(struct writer *w, const struct message *message)
{
    uint32_t chunks = chunk_count(message);
    uint8_t *start = w->pos;

    writer_u32(w, image_length(message));
    writer_u16(w, message->names_len);
    writer_u8(w, message->flags & BODY_FLAGS);
    writer_u8(w, 0);
    writer_u64(w, body_bytes(message));
    writer_u32(w, chunks);
    writer_u32(w, 0);
    for (uint32_t i = 0; i < chunks; i++)
        writer_u64(w, message->shared->logged_chunks[i]);
    writer_bytes(w, message_image(message), image_length(message));
    if (LIKELY(!w->failed))
        store_u32(start + BODY_CRC_AT, checksum(start, (size_t)(w->pos - start), BODY_CRC_AT));
}

/* Two short strings, their tail, a header frame: what every reader of an image relies on. */
static bool is_image(const struct record_body *body)
{
    struct cursor in = cursor_of(body->image, body->image_len);
    uint32_t header;

    (void)cursor_shortstr(&in);
    (void)cursor_shortstr(&in);
    if (in.failed || (size_t)(in.pos - body->image) != body->names_len)
        return false;
    (void)cursor_bytes(&in, MESSAGE_NAMES_TAIL + 3);
    header = cursor_u32(&in);
    return !in.failed && header >= MESSAGE_HEADER_FIXED + 2 && header < cursor_left(&in);
}

int record_body_read(struct cursor *in, struct record_body *out)
{
    out->start = in->pos;
    out->image_len = cursor_u32(in);
    out->names_len = cursor_u16(in);
    out->flags = cursor_u8(in);
    (void)cursor_u8(in);
    out->body_bytes = cursor_u64(in);
    out->chunk_count = cursor_u32(in);
    out->crc = cursor_u32(in);
    if (in->failed || out->chunk_count > cursor_left(in) / 8)
        return ERR_CORRUPT;
    out->chunk_ids = cursor_bytes(in, 8 * (size_t)out->chunk_count);
    out->image = cursor_bytes(in, out->image_len);
    if (!cursor_is_done(in) || (out->flags & ~BODY_FLAGS) || !is_image(out) ||
        ((out->flags & MESSAGE_CHAINED) != 0) != (out->chunk_count > 0))
        return ERR_CORRUPT;
    return 0;
}

bool record_body_is_whole(const struct record_body *body)
{
    size_t octets = RECORD_BODY_FIXED + 8 * (size_t)body->chunk_count + body->image_len;
    return checksum(body->start, octets, BODY_CRC_AT) == body->crc;
}

HOT int record_message_read(uint8_t kind, const uint8_t *payload, uint32_t octets, bool is_checked,
                            struct record_body *out)
{
    struct cursor in = cursor_of(payload, octets);

    if (kind == RECORD_ENQUEUE)
        (void)cursor_bytes(&in, RECORD_COMMAND_BYTES + 16);
    else if (kind != RECORD_BODY)
        return ERR_CORRUPT;
    if (record_body_read(&in, out) != 0 || (!is_checked && !record_body_is_whole(out)))
        return ERR_CORRUPT;
    return 0;
}

/* ---- chunks ---- */

void record_chunk_write(struct writer *w, const uint8_t *octets, uint32_t n)
{
    writer_u32(w, format_crc(UINT32_MAX, octets, n));
    writer_u32(w, 0);
    writer_bytes(w, octets, n);
}

int record_chunk_read(const uint8_t *payload, uint32_t octets, struct str *out)
{
    if (octets <= RECORD_CHUNK_FIXED)
        return ERR_CORRUPT;
    *out = str_of(payload + RECORD_CHUNK_FIXED, octets - RECORD_CHUNK_FIXED);
    return format_crc(UINT32_MAX, out->data, out->len) == load_u32(payload) ? 0 : ERR_CORRUPT;
}

/* ---- pages ---- */

void record_page_write(struct writer *w, uint64_t incarnation, uint64_t first,
                       const struct record_page_entry *entries, uint32_t count)
{
    uint8_t *start = w->pos;

    writer_u64(w, incarnation);
    writer_u64(w, first);
    writer_u32(w, count);
    writer_u32(w, 0);
    for (uint32_t i = 0; i < count; i++) {
        writer_u64(w, entries[i].body);
        writer_u64(w, entries[i].expires_ms);
        writer_u32(w, entries[i].image_len);
        writer_u32(w, entries[i].body_bytes);
        writer_u32(w, entries[i].span);
        writer_u32(w, 0);
    }
    if (!w->failed)
        store_u32(start + PAGE_CRC_AT, checksum(start, (size_t)(w->pos - start), PAGE_CRC_AT));
}

int record_page_read(const uint8_t *payload, uint32_t octets, uint64_t incarnation, uint64_t first,
                     struct record_page_entry *entries, uint32_t count)
{
    struct cursor in = cursor_of(payload, octets);
    bool is_ours;

    if (octets != record_page_size(count))
        return ERR_CORRUPT;
    is_ours = cursor_u64(&in) == incarnation;
    is_ours &= cursor_u64(&in) == first;
    is_ours &= cursor_u32(&in) == count;
    if (!is_ours || cursor_u32(&in) != checksum(payload, octets, PAGE_CRC_AT))
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        entries[i].body = cursor_u64(&in);
        entries[i].expires_ms = cursor_u64(&in);
        entries[i].image_len = cursor_u32(&in);
        entries[i].body_bytes = cursor_u32(&in);
        entries[i].span = cursor_u32(&in);
        (void)cursor_u32(&in);
    }
    return 0;
}
