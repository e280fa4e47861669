/* SPDX-License-Identifier: Apache-2.0 */
/* struct str: a borrowed run of bytes (a name, a key, a table); never owns, need not end in NUL. */
#ifndef TOKKI_BASE_STR_H
#define TOKKI_BASE_STR_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *data; /* NULL only when len is 0 */
    size_t len;
};

/* A string literal as a str. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

/* For printf: "%.*s", STR_ARG(s). */
#define STR_ARG(s) (int)(s).len, (s).data ? (s).data : ""

static inline struct str str_of(const void *data, size_t len)
{
    return (struct str){(const char *)data, len};
}

static inline struct str str_from_c(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

static inline bool str_equals(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* Orders by bytes, then by length: <0, 0, >0 as memcmp. */
int str_compare(struct str a, struct str b);

/* 64-bit hash of the bytes (XXH3); `seed` keeps tables of one process independent. */
uint64_t str_hash(struct str s, uint64_t seed);

/* A heap copy with a NUL behind it; the caller frees `.data` with free(). */
MUST_CHECK struct str str_dup(struct str s);

/* True when `s` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);

#endif
