/* SPDX-License-Identifier: Apache-2.0 */
/* Pool of equal objects for one thread: take and give cost a few ns and never reach malloc. */
#ifndef TOKKI_BASE_POOL_H
#define TOKKI_BASE_POOL_H

#include "base/attr.h"

#include <stddef.h>
#include <stdint.h>

/* Under AddressSanitizer objects come from malloc one by one, so that misuse is seen. The pool's own test decides
 * for itself. */
#ifndef POOL_USES_MALLOC
#if defined(__SANITIZE_ADDRESS__)
#define POOL_USES_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_USES_MALLOC 1
#endif
#endif
#endif
#ifndef POOL_USES_MALLOC
#define POOL_USES_MALLOC 0
#endif

/* Owner: the structure that embeds it (a shard). Thread: that one. Freed by: pool_fini.
 * Last in, first out, so that the next object is the one still in cache. Pages are kept for
 * reuse: giving memory back under load costs as much as the network path (physical-limits 8.10). */
struct pool {
    void *free_list;
    struct pool_page *pages;
    size_t object_bytes;
    size_t page_objects;
    size_t in_use;
};

/* Objects of `object_bytes`, obtained from the heap `page_objects` at a time. */
void pool_init(struct pool *pool, size_t object_bytes, size_t page_objects);
/* Frees the pages. Under a sanitizer objects still in use are the caller's leak. */
void pool_fini(struct pool *pool);

/* An uninitialised object. */
MUST_CHECK __attribute__((returns_nonnull)) void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *object);

#endif
