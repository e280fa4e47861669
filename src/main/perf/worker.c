/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a load thread. A turn: wait -> read and write ready sockets -> publish -> counters. */
#include "main/perf/worker.h"

#include "main/perf/publisher.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EVENTS_PER_TURN 256
/* With many rate-limited publishers, look at the clock no more often than this. */
#define PACE_MIN_NS 50000U
/* Latencies above this are of messages that somebody else stamped, or of none. */
#define LATENCY_MAX_NS (3600ULL * 1000000000U)

static int watch(struct worker *w, int fd, void *what, struct failure *why)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    return failure_set(why, -errno, "epoll_ctl: %s", strerror(errno));
}

int worker_init(struct worker *w, const struct options *o, bool is_publishing, int notice_fd,
                struct failure *why)
{
    w->options = o;
    w->is_publishing = is_publishing;
    w->notice_fd = notice_fd;
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->buffer = mem_alloc(WORKER_BUFFER_BYTES);
    if (w->wake_fd == -1 || w->epoll_fd == -1)
        return failure_set(why, -errno, "epoll or eventfd: %s", strerror(errno));
    return watch(w, w->wake_fd, NULL, why);
}

void worker_free(struct worker *w)
{
    for (size_t i = 0; i < w->conn_count; i++)
        conn_free(w->conns[i]);
    mem_free(w->conns);
    mem_free(w->buffer);
    if (w->wake_fd > 0)
        close(w->wake_fd);
    if (w->epoll_fd > 0)
        close(w->epoll_fd);
}

int worker_add(struct worker *w, struct conn *conn, struct failure *why)
{
    w->conns = mem_resize(w->conns, (w->conn_count + 1) * sizeof(struct conn *));
    w->conns[w->conn_count++] = conn;
    w->agents_left += conn->channel_count;
    return watch(w, conn->fd, conn, why);
}

static void eventfd_add(int fd)
{
    const uint64_t one = 1;
    /* EAGAIN means that the counter is already huge: the reader wakes anyway. */
    if (write(fd, &one, sizeof one) == -1)
        return;
}

static void eventfd_clear(int fd)
{
    uint64_t ignored;
    if (read(fd, &ignored, sizeof ignored) == -1)
        return;
}

void worker_flush_latency(struct worker *w)
{
    const struct latency_run run = w->run;
    w->run = (struct latency_run){0};
    if (run.count && run.stamp_ns <= w->now_ns && w->now_ns - run.stamp_ns < LATENCY_MAX_NS)
        histogram_add(&w->latency, w->now_ns - run.stamp_ns, run.count);
}

void worker_agent_finished(struct worker *w)
{
    w->agents_left--;
}

void worker_reset_latency(struct worker *w)
{
    atomic_fetch_add_explicit(&w->epoch, 1, memory_order_relaxed);
}

/* Make this turn's numbers visible. Relaxed: each counter stands for itself, nothing is read through
 * them; `failure` and the histogram are read after the thread has ended or through `state`. */
static void totals_publish(struct worker *w)
{
    bool has_moved = false;
    for (int i = 0; i < COUNTERS; i++) {
        if (atomic_load_explicit(&w->totals[i], memory_order_relaxed) == w->counters[i])
            continue;
        atomic_store_explicit(&w->totals[i], w->counters[i], memory_order_relaxed);
        has_moved = true;
    }
    if (has_moved)
        atomic_store_explicit(&w->last_activity_ns, w->now_ns, memory_order_relaxed);
    const unsigned epoch = atomic_load_explicit(&w->epoch, memory_order_relaxed);
    if (epoch != w->epoch_seen) {
        w->epoch_seen = epoch;
        w->latency = (struct histogram){0};
    }
}

static void state_set(struct worker *w, enum worker_state state)
{
    if (atomic_load_explicit(&w->state, memory_order_relaxed) == (int)state)
        return;
    /* Release: whoever sees the state sees the failure text and the last totals. */
    atomic_store_explicit(&w->state, (int)state, memory_order_release);
    eventfd_add(w->notice_fd);
}

static int event_handle(struct worker *w, const struct epoll_event *event)
{
    struct conn *conn = event->data.ptr;
    if (!conn) {
        eventfd_clear(w->wake_fd);
        return 0;
    }
    int rc = 0;
    if (event->events & ~(uint32_t)EPOLLOUT)
        rc = conn_read(conn);
    if (rc == 0 && (event->events & EPOLLOUT))
        rc = conn_flush(conn);
    return rc;
}

/* Let every publisher connection send what it may. `*due_ns`: when to come back; 0 = at once. */
static int publish_turn(struct worker *w, uint64_t *due_ns)
{
    *due_ns = UINT64_MAX;
    for (size_t i = 0; i < w->conn_count; i++) {
        uint64_t due;
        const int rc = publisher_turn(w->conns[i], &due);
        if (rc != 0)
            return rc;
        *due_ns = MIN(*due_ns, due);
    }
    return 0;
}

/* Sleep until an event or `due_ns`. Returns the number of events. */
static int wait_events(struct worker *w, uint64_t due_ns, struct epoll_event *events)
{
    struct timespec timeout = {0};
    if (due_ns == UINT64_MAX)
        return epoll_pwait2(w->epoll_fd, events, EVENTS_PER_TURN, NULL, NULL);
    const uint64_t now = due_ns ? clock_mono_ns() : 0;
    if (due_ns > now) {
        const uint64_t pause_ns = MAX(due_ns - now, PACE_MIN_NS);
        timeout.tv_sec = (time_t)(pause_ns / 1000000000U);
        timeout.tv_nsec = (long)(pause_ns % 1000000000U);
    }
    return epoll_pwait2(w->epoll_fd, events, EVENTS_PER_TURN, &timeout, NULL);
}

static int turn(struct worker *w, uint64_t *due_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];
    const int n = wait_events(w, *due_ns, events);
    if (n == -1 && errno != EINTR)
        return failure_set(&w->failure, -errno, "epoll_pwait2: %s", strerror(errno));
    w->now_ns = clock_mono_ns();
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++)
        rc = event_handle(w, &events[i]);
    *due_ns = UINT64_MAX;
    if (rc == 0 && w->is_publishing)
        rc = publish_turn(w, due_ns);
    totals_publish(w);
    if (rc == 0 && w->agents_left == 0)
        state_set(w, WORKER_FINISHED);
    return rc;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    uint64_t due_ns = 0;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL,
          0UL); /* the default 50 us would blur the pace of --rate */
    w->start_ns = w->now_ns = clock_mono_ns();
    while (!atomic_load_explicit(&w->is_stopping, memory_order_relaxed)) {
        if (turn(w, &due_ns) != 0) {
            state_set(w, WORKER_FAILED);
            break;
        }
    }
    worker_flush_latency(w);
    return NULL;
}

int worker_start(struct worker *w, struct failure *why)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the main thread */
    const int rc = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return failure_set(why, -rc, "cannot start a thread: %s", strerror(rc));
    w->is_started = true;
    return 0;
}

void worker_stop(struct worker *w)
{
    if (!w->is_started)
        return;
    atomic_store_explicit(&w->is_stopping, true, memory_order_relaxed);
    eventfd_add(w->wake_fd);
    pthread_join(w->thread, NULL);
    w->is_started = false;
}
