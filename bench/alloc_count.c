/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the broker by bench/run: counts heap calls in a file that the bench maps. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own entry points: calling them needs no dlsym(), which itself allocates. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

static _Atomic uint64_t until_mapped;
static _Atomic uint64_t *counter = &until_mapped;

/* Runs before main(), on the only thread there is. Without the file the broker just runs uncounted. */
__attribute__((constructor)) static void counter_map(void)
{
    const char *path = getenv("TOKKI_ALLOC_COUNT_FILE");
    const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd == -1)
        return;
    void *page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED)
        counter = page;
}

static void count_one(void)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    count_one();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_one();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    count_one();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count_one();
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    count_one();
    *out = __libc_memalign(align, size);
    return *out ? 0 : 12; /* ENOMEM */
}
