/* SPDX-License-Identifier: Apache-2.0 */
/* Size classes over pools. */
#include "base/slab.h"

#include "base/bug.h"
#include "base/mem.h"

#define FINE_STEP 16U
#define FINE_MAX 256U
#define FINE_CLASSES (FINE_MAX / FINE_STEP)
#define COARSE_STEP 64U
/* What a pool takes from the heap at a time: a few pages, since a small catalog has a few objects of each size. */
#define PAGE_BYTES (16U * 1024U)

static_assert(FINE_CLASSES + (SLAB_OBJECT_MAX - FINE_MAX) / COARSE_STEP == SLAB_CLASSES,
              "a pool per class");

static size_t class_of(size_t bytes)
{
    if (bytes <= FINE_MAX)
        return bytes ? (bytes - 1) / FINE_STEP : 0;
    return FINE_CLASSES + (bytes - FINE_MAX - 1) / COARSE_STEP;
}

static size_t class_bytes(size_t class)
{
    return class < FINE_CLASSES ? (class + 1) * FINE_STEP
                                : FINE_MAX + (class - FINE_CLASSES + 1) * COARSE_STEP;
}

void slab_init(struct slab *slab)
{
    for (size_t class = 0; class < SLAB_CLASSES; class ++)
        pool_init(&slab->pools[class], class_bytes(class), PAGE_BYTES / class_bytes(class));
}

void slab_fini(struct slab *slab)
{
    for (size_t class = 0; class < SLAB_CLASSES; class ++) {
        BUG_ON(slab->pools[class].in_use > 0, "%zu objects of %zu bytes were not given back",
               slab->pools[class].in_use, class_bytes(class));
        pool_fini(&slab->pools[class]);
    }
}

void *slab_take(struct slab *slab, size_t bytes)
{
    return bytes <= SLAB_OBJECT_MAX ? pool_take(&slab->pools[class_of(bytes)]) : mem_alloc(bytes);
}

void slab_give(struct slab *slab, void *object, size_t bytes)
{
    if (bytes <= SLAB_OBJECT_MAX)
        pool_give(&slab->pools[class_of(bytes)], object);
    else
        mem_free(object);
}
