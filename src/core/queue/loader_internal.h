/* SPDX-License-Identifier: Apache-2.0 */
/* What asking for pages and bodies shares with taking the answers. */
#ifndef TOKKI_CORE_QUEUE_LOADER_INTERNAL_H
#define TOKKI_CORE_QUEUE_LOADER_INTERNAL_H

#include "core/queue/queue.h"

enum load_kind { LOAD_PAGE, LOAD_BODIES, LOAD_CHAIN };

/* One body that is asked for. Its image goes to a place that was set aside when it was asked for: the
 * entry knows its length. */
struct loaded_body {
    uint32_t offset; /* of the image in the block */
    uint32_t length; /* that it must have */
    uint16_t names_len;
    uint8_t flags; /* of its record */
    uint8_t index; /* in the chunk */
    bool is_whole; /* the image is there, and there is no more to it */
};

/* The body is in chunks, which are to be asked for next. Owner: the load. */
struct loaded_chain {
    struct loaded_chain *next;
    uint32_t record; /* of the load */
    uint32_t count;
    uint64_t body_bytes;
    uint64_t ids[];
};

/* A request to the log's reader. Owner: the log while it is asked, then the host until it has taken note.
 * While it is the log's, the reader writes what it reads into it (loaded_take_page, loaded_take_body). */
struct queue_load {
    struct log_fetch fetch; /* first */
    struct queue_ref ref;
    uint64_t number; /* of the chunk */
    enum load_kind kind;
    bool is_spilled; /* the records are the spill's */
    union {
        struct record_page_entry entries[ENTRIES_PER_CHUNK]; /* LOAD_PAGE */
        struct {                                             /* LOAD_BODIES */
            struct block *block; /* room for all images; refs as any block: the shard's */
            uint64_t block_bytes;
            uint32_t whole_count;
            struct loaded_chain *chains;
            struct loaded_body bodies[ENTRIES_PER_CHUNK];
        };
        struct {                    /* LOAD_CHAIN */
            struct message message; /* waits for its chunks */
            uint32_t index;         /* in the chunk */
        };
    };
    struct log_fetched records[];
};

/* ---- loader.c: asking ---- */

struct queue_load *load_new(struct queue *queue, uint64_t number, enum load_kind kind,
                            bool is_spilled, uint32_t capacity);
void load_add(struct queue_load *load, uint64_t id);
void load_submit(struct queue *queue, struct queue_load *load);
/* Ask for what is missing of the chunk's first ready messages worth `budget`, one at least; those that are there
 * count, so that asking again and again brings no more. Returns what they are worth. */
uint64_t load_bodies(struct queue *queue, struct entry_chunk *chunk, uint64_t budget);

/* ---- loaded.c: what log_fetch.take is ---- */

void loaded_take_page(struct log_fetch *fetch, uint32_t i);
void loaded_take_body(struct log_fetch *fetch, uint32_t i);

#endif
