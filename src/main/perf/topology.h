/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a run - queues, keys, who uses which - and their declaring and binding. */
#ifndef TOKKI_PERF_TOPOLOGY_H
#define TOKKI_PERF_TOPOLOGY_H

#include "main/perf/client.h"
#include "main/perf/options.h"

#define TOPOLOGY_NAME_MAX 256

/* Owner: the load run. Thread: main. Nothing to free. */
struct topology {
    const struct options *options;
    char run_key[TOPOLOGY_NAME_MAX]; /* routing key when neither -k nor a named queue gives one */
};

void topology_init(struct topology *t, const struct options *o);

/* Name of the named queue that consumer or publisher `number` uses; false: it has none. */
bool topology_queue_name(const struct topology *t, uint64_t number, char *out);

/* Routing key of publisher `number`; borrows from `buf` (TOPOLOGY_NAME_MAX) or the options. */
struct str topology_routing_key(const struct topology *t, uint64_t number, char *buf);

/* Declare exchange and named queues on channel 1 of `c`, and bind them. */
MUST_CHECK int topology_declare(const struct topology *t, struct client *c, struct failure *why);

/* Declare a queue of the broker's naming for one consumer on `channel`, and bind it. Fills `name`. */
MUST_CHECK int topology_declare_own_queue(const struct topology *t, struct client *c,
                                          uint16_t channel, char *name, struct failure *why);

#endif
