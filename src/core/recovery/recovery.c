/* SPDX-License-Identifier: Apache-2.0 */
/* Replaying records: catalog commands into a scratch catalog, queue commands into models of their queues.
 *
 * The commands of a queue carry its sequence numbers. Those up to the one in its checkpoint state are
 * passed over, the next must follow without a gap: a record that is missing, wherever it got lost, is
 * damage and does not pass unseen.
 *
 * Transactions: their commands are applied like others, and noted. A commit record forgets the notes, at the
 * end what is still noted is undone. */
#include "core/recovery/recovery.h"

#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/reclaim.h"
#include "core/catalog/command_codec.h"
#include "storage/format.h"
#include "core/recovery/mend.h"
#include "core/recovery/queue_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct undo_step {
    struct recovered_queue *queue;
    struct recovered_entry entry;
    bool was_added; /* else it was taken */
};

/* What one transaction has done. */
struct transaction_undo {
    struct transaction_undo *next;
    uint64_t id;
    struct undo_step *steps;
    size_t count;
    size_t capacity;
};

int recovery_bad(struct recovery *recovery, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(recovery->reason, sizeof recovery->reason, format, args);
    va_end(args);
    return ERR_CORRUPT;
}

/* ---- queues by incarnation ---- */

static size_t slot_of(const struct recovery *recovery, uint64_t incarnation)
{
    size_t mask = recovery->queue_capacity - 1;
    size_t at = (size_t)(incarnation * 0x9E3779B97F4A7C15ULL >> 32) & mask;

    while (recovery->queues[at] && recovery->queues[at]->incarnation != incarnation)
        at = (at + 1) & mask;
    return at;
}

struct recovered_queue *recovery_find(const struct recovery *recovery, uint64_t incarnation)
{
    return recovery->queue_capacity ? recovery->queues[slot_of(recovery, incarnation)] : NULL;
}

static void grow(struct recovery *recovery)
{
    struct recovered_queue **old = recovery->queues;
    size_t capacity = recovery->queue_capacity;

    recovery->queue_capacity = MAX(capacity * 2, (size_t)64);
    recovery->queues = mem_alloc_zero(recovery->queue_capacity * sizeof(struct recovered_queue *));
    for (size_t i = 0; i < capacity; i++)
        if (old[i])
            recovery->queues[slot_of(recovery, old[i]->incarnation)] = old[i];
    mem_free(old);
}

struct recovered_queue *recovery_queue(struct recovery *recovery, uint64_t incarnation)
{
    struct recovered_queue *queue;
    size_t slot;

    if ((recovery->queue_count + 1) * 2 > recovery->queue_capacity)
        grow(recovery);
    slot = slot_of(recovery, incarnation);
    if (recovery->queues[slot])
        return recovery->queues[slot];
    queue = mem_alloc_zero(sizeof *queue);
    queue->incarnation = incarnation;
    recovery->queues[slot] = queue;
    recovery->queue_count++;
    recovery->last_incarnation = MAX(recovery->last_incarnation, incarnation);
    return queue;
}

/* ---- transactions ---- */

static struct transaction_undo *get_undo(struct recovery *recovery, uint64_t id)
{
    struct transaction_undo *undo = recovery->open;

    while (undo && undo->id != id)
        undo = undo->next;
    if (undo)
        return undo;
    undo = mem_alloc_zero(sizeof *undo);
    undo->id = id;
    undo->next = recovery->open;
    recovery->open = undo;
    recovery->last_transaction = MAX(recovery->last_transaction, id);
    return undo;
}

static void add_step(struct transaction_undo *undo, const struct undo_step *step)
{
    if (undo->count == undo->capacity) {
        undo->capacity = MAX(undo->capacity * 2, (size_t)16);
        undo->steps = mem_resize(undo->steps, undo->capacity * sizeof *undo->steps);
    }
    undo->steps[undo->count++] = *step;
}

