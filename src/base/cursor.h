/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds-checked big-endian reader and writer over borrowed bytes, with one sticky error. */
#ifndef TOKKI_BASE_CURSOR_H
#define TOKKI_BASE_CURSOR_H

#include "base/str.h"

#include <assert.h>

/* All wire input goes through `struct cursor`. A read past the end returns zeros, moves nothing and
 * latches `failed`; the caller tests once at the end. Never reads outside [pos, end). */
struct cursor {
    const uint8_t *pos;
    const uint8_t *end;
    bool failed;
};

static inline struct cursor cursor_of(const void *data, size_t len)
{
    const uint8_t *p = (const uint8_t *)data;
    return (struct cursor){p, len ? p + len : p, false};
}

static inline struct cursor cursor_of_str(struct str s)
{
    return cursor_of(s.data, s.len);
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->pos);
}

/* True when everything was read and nothing failed. */
static inline bool cursor_is_done(const struct cursor *c)
{
    return !c->failed && c->pos == c->end;
}

/* The next `n` bytes, borrowed from the input; NULL (and failed) when fewer are left. */
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
    const uint8_t *p = c->pos;
    if (UNLIKELY(c->failed || cursor_left(c) < n)) {
        c->failed = true;
        return NULL;
    }
    c->pos += n;
    return p;
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "wire loads swap bytes");

static inline uint16_t load_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t load_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t load_u64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static inline void store_u16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof v);
}

static inline void store_u32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static inline void store_u64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    const uint8_t *p = cursor_bytes(c, 1);
    return p ? *p : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    const uint8_t *p = cursor_bytes(c, 2);
    return p ? load_u16(p) : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    const uint8_t *p = cursor_bytes(c, 4);
    return p ? load_u32(p) : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    const uint8_t *p = cursor_bytes(c, 8);
    return p ? load_u64(p) : 0;
}

static inline struct str cursor_str(struct cursor *c, size_t n)
{
    const uint8_t *p = cursor_bytes(c, n);
    return p ? str_of(p, n) : str_of(NULL, 0);
}

/* AMQP 0-9-1, 4.2.5.3: u8 length, then the bytes. */
static inline struct str cursor_shortstr(struct cursor *c)
{
    return cursor_str(c, cursor_u8(c));
}

/* AMQP 0-9-1, 4.2.5.3: u32 length, then the bytes. */
static inline struct str cursor_longstr(struct cursor *c)
{
    return cursor_str(c, cursor_u32(c));
}

/* The writing counterpart: writes past the end are dropped and latch `failed`. */
struct writer {
    uint8_t *start;
    uint8_t *pos;
    uint8_t *end;
    bool failed;
};

static inline struct writer writer_of(void *data, size_t capacity)
{
    uint8_t *p = (uint8_t *)data;
    return (struct writer){p, p, p + capacity, false};
}

static inline size_t writer_len(const struct writer *w)
{
    return (size_t)(w->pos - w->start);
}

/* Room for `n` bytes which the caller fills at once; NULL (and failed) when there is none. */
static inline uint8_t *writer_reserve(struct writer *w, size_t n)
{
    uint8_t *p = w->pos;
    if (UNLIKELY(w->failed || (size_t)(w->end - w->pos) < n)) {
        w->failed = true;
        return NULL;
    }
    w->pos += n;
    return p;
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
    uint8_t *p = writer_reserve(w, 1);
    if (p)
        *p = v;
}

static inline void writer_u16(struct writer *w, uint16_t v)
{
    uint8_t *p = writer_reserve(w, 2);
    if (p)
        store_u16(p, v);
}

static inline void writer_u32(struct writer *w, uint32_t v)
{
    uint8_t *p = writer_reserve(w, 4);
    if (p)
        store_u32(p, v);
}

static inline void writer_u64(struct writer *w, uint64_t v)
{
    uint8_t *p = writer_reserve(w, 8);
    if (p)
        store_u64(p, v);
}

static inline void writer_bytes(struct writer *w, const void *data, size_t n)
{
    uint8_t *p = writer_reserve(w, n);
    if (p && n)
        memcpy(p, data, n);
}

static inline void writer_str(struct writer *w, struct str s)
{
    writer_bytes(w, s.data, s.len);
}

/* Fails (latches) above 255 bytes. */
static inline void writer_shortstr(struct writer *w, struct str s)
{
    if (s.len > UINT8_MAX) {
        w->failed = true;
        return;
    }
    writer_u8(w, (uint8_t)s.len);
    writer_str(w, s);
}

static inline void writer_longstr(struct writer *w, struct str s)
{
    if (s.len > UINT32_MAX) {
        w->failed = true;
        return;
    }
    writer_u32(w, (uint32_t)s.len);
    writer_str(w, s);
}

#endif
