/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit: everything that was submitted becomes one batch, one write, one sync. */
#include "base/bug.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/batch.h"

#include <string.h>

#define ZERO_AHEAD_BYTES (1024U * 1024U)
#define CACHED_PIECE_BYTES (512U * 1024U)

void log_fail(struct log *log, int error, const char *what)
{
    int none = 0;
    char name[DISK_NAME_MAX];

    if (!atomic_compare_exchange_strong(&log->failure, &none, error))
        return;
    segment_name(log->position.segment, name);
    log_error("the log has failed: nothing is confirmed from now on, the node stops",
              "what='%s' file=%s offset=%llu error='%s'", what, name,
              (unsigned long long)log->position.offset, err_text(error));
    pthread_mutex_lock(&log->mutex);
    pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
    fetch_news(log);
    if (log->settings.events.failed)
        log->settings.events.failed(log->settings.events.context, error);
}

bool log_take_submitted(struct log *log)
{
    /* Acquire: the records behind the pointers. */
    struct log_part *newest = atomic_exchange_explicit(&log->submitted, NULL, memory_order_seq_cst);
    struct log_part *oldest = NULL;
    struct log_part *last = newest;

    while (newest) {
        struct log_part *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    if (oldest) {
        if (log->last)
            log->last->next = oldest;
        else
            log->first = oldest;
        log->last = last;
    }
    return log->first != NULL;
}

/* ---- one batch ---- */

/* A segment that was not written with zeros before (the first, and one that is gone on with after a start)
 * gets them a stretch ahead of the batches: else each sync would also write metadata of the file system. */
static int zero_ahead(struct log *log, uint64_t end)
{
    static const uint8_t zeros[ZERO_AHEAD_BYTES] __attribute__((aligned(DISK_ALIGN)));
    uint64_t octets = MIN((uint64_t)ZERO_AHEAD_BYTES, log->settings.segment_bytes - end);
    int rc;

    if (LIKELY(end <= log->zeroed_to) || octets == 0)
        return 0;
    rc = disk_write(log->file, zeros, (size_t)octets, end);
    log->zeroed_to = end + octets;
    return rc;
}

/* After the sync: where the parts are, and where the next batch begins. */
static void note_places(struct log *log, const struct batch *batch)
{
    bool wants_spare;

    pthread_mutex_lock(&log->mutex);
    batch_note_places(batch, log, log->current, log->position.offset);
    log->position.offset += batch->whole;
    log->position.sequence++;
    log->since_checkpoint += batch->whole;
    wants_spare = !log->wants_spare && log->spare_count == 0 &&
                  log->position.offset > log->settings.segment_bytes / 4;
    log->wants_spare |= wants_spare;
    /* The helper is not woken for each batch: two switches of threads would cost as much as the write. */
    if (wants_spare || log->pending)
        pthread_cond_broadcast(&log->changed);
    pthread_mutex_unlock(&log->mutex);
}

/* Tell the streams, and give the parts back. */
static void release(struct log *log, const struct batch *batch)
{
    const struct log_events *events = &log->settings.events;
    uint64_t told = 0;

    while (log->first != batch->end) {
        struct log_part *part = log->first;
        struct log_stream *stream = part->stream;
        log->first = part->next;
        if (!log->first)
            log->last = NULL;
        told |= 1ULL << stream->id;
        atomic_fetch_sub_explicit(&stream->octets_under_way, part->capacity, memory_order_relaxed);
        atomic_store_explicit(&stream->durable, part->number, memory_order_seq_cst);
        part_return(part);
    }
    for (; told != 0 && events->durable; told &= told - 1)
        events->durable(events->context, (uint16_t)__builtin_ctzll(told));
}

static void ask_for_checkpoint(struct log *log)
{
    bool is_due;

    pthread_mutex_lock(&log->mutex);
    is_due = log->since_checkpoint > log->settings.checkpoint_bytes && !log->is_checkpoint_due &&
             !log->is_checkpointing;
    log->is_checkpoint_due |= is_due;
    pthread_mutex_unlock(&log->mutex);
    if (is_due && log->settings.events.checkpoint_due)
        log->settings.events.checkpoint_due(log->settings.events.context);
}

/* Through the page cache in pieces, of which the disk has one while the next is copied (1 KiB messages, nobody
 * consumes: 660 k/s instead of 570). */
static int write_octets(struct log *log, uint32_t octets)
{
    uint32_t piece = log->current->is_cached ? MIN(octets, CACHED_PIECE_BYTES) : octets;
    uint64_t offset = log->position.offset;
    int rc = 0;

    for (uint32_t done = 0; done < octets && rc == 0; done += piece) {
        uint32_t n = MIN(piece, octets - done);
        rc = disk_write(log->file, log->buffer + done, n, offset + done);
        if (rc == 0 && done + n < octets)
            disk_start_sync(log->file, n, offset + done);
    }
    return rc;
}

int log_write_batch(struct log *log, bool seals)
{
    uint64_t limit = MIN((uint64_t)BATCH_BYTES,
                         log->settings.segment_bytes - SEGMENT_HEADER_BYTES - BATCH_HEADER_BYTES);
    struct batch batch = batch_choose(log->first, limit);
    const char *what = "begin a segment";
    int rc = atomic_load(&log->failure);

    if (rc != 0 || (batch.parts == 0 && !seals))
        return rc;
    if (log->position.offset + batch.whole > log->settings.segment_bytes)
        rc = segment_roll(log);
    if (rc == 0) {
        batch_fill(&batch, log->current, log->position.sequence, log->buffer);
        what = "write";
        rc = zero_ahead(log, log->position.offset + batch.whole);
    }
    if (rc == 0)
        rc = write_octets(log, batch.whole);
    if (rc == 0) {
        what = "sync";
        rc = disk_sync(log->file);
    }
    if (rc != 0) {
        /* Never tried again: after a failed sync the kernel may have dropped the pages and call the
         * next one good. */
        log_fail(log, rc, what);
        return rc;
    }
    log->is_sealed = batch.parts == 0;
    note_places(log, &batch);
    release(log, &batch);
    if (atomic_load_explicit(&log->fetcher.waits, memory_order_seq_cst))
        fetch_news(log);
    ask_for_checkpoint(log);
    return 0;
}
