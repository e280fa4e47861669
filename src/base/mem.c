/* SPDX-License-Identifier: Apache-2.0 */
/* malloc with a policy: abort on failure, count the calls. */
#include "base/mem.h"

#include "base/bug.h"

#include <stdlib.h>

static _Thread_local uint64_t calls;

static void *checked(void *ptr, size_t size_bytes)
{
    calls++;
    BUG_ON(!ptr, "out of memory: %zu bytes", size_bytes);
    return ptr;
}

void *mem_alloc(size_t size_bytes)
{
    return checked(malloc(size_bytes ? size_bytes : 1), size_bytes);
}

void *mem_alloc_zero(size_t size_bytes)
{
    return checked(calloc(1, size_bytes ? size_bytes : 1), size_bytes);
}

void *mem_resize(void *old, size_t size_bytes)
{
    return checked(realloc(old, size_bytes ? size_bytes : 1), size_bytes);
}

void *mem_alloc_aligned(size_t align, size_t size_bytes)
{
    return checked(aligned_alloc(align, size_bytes), size_bytes);
}

void mem_free(void *ptr)
{
    free(ptr);
}

uint64_t mem_calls_of_thread(void)
{
    return calls;
}
