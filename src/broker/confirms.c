/* SPDX-License-Identifier: Apache-2.0 */
/* Counting outstanding confirms in a ring that is only used while there are some. */
#include "broker/confirms.h"

#include "base/bug.h"
#include "base/mem.h"

/* In `waiting`: all queues have it and the client knows; 0 is that it does not know yet. */
#define TOLD UINT32_MAX

void confirms_init(struct confirms *confirms)
{
    *confirms = (struct confirms){.next = 1, .low = 1, .sent = 1};
}

void confirms_fini(struct confirms *confirms)
{
    mem_free(confirms->waiting);
    mem_free(confirms->singles);
    *confirms = (struct confirms){0};
}

static uint32_t *slot(struct confirms *confirms, uint64_t seq)
{
    return &confirms->waiting[seq & (confirms->capacity - 1)];
}

static COLD void grow(struct confirms *confirms)
{
    uint32_t capacity = MAX(confirms->capacity * 2, 256U);
    uint32_t *waiting = mem_alloc(capacity * sizeof *waiting);

    for (uint64_t seq = confirms->low; seq < confirms->next; seq++)
        waiting[seq & (capacity - 1)] = *slot(confirms, seq);
    mem_free(confirms->waiting);
    confirms->waiting = waiting;
    confirms->capacity = capacity;
}

static void push_single(struct confirms *confirms, uint64_t seq)
{
    if (confirms->single_count == confirms->single_capacity) {
        confirms->single_capacity = MAX(confirms->single_capacity * 2, 64U);
        confirms->singles =
            mem_resize(confirms->singles, confirms->single_capacity * sizeof *confirms->singles);
    }
    confirms->singles[confirms->single_count++] = seq;
}

uint64_t confirms_add(struct confirms *confirms, uint32_t queues)
{
    uint64_t seq = confirms->next;

    if (LIKELY(queues == 0 && confirms->low == seq)) {
        confirms->last = seq;
        confirms->low = ++confirms->next;
        return seq;
    }
    if (seq - confirms->low >= confirms->capacity)
        grow(confirms);
    confirms->next++;
    *slot(confirms, seq) = queues;
    if (queues == 0)
        push_single(confirms, seq);
    return seq;
}

static bool is_done(uint32_t waiting)
{
    return waiting == 0 || waiting == TOLD;
}

static void pass_done(struct confirms *confirms)
{
    while (confirms->low < confirms->next && is_done(*slot(confirms, confirms->low))) {
        if (*slot(confirms, confirms->low) != TOLD)
            confirms->last = confirms->low;
        confirms->low++;
    }
}

void confirms_done(struct confirms *confirms, uint64_t first, uint64_t count)
{
    for (uint64_t seq = first; seq < first + count; seq++) {
        uint32_t *waiting = slot(confirms, seq);
        BUG_ON(seq < confirms->low || seq >= confirms->next || is_done(*waiting),
               "publish %llu confirmed twice", (unsigned long long)seq);
        if (--*waiting == 0 && seq != confirms->low)
            push_single(confirms, seq);
        pass_done(confirms);
    }
}

void confirms_flush(struct confirms *confirms,
                    void (*ack)(void *context, uint64_t tag, bool multiple), void *context)
{
    if (confirms->low > confirms->sent) {
        /* `sent` was a hole, so it at least was not told singly. */
        ack(context, confirms->last, confirms->last > confirms->sent);
        confirms->sent = confirms->low;
    }
    for (uint32_t i = 0; i < confirms->single_count; i++) {
        uint64_t seq = confirms->singles[i];
        if (seq < confirms->low)
            continue;
        ack(context, seq, false);
        *slot(confirms, seq) = TOLD;
    }
    confirms->single_count = 0;
}
