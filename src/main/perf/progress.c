/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line. */
#include "main/perf/progress.h"

#include "base/clock.h"

#include <poll.h>
#include <unistd.h>

/* How often the run's end conditions are looked at without a notice. */
#define CHECK_INTERVAL_NS 100000000U

static double rate_of(const struct progress *p, const struct snapshot *now, enum counter c)
{
    const double seconds = (double)(now->time_ns - p->last.time_ns) * 1e-9;
    return (double)(now->counters[c] - p->last.counters[c]) / seconds;
}

void progress_print(struct progress *p, const struct snapshot *now)
{
    const struct options *o = p->options;
    if (p->start_ns == 0) {
        p->start_ns = now->time_ns;
        p->last = *now;
        return;
    }
    const uint64_t since_ns = now->time_ns - p->last.time_ns;
    if (o->is_quiet || o->interval_ns == 0 || since_ns < o->interval_ns)
        return;
    fprintf(stderr, "time %.1f s", (double)(now->time_ns - p->start_ns) * 1e-9);
    if (o->producers)
        fprintf(stderr, "  published %.0f/s", rate_of(p, now, COUNTER_PUBLISHED));
    if (o->confirm_window)
        fprintf(stderr, "  confirmed %.0f/s", rate_of(p, now, COUNTER_CONFIRMED));
    if (now->counters[COUNTER_NACKED])
        fprintf(stderr, "  nacked %.0f/s", rate_of(p, now, COUNTER_NACKED));
    if (o->is_mandatory)
        fprintf(stderr, "  returned %.0f/s", rate_of(p, now, COUNTER_RETURNED));
    if (o->consumers)
        fprintf(stderr, "  consumed %.0f/s", rate_of(p, now, COUNTER_CONSUMED));
    if (o->server_pid)
        fprintf(stderr, "  broker CPU %.2f",
                (double)(now->server_cpu_ns - p->last.server_cpu_ns) / (double)since_ns);
    fprintf(stderr, "\n");
    p->last = *now;
}

void progress_wait(int notice_fd, uint64_t end_ns, const struct progress *p)
{
    const uint64_t now = clock_mono_ns();
    uint64_t pause_ns = CHECK_INTERVAL_NS;
    const uint64_t line_ns = p->last.time_ns + p->options->interval_ns;
    if (end_ns)
        pause_ns = MIN(pause_ns, end_ns > now ? end_ns - now : 0);
    if (p->options->interval_ns && line_ns > now)
        pause_ns = MIN(pause_ns, line_ns - now);
    const struct timespec timeout = {(time_t)(pause_ns / 1000000000U),
                                     (long)(pause_ns % 1000000000U)};
    struct pollfd fd = {notice_fd, POLLIN, 0};
    uint64_t ignored;
    if (ppoll(&fd, 1, &timeout, NULL) == 1 && read(notice_fd, &ignored, sizeof ignored) == -1)
        return;
}
