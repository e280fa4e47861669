/* SPDX-License-Identifier: Apache-2.0 */
/* Disk in memory for tests: a lossy disk over memory, with planned faults in front of it. */
#include "storage/disk_memory.h"

#include "storage/chance.h"
#include "storage/disk_lossy.h"
#include "storage/disk_ram.h"

#include "base/bug.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>

#define CALL_KINDS 10

/* Calls whose middle a cut can hit. */
#define CALLS_THAT_CHANGE                                                                          \
    (DISK_CALL_WRITE | DISK_CALL_SYNC | DISK_CALL_RESERVE | DISK_CALL_TRUNCATE |                   \
     DISK_CALL_RENAME | DISK_CALL_UNLINK | DISK_CALL_SYNC_DIR)

struct memory_disk {
    struct disk disk;
    struct disk *lossy;
    pthread_mutex_t mutex; /* of everything below; taken before that of lossy */
    uint64_t calls[CALL_KINDS];
    _Atomic uint64_t limit;
    unsigned fault_calls;
    uint64_t fault_after;
    int fault_error;
    enum disk_fault_mode fault_mode;
    uint64_t cut_after; /* 0: never */
    bool is_cut;
    struct chance chance; /* of which part of a failed write is written */
};

struct memory_file {
    struct disk_file file;
    struct disk_file *inner;
    bool is_direct;
};

/* What becomes of a call. */
enum verdict {
    VERDICT_GOES,
    VERDICT_FAILS, /* with the planned error */
    VERDICT_CUT,   /* the power goes in its middle */
    VERDICT_DEAD,  /* it went before */
};

static struct memory_disk *memory_disk(struct disk *disk)
{
    return CONTAINER_OF(disk, struct memory_disk, disk);
}

static struct memory_file *memory_file(struct disk_file *file)
{
    return CONTAINER_OF(file, struct memory_file, file);
}

static bool fault_hits(struct memory_disk *d, enum disk_call call)
{
    if (!(d->fault_calls & (unsigned)call))
        return false;
    if (d->fault_after > 0) {
        d->fault_after--;
        return false;
    }
    if (d->fault_mode == DISK_FAULT_ONCE)
        d->fault_calls = 0;
    return true;
}

/* `*error` is what a call that is not VERDICT_GOES answers. */
static enum verdict judge(struct memory_disk *d, enum disk_call call, bool changes, int *error)
{
    enum verdict verdict = VERDICT_GOES;

    pthread_mutex_lock(&d->mutex);
    d->calls[__builtin_ctz((unsigned)call)]++;
    *error = -EIO;
    if (d->is_cut) {
        verdict = VERDICT_DEAD;
    } else if (changes && d->cut_after > 0 && --d->cut_after == 0) {
        d->is_cut = true;
        verdict = VERDICT_CUT;
    } else if (fault_hits(d, call)) {
        *error = d->fault_error;
        verdict = VERDICT_FAILS;
    }
    pthread_mutex_unlock(&d->mutex);
    return verdict;
}

/* For all calls but open. In the middle of a sync nothing of it is done here, since the crash that follows
 * may make any part of it sure; the middle of another change is all of it, since nothing of it is sure and
 * the crash may drop it. */
static enum verdict judge_plain(struct memory_disk *d, enum disk_call call, int *error)
{
    return judge(d, call, (unsigned)call & CALLS_THAT_CHANGE, error);
}

static bool has_effect(enum verdict verdict)
{
    return verdict == VERDICT_GOES || verdict == VERDICT_CUT;
}

static bool exists(struct memory_disk *d, const char *name)
{
    struct disk_file *file;

    if (disk_open(d->lossy, name, 0, &file) != 0)
        return false;
    disk_close(file);
    return true;
}

