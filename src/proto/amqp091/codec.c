/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP 0-9-1 frames and methods: one loop over a method's field table reads it, one writes it. */
#include "proto/amqp091/codec.h"

#include "base/bug.h"
#include "base/err.h"
#include "core/table.h"

#include <errno.h>

/* Table entries hold a member's offset in one octet. */
static_assert(sizeof(union amqp_args) <= UINT8_MAX, "amqp_field.offset is a u8");

HOT enum amqp_frame_status amqp_frame_parse(const uint8_t *p, size_t n, uint32_t max_payload,
                                            struct amqp_frame *out, size_t *used)
{
    struct cursor in = cursor_of(p, n);
    const uint8_t *head = cursor_bytes(&in, AMQP_FRAME_HEADER_SIZE);

    if (!head) {
        *used = AMQP_FRAME_HEADER_SIZE;
        return AMQP_FRAME_INCOMPLETE;
    }
    uint32_t size = load_u32(head + 3);
    *out = (struct amqp_frame){head[0], load_u16(head + 1), str_of(in.pos, size)};
    if (UNLIKELY(size > max_payload)) {
        out->payload.len = MIN(cursor_left(&in), (size_t)size);
        *used = size;
        return AMQP_FRAME_TOO_LARGE;
    }
    *used = (size_t)size + AMQP_FRAME_OVERHEAD;
    if (n < *used) {
        out->payload.len = cursor_left(&in);
        return AMQP_FRAME_INCOMPLETE;
    }
    cursor_bytes(&in, size);
    return cursor_u8(&in) == AMQP_FRAME_END ? AMQP_FRAME_OK : AMQP_FRAME_BAD_END;
}

HOT const struct amqp_method *amqp_method_find(uint32_t id)
{
    uint32_t slot = (id * AMQP_METHOD_SLOT_MULTIPLIER) >> AMQP_METHOD_SLOT_SHIFT;
    const struct amqp_method *m = &amqp_methods[amqp_method_slots[slot]];
    return m->id == id ? m : NULL;
}

/* Members are written by memcpy: the compiler makes one store of it. */
static inline void set_str(void *member, struct str value)
{
    memcpy(member, &value, sizeof value);
}

/* Read one argument that is no bit into `member`. */
static inline void read_field(struct cursor *in, uint8_t type, void *member)
{
    uint8_t octet;
    uint16_t word;
    uint32_t dword;
    uint64_t qword;

    switch (type) {
    case AMQP_FIELD_OCTET:
        octet = cursor_u8(in);
        memcpy(member, &octet, sizeof octet);
        break;
    case AMQP_FIELD_SHORT:
        word = cursor_u16(in);
        memcpy(member, &word, sizeof word);
        break;
    case AMQP_FIELD_LONG:
        dword = cursor_u32(in);
        memcpy(member, &dword, sizeof dword);
        break;
    case AMQP_FIELD_LONGLONG:
        qword = cursor_u64(in);
        memcpy(member, &qword, sizeof qword);
        break;
    case AMQP_FIELD_SHORTSTR:
        set_str(member, cursor_shortstr(in));
        break;
    default:
        set_str(member, cursor_longstr(in));
        break;
    }
}

/* What RabbitMQ checks once the bytes have the right shape. It spares itself the UTF-8 check on
 * methods with content, so publishing to a key that is no text works. */
static int check_field(const struct amqp_method *m, uint8_t type, const void *member)
{
    struct str value;

    if (type == AMQP_FIELD_TABLE) {
        memcpy(&value, member, sizeof value);
        return value.len ? table_validate(value) : 0;
    }
    if (type == AMQP_FIELD_SHORTSTR && !m->has_content) {
        memcpy(&value, member, sizeof value);
        return str_is_utf8(value) ? 0 : -EILSEQ;
    }
    return 0;
}

HOT int amqp_method_decode(const struct amqp_method *m, struct cursor *in, union amqp_args *out)
{
    struct str reserved;
    uint8_t bits = 0;
    int rc = 0;

    for (const struct amqp_field *f = m->fields; f < m->fields + m->field_count; f++) {
        void *member = f->reserved ? (void *)&reserved : (void *)((char *)out + f->offset);
        if (f->type == AMQP_FIELD_BIT) {
            if (f->bit == 0)
                bits = cursor_u8(in);
            *(bool *)member = bits >> f->bit & 1;
            continue;
        }
        read_field(in, f->type, member);
        if (rc == 0)
            rc = check_field(m, f->type, member);
    }
    return cursor_is_done(in) ? rc : ERR_CORRUPT;
}

