/* SPDX-License-Identifier: Apache-2.0 */
/* Disk that fails at chosen calls: every call looks at the rules, counts, and goes on below or not. */
#include "storage/disk_faulty.h"

#include "storage/disk_memory.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RULES_MAX 8U
/* In place of an errno: the call takes a second, and succeeds. */
#define SLOW 100000

struct rule {
    unsigned calls; /* enum disk_call */
    int error;      /* -errno */
    uint64_t first; /* number of a call, from 1 */
    uint64_t last;
    char prefix[DISK_NAME_MAX];
    _Atomic uint64_t count;
};

struct faulty_disk {
    struct disk disk;
    struct disk *below;
    void (*forget)(struct disk_file *file);
    pthread_mutex_t mutex; /* of the files and their names */
    struct list files;
    uint32_t rule_count;
    struct rule rules[RULES_MAX];
};

struct faulty_file {
    struct disk_file file;
    struct list link;
    struct disk_file *below;
    char name[DISK_NAME_MAX];
};

static struct faulty_disk *faulty_disk(struct disk *disk)
{
    return CONTAINER_OF(disk, struct faulty_disk, disk);
}

static struct faulty_file *faulty_file(struct disk_file *file)
{
    return CONTAINER_OF(file, struct faulty_file, file);
}

/* Does this call fail? Each rule counts it, also behind one that has decided. */
static int judge(struct disk *disk, enum disk_call call, const char *name)
{
    struct faulty_disk *d = faulty_disk(disk);
    int rc = 0;

    for (uint32_t i = 0; i < d->rule_count; i++) {
        struct rule *rule = &d->rules[i];
        uint64_t number;
        if (!(rule->calls & call) || strncmp(name, rule->prefix, strlen(rule->prefix)) != 0)
            continue;
        number = atomic_fetch_add(&rule->count, 1) + 1;
        if (number < rule->first || number > rule->last)
            continue;
        if (rule->error == -SLOW)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        else if (rc == 0)
            rc = rule->error;
    }
    return rc;
}

static int judge_file(struct disk_file *file, enum disk_call call)
{
    struct faulty_disk *d = faulty_disk(file->disk);
    char name[DISK_NAME_MAX];

    pthread_mutex_lock(&d->mutex);
    memcpy(name, faulty_file(file)->name, sizeof name);
    pthread_mutex_unlock(&d->mutex);
    return judge(file->disk, call, name);
}

/* ---- calls ---- */

static int faulty_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **out)
{
    struct faulty_file *file;
    struct disk_file *below;
    int rc = judge(disk, DISK_CALL_OPEN, name);

    *out = NULL;
    if (rc == 0)
        rc = disk_open(faulty_disk(disk)->below, name, flags, &below);
    if (rc != 0)
        return rc;
    file = mem_alloc_zero(sizeof *file);
    file->file.disk = disk;
    file->below = below;
    snprintf(file->name, sizeof file->name, "%s", name);
    pthread_mutex_lock(&faulty_disk(disk)->mutex);
    list_push_back(&faulty_disk(disk)->files, &file->link);
    pthread_mutex_unlock(&faulty_disk(disk)->mutex);
    *out = &file->file;
    return 0;
}

static void faulty_close(struct disk_file *file)
{
    struct faulty_disk *d = faulty_disk(file->disk);

    pthread_mutex_lock(&d->mutex);
    list_remove(&faulty_file(file)->link);
    pthread_mutex_unlock(&d->mutex);
    disk_close(faulty_file(file)->below);
    mem_free(faulty_file(file));
}

static int faulty_read(struct disk_file *file, void *data, size_t n, uint64_t offset, size_t *got)
{
    int rc = judge_file(file, DISK_CALL_READ);

    *got = 0;
    return rc == 0 ? disk_read(faulty_file(file)->below, data, n, offset, got) : rc;
}

static int faulty_write(struct disk_file *file, const void *data, size_t n, uint64_t offset)
{
    struct disk_file *below = faulty_file(file)->below;
    int rc = judge_file(file, DISK_CALL_WRITE);
    size_t half = n / 2 / DISK_ALIGN * DISK_ALIGN;

    if (rc == 0)
        return disk_write(below, data, n, offset);
    if (half > 0)
        (void)!disk_write(below, data, half, offset);
    return rc;
}

static int faulty_sync(struct disk_file *file)
{
    struct faulty_disk *d = faulty_disk(file->disk);
    struct disk_file *below = faulty_file(file)->below;
    int rc = judge_file(file, DISK_CALL_SYNC);

    if (rc == 0)
        return disk_sync(below);
    if (d->forget)
        d->forget(below);
    return rc;
}

static int faulty_size(struct disk_file *file, uint64_t *bytes)
{
    return disk_size(faulty_file(file)->below, bytes);
}

static int faulty_reserve(struct disk_file *file, uint64_t bytes)
{
    int rc = judge_file(file, DISK_CALL_RESERVE);
    return rc == 0 ? disk_reserve(faulty_file(file)->below, bytes) : rc;
}

static int faulty_truncate(struct disk_file *file, uint64_t bytes)
{
    int rc = judge_file(file, DISK_CALL_TRUNCATE);
    return rc == 0 ? disk_truncate(faulty_file(file)->below, bytes) : rc;
}

