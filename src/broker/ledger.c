/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of unacknowledged deliveries in a ring, split and shortened as clients settle them. */
#include "broker/ledger.h"

#include "base/bug.h"
#include "base/mem.h"

static struct ledger_run *run_at(const struct ledger *ledger, uint32_t i)
{
    return &ledger->runs[(ledger->first + i) & (ledger->capacity - 1)];
}

static COLD void grow(struct ledger *ledger)
{
    uint32_t capacity = MAX(ledger->capacity * 2, 8U);
    struct ledger_run *runs = mem_alloc(capacity * sizeof *runs);

    for (uint32_t i = 0; i < ledger->count; i++)
        runs[i] = *run_at(ledger, i);
    mem_free(ledger->runs);
    ledger->runs = runs;
    ledger->first = 0;
    ledger->capacity = capacity;
}

static bool continues(const struct ledger_run *last, uint64_t tag, struct queue_ref queue,
                      struct consumer_ref consumer, uint64_t position)
{
    return last->tag + last->count == tag && last->position + last->count == position &&
           last->consumer.slot == consumer.slot &&
           last->consumer.generation == consumer.generation && last->count < UINT32_MAX &&
           queue_ref_equals(last->queue, queue);
}

void ledger_add(struct ledger *ledger, uint64_t tag, struct queue_ref queue,
                struct consumer_ref consumer, uint64_t position)
{
    ledger->total++;
    if (ledger->count > 0) {
        struct ledger_run *last = run_at(ledger, ledger->count - 1);
        if (LIKELY(continues(last, tag, queue, consumer, position))) {
            last->count++;
            return;
        }
    }
    if (ledger->count == ledger->capacity)
        grow(ledger);
    *run_at(ledger, ledger->count++) = (struct ledger_run){tag, position, queue, consumer, 1};
}

/* Index of the run that holds `tag`, or of the first run behind it. */
static uint32_t search(const struct ledger *ledger, uint64_t tag)
{
    uint32_t low = 0;
    uint32_t high = ledger->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct ledger_run *run = run_at(ledger, middle);
        if (run->tag + run->count <= tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ledger_has(const struct ledger *ledger, uint64_t tag)
{
    uint32_t i = search(ledger, tag);
    return i < ledger->count && run_at(ledger, i)->tag <= tag;
}

static void shorten_front(struct ledger_run *run, uint32_t n)
{
    run->tag += n;
    run->position += n;
    run->count -= n;
}

static void remove_run(struct ledger *ledger, uint32_t i)
{
    if (i == 0) {
        ledger->first++;
    } else {
        for (; i + 1 < ledger->count; i++)
            *run_at(ledger, i) = *run_at(ledger, i + 1);
    }
    ledger->count--;
}

static void insert_run(struct ledger *ledger, uint32_t at, const struct ledger_run *run)
{
    if (ledger->count == ledger->capacity)
        grow(ledger);
    for (uint32_t i = ledger->count++; i > at; i--)
        *run_at(ledger, i) = *run_at(ledger, i - 1);
    *run_at(ledger, at) = *run;
}

void ledger_restore(struct ledger *ledger, const struct ledger_run *run)
{
    insert_run(ledger, search(ledger, run->tag), run);
    ledger->total += run->count;
}

static uint64_t take_one(struct ledger *ledger, uint64_t tag, ledger_fn fn, void *context)
{
    uint32_t i = search(ledger, tag);
    struct ledger_run *run = i < ledger->count ? run_at(ledger, i) : NULL;
    struct ledger_run taken;
    struct ledger_run rest;
    uint32_t before;

    if (!run || run->tag > tag)
        return 0;
    before = (uint32_t)(tag - run->tag);
    rest = *run;
    shorten_front(&rest, before);
    taken = rest;
    taken.count = 1;
    shorten_front(&rest, 1);
    run->count = before;
    if (before == 0 && rest.count == 0)
        remove_run(ledger, i);
    else if (before == 0)
        *run = rest;
    else if (rest.count > 0)
        insert_run(ledger, i + 1, &rest);
    ledger->total--;
    fn(&taken, context);
    return 1;
}

static uint64_t take_up_to(struct ledger *ledger, uint64_t tag, ledger_fn fn, void *context)
{
    uint64_t taken = 0;
    while (ledger->count > 0 && run_at(ledger, 0)->tag <= tag) {
        struct ledger_run *run = run_at(ledger, 0);
        struct ledger_run part = *run;
        part.count = (uint32_t)MIN((uint64_t)run->count, tag - run->tag + 1);
        shorten_front(run, part.count);
        if (run->count == 0)
            remove_run(ledger, 0);
        taken += part.count;
        ledger->total -= part.count;
        fn(&part, context);
    }
    return taken;
}

uint64_t ledger_take(struct ledger *ledger, uint64_t tag, bool multiple, ledger_fn fn,
                     void *context)
{
    if (!multiple)
        return take_one(ledger, tag, fn, context);
    if (tag != 0 && !ledger_has(ledger, tag))
        return 0;
    return take_up_to(ledger, tag == 0 ? UINT64_MAX - 1 : tag, fn, context);
}

void ledger_fini(struct ledger *ledger)
{
    BUG_ON(ledger->total > 0, "ledger freed with %llu deliveries",
           (unsigned long long)ledger->total);
    mem_free(ledger->runs);
    *ledger = (struct ledger){0};
}
