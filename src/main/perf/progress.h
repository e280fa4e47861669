/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of a running load, and the progress line made of two of them. */
#ifndef TOKKI_PERF_PROGRESS_H
#define TOKKI_PERF_PROGRESS_H

#include "main/perf/options.h"
#include "main/perf/worker.h"

/* All counters at one instant. */
struct snapshot {
    uint64_t time_ns;
    uint64_t last_activity_ns;
    uint64_t client_cpu_ns;
    uint64_t server_cpu_ns; /* 0 without --server-pid */
    uint64_t counters[COUNTERS];
};

/* Owner: the load run, on its stack. */
struct progress {
    const struct options *options;
    uint64_t start_ns; /* 0: nothing seen yet */
    struct snapshot last;
};

/* Print a line to stderr when --interval has passed since the last one. */
void progress_print(struct progress *p, const struct snapshot *now);

/* Sleep until the next line, `end_ns` (0: none), a signal, or a worker's notice on `notice_fd`. */
void progress_wait(int notice_fd, uint64_t end_ns, const struct progress *p);

#endif
