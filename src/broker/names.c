/* SPDX-License-Identifier: Apache-2.0 */
/* Random names. */
#include "broker/names.h"

#include "base/bug.h"

#include <sys/random.h>

static void fill_random(void *buffer, size_t n)
{
    /* Up to 256 bytes come whole and uninterrupted (getrandom(2)). */
    ssize_t got = getrandom(buffer, n, 0);
    BUG_ON(got != (ssize_t)n, "getrandom gave %zd of %zu bytes", got, n);
}

struct str name_generate(struct str prefix, char text[GENERATED_NAME_MAX])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[16];
    size_t at = prefix.len;
    uint32_t bits = 0;
    int have = 0;

    fill_random(random, sizeof random);
    memcpy(text, prefix.data, prefix.len);
    for (size_t i = 0; i < sizeof random; i++) {
        bits = bits << 8 | random[i];
        for (have += 8; have >= 6; have -= 6)
            text[at++] = alphabet[bits >> (have - 6) & 63];
    }
    text[at++] = alphabet[bits << (6 - have) & 63];
    return str_of(text, at);
}

uint64_t token_generate(void)
{
    uint64_t token;
    fill_random(&token, sizeof token);
    return token;
}
