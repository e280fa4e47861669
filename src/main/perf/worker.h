/* SPDX-License-Identifier: Apache-2.0 */
/* One thread of a load run: an epoll loop over its publisher or its consumer connections. */
#ifndef TOKKI_PERF_WORKER_H
#define TOKKI_PERF_WORKER_H

#include "main/perf/conn.h"
#include "main/perf/histogram.h"
#include "main/perf/options.h"

#include <pthread.h>
#include <stdatomic.h>

/* One recv() takes up to this much (physical-limits 2: 1 MiB saves 15 % against 64 KiB). */
#define WORKER_BUFFER_BYTES (1U << 20)

enum counter {
    COUNTER_PUBLISHED, /* handed to the kernel */
    COUNTER_CONSUMED,
    COUNTER_CONFIRMED,
    COUNTER_NACKED,
    COUNTER_RETURNED,
    COUNTER_BODY_BYTES, /* published by a publisher thread, consumed by a consumer thread */
    COUNTERS,
};

enum worker_state {
    WORKER_RUNNING,
    WORKER_FINISHED, /* all its publishers or consumers have reached their count */
    WORKER_FAILED,   /* `failure` says why */
};

/* Equal latencies in a row: a batch carries one stamp and is read at one time. */
struct latency_run {
    uint64_t stamp_ns;
    uint64_t count;
};

/* Owner: the load run. Freed by: worker_free(). Set up by the main thread, then used by its own;
 * fields marked shared are what the two exchange meanwhile. */
struct worker {
    const struct options *options;
    pthread_t thread;
    int epoll_fd;
    int wake_fd;   /* shared: the main thread writes to make the loop look at `is_stopping` */
    int notice_fd; /* shared, of the run: the worker writes when its state changes */
    bool is_started;
    bool is_publishing;

    struct conn **conns;
    size_t conn_count;
    uint8_t *buffer;      /* WORKER_BUFFER_BYTES, behind room for a carried partial frame */
    uint64_t now_ns;      /* read once per turn and after each recv */
    uint64_t start_ns;    /* when this thread began, for rates */
    uint64_t agents_left; /* publishers or consumers that have not reached their count */
    uint64_t counters[COUNTERS];
    struct latency_run run;
    struct histogram latency; /* end to end for consumers, of confirms for publishers */
    unsigned epoch_seen;
    struct failure failure; /* read by others once state is WORKER_FAILED */

    _Atomic uint64_t totals[COUNTERS]; /* shared: `counters` as of the end of a turn */
    _Atomic uint64_t last_activity_ns; /* shared: when a counter last moved */
    _Atomic unsigned epoch;            /* shared: a new value empties the histogram */
    _Atomic bool is_stopping;          /* shared */
    _Atomic int state;                 /* shared: enum worker_state */
};

/* Create the epoll and event descriptors; `notice_fd` is borrowed. Errors: -errno with `why`. */
MUST_CHECK int worker_init(struct worker *w, const struct options *o, bool is_publishing,
                           int notice_fd, struct failure *why);

/* Frees all connections too. The thread must not run. */
void worker_free(struct worker *w);

/* Takes `conn`, which then is polled for input. Before worker_start(). */
MUST_CHECK int worker_add(struct worker *w, struct conn *conn, struct failure *why);

MUST_CHECK int worker_start(struct worker *w, struct failure *why);

/* Stop the loop and wait for the thread. Fine when it never started. */
void worker_stop(struct worker *w);

/* Throw away what the histogram has: the measured time begins. Any thread. */
void worker_reset_latency(struct worker *w);

/* Adds the run of equal stamps to the histogram. Thread: the worker's. */
void worker_flush_latency(struct worker *w);

/* One publisher or consumer has reached its count. Thread: the worker's. */
void worker_agent_finished(struct worker *w);

/* A message stamped `stamp_ns` arrived now. Stamps that cannot be ours are left out. */
static inline void worker_latency(struct worker *w, uint64_t stamp_ns)
{
    if (LIKELY(stamp_ns == w->run.stamp_ns)) {
        w->run.count++;
        return;
    }
    worker_flush_latency(w);
    w->run = (struct latency_run){stamp_ns, 1};
}

#endif
