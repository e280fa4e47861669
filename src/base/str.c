/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing, hashing, copying and checking borrowed strings. */
#include "base/str.h"

#include "base/mem.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

int str_compare(struct str a, struct str b)
{
    size_t common = MIN(a.len, b.len);
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

uint64_t str_hash(struct str s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.data ? s.data : "", s.len, seed);
}

struct str str_dup(struct str s)
{
    char *copy = mem_alloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return str_of(copy, s.len);
}

/* Length of the UTF-8 sequence at `p` (`left` bytes there), 0 when malformed. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    /* RFC 3629, section 4: the second octet's range depends on the first. */
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t len;

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        len = 2;
    else if (p[0] >= 0xE0 && p[0] <= 0xEF)
        len = 3;
    else if (p[0] >= 0xF0 && p[0] <= 0xF4)
        len = 4;
    else
        return 0;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (left < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

bool str_is_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t left = s.len;
    while (left > 0) {
        size_t n = utf8_sequence(p, left);
        if (n == 0)
            return false;
        p += n;
        left -= n;
    }
    return true;
}
