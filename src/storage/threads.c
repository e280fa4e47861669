/* SPDX-License-Identifier: Apache-2.0 */
/* The log's threads: the writer (batches), the helper (segments ahead, checkpoints); the reader is in fetch.c. */
#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <errno.h>

/* After this long without a batch the log is sealed by an empty one: what lies before a valid batch is
 * known to have been whole, so later damage to it is not taken for a torn end. */
#define SEAL_AFTER_MS 500
/* How often a full disk is tried again. */
#define SPACE_RETRY_MS 500
/* A checkpoint that could not be written is tried again after this part of the log between two. */
#define RETRY_PART 16U

static struct timespec in_ms(uint64_t ms)
{
    uint64_t ns = clock_mono_ns() + ms * 1000000U;
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000U),
                             .tv_nsec = (long)(ns % 1000000000U)};
}

/* Until something is submitted, the node stops, or the seal is due; the last returns false. The flag goes
 * up before the last look, a submitter pushes before it looks at the flag: one sees the other. */
static bool sleep_until_submitted(struct log *log)
{
    struct timespec until = in_ms(SEAL_AFTER_MS);
    int rc = 0;

    atomic_store(&log->is_idle, true);
    pthread_mutex_lock(&log->wake_mutex);
    atomic_store_explicit(&log->is_sleeping, true, memory_order_seq_cst);
    while (rc == 0 && !atomic_load(&log->submitted) && !atomic_load(&log->is_stopping)) {
        if (log->is_sealed)
            pthread_cond_wait(&log->wake, &log->wake_mutex);
        else
            rc = pthread_cond_timedwait(&log->wake, &log->wake_mutex, &until);
    }
    atomic_store_explicit(&log->is_sleeping, false, memory_order_seq_cst);
    pthread_mutex_unlock(&log->wake_mutex);
    return rc != ETIMEDOUT;
}

static void *writer_main(void *arg)
{
    struct log *log = arg;
    bool seals = false;

    (void)pthread_setname_np(pthread_self(), "log-writer");
    for (;;) {
        atomic_store(&log->is_idle, false);
        if (log_take_submitted(log) || seals) {
            if (log_write_batch(log, seals) != 0)
                break;
            seals = false;
            continue;
        }
        if (atomic_load(&log->is_stopping))
            break;
        seals = !sleep_until_submitted(log);
    }
    /* A clean stop ends in a seal, too. */
    if (!log->is_sealed && atomic_load(&log->failure) == 0)
        (void)log_write_batch(log, true);
    atomic_store(&log->is_idle, true);
    return NULL;
}

/* ---- the helper ---- */

static void set_space(struct log *log, bool is_low, int error)
{
    const struct log_events *events = &log->settings.events;
    bool changed;

    pthread_mutex_lock(&log->mutex);
    changed = log->has_told_low != is_low;
    log->is_space_low = is_low;
    log->has_told_low = is_low;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
    if (!changed)
        return;
    if (is_low)
        log_warn(
            "cannot prepare the next segment of the log: publishers are blocked until it works",
            "error='%s'", err_text(error));
    else
        log_warn("the next segment of the log is prepared again", "%s", "");
    if (events->space)
        events->space(events->context, is_low);
}

/* What clients have taken meanwhile goes with the next checkpoint, and what the cleaner has emptied. */
void log_ask_for_room(struct log *log)
{
    bool is_due;

    pthread_mutex_lock(&log->mutex);
    is_due = !log->is_checkpoint_due && !log->is_checkpointing && !log->is_ending;
    log->is_checkpoint_due |= is_due;
    pthread_mutex_unlock(&log->mutex);
    if (is_due && log->settings.events.checkpoint_due)
        log->settings.events.checkpoint_due(log->settings.events.context);
}

/* While the log ends, or its disk is full, nothing is cleaned. Thread: under the mutex. */
static bool may_clean(const struct log *log)
{
    return !log->is_ending && !log->is_space_low && !atomic_load(&log->is_stopping) &&
           atomic_load(&log->failure) == 0;
}

