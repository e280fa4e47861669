/* SPDX-License-Identifier: Apache-2.0 */
/* Disk in memory: files are tables of chunks, which clones share until one side writes. */
#include "storage/disk_ram.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Small enough to copy for one changed octet, large enough for short tables. */
#define CHUNK_BYTES ((size_t)16 * 1024)

struct chunk {
    atomic_uint refs; /* tables that hold it; more than one: nobody writes it */
    unsigned char data[CHUNK_BYTES];
};

/* A file, named or not (unlinked and still open). Freed by: the last of its name and its handles. */
struct node {
    struct list link; /* of the disk's names; not linked: no name */
    char name[DISK_NAME_MAX];
    unsigned handles;
    uint64_t size;
    struct chunk **chunks; /* NULL: a hole */
    size_t chunk_count;
};

struct ram_lock {
    struct list link;
    char name[DISK_NAME_MAX];
};

struct ram_disk {
    struct disk disk;
    struct list nodes;
    struct list locks;
};

struct ram_file {
    struct disk_file file;
    struct node *node;
};

static struct ram_disk *ram_disk(struct disk *disk)
{
    return CONTAINER_OF(disk, struct ram_disk, disk);
}

static struct node *node_of(struct disk_file *file)
{
    return CONTAINER_OF(file, struct ram_file, file)->node;
}

static void copy_name(char *to, const char *from)
{
    const size_t n = strlen(from);

    BUG_ON(n >= DISK_NAME_MAX, "file name too long: %s", from);
    memcpy(to, from, n + 1);
}

static void chunk_unref(struct chunk *chunk)
{
    /* Acquire and release: what the other side read of the chunk comes before the free. */
    if (chunk && atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) == 1)
        mem_free(chunk);
}

static struct node *node_find(struct ram_disk *d, const char *name)
{
    LIST_FOR_EACH (link, &d->nodes) {
        struct node *node = CONTAINER_OF(link, struct node, link);
        if (strcmp(node->name, name) == 0)
            return node;
    }
    return NULL;
}

static struct node *node_new(struct ram_disk *d, const char *name)
{
    struct node *node = mem_alloc_zero(sizeof(*node));

    copy_name(node->name, name);
    list_push_back(&d->nodes, &node->link);
    return node;
}

static void node_free_unused(struct node *node)
{
    if (node->handles > 0 || list_is_linked(&node->link))
        return;
    for (size_t i = 0; i < node->chunk_count; i++)
        chunk_unref(node->chunks[i]);
    mem_free(node->chunks);
    mem_free(node);
}

static int ram_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **out)
{
    struct node *node = node_find(ram_disk(disk), name);

    *out = NULL;
    if (!node && !(flags & DISK_CREATE))
        return -ENOENT;
    if (!node)
        node = node_new(ram_disk(disk), name);
    struct ram_file *f = mem_alloc(sizeof(*f));
    f->file.disk = disk;
    f->node = node;
    node->handles++;
    *out = &f->file;
    return 0;
}

static void ram_close(struct disk_file *file)
{
    struct ram_file *f = CONTAINER_OF(file, struct ram_file, file);

    f->node->handles--;
    node_free_unused(f->node);
    mem_free(f);
}

static int ram_read(struct disk_file *file, void *data, size_t n, uint64_t offset, size_t *got)
{
    const struct node *node = node_of(file);
    size_t done = 0;

    n = offset >= node->size ? 0 : (size_t)MIN((uint64_t)n, node->size - offset);
    while (done < n) {
        const uint64_t at = offset + done;
        const size_t within = (size_t)(at % CHUNK_BYTES);
        const size_t part = MIN(n - done, CHUNK_BYTES - within);
        const struct chunk *chunk = node->chunks[at / CHUNK_BYTES];
        if (chunk)
            memcpy((char *)data + done, chunk->data + within, part);
        else
            memset((char *)data + done, 0, part);
        done += part;
    }
    *got = n;
    return 0;
}

/* The chunk at `index` for writing: there, and nobody else's. */
static struct chunk *chunk_own(struct node *node, size_t index)
{
    struct chunk *old = node->chunks[index];
    struct chunk *chunk;

    if (old && atomic_load_explicit(&old->refs, memory_order_acquire) == 1)
        return old;
    chunk = old ? mem_alloc(sizeof(*chunk)) : mem_alloc_zero(sizeof(*chunk));
    atomic_init(&chunk->refs, 1);
    if (old)
        memcpy(chunk->data, old->data, CHUNK_BYTES);
    chunk_unref(old);
    node->chunks[index] = chunk;
    return chunk;
}

/* Make the table long enough for `bytes`; never shrinks it. */
static void node_make_room(struct node *node, uint64_t bytes)
{
    const size_t need = (size_t)((bytes + CHUNK_BYTES - 1) / CHUNK_BYTES);

    if (need <= node->chunk_count)
        return;
    const size_t count = MAX(need, 2 * node->chunk_count);
    node->chunks = mem_resize(node->chunks, count * sizeof(struct chunk *));
    memset(node->chunks + node->chunk_count, 0,
           (count - node->chunk_count) * sizeof(struct chunk *));
    node->chunk_count = count;
}

static int ram_write(struct disk_file *file, const void *data, size_t n, uint64_t offset)
{
    struct node *node = node_of(file);
    size_t done = 0;

    node_make_room(node, offset + n);
    while (done < n) {
        const uint64_t at = offset + done;
        const size_t within = (size_t)(at % CHUNK_BYTES);
        const size_t part = MIN(n - done, CHUNK_BYTES - within);
        struct chunk *chunk = chunk_own(node, (size_t)(at / CHUNK_BYTES));
        memcpy(chunk->data + within, (const char *)data + done, part);
        done += part;
    }
    if (n > 0)
        node->size = MAX(node->size, offset + n);
    return 0;
}