static int memory_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **out)
{
    struct memory_disk *d = memory_disk(disk);
    const bool makes = (flags & DISK_CREATE) && !exists(d, name);
    struct disk_file *inner = NULL;
    int error;
    const enum verdict verdict = judge(d, DISK_CALL_OPEN, makes, &error);

    *out = NULL;
    if (has_effect(verdict)) {
        /* Alignment is checked here: damage and parts of failed writes go below unaligned. */
        int rc = disk_open(d->lossy, name, flags & ~(unsigned)DISK_DIRECT, &inner);
        if (rc != 0)
            return rc;
    }
    if (verdict != VERDICT_GOES) {
        disk_close(inner);
        return error;
    }
    struct memory_file *f = mem_alloc(sizeof(*f));
    f->file.disk = disk;
    f->inner = inner;
    f->is_direct = flags & DISK_DIRECT;
    *out = &f->file;
    return 0;
}

static void memory_close(struct disk_file *file)
{
    struct memory_file *f = memory_file(file);

    disk_close(f->inner);
    mem_free(f);
}

static void check_extent(const struct memory_file *f, const void *data, size_t n, uint64_t offset)
{
    BUG_ON(f->is_direct && !disk_is_aligned(data, n, offset), "unaligned: %p, %zu octets at %llu",
           data, n, (unsigned long long)offset);
}

static int memory_read(struct disk_file *file, void *data, size_t n, uint64_t offset, size_t *got)
{
    const struct memory_file *f = memory_file(file);
    int error;

    check_extent(f, data, n, offset);
    *got = 0;
    if (judge_plain(memory_disk(file->disk), DISK_CALL_READ, &error) != VERDICT_GOES)
        return error;
    return disk_read(f->inner, data, n, offset, got);
}

/* Would the file at this length be more than the disk has? */
static int check_room(struct disk_file *file, uint64_t length)
{
    struct memory_disk *d = memory_disk(file->disk);
    uint64_t size = 0;
    int rc;

    if (d->limit == UINT64_MAX)
        return 0;
    rc = disk_size(memory_file(file)->inner, &size);
    if (rc == 0 && length > size && disk_lossy_bytes(d->lossy) + (length - size) > d->limit)
        rc = -ENOSPC;
    return rc;
}

/* Let any of the sectors of a write happen, unsure like every write. */
static void write_some(struct disk_file *file, const void *data, size_t n, uint64_t offset)
{
    struct memory_disk *d = memory_disk(file->disk);

    pthread_mutex_lock(&d->mutex);
    const uint64_t of_four = chance_below(&d->chance, 5);
    for (size_t done = 0; done < n;) {
        const size_t part = MIN(n - done, DISK_SECTOR - (size_t)((offset + done) % DISK_SECTOR));
        /* An error here is that of a file without room, and the write has failed anyhow. */
        if (chance_hits(&d->chance, of_four, 4) && check_room(file, offset + done + part) == 0)
            (void)!disk_write(memory_file(file)->inner, (const char *)data + done, part,
                              offset + done);
        done += part;
    }
    pthread_mutex_unlock(&d->mutex);
}

static int memory_write(struct disk_file *file, const void *data, size_t n, uint64_t offset)
{
    const struct memory_file *f = memory_file(file);
    int error;
    int rc = 0;

    check_extent(f, data, n, offset);
    switch (judge_plain(memory_disk(file->disk), DISK_CALL_WRITE, &error)) {
    case VERDICT_GOES:
        if (n > 0 && (rc = check_room(file, offset + n)) != 0)
            write_some(file, data, n, offset);
        return rc == 0 ? disk_write(f->inner, data, n, offset) : rc;
    case VERDICT_FAILS:
    case VERDICT_CUT:
        write_some(file, data, n, offset);
        return error;
    case VERDICT_DEAD:
        return error;
    }
    return error;
}