static void prepare_one(struct log *log)
{
    int rc = segment_prepare(log);
    struct timespec until = in_ms(SPACE_RETRY_MS);
    uint64_t now = clock_mono_ms();
    bool asks;

    set_space(log, rc != 0, rc);
    if (rc == 0)
        return;
    pthread_mutex_lock(&log->mutex);
    /* One that failed as well is no reason to try again at once. */
    asks = log->since_checkpoint > 0 && now >= log->next_ask_ms;
    if (asks)
        log->next_ask_ms = now + SPACE_RETRY_MS;
    pthread_mutex_unlock(&log->mutex);
    if (asks)
        log_ask_for_room(log);
    pthread_mutex_lock(&log->mutex);
    if (!atomic_load(&log->is_stopping))
        (void)pthread_cond_timedwait(&log->changed, &log->mutex, &until);
    pthread_mutex_unlock(&log->mutex);
}

static void write_checkpoint(struct log *log, struct log_checkpoint *checkpoint)
{
    bool has_room;
    int rc;

    rc = checkpoint_write(checkpoint);
    if (rc == 0) {
        clean_take(log, checkpoint);
    } else {
        log_warn("cannot write a checkpoint; the one before stays", "error='%s'", err_text(rc));
        checkpoint_free(checkpoint);
    }
    pthread_mutex_lock(&log->mutex);
    log->is_checkpointing = false;
    if (rc != 0) /* the next is due after a small part of what else lies between two */
        log->since_checkpoint = MAX(log->since_checkpoint,
                                    log->settings.checkpoint_bytes / RETRY_PART * (RETRY_PART - 1));
    has_room = log->spare_count > 0 || (log->has_told_low && !log->is_space_low);
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
    if (has_room)
        set_space(log, false, 0); /* a recycled segment is as good as a prepared one */
}

enum helper_job { HELPER_STOP, HELPER_PREPARE, HELPER_CHECKPOINT, HELPER_CLEAN, HELPER_ASK };

static void wait_for_change(struct log *log, uint64_t until)
{
    struct timespec at = {.tv_sec = (time_t)(until / 1000000000U),
                          .tv_nsec = (long)(until % 1000000000U)};

    if (until == UINT64_MAX)
        pthread_cond_wait(&log->changed, &log->mutex);
    else
        (void)pthread_cond_timedwait(&log->changed, &log->mutex, &at);
}

/* A stop does not overtake a checkpoint that can be written; a log that failed writes none. The writer may
 * need another segment for what was submitted before the stop: the helper ends after it. */
static enum helper_job next_job(struct log *log, struct log_checkpoint **checkpoint)
{
    enum helper_job job = HELPER_STOP;
    bool found = false;

    pthread_mutex_lock(&log->mutex);
    while (!found) {
        bool has_failed = atomic_load(&log->failure) != 0;
        uint64_t until = UINT64_MAX;
        bool is_ready;
        found = true;
        *checkpoint = log->pending;
        is_ready = *checkpoint && (has_failed || checkpoint_is_durable(*checkpoint));
        /* On a full disk the checkpoint comes first: it may let go of what fills it. */
        if (log->wants_spare && log->spare_count == 0 && !has_failed &&
            !(log->is_space_low && (is_ready || atomic_load(&log->is_stopping)))) {
            job = HELPER_PREPARE;
        } else if (is_ready) {
            log->pending = NULL;
            job = HELPER_CHECKPOINT;
        } else if (may_clean(log) && clean_is_ready(log, &until)) {
            job = HELPER_CLEAN;
        } else if (may_clean(log) && clean_wants_checkpoint(log, &until)) {
            job = HELPER_ASK;
        } else if (!log->has_writer_ended) {
            found = false;
            wait_for_change(log, until);
        }
    }
    pthread_mutex_unlock(&log->mutex);
    return job;
}

