/* SPDX-License-Identifier: Apache-2.0 */
/* Routing keys: fixed ones, random ones, and generated topic patterns with the keys that meet them. */
#ifndef TOKKI_PERF_KEYS_H
#define TOKKI_PERF_KEYS_H

#include "base/str.h"

/* Topic keys have 3 to 5 words from a vocabulary of 100 per place: 10^6 to 10^10 different keys, so
 * that no broker answers them from a cache of whole keys. */
#define KEYS_WORD_BYTES 3
#define KEYS_WORDS_MIN 3
#define KEYS_WORDS_MAX 5
#define KEYS_TOPIC_MAX (KEYS_WORDS_MAX * (KEYS_WORD_BYTES + 1) - 1)
#define KEYS_RANDOM_LEN 16
#define KEYS_VOCABULARY 100
/* One pattern in ten has a wildcard: half of these '*' for a word, half '#' for the last words. */
#define KEYS_WILDCARD_PERCENT 10

/* xorshift64*: a key per message must cost a few ns; its quality is ample for spreading keys. */
static inline uint64_t keys_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545F4914F6CDD1DULL;
}

/* Length of the topic key in slot `n` of a batch: 3, 4, 5 words in turn. */
static inline size_t keys_topic_len(uint32_t n)
{
    return (KEYS_WORDS_MIN + n % (KEYS_WORDS_MAX - KEYS_WORDS_MIN + 1)) * (KEYS_WORD_BYTES + 1) - 1;
}

/* Overwrite `out` (`len` bytes, of keys_topic_len()) by random words: "w07.w31.w92". */
void keys_fill_topic(uint64_t *state, uint8_t *out, size_t len);

/* Overwrite `out` by `len` random hexadecimal digits, at most KEYS_RANDOM_LEN. */
void keys_fill_random(uint64_t *state, uint8_t *out, size_t len);

/* A topic pattern over the same words; fills `out` (KEYS_TOPIC_MAX bytes) and returns its length. */
size_t keys_topic_pattern(uint64_t *state, char *out);

#endif
