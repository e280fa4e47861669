/* SPDX-License-Identifier: Apache-2.0 */
/* Publisher confirms: a ring of send times by tag. */
#include "main/perf/confirms.h"

#include "base/mem.h"

/* A broker that confirms out of order may leave one tag open while later ones go on; so far ahead the
 * publisher may get before it waits for that tag although its window has room. */
#define RING_WINDOWS 8
#define RING_TAGS_MIN 1024

void confirms_init(struct confirms *c, uint64_t window)
{
    uint64_t tags = RING_TAGS_MIN;
    while (tags < window * RING_WINDOWS)
        tags *= 2;
    *c = (struct confirms){.window = window, .low = 1, .next = 1, .mask = tags - 1};
    c->sent_ns = mem_alloc_zero(tags * sizeof *c->sent_ns);
}

void confirms_fini(struct confirms *c)
{
    mem_free(c->sent_ns);
    *c = (struct confirms){0};
}

uint64_t confirms_room(const struct confirms *c)
{
    const uint64_t ring_room = c->mask + 1 - (c->next - c->low);
    return MIN(c->window - c->open, ring_room);
}

void confirms_sent(struct confirms *c, uint64_t n, uint64_t now_ns)
{
    for (uint64_t i = 0; i < n; i++)
        c->sent_ns[(c->next + i) & c->mask] = now_ns;
    c->next += n;
    c->open += n;
}

/* Settles the open ones of [low, tag]. Equal send times are one entry in the histogram. */
static int64_t settle_run(struct confirms *c, uint64_t tag, uint64_t now_ns,
                          struct histogram *latency)
{
    uint64_t settled = 0, run_ns = 0, run = 0;
    for (uint64_t t = c->low; t <= tag; t++) {
        const uint64_t sent = c->sent_ns[t & c->mask];
        if (sent == 0)
            continue;
        c->sent_ns[t & c->mask] = 0;
        settled++;
        if (sent == run_ns) {
            run++;
            continue;
        }
        histogram_add(latency, now_ns - run_ns, run);
        run_ns = sent;
        run = 1;
    }
    histogram_add(latency, now_ns - run_ns, run);
    return (int64_t)settled;
}

int64_t confirms_settle(struct confirms *c, uint64_t tag, bool multiple, uint64_t now_ns,
                        struct histogram *latency)
{
    int64_t settled = 1;
    if (multiple && tag == 0)
        tag = c->next - 1;
    if (tag >= c->next)
        return -1;
    if (multiple) {
        if (tag < c->low)
            return 0; /* settled before, one by one */
        settled = settle_run(c, tag, now_ns, latency);
        c->low = tag + 1;
    } else {
        uint64_t *sent = &c->sent_ns[tag & c->mask];
        if (tag < c->low || *sent == 0)
            return -1;
        histogram_add(latency, now_ns - *sent, 1);
        *sent = 0;
    }
    while (c->low < c->next && c->sent_ns[c->low & c->mask] == 0)
        c->low++;
    c->open -= (uint64_t)settled;
    return settled;
}