static void *helper_main(void *arg)
{
    struct log *log = arg;
    struct log_checkpoint *checkpoint;

    (void)pthread_setname_np(pthread_self(), "log-helper");
    for (;;) {
        switch (next_job(log, &checkpoint)) {
        case HELPER_PREPARE:
            prepare_one(log);
            break;
        case HELPER_CHECKPOINT:
            write_checkpoint(log, checkpoint);
            break;
        case HELPER_CLEAN:
            clean_step(log);
            break;
        case HELPER_ASK:
            log_ask_for_room(log);
            break;
        case HELPER_STOP:
            return NULL;
        }
    }
}

/* ---- life ---- */

/* The writer is gone: its seal may have needed another segment. */
static void stop_helper(struct log *log)
{
    atomic_store(&log->is_stopping, true);
    pthread_mutex_lock(&log->mutex);
    log->has_writer_ended = true;
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
    pthread_join(log->helper, NULL);
}

static void stop_writer(struct log *log)
{
    atomic_store(&log->is_stopping, true);
    pthread_mutex_lock(&log->wake_mutex);
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->wake_mutex);
    pthread_mutex_lock(&log->mutex);
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
    pthread_join(log->writer, NULL);
}

static int start_threads(struct log *log)
{
    int rc = fetch_start(log);

    if (rc != 0)
        return rc;
    log->has_threads = true; /* the writer looks at it from its first batch on */
    rc = pthread_create(&log->helper, NULL, helper_main, log);
    if (rc == 0) {
        rc = pthread_create(&log->writer, NULL, writer_main, log);
        if (rc != 0)
            stop_helper(log);
    }
    if (rc != 0) {
        log->has_threads = false;
        fetch_stop(log);
    }
    return -rc;
}

int log_start(struct log *log, struct log_error *error)
{
    int rc = log->position.segment == 0 ? segment_open_first(log) : segment_open_last(log);

    if (rc != 0)
        return log_error_set(error, rc, "", 0, "cannot open a segment to write to: %s",
                             err_text(rc));
    /* What the replay needed is as large as a segment. */
    segment_reader_close(&log->reader);
    if (!log->settings.is_threaded)
        return 0;
    rc = start_threads(log);
    return rc == 0 ? 0 : log_error_set(error, rc, "", 0, "cannot start threads: %s", err_text(rc));
}

static int write_submitted(struct log *log)
{
    int rc = 0;

    while (rc == 0 && log_take_submitted(log))
        rc = log_write_batch(log, false);
    return rc;
}

/* A step of cleaning for each of the log. */
static void clean_unthreaded(struct log *log)
{
    uint64_t until = UINT64_MAX;

    if (!may_clean(log))
        return;
    if (clean_is_ready(log, &until))
        clean_step(log);
    else if (clean_wants_checkpoint(log, &until))
        log_ask_for_room(log);
}

int log_step(struct log *log)
{
    int rc;

    BUG_ON(log->has_threads, "the log has threads for this");
    rc = write_submitted(log);
    fetch_step(log);
    if (rc != 0)
        return rc;
    if (log->pending && checkpoint_is_durable(log->pending)) {
        struct log_checkpoint *checkpoint = log->pending;
        log->pending = NULL;
        write_checkpoint(log, checkpoint);
    }
    clean_unthreaded(log);
    return atomic_load(&log->failure);
}

int log_wait_idle(struct log *log)
{
    if (!log->has_threads)
        return log_step(log);
    pthread_mutex_lock(&log->mutex);
    log->is_ending = true;
    pthread_cond_broadcast(&log->changed);
    /* The writer tells nobody that it is idle; who stops the node can look. */
    while (atomic_load(&log->failure) == 0 &&
           (atomic_load(&log->submitted) || !atomic_load(&log->is_idle) || log->is_checkpointing)) {
        struct timespec until = in_ms(1);
        (void)pthread_cond_timedwait(&log->changed, &log->mutex, &until);
    }
    log->is_ending = false;
    pthread_mutex_unlock(&log->mutex);
    return atomic_load(&log->failure);
}

void log_stop(struct log *log)
{
    if (log->has_threads) {
        stop_writer(log);
        stop_helper(log);
        log->has_threads = false;
    }
    fetch_stop(log);
}
