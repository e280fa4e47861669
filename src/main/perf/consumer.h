/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers: walking deliveries without copying them, acknowledging every N. */
#ifndef TOKKI_PERF_CONSUMER_H
#define TOKKI_PERF_CONSUMER_H

#include "main/perf/conn.h"
#include "main/perf/options.h"

/* Make a consumer connection over the connected socket `fd` (taken), whose channels 1..channels have
 * been opened and set up but for basic.consume. The i-th consumes queues[i] (borrowed) with the tag
 * "c<first + i>". */
struct conn *consumer_conn_new(struct worker *worker, int fd, uint32_t frame_max,
                               const struct str *queues, uint16_t channels, uint64_t first);

/* Send the basic.consume of every channel. 0 or negative with worker->failure filled. */
MUST_CHECK int consumer_conn_begin(struct conn *conn);

#endif
