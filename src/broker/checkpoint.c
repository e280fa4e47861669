/* SPDX-License-Identifier: Apache-2.0 */
/* How a checkpoint is taken without stopping anybody.
 *
 *   1. begin     the log notes where replay will start
 *   2. barrier   a token goes from every shard to every other. Behind it, all references to bodies that
 *                were logged before step 1 stand in their queues: a publish that was in the mail has come
 *   3. gather    each shard writes the states of its durable queues, CATALOG_SHARD the catalog too. A state
 *                says up to which command it goes, so it does not matter that the shards differ in time
 *   4. drain     transactions that were open during step 3 end: their work may be in one shard's state and
 *                not in another's, and the commit record must be in the log before the states count
 *   5. finish    when all that the states reflect is durable, the log's helper writes the file
 *
 * Sequence numbers and the catalog's `captured` make replay pass over what a state has already. */
#include "broker/checkpoint.h"

#include "base/bug.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/durable.h"
#include "broker/transaction.h"
#include "core/catalog/command_codec.h"

/* Entries that one turn writes: about 3 ms. */
#define ENTRIES_PER_TURN 65536U
/* Entries per record: 24 KiB. */
#define ENTRIES_PER_RECORD 1024U

/* Owner: the shard where it is. Freed when the log has taken it. */
struct checkpoint_run {
    struct deferred rest; /* first: shard_defer */
    struct node *node;
    struct log_checkpoint *checkpoint;
    struct log_gather gather;
    uint16_t from; /* barrier: it goes from here ... */
    uint16_t to;   /* ... to here; then, the shard that is at work */
    uint32_t slot; /* next queue to write */
    uint64_t last_transaction;
};

/* ---- states ---- */

static struct writer begin_state(struct log_gather *gather, const struct queue *queue,
                                 uint32_t count, bool is_last)
{
    uint32_t octets = RECORD_STATE_FIXED + count * RECORD_STATE_ENTRY;
    struct writer w =
        writer_of(log_gather_record(gather, RECORD_QUEUE_STATE, RECORD_VERSION, octets), octets);

    writer_u64(&w, queue->ref.incarnation);
    writer_u64(&w, queue->sequence);
    writer_u64(&w, is_last ? queue->entries.tail : 0);
    writer_u64(&w, queue->marked);
    writer_u64(&w, queue->epoch);
    writer_u32(&w, count);
    writer_u32(&w, 0);
    return w;
}

static void note_live(struct log_gather *gather, const struct message *message, uint64_t body)
{
    log_gather_live(gather, body);
    if (!(message->flags & MESSAGE_SHARED))
        return;
    for (uint32_t i = 0; i < message->shared->logged_chunk_count; i++)
        log_gather_live(gather, message->shared->logged_chunks[i]);
}

/* Delivered and not settled: whoever gets it after a restart gets it again. */
static bool is_redelivered(const struct message *message)
{
    return message->state == MESSAGE_UNACKED || (message->flags & MESSAGE_REDELIVERED);
}

/* The position of the next kept entry at or behind `from`, or the tail. */
static uint64_t next_kept(const struct queue *queue, uint64_t from)
{
    uint64_t p = entries_next_live(&queue->entries, from);
    while (p < queue->entries.tail && entries_body(&queue->entries, p) == 0)
        p = entries_next_live(&queue->entries, p + 1);
    return p;
}

static uint32_t count_kept(const struct queue *queue, uint64_t from)
{
    uint32_t count = 0;
    for (uint64_t p = next_kept(queue, from); p < queue->entries.tail && count < ENTRIES_PER_RECORD;
         p = next_kept(queue, p + 1))
        count++;
    return count;
}

static uint64_t write_entry(struct log_gather *gather, const struct stage *stage,
                            const struct queue *queue, uint64_t position, struct writer *w)
{
    const struct message *message = entries_at(&queue->entries, position);
    uint64_t body = entries_body(&queue->entries, position);

    writer_u64(w, position | (is_redelivered(message) ? RECORD_REDELIVERED : 0));
    writer_u64(w, stage_wall_ms(stage, message->expires_ms));
    writer_u64(w, body);
    note_live(gather, message, body);
    return position + 1;
}

static uint64_t write_queue(struct log_gather *gather, const struct stage *stage,
                            const struct queue *queue)
{
    uint64_t position = 0;
    uint64_t written = 0;
    uint32_t count;

    do {
        struct writer w;
        count = count_kept(queue, position);
        w = begin_state(gather, queue, count, count < ENTRIES_PER_RECORD);
        for (uint32_t i = 0; i < count; i++)
            position = write_entry(gather, stage, queue, next_kept(queue, position), &w);
        BUG_ON(w.failed || w.pos != w.end, "queue state of %zu octets", writer_len(&w));
        written += count;
    } while (count == ENTRIES_PER_RECORD);
    return written;
}

/* Queues of one shard from `slot` on; returns where to go on, or 0 at the end. */
static uint32_t write_queues(struct log_gather *gather, struct broker_shard *broker, uint32_t slot,
                             uint32_t slots, uint64_t max_entries)
{
    uint64_t written = 0;

    for (; slot < slots; slot++) {
        struct queue *queue = queue_table_get(broker->queues.table, slot);
        if (!queue || !queue->settings.durable || queue->sequence == 0)
            continue;
        if (written > max_entries)
            return slot;
        written += 1 + write_queue(gather, &broker->stage, queue);
    }
    return 0;
}

static void write_command(void *context, const struct catalog_command *command)
{
    struct log_gather *gather = context;
    uint32_t octets = (uint32_t)catalog_command_size(command);
    struct writer w =
        writer_of(log_gather_record(gather, RECORD_CATALOG, RECORD_VERSION, octets), octets);

    catalog_command_encode(command, &w);
    BUG_ON(w.failed, "catalog command of kind %u for a checkpoint", command->kind);
}

