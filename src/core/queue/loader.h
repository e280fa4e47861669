/* SPDX-License-Identifier: Apache-2.0 */
/* Loading: pages and bodies are read back from the log, ahead of the deliveries that need them. */
#ifndef TOKKI_CORE_QUEUE_LOADER_H
#define TOKKI_CORE_QUEUE_LOADER_H

#include "core/queue/queue.h"

/* The way back of a chunk that left memory (pager.h) has two steps, each a request to the log's reader:
 *
 *     page ---------------> chunk of entries that are MESSAGE_OUT ---------------> entries with bytes
 *           PAGE record                                            their bodies
 *                                                                  (and the chunks of large ones)
 *
 * Delivery never waits on the shard: it stops at an entry that is not there, and goes on when an answer
 * has made the queue dirty. While a queue is read from the log this happens a window ahead, so that the
 * reader and the deliveries work at the same time.
 *
 * A request names queue, position and record, and holds nothing: what it brings is dropped when the
 * entry is gone, or was brought by another one, in the meantime. */

/* Chunks (and octets) that are in memory, or asked for, ahead of the first ready message. 64 chunks of small
 * messages were drained sooner than the reader and the shard had woken each other. */
#define LOAD_AHEAD_CHUNKS 160U
#define LOAD_AHEAD_BYTES (4U * 1024U * 1024U)

/* The first ready message, at `position`, is not in memory: bring it. `wants_body` false: only what its page
 * says. Asks once, however often it is called. */
void queue_load(struct queue *queue, uint64_t position, bool wants_body);

/* Keep the window ahead of the first ready message filled; cheap when it is. For queues with pages. */
void queue_read_ahead(struct queue *queue);

/* Is this chunk in the window of a queue that is being read? */
bool queue_is_ahead(struct queue *queue, uint64_t number);

/* Octets that an entry takes when it comes back: its image, or the body of one that is a chain. */
static inline uint64_t queue_out_bytes(const struct message *message)
{
    return MAX(message->length, message->body_bytes);
}

#endif