static int memory_sync(struct disk_file *file)
{
    struct disk_file *inner = memory_file(file)->inner;
    int error;
    const enum verdict verdict = judge_plain(memory_disk(file->disk), DISK_CALL_SYNC, &error);

    if (verdict == VERDICT_GOES)
        return disk_sync(inner);
    if (verdict == VERDICT_FAILS)
        disk_lossy_forget(inner);
    return error;
}

static int memory_size(struct disk_file *file, uint64_t *bytes)
{
    return disk_memory_is_cut(file->disk) ? -EIO : disk_size(memory_file(file)->inner, bytes);
}

static int memory_reserve(struct disk_file *file, uint64_t bytes)
{
    int error;
    const enum verdict verdict = judge_plain(memory_disk(file->disk), DISK_CALL_RESERVE, &error);
    int rc = has_effect(verdict) ? check_room(file, bytes) : 0;

    if (has_effect(verdict) && rc == 0)
        rc = disk_reserve(memory_file(file)->inner, bytes);
    return verdict == VERDICT_GOES ? rc : error;
}

static int memory_truncate(struct disk_file *file, uint64_t bytes)
{
    int error;
    const enum verdict verdict = judge_plain(memory_disk(file->disk), DISK_CALL_TRUNCATE, &error);
    int rc = has_effect(verdict) ? check_room(file, bytes) : 0;

    if (has_effect(verdict) && rc == 0)
        rc = disk_truncate(memory_file(file)->inner, bytes);
    return verdict == VERDICT_GOES ? rc : error;
}

static int memory_rename(struct disk *disk, const char *from, const char *to)
{
    struct memory_disk *d = memory_disk(disk);
    int error;
    const enum verdict verdict = judge_plain(d, DISK_CALL_RENAME, &error);
    int rc = has_effect(verdict) ? disk_rename(d->lossy, from, to) : 0;

    return verdict == VERDICT_GOES ? rc : error;
}

static int memory_unlink(struct disk *disk, const char *name)
{
    struct memory_disk *d = memory_disk(disk);
    int error;
    const enum verdict verdict = judge_plain(d, DISK_CALL_UNLINK, &error);
    int rc = has_effect(verdict) ? disk_unlink(d->lossy, name) : 0;

    return verdict == VERDICT_GOES ? rc : error;
}

static int memory_sync_dir(struct disk *disk)
{
    struct memory_disk *d = memory_disk(disk);
    int error;

    return judge_plain(d, DISK_CALL_SYNC_DIR, &error) == VERDICT_GOES ? disk_sync_dir(d->lossy)
                                                                      : error;
}

static int memory_list(struct disk *disk, void (*each)(void *context, const char *name),
                       void *context)
{
    struct memory_disk *d = memory_disk(disk);
    int error;

    return judge_plain(d, DISK_CALL_LIST, &error) == VERDICT_GOES
               ? disk_list(d->lossy, each, context)
               : error;
}

static int memory_lock(struct disk *disk, const char *name)
{
    return disk_memory_is_cut(disk) ? -EIO : disk_lock(memory_disk(disk)->lossy, name);
}

static void memory_free(struct disk *disk)
{
    struct memory_disk *d = memory_disk(disk);

    disk_free(d->lossy);
    pthread_mutex_destroy(&d->mutex);
    mem_free(d);
}

static const struct disk_ops memory_ops = {
    .open = memory_open,
    .close = memory_close,
    .read = memory_read,
    .write = memory_write,
    .sync = memory_sync,
    .size = memory_size,
    .reserve = memory_reserve,
    .truncate = memory_truncate,
    .rename = memory_rename,
    .unlink = memory_unlink,
    .sync_dir = memory_sync_dir,
    .list = memory_list,
    .lock = memory_lock,
    .free = memory_free,
};

static struct memory_disk *memory_new(struct disk *lossy)
{
    struct memory_disk *d = mem_alloc_zero(sizeof(*d));

    d->disk.ops = &memory_ops;
    d->lossy = lossy;
    d->limit = UINT64_MAX;
    pthread_mutex_init(&d->mutex, NULL);
    return d;
}