static void write_catalog(struct log_gather *gather, struct node *node)
{
    struct broker_shard *broker = node->brokers[CATALOG_SHARD];
    struct writer w =
        writer_of(log_gather_record(gather, RECORD_CATALOG_STATE, RECORD_VERSION, 24), 24);

    writer_u64(&w, log_next_id(broker->stage.stream));
    writer_u64(&w, catalog_last_incarnation(node->catalog));
    writer_u64(&w, atomic_load(&node->last_transaction));
    catalog_emit(node->catalog, write_command, gather);
}

/* ---- steps ---- */

static void go(struct checkpoint_run *run, struct broker_shard *here, uint16_t to,
               void (*step)(struct broker_shard *, void *))
{
    if (to == here->shard->id)
        step(here, run);
    else
        broker_move(here, to, run, step);
}

static void finish(struct checkpoint_run *run)
{
    atomic_store(&run->node->checkpoint, NULL);
    log_checkpoint_finish(run->checkpoint, false);
    mem_free(run);
}

static void add_mark(struct checkpoint_run *run, struct broker_shard *here)
{
    (void)durable_hand_over(here, true);
    log_checkpoint_add(run->checkpoint, &run->gather, here->shard->id, here->stage.stream->last);
}

static void drain_step(struct broker_shard *here, void *moving)
{
    struct checkpoint_run *run = moving;

    if (!transactions_are_over(here, run->last_transaction)) {
        here->draining = run;
        return;
    }
    add_mark(run, here);
    if (++run->to < here->shard->count)
        go(run, here, run->to, drain_step);
    else
        finish(run);
}

void checkpoint_drained(struct broker_shard *here)
{
    struct checkpoint_run *run = here->draining;

    here->draining = NULL;
    drain_step(here, run);
}

static void gather_step(struct broker_shard *here, void *moving);

static void gather_rest(struct deferred *work, struct shard *shard)
{
    gather_step(broker_of(shard), work);
}

static void gather_step(struct broker_shard *here, void *moving)
{
    struct checkpoint_run *run = moving;
    uint32_t slots = QUEUE_TABLE_PAGE * QUEUE_TABLE_PAGES;

    if (here->shard->id == CATALOG_SHARD && run->slot == 0)
        write_catalog(&run->gather, run->node);
    slots = MIN(slots, atomic_load(&run->node->slots[here->shard->id].used));
    run->slot = write_queues(&run->gather, here, run->slot, slots, ENTRIES_PER_TURN);
    if (run->slot != 0) {
        shard_defer(here->shard, &run->rest, gather_rest);
        return;
    }
    add_mark(run, here);
    if (++run->to < here->shard->count) {
        go(run, here, run->to, gather_step);
        return;
    }
    run->last_transaction = atomic_load(&run->node->last_transaction);
    run->to = 0;
    go(run, here, 0, drain_step);
}

static void barrier_step(struct broker_shard *here, void *moving);

/* To the next pair of shards; the token goes to `from` first, and from there to `to`. */
static void next_pair(struct checkpoint_run *run, struct broker_shard *here)
{
    uint16_t count = here->shard->count;

    if (++run->to == run->from)
        run->to++;
    if (run->to >= count) {
        run->from++;
        run->to = 0;
    }
    if (run->from < count && run->to < count) {
        go(run, here, run->from, barrier_step);
        return;
    }
    run->to = 0;
    run->slot = 0;
    go(run, here, 0, gather_step);
}

static void barrier_arrived(struct broker_shard *here, void *moving)
{
    next_pair(moving, here);
}

static void barrier_step(struct broker_shard *here, void *moving)
{
    struct checkpoint_run *run = moving;

    if (run->to == run->from)
        next_pair(run, here);
    else
        go(run, here, run->to, barrier_arrived);
}

void checkpoint_start_if_wanted(struct broker_shard *here)
{
    struct checkpoint_run *run;

    if (LIKELY(!atomic_load_explicit(&here->node->wants_checkpoint, memory_order_relaxed)) ||
        node_has_failed(here->node) || here->shard->stopping)
        return;
    atomic_store(&here->node->wants_checkpoint, false);
    run = mem_alloc_zero(sizeof *run);
    run->node = here->node;
    run->checkpoint = log_checkpoint_begin(here->node->log);
    atomic_store(&run->node->checkpoint, run);
    barrier_step(here, run);
}

/* ---- at the end ---- */

/* The shards ended while one was under way. */
static void cancel(struct node *node)
{
    struct checkpoint_run *run = atomic_exchange(&node->checkpoint, NULL);

    if (!run)
        return;
    log_gather_free(&run->gather);
    log_checkpoint_cancel(run->checkpoint);
    mem_free(run);
}

void checkpoint_at_stop(struct node *node)
{
    struct log_checkpoint *checkpoint;

    cancel(node);
    log_submit_all(node->log);
    if (log_wait_idle(node->log) != 0)
        return;
    checkpoint = log_checkpoint_begin(node->log);
    for (uint16_t i = 0; i < node->shards->count; i++) {
        struct log_gather gather = {0};
        if (i == CATALOG_SHARD)
            write_catalog(&gather, node);
        (void)write_queues(&gather, node->brokers[i], 0, node->slots[i].used, UINT64_MAX);
        log_checkpoint_add(checkpoint, &gather, i, 0);
    }
    log_checkpoint_finish(checkpoint, true);
    if (log_wait_idle(node->log) != 0)
        log_warn("the last checkpoint could not be written: the next start replays the log", "%s",
                 "");
}