static void free_undo(struct transaction_undo *undo)
{
    mem_free(undo->steps);
    mem_free(undo);
}

static int commit(struct recovery *recovery, struct cursor *in)
{
    uint64_t id = cursor_u64(in);
    struct transaction_undo **at = &recovery->open;

    if (!cursor_is_done(in))
        return recovery_bad(recovery, "malformed commit record");
    recovery->last_transaction = MAX(recovery->last_transaction, id);
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    if (*at) {
        struct transaction_undo *undo = *at;
        *at = undo->next;
        free_undo(undo);
    }
    return 0;
}

/* Steps of one queue stand together now, those of each in any order. */
static int compare_queues(const void *left, const void *right)
{
    const struct undo_step *a = left;
    const struct undo_step *b = right;
    uint64_t one = a->queue->incarnation;
    uint64_t other = b->queue->incarnation;
    return (one > other) - (one < other);
}

/* For each queue at once: one by one, a large transaction would move the entries behind for each. */
static void put_back_taken(struct transaction_undo *undo)
{
    struct recovered_entry *entries;

    if (undo->count == 0)
        return;
    entries = mem_alloc(undo->count * sizeof *entries);
    qsort(undo->steps, undo->count, sizeof *undo->steps, compare_queues);
    for (size_t i = 0; i < undo->count;) {
        struct recovered_queue *queue = undo->steps[i].queue;
        size_t count = 0;
        for (; i < undo->count && undo->steps[i].queue == queue; i++)
            if (!undo->steps[i].was_added)
                entries[count++] = undo->steps[i].entry;
        queue_model_restore_all(queue, entries, count);
    }
    mem_free(entries);
}

static void take_added(struct transaction_undo *undo)
{
    for (size_t i = 0; i < undo->count; i++)
        if (undo->steps[i].was_added)
            queue_model_take(undo->steps[i].queue, undo->steps[i].entry.position, 1, NULL, NULL);
}

/* First everything comes back, then what was added goes: a message that one open transaction added and
 * another took must end as gone. */
void recovery_finish(struct recovery *recovery)
{
    recovery->has_undone |= recovery->open != NULL;
    for (struct transaction_undo *undo = recovery->open; undo; undo = undo->next)
        put_back_taken(undo);
    while (recovery->open) {
        struct transaction_undo *undo = recovery->open;
        recovery->open = undo->next;
        take_added(undo);
        free_undo(undo);
    }
}

static int undo(struct recovery *recovery, struct cursor *in)
{
    recovery->last_transaction = MAX(recovery->last_transaction, cursor_u64(in));
    if (!cursor_is_done(in))
        return recovery_bad(recovery, "malformed undo record");
    recovery_finish(recovery);
    recovery->has_undone = false;
    return 0;
}

void recovery_log_undone(const struct recovery *recovery, struct stage *stage)
{
    if (!recovery->has_undone)
        return;
    (void)stage_undo(stage, recovery->last_transaction);
    (void)stage_submit(stage, true);
}

/* ---- queue commands ---- */

/* A command whose predecessor was not seen. When nothing at all was seen of its queue, that one may have been
 * deleted while the checkpoint was gathered, before its state was: recovery_check knows at the end. */
static int gap(struct recovery *recovery, struct recovered_queue *queue, uint64_t id,
               uint64_t sequence)
{
    int rc;

    if (queue->sequence == 0) {
        queue->headless = id;
        return 0;
    }
    rc = recovery_bad(recovery, "queue %llu: command %llu is followed by %llu",
                      (unsigned long long)queue->incarnation, (unsigned long long)queue->sequence,
                      (unsigned long long)sequence);
    return recovery->recovers ? 0 : rc;
}

/* The queue of a command that is to be applied; NULL with 0 when its state has it already. */
static int begin_command(struct recovery *recovery, struct cursor *in, uint64_t id,
                         struct record_command *command, struct recovered_queue **out)
{
    int rc = 0;
    struct recovered_queue *queue;

