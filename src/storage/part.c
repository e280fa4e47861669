/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: a shard stages records into parts and hands them to the writer, without a lock. */
#include "base/bug.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#include <string.h>

/* Room of an ordinary part. A turn that stages more fills several. With large parts a shard that stages little in
 * many turns would have megabytes under way for kilobytes, and a read would seldom have all of a part, whose
 * checksum spares those of its records. */
#define PART_ROOM (64U * 1024U)
/* Ordinary parts that a stream keeps for reuse; a burst's rest goes back to the heap. */
#define SPARE_PARTS_MAX 128U

struct log_part *part_new(uint32_t capacity)
{
    struct log_part *part = mem_alloc(sizeof *part + capacity);

    part->next = NULL;
    part->stream = NULL;
    part->number = 0;
    part->used = 0;
    part->flags = 0;
    part->capacity = capacity;
    part->is_vital = false;
    return part;
}

void stream_init(struct log_stream *stream, struct log *log, uint16_t id)
{
    memset(stream, 0, sizeof *stream);
    stream->log = log;
    stream->id = id;
}

static void free_list(struct log_part *part)
{
    while (part) {
        struct log_part *next = part->next;
        mem_free(part);
        part = next;
    }
}

void stream_fini(struct log_stream *stream)
{
    free_list(stream->spare);
    free_list(atomic_exchange(&stream->returned, NULL));
    mem_free(stream->open);
    stream->spare = NULL;
    stream->open = NULL;
}

/* ---- parts come and go ---- */

void part_return(struct log_part *part)
{
    struct log_stream *stream = part->stream;
    struct log_part *head = atomic_load_explicit(&stream->returned, memory_order_relaxed);

    /* Release: the stream sees that the writer is done with the octets. */
    do {
        part->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&stream->returned, &head, part,
                                                    memory_order_release, memory_order_relaxed));
}

static void take_returned(struct log_stream *stream)
{
    struct log_part *part = atomic_exchange_explicit(&stream->returned, NULL, memory_order_acquire);

    while (part) {
        struct log_part *next = part->next;
        if (stream->spare_count < SPARE_PARTS_MAX &&
            part->capacity == MIN(PART_ROOM, stream->log->part_bytes)) {
            part->next = stream->spare;
            stream->spare = part;
            stream->spare_count++;
        } else {
            mem_free(part);
        }
        part = next;
    }
}

static struct log_part *take_spare_part(struct log_stream *stream)
{
    struct log_part *part;

    if (!stream->spare)
        take_returned(stream);
    part = stream->spare;
    if (part) {
        stream->spare = part->next;
        stream->spare_count--;
    }
    return part;
}

/* For a record of `need` octets, with its header. */
static COLD struct log_part *open_part(struct log_stream *stream, uint32_t need)
{
    struct log *log = stream->log;
    uint32_t room = MIN(PART_ROOM, log->part_bytes);
    struct log_part *part = need <= room ? take_spare_part(stream) : NULL;

    if (!part)
        part = part_new(MAX(room, need));
    part->next = NULL;
    part->stream = stream;
    part->used = 0;
    part->number = atomic_fetch_add_explicit(&log->next_part, 1, memory_order_relaxed);
    stream->open = part;
    /* In this order, for fetch_may_come. */
    atomic_store_explicit(&stream->begun_before,
                          atomic_load_explicit(&stream->begun, memory_order_relaxed),
                          memory_order_release);
    atomic_store_explicit(&stream->begun, part->number, memory_order_release);
    return part;
}

/* The open part has no room for the next record. One that log_next_id has begun may be empty. */
static COLD void leave_part(struct log_stream *stream)
{
    if (stream->open->used == 0) {
        mem_free(stream->open);
        stream->open = NULL;
    }
    log_submit(stream);
}

/* ---- staging ---- */

HOT uint8_t *log_append(struct log_stream *stream, uint8_t kind, uint8_t version, uint32_t octets,
                        uint64_t *id)
{
    uint32_t whole = format_round_up(RECORD_HEADER_BYTES + octets, RECORD_ALIGN);
    struct log_part *part = stream->open;
    struct record_header header = {.octets = octets, .kind = kind, .version = version};
    uint8_t *at;

    BUG_ON(octets > log_record_max(stream->log), "record of %u octets", octets);
    if (part && part->used + whole > part->capacity) {
        leave_part(stream);
        part = NULL;
    }
    if (!part)
        part = open_part(stream, whole);
    at = part->data + part->used;
    *id = record_id(part->number, part->used);
    record_header_write(&header, at);
    /* The padding is in the checksum; it must not tell what the buffer held before. */
    memset(at + whole - RECORD_ALIGN, 0, whole > RECORD_HEADER_BYTES ? RECORD_ALIGN : 0);
    part->used += whole;
    stream->last = part->number;
    return at + RECORD_HEADER_BYTES;
}

uint64_t log_next_id(struct log_stream *stream)
{
    if (!stream->open)
        open_part(stream, 0);
    return record_id(stream->open->number, stream->open->used);
}

uint32_t log_staged(const struct log_stream *stream)
{
    return stream->open ? stream->open->used : 0;
}

static void wake_writer(struct log *log)
{
    if (!atomic_load_explicit(&log->is_sleeping, memory_order_seq_cst))
        return;
    pthread_mutex_lock(&log->wake_mutex);
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->wake_mutex);
}

/* The order of the pushes is the order in the log. Who stages something because it saw an effect of this
 * part pushes after this push, since the effect was shown after it. */
void part_submit(struct log *log, struct log_part *part)
{
    struct log_part *head = atomic_load_explicit(&log->submitted, memory_order_relaxed);

    do {
        part->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&log->submitted, &head, part,
                                                    memory_order_seq_cst, memory_order_relaxed));
    wake_writer(log);
}

void log_submit(struct log_stream *stream)
{
    struct log_part *part = stream->open;

    if (!part || part->used == 0)
        return;
    stream->open = NULL;
    atomic_fetch_add_explicit(&stream->octets_under_way, part->capacity, memory_order_relaxed);
    part_submit(stream->log, part);
}

void log_submit_all(struct log *log)
{
    for (uint16_t i = 0; i < log->settings.streams; i++)
        log_submit(&log->streams[i]);
}

/* ---- walking ---- */

int part_walk(uint64_t number, const uint8_t *records, uint32_t octets, log_replay_fn fn,
              void *context)
{
    struct record_header header;
    uint32_t at = 0;

    while (at < octets) {
        int rc = record_header_read(records + at, octets - at, &header);
        if (rc == 0)
            rc = fn(context, number ? record_id(number, at) : 0, &header,
                    records + at + RECORD_HEADER_BYTES);
        if (rc != 0)
            return rc;
        at += format_round_up(RECORD_HEADER_BYTES + header.octets, RECORD_ALIGN);
    }
    return 0;
}