struct disk *disk_memory_new(void)
{
    struct disk *lossy;
    int rc = disk_lossy_new(disk_ram_new(), 0, &lossy);

    BUG_ON(rc != 0, "an empty disk: %d", rc);
    return &memory_new(lossy)->disk;
}

struct disk *disk_memory_clone(struct disk *disk)
{
    struct memory_disk *from = memory_disk(disk);
    struct disk *below = disk_ram_clone(disk_lossy_below(from->lossy));
    struct memory_disk *to = memory_new(disk_lossy_clone(from->lossy, below));

    to->chance = from->chance;
    to->is_cut = from->is_cut;
    return &to->disk;
}

void disk_memory_crash(struct disk *disk, uint64_t seed)
{
    struct memory_disk *d = memory_disk(disk);

    disk_lossy_seed(d->lossy, seed);
    disk_lossy_cut(d->lossy);
    disk_lossy_boot(d->lossy);
    disk_ram_unlock(disk_lossy_below(d->lossy));
    d->is_cut = false;
    d->cut_after = 0;
    d->fault_calls = 0;
    d->chance.state = ~seed;
}

void disk_memory_restart(struct disk *disk)
{
    struct memory_disk *d = memory_disk(disk);

    BUG_ON(d->is_cut, "only disk_memory_crash ends a cut");
    disk_lossy_kill(d->lossy);
    disk_ram_unlock(disk_lossy_below(d->lossy));
}

void disk_memory_cut_after(struct disk *disk, uint64_t n)
{
    memory_disk(disk)->cut_after = n;
}

bool disk_memory_is_cut(struct disk *disk)
{
    struct memory_disk *d = memory_disk(disk);
    bool is_cut;

    pthread_mutex_lock(&d->mutex);
    is_cut = d->is_cut;
    pthread_mutex_unlock(&d->mutex);
    return is_cut;
}

void disk_memory_fail(struct disk *disk, unsigned calls, uint64_t after, int error,
                      enum disk_fault_mode mode)
{
    struct memory_disk *d = memory_disk(disk);

    pthread_mutex_lock(&d->mutex);
    d->fault_calls = calls;
    d->fault_after = after;
    d->fault_error = error;
    d->fault_mode = mode;
    pthread_mutex_unlock(&d->mutex);
}

void disk_memory_set_limit(struct disk *disk, uint64_t bytes)
{
    memory_disk(disk)->limit = bytes;
}

uint64_t disk_memory_calls(struct disk *disk, unsigned calls)
{
    struct memory_disk *d = memory_disk(disk);
    uint64_t sum = 0;

    pthread_mutex_lock(&d->mutex);
    for (unsigned i = 0; i < CALL_KINDS; i++)
        if (calls & (1U << i))
            sum += d->calls[i];
    pthread_mutex_unlock(&d->mutex);
    return sum;
}

int disk_memory_corrupt(struct disk *disk, const char *name, uint64_t offset, unsigned char mask)
{
    struct disk_file *file;
    unsigned char octet = 0;
    size_t got = 0;
    int rc = disk_open(memory_disk(disk)->lossy, name, 0, &file);

    if (rc != 0)
        return rc;
    rc = disk_read(file, &octet, 1, offset, &got);
    octet ^= mask;
    if (rc == 0 && got == 0)
        rc = -EINVAL;
    if (rc == 0 && (rc = disk_write(file, &octet, 1, offset)) == 0)
        rc = disk_sync(file);
    disk_close(file);
    return rc;
}

int disk_memory_truncate(struct disk *disk, const char *name, uint64_t bytes)
{
    struct disk_file *file;
    int rc = disk_open(memory_disk(disk)->lossy, name, 0, &file);

    if (rc != 0)
        return rc;
    if ((rc = disk_truncate(file, bytes)) == 0)
        rc = disk_sync(file);
    disk_close(file);
    return rc;
}