    *out = NULL;
    *command = record_command_read(in);
    if (in->failed || command->incarnation == 0)
        return recovery_bad(recovery, "malformed queue command");
    queue = recovery_queue(recovery, command->incarnation);
    recovery->last_transaction = MAX(recovery->last_transaction, command->transaction);
    if (command->sequence <= queue->sequence)
        return 0;
    if (command->sequence != queue->sequence + 1)
        rc = gap(recovery, queue, id, command->sequence);
    if (rc != 0)
        return rc;
    queue->sequence = command->sequence;
    queue->epoch = command->epoch;
    *out = queue;
    return 0;
}

static void describe(struct recovered_entry *entry, const struct record_body *body)
{
    entry->image_len = body->image_len;
    entry->body_bytes = (uint32_t)MIN(body->body_bytes, (uint64_t)UINT32_MAX);
    if (body->chunk_count > 0)
        entry->span = record_span_of(entry->body, load_u64(body->chunk_ids));
}

static void read_reference(struct recovered_entry *entry, struct cursor *in)
{
    entry->body = cursor_u64(in);
    entry->image_len = cursor_u32(in);
    entry->body_bytes = cursor_u32(in);
    entry->span = cursor_u32(in);
    (void)cursor_u32(in);
}

static int enqueue(struct recovery *recovery, struct cursor *in, uint64_t id, bool has_body)
{
    struct record_command command;
    struct recovered_queue *queue;
    struct recovered_entry entry = {0};
    struct record_body body;
    int rc = begin_command(recovery, in, id, &command, &queue);

    entry.position = cursor_u64(in);
    entry.expires_ms = cursor_u64(in);
    entry.body = id;
    if (!has_body)
        read_reference(&entry, in);
    if (rc == 0 && (has_body ? record_body_read(in, &body) != 0 : !cursor_is_done(in)))
        rc = recovery_bad(recovery, "malformed enqueue record");
    if (rc != 0 || !queue)
        return rc;
    if (entry.position < queue->covered)
        return 0; /* its part of the state was written behind it */
    if (has_body)
        describe(&entry, &body);
    if (queue_model_add(queue, &entry) != 0)
        return recovery_bad(recovery, "queue %llu: position %llu comes behind %llu",
                            (unsigned long long)queue->incarnation,
                            (unsigned long long)entry.position, (unsigned long long)queue->tail);
    if (command.transaction != 0)
        add_step(get_undo(recovery, command.transaction), &(struct undo_step){queue, entry, true});
    return 0;
}

struct take_context {
    struct transaction_undo *undo;
    struct recovered_queue *queue;
};

static void note_taken(void *context, const struct recovered_entry *entry)
{
    struct take_context *take = context;
    add_step(take->undo, &(struct undo_step){take->queue, *entry, false});
}

static int settle(struct recovery *recovery, struct cursor *in, uint64_t id, bool has_time)
{
    struct record_command command;
    struct take_context take = {0};
    uint64_t first;
    uint64_t count;
    int rc = begin_command(recovery, in, id, &command, &take.queue);

    first = cursor_u64(in);
    count = cursor_u64(in);
    if (has_time)
        (void)cursor_u64(in);
    if (rc == 0 && !cursor_is_done(in))
        rc = recovery_bad(recovery, "malformed settle record");
    if (rc != 0 || !take.queue)
        return rc;
    if (command.transaction != 0)
        take.undo = get_undo(recovery, command.transaction);
    queue_model_take(take.queue, first, count, take.undo ? note_taken : NULL, &take);
    return 0;
}

static int delivered(struct recovery *recovery, struct cursor *in)
{
    uint64_t incarnation = cursor_u64(in);
    uint64_t upto = cursor_u64(in);
    struct recovered_queue *queue;

    if (!cursor_is_done(in) || incarnation == 0)
        return recovery_bad(recovery, "malformed delivery mark");
    queue = recovery_queue(recovery, incarnation);
    queue->delivered = MAX(queue->delivered, upto);
    return 0;
}

