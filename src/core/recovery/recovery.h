/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery: what the records of a checkpoint and of the log behind it add up to. */
#ifndef TOKKI_CORE_RECOVERY_RECOVERY_H
#define TOKKI_CORE_RECOVERY_RECOVERY_H

#include "core/catalog/catalog.h"
#include "core/queue/page.h"
#include "core/record.h"
#include "core/stage.h"
#include "storage/log.h"

/* A message that is there. */
struct recovered_entry {
    uint64_t position;
    uint64_t expires_ms; /* wall clock; 0 = never */
    uint64_t body;       /* identity of the record that holds it; of one in a page: 0 */
    uint32_t image_len;
    uint32_t body_bytes;
    uint32_t span; /* record.h */
    bool is_redelivered;
    bool is_gone;
};

/* A chunk whose entries are in a PAGE record. */
struct recovered_page {
    uint64_t first;         /* position */
    struct entry_page page; /* expires_ms: wall clock */
};

/* One incarnation, known by number alone: whether the catalog still has it is seen at the end. */
struct recovered_queue {
    uint64_t incarnation;
    uint64_t epoch;
    uint64_t sequence; /* of its last command */
    uint64_t tail;     /* the next position */
    uint64_t covered; /* the state has what was below, and what has become of it since `sequence` */
    uint64_t delivered; /* positions below may have been delivered */
    bool is_known;      /* its declaration or its deletion was seen; noted when recovering */
    uint64_t headless;  /* the first record, when those before it were not seen; else 0 */
    struct recovered_entry *entries; /* by position; some may be gone */
    size_t count;
    size_t capacity;
    size_t gone;
    struct recovered_page *pages; /* by position; none of the entries above is in one */
    size_t page_count;
    size_t page_capacity;
};

struct transaction_undo;

/* Owner: who recovers. Thread: one. Freed by: recovery_free. */
struct recovery {
    struct reclaim *reclaim;
    struct catalog *catalog;         /* of durable things only; no placement */
    uint64_t catalog_from;           /* catalog records below are in the checkpoint */
    struct recovered_queue **queues; /* hash table by incarnation */
    size_t queue_count;
    size_t queue_capacity;         /* power of two */
    struct transaction_undo *open; /* transactions without a commit record so far */
    uint64_t last_transaction;
    uint64_t last_incarnation;
    bool has_undone;  /* something of transactions that had no commit record */
    bool recovers;    /* records behind a gap are applied, after ERR_CORRUPT has told of it once */
    char reason[512]; /* why the last record was refused */
};

void recovery_init(struct recovery *recovery);
void recovery_free(struct recovery *recovery);

/* A log_replay_fn, `context` is the recovery. ERR_CORRUPT (and `reason`): a record that cannot be, one of an
 * unknown kind or version, or a gap in the commands of a queue. */
int recovery_record(void *context, uint64_t id, const struct record_header *header,
                    const uint8_t *payload);

/* All records are in: what belongs to transactions that were not committed is undone. */
void recovery_finish(struct recovery *recovery);

/* After recovery_finish: a queue that the catalog has still, and whose first commands are neither in a state
 * nor in the log; when it recovers also one whose declaration is lost. ERR_CORRUPT: there is one; `*id` is the
 * first record seen of it (0: unknown), `reason` says the rest, and the next call tells of the next. */
MUST_CHECK int recovery_check(struct recovery *recovery, uint64_t *id);

/* Before anything else is staged in a new life: what was undone stays so. A message that such a transaction
 * had taken is there again; once it is settled anew, the next recovery must not put it back. */
void recovery_log_undone(const struct recovery *recovery, struct stage *stage);

/* The queue of this incarnation, NULL when no record was about it. */
struct recovered_queue *recovery_find(const struct recovery *recovery, uint64_t incarnation);

#endif
