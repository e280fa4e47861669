/* SPDX-License-Identifier: Apache-2.0 */
/* A free list over pages of equal objects. */
#include "base/pool.h"

#include "base/bug.h"
#include "base/mem.h"

#include <string.h>

struct pool_page {
    struct pool_page *next;
};

/* A free object's first word is the link; memcpy keeps the aliasing rules. */
static void *link_of(const void *object)
{
    void *next;
    memcpy(&next, object, sizeof next);
    return next;
}

static void set_link(void *object, void *next)
{
    memcpy(object, &next, sizeof next);
}

void pool_init(struct pool *pool, size_t object_bytes, size_t page_objects)
{
    size_t rounded = (MAX(object_bytes, sizeof(void *)) + 15) & ~(size_t)15;
    BUG_ON(page_objects == 0, "pool of %zu-byte objects has empty pages", object_bytes);
    *pool = (struct pool){.object_bytes = rounded, .page_objects = page_objects};
}

void pool_fini(struct pool *pool)
{
    while (pool->pages) {
        struct pool_page *next = pool->pages->next;
        mem_free(pool->pages);
        pool->pages = next;
    }
    pool->free_list = NULL;
}

static COLD void add_page(struct pool *pool)
{
    size_t header = CACHE_LINE_BYTES;
    size_t bytes = header + pool->object_bytes * pool->page_objects;
    size_t rounded = (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
    char *memory = mem_alloc_aligned(CACHE_LINE_BYTES, rounded);
    struct pool_page *page = (struct pool_page *)memory;

    page->next = pool->pages;
    pool->pages = page;
    for (size_t i = pool->page_objects; i-- > 0;) {
        void *object = memory + header + i * pool->object_bytes;
        set_link(object, pool->free_list);
        pool->free_list = object;
    }
}

void *pool_take(struct pool *pool)
{
    void *object;
    pool->in_use++;
    if (POOL_USES_MALLOC)
        return mem_alloc(pool->object_bytes);
    if (UNLIKELY(!pool->free_list))
        add_page(pool);
    object = pool->free_list;
    pool->free_list = link_of(object);
    return object;
}

void pool_give(struct pool *pool, void *object)
{
    DEBUG_BUG_ON(pool->in_use == 0, "object given to an empty pool");
    pool->in_use--;
    if (POOL_USES_MALLOC) {
        mem_free(object);
        return;
    }
    set_link(object, pool->free_list);
    pool->free_list = object;
}