/* ---- the catalog ---- */

static int catalog_record(struct recovery *recovery, uint64_t id, struct str bytes)
{
    struct catalog_command_scratch scratch;
    struct catalog_command command;
    struct catalog_result result;

    bool is_old = id != 0 && id < recovery->catalog_from;

    if (is_old && !recovery->recovers)
        return 0;
    if (catalog_command_decode(bytes, &command, &scratch) != 0)
        return recovery_bad(recovery, "malformed catalog record");
    if (recovery->recovers)
        mend_note_queues(recovery, &command);
    if (is_old)
        return 0;
    catalog_apply(recovery->catalog, &command, &result);
    return recovery->recovers ? mend_catalog(recovery, &command, &result) : 0;
}

static int catalog_state(struct recovery *recovery, struct cursor *in)
{
    recovery->catalog_from = cursor_u64(in);
    recovery->last_incarnation = MAX(recovery->last_incarnation, cursor_u64(in));
    recovery->last_transaction = MAX(recovery->last_transaction, cursor_u64(in));
    return cursor_is_done(in) ? 0 : recovery_bad(recovery, "malformed catalog state");
}

/* ---- states of queues ---- */

static struct recovered_page page_state(struct cursor *in)
{
    struct recovered_page page = {.first = cursor_u64(in)};

    page.page.id = cursor_u64(in);
    page.page.live.word[0] = cursor_u64(in);
    page.page.live.word[1] = cursor_u64(in);
    page.page.redelivered.word[0] = cursor_u64(in);
    page.page.redelivered.word[1] = cursor_u64(in);
    page.page.body_bytes = cursor_u64(in);
    page.page.expires_ms = cursor_u64(in);
    page.page.kept_in.first = cursor_u64(in);
    page.page.kept_in.last = cursor_u64(in);
    page.page.kept = page.page.live;
    page.page.spilled_in.first = UINT64_MAX;
    return page;
}

static int queue_state(struct recovery *recovery, struct cursor *in)
{
    uint64_t incarnation = cursor_u64(in);
    uint64_t sequence = cursor_u64(in);
    uint64_t tail = cursor_u64(in);
    uint64_t marked = cursor_u64(in);
    uint64_t epoch = cursor_u64(in);
    uint32_t count = cursor_u32(in);
    uint32_t pages = cursor_u32(in);
    struct recovered_queue *queue;

    if (in->failed || incarnation == 0 ||
        cursor_left(in) != (size_t)count * RECORD_STATE_ENTRY + (size_t)pages * RECORD_STATE_PAGE)
        return recovery_bad(recovery, "malformed queue state");
    queue = recovery_queue(recovery, incarnation);
    /* Its records may have been written in several turns: commands from the first on are replayed, and find some of
     * their work done. */
    if (queue->sequence == 0)
        queue->sequence = sequence;
    queue->epoch = epoch;
    queue->delivered = MAX(queue->delivered, marked);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t position = cursor_u64(in);
        struct recovered_entry entry = {
            .position = position & ~RECORD_REDELIVERED,
            .is_redelivered = (position & RECORD_REDELIVERED) != 0,
        };
        entry.expires_ms = cursor_u64(in);
        entry.body = cursor_u64(in);
        entry.image_len = cursor_u32(in);
        entry.body_bytes = cursor_u32(in);
        entry.span = cursor_u32(in);
        (void)cursor_u32(in);
        if (queue_model_add(queue, &entry) != 0)
            return recovery_bad(recovery, "queue state out of order");
    }
    for (uint32_t i = 0; i < pages; i++) {
        struct recovered_page page = page_state(in);
        if (queue_model_add_page(queue, &page) != 0)
            return recovery_bad(recovery, "queue state with pages out of order");
    }
    if (tail > QUEUE_POSITION_MAX)
        return recovery_bad(recovery, "queue %llu: it ends at %llu",
                            (unsigned long long)incarnation, (unsigned long long)tail);
    /* The last record of a queue has the true end; those before end at their last entry. */
    queue->tail = MAX(queue->tail, tail);
    queue->covered = queue->tail;
    return 0;
}

