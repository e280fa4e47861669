/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of messages to records and back. */
#include "core/record.h"

#include "base/err.h"

#define BODY_FLAGS (MESSAGE_ONE_FRAME | MESSAGE_CHAINED)

static uint32_t chunk_count(const struct message *message)
{
    return message->flags & MESSAGE_CHAINED ? message->shared->logged_chunk_count : 0;
}

static uint32_t image_length(const struct message *message)
{
    return message->flags & MESSAGE_SHARED ? message->shared->place.length : message->length;
}

uint32_t record_body_size(const struct message *message)
{
    return RECORD_BODY_FIXED + 8 * chunk_count(message) + image_length(message);
}

static uint64_t body_bytes(const struct message *message)
{
    return message->flags & MESSAGE_SHARED ? message->shared->body_bytes : message->body_bytes;
}

void record_body_write(struct writer *w, const struct message *message)
{
    uint32_t chunks = chunk_count(message);

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
    out->image_len = cursor_u32(in);
    out->names_len = cursor_u16(in);
    out->flags = cursor_u8(in);
    (void)cursor_u8(in);
    out->body_bytes = cursor_u64(in);
    out->chunk_count = cursor_u32(in);
    (void)cursor_u32(in);
    if (in->failed || out->chunk_count > cursor_left(in) / 8)
        return ERR_CORRUPT;
    out->chunk_ids = cursor_bytes(in, 8 * (size_t)out->chunk_count);
    out->image = cursor_bytes(in, out->image_len);
    if (!cursor_is_done(in) || (out->flags & ~BODY_FLAGS) || !is_image(out) ||
        ((out->flags & MESSAGE_CHAINED) != 0) != (out->chunk_count > 0))
        return ERR_CORRUPT;
    return 0;
}
