/* SPDX-License-Identifier: Apache-2.0 */
/* AMQP 0-9-1 frames and methods: bytes to structs and back, driven by the generated tables. */
#ifndef TOKKI_AMQP091_CODEC_H
#define TOKKI_AMQP091_CODEC_H

#include "base/cursor.h"
#include "proto/amqp091/methods.gen.h"

/* --- Frames (AMQP 0-9-1, 4.2.3): type u8, channel u16, size u32, payload, end octet --- */

enum amqp_frame_type {
    AMQP_FRAME_METHOD = 1,
    AMQP_FRAME_HEADER = 2,
    AMQP_FRAME_BODY = 3,
    AMQP_FRAME_HEARTBEAT = 8,
};

#define AMQP_FRAME_END 0xCE
#define AMQP_FRAME_HEADER_SIZE 7
#define AMQP_FRAME_OVERHEAD 8

struct amqp_frame {
    uint8_t type; /* as sent: may be none of enum amqp_frame_type */
    uint16_t channel;
    struct str payload; /* borrowed from the input */
};

enum amqp_frame_status {
    AMQP_FRAME_OK,
    AMQP_FRAME_INCOMPLETE, /* more bytes are needed */
    AMQP_FRAME_TOO_LARGE,  /* announced payload above the limit */
    AMQP_FRAME_BAD_END,    /* the octet behind the payload is not AMQP_FRAME_END */
};

/* Parse the frame at `p` (`n` bytes there). `max_payload` = frame_max - AMQP_FRAME_OVERHEAD plus
 * the 8 octets that RabbitMQ tolerates; UINT32_MAX for no limit.
 * OK: `*out` is filled, `*used` is the whole frame.
 * INCOMPLETE: `*used` is the smallest `n` that can get further (7, or the whole frame).
 * TOO_LARGE: `*used` is the announced payload size; `out->payload` is what is there of it.
 * BAD_END: as OK; the wrong octet is payload.data[payload.len]. */
HOT enum amqp_frame_status amqp_frame_parse(const uint8_t *p, size_t n, uint32_t max_payload,
                                            struct amqp_frame *out, size_t *used);

/* --- Methods --- */

enum amqp_field_type {
    AMQP_FIELD_BIT,
    AMQP_FIELD_OCTET,
    AMQP_FIELD_SHORT,
    AMQP_FIELD_LONG,
    AMQP_FIELD_LONGLONG,
    AMQP_FIELD_SHORTSTR,
    AMQP_FIELD_LONGSTR,
    AMQP_FIELD_TABLE,
};

struct amqp_field {
    uint8_t type;     /* enum amqp_field_type */
    uint8_t bit;      /* for AMQP_FIELD_BIT: its place in its octet */
    uint8_t reserved; /* ignored on input, 0 or empty on output; has no member */
    uint8_t offset;   /* of its member in the method's struct */
};

struct amqp_method {
    uint32_t id;      /* class << 16 | method: AMQP_QUEUE_DECLARE ... */
    const char *name; /* "queue.declare" */
    bool has_content; /* a content header and body frames follow */
    bool is_sync;     /* the sender waits for an answer (unless its nowait bit is set) */
    bool from_client; /* a client may send it */
    bool from_server; /* a server may send it */
    uint8_t field_count;
    const struct amqp_field *fields;
};

struct amqp_reply {
    int code;
    const char *name;
    bool is_hard; /* closes the connection, not only the channel */
};

/* In methods.gen.c; look things up by amqp_method_find() and amqp_reply_name(). */
extern const struct amqp_method amqp_methods[AMQP_METHOD_COUNT];
extern const uint8_t amqp_method_slots[AMQP_METHOD_SLOTS];
extern const struct amqp_reply amqp_replies[AMQP_REPLY_COUNT];

static inline uint16_t amqp_class_of(uint32_t method_id)
{
    return (uint16_t)(method_id >> 16);
}

static inline uint16_t amqp_method_of(uint32_t method_id)
{
    return (uint16_t)method_id;
}

/* The method with this id; NULL for one that AMQP 0-9-1 and RabbitMQ's extensions do not have. */
HOT const struct amqp_method *amqp_method_find(uint32_t id);

/* Read the arguments; `in` stands behind the class and method ids. The strs borrow from the input.
 * As in RabbitMQ, the payload must end with the last argument, and the short strings of methods
 * without content must be UTF-8, reserved ones too.
 * Errors: ERR_CORRUPT cut, trailing bytes or a bad table; -EILSEQ a short string is not UTF-8 (the
 * shape is right). `*out` means nothing then.
 * RabbitMQ 3.10 was seen to answer: cut or trailing, 501 "cannot decode <<0,0,1,...>>" with the ids
 * of the method; not UTF-8, 501 "Malformed UTF-8 in shortstr" with ids 0; a bad table or an unknown
 * method, it drops the socket without a word. */
HOT MUST_CHECK int amqp_method_decode(const struct amqp_method *m, struct cursor *in,
                                      union amqp_args *out);

/* Write class id, method id and arguments: a method frame's payload. `args` points to the method's
 * struct (or a union amqp_args); NULL is fine for methods without members.
 * Latches out->failed, also when a short string is above 255 bytes. `id` must exist (BUG). */
void amqp_method_encode(uint32_t id, const void *args, struct writer *out);

/* --- Whole frames --- */

/* Frame header only: `size` octets of payload and AMQP_FRAME_END must follow. */
void amqp_frame_start(struct writer *out, uint8_t type, uint16_t channel, uint32_t size);

/* A whole method frame. Arguments as for amqp_method_encode(). */
void amqp_frame_method(struct writer *out, uint16_t channel, uint32_t id, const void *args);

/* A whole content header frame; `properties` starts with the property flags. */
void amqp_frame_content_header(struct writer *out, uint16_t channel, uint16_t class_id,
                               uint64_t body_size, struct str properties);

/* A whole body frame. */
void amqp_frame_body(struct writer *out, uint16_t channel, struct str part);

void amqp_frame_heartbeat(struct writer *out);

/* Payload of a content header frame (AMQP 0-9-1, 4.2.6.1). */
struct amqp_content_header {
    uint16_t class_id;
    uint16_t weight; /* must be 0; the caller refuses others */
    uint64_t body_size;
    struct str properties; /* for content_props_parse() */
};

/* ERR_CORRUPT when it is shorter than its fixed part. RabbitMQ 3.10 was seen to answer: too short,
 * 501 "type 2, all octets = <<...>>: unknown_frame"; properties that do not parse, 541 with the
 * bare text "INTERNAL_ERROR". */
HOT MUST_CHECK int amqp_content_header_decode(struct str payload, struct amqp_content_header *out);

/* "PRECONDITION_FAILED" for 406; NULL for a code that is not in the specification. */
const char *amqp_reply_name(int code);

/* True when this reply code closes the connection, false when only the channel. */
bool amqp_reply_is_hard(int code);

#endif