/* ---- all of them ---- */

static int apply(struct recovery *recovery, uint64_t id, const struct record_header *header,
                 const uint8_t *payload)
{
    struct cursor in = cursor_of(payload, header->octets);

    if (header->version != RECORD_VERSION)
        return recovery_bad(recovery, "record of kind %u has the unknown version %u", header->kind,
                            header->version);
    switch ((enum record_kind)header->kind) {
    case RECORD_BODY:
    case RECORD_CHUNK:
    case RECORD_PAGE:
        return 0; /* read when it is known who needs it */
    case RECORD_ENQUEUE:
        return enqueue(recovery, &in, id, true);
    case RECORD_ENQUEUE_REF:
        return enqueue(recovery, &in, id, false);
    case RECORD_SETTLE:
        return settle(recovery, &in, id, false);
    case RECORD_EXPIRE:
        return settle(recovery, &in, id, true);
    case RECORD_DELIVERED:
        return delivered(recovery, &in);
    case RECORD_COMMIT:
        return commit(recovery, &in);
    case RECORD_UNDO:
        return undo(recovery, &in);
    case RECORD_CATALOG:
        return catalog_record(recovery, id, str_of(payload, header->octets));
    case RECORD_SPILL_STATE: /* the spill is not recovered */
        break;
    case RECORD_QUEUE_STATE:
        return queue_state(recovery, &in);
    case RECORD_CATALOG_STATE:
        return catalog_state(recovery, &in);
    }
    return recovery_bad(recovery, "record of the unknown kind %u", header->kind);
}

int recovery_record(void *context, uint64_t id, const struct record_header *header,
                    const uint8_t *payload)
{
    struct recovery *recovery = context;
    int rc;

    recovery->reason[0] = '\0';
    rc = apply(recovery, id, header, payload);
    return rc == 0 && recovery->reason[0] != '\0' ? ERR_CORRUPT : rc;
}

/* ---- queues whose beginning is missing ---- */

struct headless_search {
    struct recovery *recovery;
    struct recovered_queue *found;
};

static void look_at_queue(void *context, const struct catalog_command *command)
{
    struct headless_search *search = context;
    struct recovered_queue *queue;

    if (command->kind != CATALOG_QUEUE_DECLARE)
        return;
    queue = recovery_find(search->recovery, command->queue_declare.incarnation);
    if (queue && queue->headless != 0)
        search->found = queue;
}

int recovery_check(struct recovery *recovery, uint64_t *id)
{
    struct headless_search search = {.recovery = recovery};

    catalog_emit(recovery->catalog, look_at_queue, &search);
    if (!search.found) {
        *id = 0;
        return recovery->recovers ? mend_check(recovery) : 0;
    }
    *id = search.found->headless;
    search.found->headless = 0;
    return recovery_bad(recovery, "queue %llu: its first commands are missing",
                        (unsigned long long)search.found->incarnation);
}

/* ---- life ---- */

void recovery_init(struct recovery *recovery)
{
    *recovery = (struct recovery){0};
    recovery->reclaim = reclaim_new(1);
    recovery->catalog = catalog_new(recovery->reclaim, 1);
    catalog_set_replaying(recovery->catalog, true);
}

void recovery_free(struct recovery *recovery)
{
    recovery_finish(recovery);
    for (size_t i = 0; i < recovery->queue_capacity; i++) {
        if (!recovery->queues[i])
            continue;
        mem_free(recovery->queues[i]->entries);
        mem_free(recovery->queues[i]->pages);
        mem_free(recovery->queues[i]);
    }
    mem_free(recovery->queues);
    catalog_free(recovery->catalog);
    reclaim_free(recovery->reclaim);
}