static int faulty_rename(struct disk *disk, const char *from, const char *to)
{
    struct faulty_disk *d = faulty_disk(disk);
    int rc = judge(disk, DISK_CALL_RENAME, from);

    if (rc == 0)
        rc = disk_rename(d->below, from, to);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&d->mutex);
    LIST_FOR_EACH (link, &d->files) {
        struct faulty_file *file = CONTAINER_OF(link, struct faulty_file, link);
        if (strcmp(file->name, from) == 0)
            snprintf(file->name, sizeof file->name, "%s", to);
    }
    pthread_mutex_unlock(&d->mutex);
    return 0;
}

static int faulty_unlink(struct disk *disk, const char *name)
{
    int rc = judge(disk, DISK_CALL_UNLINK, name);
    return rc == 0 ? disk_unlink(faulty_disk(disk)->below, name) : rc;
}

static int faulty_sync_dir(struct disk *disk)
{
    int rc = judge(disk, DISK_CALL_SYNC_DIR, "");
    return rc == 0 ? disk_sync_dir(faulty_disk(disk)->below) : rc;
}

static int faulty_list(struct disk *disk, void (*each)(void *context, const char *name),
                       void *context)
{
    int rc = judge(disk, DISK_CALL_LIST, "");
    return rc == 0 ? disk_list(faulty_disk(disk)->below, each, context) : rc;
}

static int faulty_lock(struct disk *disk, const char *name)
{
    return disk_lock(faulty_disk(disk)->below, name);
}

static void faulty_free(struct disk *disk)
{
    disk_free(faulty_disk(disk)->below);
    pthread_mutex_destroy(&faulty_disk(disk)->mutex);
    mem_free(faulty_disk(disk));
}

static const struct disk_ops faulty_ops = {
    .open = faulty_open,
    .close = faulty_close,
    .read = faulty_read,
    .write = faulty_write,
    .sync = faulty_sync,
    .size = faulty_size,
    .reserve = faulty_reserve,
    .truncate = faulty_truncate,
    .rename = faulty_rename,
    .unlink = faulty_unlink,
    .sync_dir = faulty_sync_dir,
    .list = faulty_list,
    .lock = faulty_lock,
    .free = faulty_free,
};

/* ---- rules ---- */

struct word {
    const char *text;
    unsigned value;
};

static const struct word call_words[] = {
    {"open", DISK_CALL_OPEN},
    {"read", DISK_CALL_READ},
    {"write", DISK_CALL_WRITE},
    {"sync", DISK_CALL_SYNC},
    {"reserve", DISK_CALL_RESERVE},
    {"truncate", DISK_CALL_TRUNCATE},
    {"rename", DISK_CALL_RENAME},
    {"unlink", DISK_CALL_UNLINK},
    {"sync_dir", DISK_CALL_SYNC_DIR},
    {"any", DISK_CALL_ALL},
    {NULL, 0},
};

static const struct word error_words[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EROFS", EROFS},
    {"EACCES", EACCES}, {"SLOW", SLOW},     {NULL, 0},
};

/* The word up to `*at`'s colon, which is passed; 0: unknown. */
static unsigned take_word(const struct word *words, const char **at)
{
    size_t n = strcspn(*at, ":,");

    for (; words->text; words++) {
        if (strlen(words->text) == n && strncmp(words->text, *at, n) == 0 && (*at)[n] == ':') {
            *at += n + 1;
            return words->value;
        }
    }
    return 0;
}

/* FIRST[-[LAST]]; both stay 0 when it is none. */
static void take_numbers(struct rule *rule, const char **at)
{
    char *end;

    rule->first = strtoull(*at, &end, 10);
    rule->last = rule->first;
    if (*end == '-') {
        *at = end + 1;
        rule->last = strtoull(*at, &end, 10);
        if (end == *at)
            rule->last = UINT64_MAX;
    }
    *at = end;
}

static bool take_rule(struct rule *rule, const char **at)
{
    size_t n = 0;

    rule->calls = take_word(call_words, at);
    rule->error = rule->calls ? -(int)take_word(error_words, at) : 0;
    if (rule->error == 0)
        return false;
    take_numbers(rule, at);
    if (**at == ':') {
        n = strcspn(++*at, ",");
        snprintf(rule->prefix, sizeof rule->prefix, "%.*s", (int)MIN(n, sizeof rule->prefix), *at);
    }
    *at += n;
    return rule->first > 0 && (**at == ',' || **at == '\0');
}

static bool take_rules(struct faulty_disk *d, const char *at)
{
    for (;; at++) {
        if (d->rule_count == RULES_MAX || !take_rule(&d->rules[d->rule_count++], &at))
            return false;
        if (*at == '\0')
            return true;
    }
}

int disk_faulty_new(struct disk *below, const char *rules, void (*forget)(struct disk_file *file),
                    struct disk **out)
{
    struct faulty_disk *d = mem_alloc_zero(sizeof *d);

    d->disk.ops = &faulty_ops;
    d->below = below;
    d->forget = forget;
    pthread_mutex_init(&d->mutex, NULL);
    list_init(&d->files);
    *out = NULL;
    if (!take_rules(d, rules)) {
        disk_free(&d->disk);
        return ERR_USAGE;
    }
    *out = &d->disk;
    return 0;
}
