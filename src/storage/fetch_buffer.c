/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of fetches: octets that were read, held by the fetches that borrow from them, then used again. */
#include "base/bug.h"
#include "base/mem.h"
#include "storage/log_internal.h"

/* Octets that are kept for the next reads. */
#define KEPT_MAX (16U * 1024U * 1024U)

/* The largest read begins and ends within a block. */
static const uint32_t sizes[FETCH_SIZES] = {
    16U * 1024U,
    128U * 1024U,
    512U * 1024U,
    FETCH_READ_BYTES + 2 * DISK_ALIGN,
};

struct fetch_octets *fetch_octets_new(struct fetch_pool *pool, size_t octets)
{
    struct fetch_octets *found;
    uint32_t size = 0;

    while (size < FETCH_SIZES && sizes[size] < octets)
        size++;
    BUG_ON(size == FETCH_SIZES, "a read of %zu octets", octets);
    pthread_mutex_lock(&pool->mutex);
    found = pool->free[size];
    if (found) {
        pool->free[size] = found->next;
        pool->kept -= sizes[size];
    }
    pthread_mutex_unlock(&pool->mutex);
    if (!found) {
        found = mem_alloc(sizeof *found);
        found->size = size;
        found->data = mem_alloc_aligned(DISK_ALIGN, sizes[size]);
    }
    found->next = NULL;
    atomic_store_explicit(&found->count, 1, memory_order_relaxed);
    return found;
}

static void free_octets(struct fetch_octets *octets)
{
    mem_free(octets->data);
    mem_free(octets);
}

void fetch_octets_unref(struct fetch_pool *pool, struct fetch_octets *octets)
{
    bool is_kept;

    /* Release: my use of the octets is over; acquire: so is that of all others. */
    if (atomic_fetch_sub_explicit(&octets->count, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_lock(&pool->mutex);
    is_kept = pool->kept + sizes[octets->size] <= KEPT_MAX;
    if (is_kept) {
        octets->next = pool->free[octets->size];
        pool->free[octets->size] = octets;
        pool->kept += sizes[octets->size];
    }
    pthread_mutex_unlock(&pool->mutex);
    if (!is_kept)
        free_octets(octets);
}

/* Records of a fetch that are answered from the same read are answered one after the other. */
void fetch_hold(struct log_fetch *fetch, struct fetch_octets *octets)
{
    struct fetch_buffer *buffer;

    if (fetch->buffers && fetch->buffers->octets == octets)
        return;
    buffer = mem_alloc(sizeof *buffer);
    buffer->octets = octets;
    buffer->next = fetch->buffers;
    fetch->buffers = buffer;
    atomic_fetch_add_explicit(&octets->count, 1, memory_order_relaxed);
}

void log_fetch_release(struct log_fetch *fetch)
{
    while (fetch->buffers) {
        struct fetch_buffer *buffer = fetch->buffers;
        fetch->buffers = buffer->next;
        fetch_octets_unref(&fetch->stream->log->fetcher.pool, buffer->octets);
        mem_free(buffer);
    }
}

void fetch_pool_init(struct fetch_pool *pool)
{
    *pool = (struct fetch_pool){0};
    pthread_mutex_init(&pool->mutex, NULL);
}

void fetch_pool_fini(struct fetch_pool *pool)
{
    for (uint32_t size = 0; size < FETCH_SIZES; size++) {
        while (pool->free[size]) {
            struct fetch_octets *octets = pool->free[size];
            pool->free[size] = octets->next;
            free_octets(octets);
        }
    }
    pthread_mutex_destroy(&pool->mutex);
}
