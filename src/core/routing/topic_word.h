/* SPDX-License-Identifier: Apache-2.0 */
/* Words of routing keys and topic patterns, one at a time, as numbers where they are short. */
#ifndef TOKKI_CORE_ROUTING_TOPIC_WORD_H
#define TOKKI_CORE_ROUTING_TOPIC_WORD_H

#include "base/hamt.h"

#include <endian.h>

/* A word of up to 7 bytes, as most are, is one number: the bytes, and the length in the highest byte. It is
 * found eight bytes at a time, hashed by two multiplications, and compared by its hash alone, since
 * hamt_hash_integer is one-to-one. Longer words are what they are: text. */
#define TOPIC_SHORT_MAX 7
#define TOPIC_LONG_WORD UINT64_MAX
#define TOPIC_STAR ('*' | UINT64_C(1) << 56)
#define TOPIC_HASH ('#' | UINT64_C(1) << 56)

struct topic_word {
    struct str text;
    uint64_t number; /* TOPIC_LONG_WORD: too long for one */
};

/* What is left of a key or pattern. "words that are empty count; a key of no bytes has no words" (RabbitMQ,
 * split_topic_key). */
struct topic_words {
    struct str rest;
    bool done;
};

static inline struct topic_words topic_words_of(struct str text)
{
    return (struct topic_words){text, text.len == 0};
}

/* The first 8 bytes of `n`, lowest first; zeros where there are none. Never reads past the end. */
static inline uint64_t topic_load(const char *text, size_t n)
{
    const uint8_t *p = (const uint8_t *)text;
    if (LIKELY(n >= 8)) {
        uint64_t all;
        memcpy(&all, p, sizeof all);
        return le64toh(all);
    }
    if (n >= 4) { /* two that overlap */
        uint32_t low;
        uint32_t high;
        memcpy(&low, p, sizeof low);
        memcpy(&high, p + n - 4, sizeof high);
        return le32toh(low) | (uint64_t)le32toh(high) << 8 * (n - 4);
    }
    if (n == 0)
        return 0;
    return p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
}

/* The lowest byte of `v` that is a '.', as 8 times its index plus 7; 64 when there is none. */
static inline unsigned topic_find_dot(uint64_t v)
{
    uint64_t x = v ^ UINT64_C(0x2E2E2E2E2E2E2E2E); /* '.' becomes 0 */
    uint64_t zeros = (x - UINT64_C(0x0101010101010101)) & ~x & UINT64_C(0x8080808080808080);
    return zeros ? (unsigned)__builtin_ctzll(zeros) : 64;
}

/* Length of a word that has no dot in its first 8 bytes. */
static inline size_t topic_long_len(struct str rest)
{
    const char *dot = memchr(rest.data + 8, '.', rest.len - 8);
    return dot ? (size_t)(dot - rest.data) : rest.len;
}

/* Take the next word. False at the end. */
static inline bool topic_word_next(struct topic_words *words, struct topic_word *word)
{
    struct str rest = words->rest;
    uint64_t bytes;
    unsigned dot;
    size_t len;

    if (words->done)
        return false;
    bytes = topic_load(rest.data, rest.len);
    dot = topic_find_dot(bytes);
    if (LIKELY(dot < 64)) {
        len = dot / 8;
        word->number = (bytes & ((UINT64_C(1) << (dot - 7)) - 1)) | (uint64_t)len << 56;
    } else if (rest.len <= TOPIC_SHORT_MAX) {
        len = rest.len;
        word->number = bytes | (uint64_t)len << 56;
    } else {
        len = topic_long_len(rest);
        word->number = TOPIC_LONG_WORD;
    }
    word->text = str_of(rest.data, len);
    words->done = len == rest.len;
    if (!words->done)
        words->rest = str_of(rest.data + len + 1, rest.len - len - 1);
    return true;
}

/* The word as the key of a map, and its hash. */
static inline struct str topic_word_key(const struct topic_word *word)
{
    return word->number == TOPIC_LONG_WORD ? word->text : str_of(NULL, 0);
}

static inline uint64_t topic_word_hash(const struct topic_word *word, uint64_t seed)
{
    if (UNLIKELY(word->number == TOPIC_LONG_WORD))
        return str_hash(word->text, seed);
    return hamt_hash_integer(word->number ^ seed);
}

#endif
