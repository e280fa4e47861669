/* SPDX-License-Identifier: Apache-2.0 */
/* Paging: when waiting messages take too much memory, the chunks that wait longest leave it. */
#ifndef TOKKI_CORE_QUEUE_PAGER_H
#define TOKKI_CORE_QUEUE_PAGER_H

#include "core/queue/queue.h"

/* What is in the log need not be in memory: bodies were written when they were enqueued, so leaving costs
 * one PAGE record per 128 messages, and none the second time.
 *
 *     entries with bytes ---> entries that are MESSAGE_OUT ---> page
 *                        bytes are dropped      (a full chunk) identities go to the log
 *
 * All chunks in memory of a shard are in one list, by age. The oldest go first; those in the window of a
 * queue that is being read (loader.h) stay, with no more bytes than the window may have. */

/* Let go of about `bytes`. Thread: the host's shard, at the end of a turn. */
void queue_host_page_out(struct queue_host *host, uint64_t bytes);

#endif
