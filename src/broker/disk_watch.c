/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that asks the file system how much is free. */
#include "broker/disk_watch.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/alarm.h"

#include <errno.h>
#include <sys/statvfs.h>

/* RabbitMQ looks every 10 s, oftener when little is left. A disk takes gigabytes in that time. */
#define LOOK_MS 500

struct disk_watch {
    struct node *node;
    const char *path;
    uint64_t limit_bytes;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_stopping;
    bool has_complained; /* that the file system does not answer */
};

static void set_alarm(struct disk_watch *watch, bool on, uint64_t free_bytes)
{
    if (!alarm_change(watch->node, ALARM_DISK_FREE, on))
        return;
    if (on)
        log_warn("disk resource limit alarm set: publishers will be blocked until it clears",
                 "free_bytes=%llu limit_bytes=%llu", (unsigned long long)free_bytes,
                 (unsigned long long)watch->limit_bytes);
    else
        log_warn("disk resource limit alarm cleared", "free_bytes=%llu",
                 (unsigned long long)free_bytes);
}

static void look(struct disk_watch *watch)
{
    struct statvfs fs;
    uint64_t free_bytes;

    if (statvfs(watch->path, &fs) != 0) {
        if (!watch->has_complained)
            log_warn("cannot ask the file system how much is free", "path=%s error='%s'",
                     watch->path, err_text(-errno));
        watch->has_complained = true;
        return;
    }
    if (fs.f_blocks == 0) /* one that does not count, as ramfs: it says that nothing is free, too */
        return;
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    set_alarm(watch, free_bytes < watch->limit_bytes, free_bytes);
}

static struct timespec next_look(void)
{
    uint64_t ns = clock_read_ns(CLOCK_REALTIME) + LOOK_MS * 1000000ULL;
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000U),
                             .tv_nsec = (long)(ns % 1000000000U)};
}

static void *watch_main(void *arg)
{
    struct disk_watch *watch = arg;

    (void)pthread_setname_np(pthread_self(), "disk-watch");
    pthread_mutex_lock(&watch->mutex);
    while (!watch->is_stopping) {
        struct timespec until = next_look();
        pthread_mutex_unlock(&watch->mutex);
        look(watch);
        pthread_mutex_lock(&watch->mutex);
        if (!watch->is_stopping)
            (void)pthread_cond_timedwait(&watch->changed, &watch->mutex, &until);
    }
    pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

int disk_watch_start(struct node *node, const char *path, uint64_t limit_bytes,
                     struct disk_watch **out)
{
    struct disk_watch *watch = mem_alloc_zero(sizeof *watch);
    int rc;

    *watch = (struct disk_watch){.node = node, .path = path, .limit_bytes = limit_bytes};
    pthread_mutex_init(&watch->mutex, NULL);
    pthread_cond_init(&watch->changed, NULL);
    look(watch); /* before the first publisher */
    rc = pthread_create(&watch->thread, NULL, watch_main, watch);
    if (rc != 0) {
        pthread_mutex_destroy(&watch->mutex);
        pthread_cond_destroy(&watch->changed);
        mem_free(watch);
        watch = NULL;
    }
    *out = watch;
    return -rc;
}

void disk_watch_stop(struct disk_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->is_stopping = true;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_mutex_destroy(&watch->mutex);
    pthread_cond_destroy(&watch->changed);
    mem_free(watch);
}
