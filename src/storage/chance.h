/* SPDX-License-Identifier: Apache-2.0 */
/* Chance: small seeded random numbers for simulated disks, the same on every machine. */
#ifndef TOKKI_STORAGE_CHANCE_H
#define TOKKI_STORAGE_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

/* splitmix64: any seed is a good one, also 0 and neighbours. */
struct chance {
    uint64_t state;
};

static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* 0 to `n` - 1; `n` is not 0. */
static inline uint64_t chance_below(struct chance *chance, uint64_t n)
{
    return chance_next(chance) % n;
}

/* True `times` times `of` on average. */
static inline bool chance_hits(struct chance *chance, uint64_t times, uint64_t of)
{
    return chance_below(chance, of) < times;
}

#endif
