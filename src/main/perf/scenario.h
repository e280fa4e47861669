/* SPDX-License-Identifier: Apache-2.0 */
/* The three things tokki-perf can do. Each prints its result and returns 0, or fills `why`. */
#ifndef TOKKI_PERF_SCENARIO_H
#define TOKKI_PERF_SCENARIO_H

#include "main/perf/failure.h"
#include "main/perf/options.h"

#include <signal.h>

/* Set by SIGINT and SIGTERM: end the run early and report what there is. */
extern volatile sig_atomic_t scenario_is_interrupted;

MUST_CHECK int scenario_load(const struct options *o, struct failure *why);
MUST_CHECK int scenario_connections(const struct options *o, struct failure *why);
MUST_CHECK int scenario_declare(const struct options *o, struct failure *why);

#endif