static int ram_sync(struct disk_file *file)
{
    (void)file;
    return 0;
}

static int ram_size(struct disk_file *file, uint64_t *bytes)
{
    *bytes = node_of(file)->size;
    return 0;
}

/* Invariant: what lies in chunks beyond the size is zero, so growing shows zeros. */
static int ram_truncate(struct disk_file *file, uint64_t bytes)
{
    struct node *node = node_of(file);
    const size_t within = (size_t)(bytes % CHUNK_BYTES);
    size_t index = (size_t)(bytes / CHUNK_BYTES);

    node_make_room(node, bytes);
    if (bytes < node->size) {
        if (within > 0 && node->chunks[index])
            memset(chunk_own(node, index)->data + within, 0, CHUNK_BYTES - within);
        for (index += within > 0; index < node->chunk_count; index++) {
            chunk_unref(node->chunks[index]);
            node->chunks[index] = NULL;
        }
    }
    node->size = bytes;
    return 0;
}

static int ram_reserve(struct disk_file *file, uint64_t bytes)
{
    return bytes > node_of(file)->size ? ram_truncate(file, bytes) : 0;
}

static int ram_unlink(struct disk *disk, const char *name)
{
    struct node *node = node_find(ram_disk(disk), name);

    if (!node)
        return -ENOENT;
    list_remove(&node->link);
    node_free_unused(node);
    return 0;
}

static int ram_rename(struct disk *disk, const char *from, const char *to)
{
    struct node *node = node_find(ram_disk(disk), from);

    if (!node)
        return -ENOENT;
    if (strcmp(from, to) == 0)
        return 0;
    (void)!ram_unlink(disk, to); /* -ENOENT: nothing is replaced */
    copy_name(node->name, to);
    return 0;
}

static int ram_sync_dir(struct disk *disk)
{
    (void)disk;
    return 0;
}

static int ram_list(struct disk *disk, void (*each)(void *context, const char *name), void *context)
{
    LIST_FOR_EACH (link, &ram_disk(disk)->nodes) {
        each(context, CONTAINER_OF(link, struct node, link)->name);
    }
    return 0;
}

static int ram_lock(struct disk *disk, const char *name)
{
    struct ram_disk *d = ram_disk(disk);
    struct ram_lock *lock;

    LIST_FOR_EACH (link, &d->locks) {
        if (strcmp(CONTAINER_OF(link, struct ram_lock, link)->name, name) == 0)
            return ERR_IN_USE;
    }
    lock = mem_alloc(sizeof(*lock));
    copy_name(lock->name, name);
    list_push_back(&d->locks, &lock->link);
    if (!node_find(d, name))
        node_new(d, name);
    return 0;
}

void disk_ram_unlock(struct disk *disk)
{
    struct list *link;

    while ((link = list_pop_front(&ram_disk(disk)->locks)))
        mem_free(CONTAINER_OF(link, struct ram_lock, link));
}

static void ram_free(struct disk *disk)
{
    struct list *link;

    disk_ram_unlock(disk);
    while ((link = list_pop_front(&ram_disk(disk)->nodes))) {
        struct node *node = CONTAINER_OF(link, struct node, link);
        BUG_ON(node->handles > 0, "a disk ends while %s is open", node->name);
        node_free_unused(node);
    }
    mem_free(ram_disk(disk));
}

static const struct disk_ops ram_ops = {
    .open = ram_open,
    .close = ram_close,
    .read = ram_read,
    .write = ram_write,
    .sync = ram_sync,
    .size = ram_size,
    .reserve = ram_reserve,
    .truncate = ram_truncate,
    .rename = ram_rename,
    .unlink = ram_unlink,
    .sync_dir = ram_sync_dir,
    .list = ram_list,
    .lock = ram_lock,
    .free = ram_free,
};

struct disk *disk_ram_new(void)
{
    struct ram_disk *d = mem_alloc_zero(sizeof(*d));

    d->disk.ops = &ram_ops;
    list_init(&d->nodes);
    list_init(&d->locks);
    return &d->disk;
}

struct disk *disk_ram_clone(const struct disk *disk)
{
    const struct ram_disk *from = CONTAINER_OF(disk, struct ram_disk, disk);
    struct disk *to = disk_ram_new();

    LIST_FOR_EACH (link, &from->nodes) {
        const struct node *node = CONTAINER_OF(link, struct node, link);
        struct node *copy = node_new(ram_disk(to), node->name);
        node_make_room(copy, (uint64_t)node->chunk_count * CHUNK_BYTES);
        copy->size = node->size;
        for (size_t i = 0; i < node->chunk_count; i++) {
            copy->chunks[i] = node->chunks[i];
            if (copy->chunks[i])
                atomic_fetch_add_explicit(&copy->chunks[i]->refs, 1, memory_order_relaxed);
        }
    }
    return to;
}

bool disk_ram_next_data(struct disk_file *file, uint64_t *offset, const void **data, size_t *n)
{
    const struct node *node = node_of(file);

    for (uint64_t at = *offset; at < node->size; at = (at / CHUNK_BYTES + 1) * CHUNK_BYTES) {
        const struct chunk *chunk = node->chunks[at / CHUNK_BYTES];
        const size_t within = (size_t)(at % CHUNK_BYTES);
        if (!chunk)
            continue;
        *offset = at;
        *data = chunk->data + within;
        *n = (size_t)MIN((uint64_t)(CHUNK_BYTES - within), node->size - at);
        return true;
    }
    return false;
}
