/* SPDX-License-Identifier: Apache-2.0 */
/* Random routing keys and topic patterns. */
#include "main/perf/keys.h"

static void word_put(uint64_t random, uint8_t *out)
{
    const uint32_t number = (uint32_t)(random % KEYS_VOCABULARY);
    out[0] = 'w';
    out[1] = (uint8_t)('0' + number / 10);
    out[2] = (uint8_t)('0' + number % 10);
}

void keys_fill_topic(uint64_t *state, uint8_t *out, size_t len)
{
    uint64_t random = keys_random(state);
    for (size_t at = 0; at < len; at += KEYS_WORD_BYTES + 1) {
        word_put(random & 0xFFF, out + at);
        random >>= 12;
    }
}

void keys_fill_random(uint64_t *state, uint8_t *out, size_t len)
{
    uint64_t random = keys_random(state);
    for (size_t i = 0; i < len && i < KEYS_RANDOM_LEN; i++) {
        out[i] = (uint8_t) "0123456789abcdef"[random & 15];
        random >>= 4;
    }
}

size_t keys_topic_pattern(uint64_t *state, char *out)
{
    const uint64_t random = keys_random(state);
    const size_t words = KEYS_WORDS_MIN + random % (KEYS_WORDS_MAX - KEYS_WORDS_MIN + 1);
    const bool has_wildcard = (random >> 8) % 100 < KEYS_WILDCARD_PERCENT;
    size_t len = words * (KEYS_WORD_BYTES + 1) - 1;
    memset(out, '.', len);
    keys_fill_topic(state, (uint8_t *)out, len);
    if (!has_wildcard)
        return len;

    const size_t place = (random >> 16) % words * (KEYS_WORD_BYTES + 1);
    if ((random >> 32) % 2) { /* w1.w2.#: a '#' that ends the pattern */
        len = 2 * (KEYS_WORD_BYTES + 1);
        out[len++] = '#';
        return len;
    }
    out[place] = '*';
    memmove(out + place + 1, out + place + KEYS_WORD_BYTES, len - place - KEYS_WORD_BYTES);
    return len - (KEYS_WORD_BYTES - 1);
}
