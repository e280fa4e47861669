/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time and memory of the broker's process. */
#include "main/perf/server.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int server_cpu_ns(uint64_t pid, uint64_t *out, struct failure *why)
{
    clockid_t id;
    struct timespec t;
    /* /proc/PID/stat counts in ticks of 10 ms; this clock is the same sum in nanoseconds. */
    const int rc = clock_getcpuclockid((pid_t)pid, &id);
    if (rc != 0 || clock_gettime(id, &t) == -1)
        return failure_set(why, -ESRCH, "--server-pid %llu: no such process",
                           (unsigned long long)pid);
    *out = (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
    return 0;
}

uint64_t server_rss_kib(uint64_t pid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%llu/status", (unsigned long long)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    unsigned long long kib = 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmRSS:", 6) != 0)
            continue;
        kib = strtoull(line + 6, NULL, 10); /* "VmRSS:     1234 kB"; 0 should that ever change */
        break;
    }
    fclose(file);
    return kib;
}

uint64_t own_cpu_ns(void)
{
    return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}
