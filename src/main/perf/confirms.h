/* SPDX-License-Identifier: Apache-2.0 */
/* Publisher confirms of one channel: which messages are open, and how long each took. */
#ifndef TOKKI_PERF_CONFIRMS_H
#define TOKKI_PERF_CONFIRMS_H

#include "main/perf/histogram.h"

#include "base/str.h"

/* Tags run from 1. [low, next) may hold confirmed ones when the broker confirms out of order; `open`
 * counts the others, which is what the window limits.
 * Owner: its publisher. Thread: the publisher's worker. Freed by: confirms_fini(). */
struct confirms {
    uint64_t window;
    uint64_t low;  /* the oldest tag not confirmed */
    uint64_t next; /* the tag of the next publish */
    uint64_t open;
    uint64_t mask;     /* ring size - 1 */
    uint64_t *sent_ns; /* ring by tag: when it was sent, 0 once it is confirmed */
};

void confirms_init(struct confirms *c, uint64_t window);
void confirms_fini(struct confirms *c);

/* How many messages may be sent now. */
uint64_t confirms_room(const struct confirms *c);

/* `n` messages (at most confirms_room()) leave at `now_ns`, which is not 0. */
void confirms_sent(struct confirms *c, uint64_t n, uint64_t now_ns);

/* The broker settled `tag`, or with `multiple` all open ones up to it (0: all). Adds their times to
 * `latency`. Returns how many messages that settled, -1 for a tag that was not open. */
int64_t confirms_settle(struct confirms *c, uint64_t tag, bool multiple, uint64_t now_ns,
                        struct histogram *latency);

#endif
