/* SPDX-License-Identifier: Apache-2.0 */
/* Publishers: sending pre-rendered batches as fast as rate, window, count and socket allow. */
#ifndef TOKKI_PERF_PUBLISHER_H
#define TOKKI_PERF_PUBLISHER_H

#include "main/perf/batch.h"
#include "main/perf/confirms.h"
#include "main/perf/conn.h"
#include "main/perf/options.h"

/* Make a publisher connection of `channels` publishers over the connected socket `fd` (taken). The
 * i-th channel's messages follow templates[i] (borrowed). `first` is the number of its first
 * publisher in the run, for seeds and for spreading the ticks of --rate. */
struct conn *publisher_conn_new(struct worker *worker, int fd, uint32_t frame_max,
                                const struct batch_template *templates, uint16_t channels,
                                uint64_t first);

/* Send what may be sent now. `*due_ns`: when this connection wants to be called again (0: at once;
 * UINT64_MAX: only after an event). 0 or negative with worker->failure filled. */
MUST_CHECK int publisher_turn(struct conn *conn, uint64_t *due_ns);

#endif
