/* SPDX-License-Identifier: Apache-2.0 */
/* Heap allocation that aborts when the machine has no memory, and counts its calls per thread. */
#ifndef TOKKI_BASE_MEM_H
#define TOKKI_BASE_MEM_H

#include "base/attr.h"

#include <stddef.h>
#include <stdint.h>

/* Sizes that come from the wire are checked against a limit before any of these is called
 * (style section 4.5), so a failed allocation means the machine is out of memory: abort. */
MUST_CHECK __attribute__((malloc, returns_nonnull)) void *mem_alloc(size_t size_bytes);
MUST_CHECK __attribute__((malloc, returns_nonnull)) void *mem_alloc_zero(size_t size_bytes);
MUST_CHECK __attribute__((returns_nonnull)) void *mem_resize(void *old, size_t size_bytes);
/* `align` is a power of two and divides `size_bytes`. */
MUST_CHECK __attribute__((malloc, returns_nonnull)) void *mem_alloc_aligned(size_t align,
                                                                            size_t size_bytes);
/* free(); NULL is fine. */
void mem_free(void *ptr);

/* Number of allocation calls this thread has made: the bench shows that the hot path makes none. */
uint64_t mem_calls_of_thread(void);

#endif
