/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says about the broker's process: CPU time and memory. */
#ifndef TOKKI_PERF_SERVER_H
#define TOKKI_PERF_SERVER_H

#include "main/perf/failure.h"

#include <stdint.h>

/* CPU time of all threads of process `pid`, living and ended: utime + stime of /proc/PID/stat, but
 * in nanoseconds (the process's CPU clock). -ESRCH with `why` when there is no such process. */
MUST_CHECK int server_cpu_ns(uint64_t pid, uint64_t *out, struct failure *why);

/* VmRSS of /proc/PID/status in KiB; 0 when it cannot be read. */
uint64_t server_rss_kib(uint64_t pid);

/* CPU time of this process. */
uint64_t own_cpu_ns(void);

#endif
