/* SPDX-License-Identifier: Apache-2.0 */
/* Results of a run, as text, JSON or CSV on standard output. */
#ifndef TOKKI_PERF_REPORT_H
#define TOKKI_PERF_REPORT_H

#include "main/perf/histogram.h"
#include "main/perf/options.h"
#include "main/perf/worker.h"

/* What was measured between two instants. Owner: the run. */
struct load_result {
    double seconds;
    double setup_seconds; /* connecting, declaring, binding */
    uint64_t
        counters[COUNTERS];   /* within the measured time; BODY_BYTES of consumers, or publishers */
    uint64_t published_total; /* of the whole run, with warm-up and what was under way at its end */
    uint64_t consumed_total;
    uint64_t client_cpu_ns;
    uint64_t server_cpu_ns; /* these two only with --server-pid */
    bool has_late_work;     /* the CPU time is of more than `seconds` */
    uint64_t server_rss_kib;
    struct histogram latency;
    struct histogram confirm_latency;
};

/* Numbers of the scenarios that measure something else: an ordered list of names and values. */
struct report_field {
    const char *name;
    double value;
    bool is_known; /* false: JSON null, an empty CSV field, left out of the text */
};

void report_load(const struct options *o, const struct load_result *r);
void report_fields(const struct options *o, const struct report_field *fields, size_t count);

#endif
