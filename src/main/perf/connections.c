/* SPDX-License-Identifier: Apache-2.0 */
/* --connections: open many idle connections, hold them, report time and memory of each. */
#include "main/perf/scenario.h"

#include "main/perf/client.h"
#include "main/perf/report.h"
#include "main/perf/server.h"

#include "base/clock.h"
#include "base/mem.h"

#include <time.h>
#include <unistd.h>

/* Ephemeral ports of one address pair are searched linearly: above some thousand connections that
 * takes longer (160 us at 18,000) than the rest of connect(). */
#define CONNECTIONS_PER_SOURCE 2000
#define SOURCES 250

static unsigned source_of(uint64_t number, uint64_t count)
{
    if (count <= CONNECTIONS_PER_SOURCE)
        return 0;
    return 2 + (unsigned)(number / CONNECTIONS_PER_SOURCE % SOURCES);
}

static int open_all(const struct options *o, int *fds, uint64_t *opened, struct failure *why)
{
    uint64_t next_line_ns = clock_mono_ns() + o->interval_ns;
    for (*opened = 0; *opened < o->connections && !scenario_is_interrupted; (*opened)++) {
        struct client c;
        const int rc =
            client_open(&c, o, o->id ? o->id : "perf", source_of(*opened, o->connections), why);
        if (rc != 0)
            return rc;
        fds[*opened] = client_detach(&c);
        if (!o->is_quiet && clock_mono_ns() >= next_line_ns) {
            fprintf(stderr, "connections %llu\n", (unsigned long long)*opened + 1);
            next_line_ns += o->interval_ns;
        }
    }
    return 0;
}

static void hold(uint64_t duration_ns)
{
    const uint64_t end_ns = clock_mono_ns() + duration_ns;
    while (!scenario_is_interrupted && (duration_ns == 0 || clock_mono_ns() < end_ns))
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

int scenario_connections(const struct options *o, struct failure *why)
{
    uint64_t cpu_before = 0, cpu_after = 0, cpu_idle = 0, opened = 0;
    int rc = o->server_pid ? server_cpu_ns(o->server_pid, &cpu_before, why) : 0;
    if (rc != 0)
        return rc;
    const uint64_t rss_before = server_rss_kib(o->server_pid);
    int *fds = mem_alloc(o->connections * sizeof *fds);
    const uint64_t start_ns = clock_mono_ns();
    rc = open_all(o, fds, &opened, why);
    const double seconds = (double)(clock_mono_ns() - start_ns) * 1e-9;
    if (rc == 0 && o->server_pid)
        rc = server_cpu_ns(o->server_pid, &cpu_after, why);
    if (rc == 0) {
        const bool has_server = o->server_pid != 0;
        const double count = (double)MAX(opened, 1U);
        const uint64_t held_ns = clock_mono_ns();
        hold(o->duration_ns);
        if (has_server)
            rc = server_cpu_ns(o->server_pid, &cpu_idle, why);
        const uint64_t rss_after = server_rss_kib(o->server_pid);
        const double idle_seconds = (double)(clock_mono_ns() - held_ns) * 1e-9;
        const struct report_field fields[] = {
            {"connections", (double)opened, true},
            {"seconds", seconds, true},
            {"connections_per_s", count / seconds, true},
            {"server_cpu_us_per_connection", (double)(cpu_after - cpu_before) / 1000 / count,
             has_server},
            {"server_idle_cpu_cores", (double)(cpu_idle - cpu_after) * 1e-9 / idle_seconds,
             has_server},
            {"server_rss_kib_before", (double)rss_before, has_server},
            {"server_rss_kib", (double)rss_after, has_server},
            {"server_bytes_per_connection", ((double)rss_after - (double)rss_before) * 1024 / count,
             has_server},
        };
        if (rc == 0)
            report_fields(o, fields, ARRAY_LEN(fields));
    } else {
        char text[sizeof why->text];
        snprintf(text, sizeof text, "%s", why->text);
        failure_set(why, rc, "after %llu connections: %.400s", (unsigned long long)opened, text);
    }
    for (uint64_t i = 0; i < opened; i++)
        close(fds[i]);
    mem_free(fds);
    return rc;
}