/* Write one argument that is no bit. A reserved one is given as zeros. */
static void write_field(struct writer *out, uint8_t type, const void *member)
{
    uint8_t octet;
    uint16_t word;
    uint32_t dword;
    uint64_t qword;
    struct str value;

    switch (type) {
    case AMQP_FIELD_OCTET:
        memcpy(&octet, member, sizeof octet);
        writer_u8(out, octet);
        break;
    case AMQP_FIELD_SHORT:
        memcpy(&word, member, sizeof word);
        writer_u16(out, word);
        break;
    case AMQP_FIELD_LONG:
        memcpy(&dword, member, sizeof dword);
        writer_u32(out, dword);
        break;
    case AMQP_FIELD_LONGLONG:
        memcpy(&qword, member, sizeof qword);
        writer_u64(out, qword);
        break;
    case AMQP_FIELD_SHORTSTR:
        memcpy(&value, member, sizeof value);
        writer_shortstr(out, value);
        break;
    default:
        memcpy(&value, member, sizeof value);
        writer_longstr(out, value);
        break;
    }
}

void amqp_method_encode(uint32_t id, const void *args, struct writer *out)
{
    static const struct str reserved = {NULL, 0};
    const struct amqp_method *m = amqp_method_find(id);
    uint8_t *bits = NULL;

    BUG_ON(!m, "no method %u.%u", amqp_class_of(id), amqp_method_of(id));
    writer_u32(out, id);
    for (const struct amqp_field *f = m->fields; f < m->fields + m->field_count; f++) {
        const void *member =
            f->reserved ? (const void *)&reserved : (const void *)((const char *)args + f->offset);
        if (f->type != AMQP_FIELD_BIT) {
            write_field(out, f->type, member);
            continue;
        }
        if (f->bit == 0 && (bits = writer_reserve(out, 1)) != NULL)
            *bits = 0;
        if (bits)
            *bits = (uint8_t)(*bits | *(const bool *)member << f->bit);
    }
}

void amqp_frame_start(struct writer *out, uint8_t type, uint16_t channel, uint32_t size)
{
    uint8_t *head = writer_reserve(out, AMQP_FRAME_HEADER_SIZE);
    if (!head)
        return;
    head[0] = type;
    store_u16(head + 1, channel);
    store_u32(head + 3, size);
}

void amqp_frame_method(struct writer *out, uint16_t channel, uint32_t id, const void *args)
{
    uint8_t *head = writer_reserve(out, AMQP_FRAME_HEADER_SIZE);
    const uint8_t *payload = out->pos;

    amqp_method_encode(id, args, out);
    size_t size = (size_t)(out->pos - payload);
    writer_u8(out, AMQP_FRAME_END);
    if (out->failed)
        return;
    struct writer header = writer_of(head, AMQP_FRAME_HEADER_SIZE);
    amqp_frame_start(&header, AMQP_FRAME_METHOD, channel, (uint32_t)size);
}

void amqp_frame_content_header(struct writer *out, uint16_t channel, uint16_t class_id,
                               uint64_t body_size, struct str properties)
{
    uint32_t fixed = 2 + 2 + 8; /* class, weight, body size */
    amqp_frame_start(out, AMQP_FRAME_HEADER, channel, fixed + (uint32_t)properties.len);
    writer_u16(out, class_id);
    writer_u16(out, 0);
    writer_u64(out, body_size);
    writer_str(out, properties);
    writer_u8(out, AMQP_FRAME_END);
}

void amqp_frame_body(struct writer *out, uint16_t channel, struct str part)
{
    amqp_frame_start(out, AMQP_FRAME_BODY, channel, (uint32_t)part.len);
    writer_str(out, part);
    writer_u8(out, AMQP_FRAME_END);
}

void amqp_frame_heartbeat(struct writer *out)
{
    amqp_frame_start(out, AMQP_FRAME_HEARTBEAT, 0, 0);
    writer_u8(out, AMQP_FRAME_END);
}

HOT int amqp_content_header_decode(struct str payload, struct amqp_content_header *out)
{
    struct cursor in = cursor_of_str(payload);

    out->class_id = cursor_u16(&in);
    out->weight = cursor_u16(&in);
    out->body_size = cursor_u64(&in);
    out->properties = cursor_str(&in, cursor_left(&in));
    return in.failed ? ERR_CORRUPT : 0;
}

static const struct amqp_reply *reply_find(int code)
{
    for (size_t i = 0; i < AMQP_REPLY_COUNT; i++)
        if (amqp_replies[i].code == code)
            return &amqp_replies[i];
    return NULL;
}

const char *amqp_reply_name(int code)
{
    const struct amqp_reply *reply = reply_find(code);
    return reply ? reply->name : NULL;
}

bool amqp_reply_is_hard(int code)
{
    const struct amqp_reply *reply = reply_find(code);
    return reply && reply->is_hard;
}
