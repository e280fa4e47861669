/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes and small arithmetic macros that functions cannot express. */
#ifndef TOKKI_BASE_ATTR_H
#define TOKKI_BASE_ATTR_H

#include <assert.h>
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#define NORETURN __attribute__((noreturn))
#define HOT __attribute__((hot))
#define COLD __attribute__((cold))
/* A second variant of a function for CPUs that count bits by one instruction, which baseline x86-64 need not have;
 * the dynamic linker chooses. Sanitizers (never with NDEBUG) cannot run in its resolver. */
#if defined(__x86_64__) && defined(NDEBUG) && !defined(__clang__)
#define WITH_POPCNT __attribute__((target_clones("popcnt", "default")))
#else
#define WITH_POPCNT
#endif
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* x86-64 and current arm64 servers: two threads writing one line is what costs. */
#define CACHE_LINE_BYTES 64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE_BYTES)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* Each argument is evaluated once; names are unique so that calls nest. */
#define ATTR_JOIN_(a, b) a##b
#define ATTR_JOIN(a, b) ATTR_JOIN_(a, b)
#define ATTR_PICK_(op, a, b, x, y)                                                                 \
    __extension__({                                                                                \
        __typeof__(a) x = (a);                                                                     \
        __typeof__(b) y = (b);                                                                     \
        x op y ? x : y;                                                                            \
    })
#define ATTR_PICK(op, a, b)                                                                        \
    ATTR_PICK_(op, a, b, ATTR_JOIN(pick_a_, __COUNTER__), ATTR_JOIN(pick_b_, __COUNTER__))
#define MIN(a, b) ATTR_PICK(<, a, b)
#define MAX(a, b) ATTR_PICK(>, a, b)

/* The structure of `type` that embeds `*ptr` as `member`. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
