/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes a stream of frames as the connection reads it: frames, methods, content headers. */
#include "base/bug.h"
#include "base/err.h"
#include "core/content.h"
#include "proto/amqp091/codec.h"

#include <errno.h>
#include <stdlib.h>

static void check_method(struct str payload)
{
    struct cursor in = cursor_of_str(payload);
    const struct amqp_method *m = amqp_method_find(cursor_u32(&in));
    union amqp_args args;
    if (!m || in.failed)
        return;
    int rc = amqp_method_decode(m, &in, &args);
    BUG_ON(rc != 0 && rc != ERR_CORRUPT && rc != -EILSEQ, "%s: rc %d", m->name, rc);
}

static void check_header(const struct amqp_frame *frame, const uint8_t *whole, size_t used)
{
    struct amqp_content_header header;
    struct content_props props;
    if (amqp_content_header_decode(frame->payload, &header) != 0) {
        BUG_ON(frame->payload.len >= 12, "refused %zu bytes", frame->payload.len);
        return;
    }
    int rc = content_props_parse(header.properties, &props);
    BUG_ON(rc != 0 && rc != ERR_CORRUPT, "rc %d", rc);
    if (header.weight != 0)
        return;
    uint8_t *copy = malloc(used);
    BUG_ON(!copy, "no memory");
    struct writer w = writer_of(copy, used);
    amqp_frame_content_header(&w, frame->channel, header.class_id, header.body_size,
                              header.properties);
    BUG_ON(w.failed || memcmp(copy, whole, used) != 0, "content header changed");
    free(copy);
}

/* A frame without its last octet is incomplete and says how many octets it needs. */
static void check_cut(const uint8_t *p, uint32_t max, size_t used)
{
    struct amqp_frame frame;
    size_t needed;
    BUG_ON(amqp_frame_parse(p, used - 1, max, &frame, &needed) != AMQP_FRAME_INCOMPLETE ||
               needed != used,
           "cut frame: needs %zu of %zu", needed, used);
}

static void check_frame(const struct amqp_frame *frame, const uint8_t *whole, size_t used)
{
    uint8_t head[AMQP_FRAME_HEADER_SIZE];
    struct writer w = writer_of(head, sizeof head);

    BUG_ON(used != frame->payload.len + AMQP_FRAME_OVERHEAD, "%zu used", used);
    BUG_ON(frame->payload.data != (const char *)whole + sizeof head, "payload elsewhere");
    amqp_frame_start(&w, frame->type, frame->channel, (uint32_t)frame->payload.len);
    BUG_ON(memcmp(head, whole, sizeof head) != 0, "frame header changed");
    if (frame->type == AMQP_FRAME_METHOD)
        check_method(frame->payload);
    if (frame->type == AMQP_FRAME_HEADER)
        check_header(frame, whole, used);
}

/* The first octet sets the limit: small ones, so that a short input can break them, or none. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint32_t max = data[0] == 0 ? UINT32_MAX : data[0];
    const uint8_t *p = data + 1;
    size_t left = size - 1;

    for (;;) {
        struct amqp_frame frame;
        size_t used;
        switch (amqp_frame_parse(p, left, max, &frame, &used)) {
        case AMQP_FRAME_INCOMPLETE:
            BUG_ON(used <= left, "incomplete with %zu of %zu", left, used);
            return 0;
        case AMQP_FRAME_TOO_LARGE:
            BUG_ON(used <= max || frame.payload.len > left - 7, "too large: %zu", used);
            return 0;
        case AMQP_FRAME_BAD_END:
            BUG_ON(p[used - 1] == AMQP_FRAME_END, "the end is right");
            return 0;
        case AMQP_FRAME_OK:
            break;
        }
        BUG_ON(used > left || p[used - 1] != AMQP_FRAME_END, "used %zu of %zu", used, left);
        check_cut(p, max, used);
        check_frame(&frame, p, used);
        p += used;
        left -= used;
    }
}
