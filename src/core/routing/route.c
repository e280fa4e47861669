/* SPDX-License-Identifier: Apache-2.0 */
/* Routing: one exchange after the other, each queue and each exchange once. */
#include "core/routing/route.h"

#include "core/catalog/catalog.h"
#include "core/routing/route_internal.h"

#include "base/bug.h"
#include "base/mem.h"

/* Duplicates are found by marks: every exchange and queue of a view has a small number, and marks[]
 * says in which round it was met last. A round is one routing key; rounds only rise, so starting a
 * new answer clears nothing. Queues are met once per answer (several rounds with CC keys), exchanges
 * once per round, since another key takes other ways through them. */

/* Rounds left before marks[] must be cleared; far above the keys of any one message. */
#define ROUND_LIMIT (UINT32_MAX / 2)

void route_result_init(struct route_result *result)
{
    *result = (struct route_result){.scratch = mem_alloc_zero(sizeof(struct route_scratch))};
}

void route_result_fini(struct route_result *result)
{
    if (result->scratch) {
        topic_scratch_fini(&result->scratch->topic);
        header_scratch_fini(&result->scratch->headers);
    }
    mem_free(result->scratch);
    mem_free(result->pending);
    mem_free(result->marks);
    mem_free(result->queues);
    *result = (struct route_result){.queues = NULL};
}

void route_grow_queues(struct route_result *out)
{
    out->capacity = out->capacity ? out->capacity * 2 : 16;
    out->queues = mem_resize(out->queues, out->capacity * sizeof *out->queues);
}

static COLD void grow_marks(struct route_result *out, uint32_t limit)
{
    uint32_t capacity = MAX(out->marks_capacity * 2, MAX(limit, 64U));
    out->marks = mem_resize(out->marks, capacity * sizeof *out->marks);
    memset(out->marks + out->marks_capacity, 0,
           (capacity - out->marks_capacity) * sizeof *out->marks);
    out->marks_capacity = capacity;
}

/* Queue `exchange` for routing unless it had its turn in this round. */
static void visit(struct route_result *out, const struct exchange *exchange)
{
    if (out->marks[exchange->mark] == out->round)
        return;
    out->marks[exchange->mark] = out->round;
    if (UNLIKELY(out->pending_count == out->pending_capacity)) {
        out->pending_capacity = out->pending_capacity ? out->pending_capacity * 2 : 8;
        out->pending = mem_resize(out->pending, out->pending_capacity * sizeof(struct exchange *));
    }
    out->pending[out->pending_count++] = exchange;
}

static const struct exchange *find_exchange(const struct route_result *out, uint64_t hash,
                                            struct str name)
{
    return (const struct exchange *)hamt_find(&out->view->exchanges, hash, name);
}

void route_add_exchange(struct route_result *out, const struct destination *destination)
{
    if (out->marks[destination->mark] == out->round)
        return;
    const struct hamt_item *name = destination->exchange;
    const struct exchange *exchange = find_exchange(out, name->hash, name->key);
    BUG_ON(!exchange, "a binding leads to exchange '%.*s', which is gone", STR_ARG(name->key));
    visit(out, exchange);
}

void route_add(struct route_result *out, const struct destination *destination)
{
    route_add_inline(out, destination);
}

static void route_one(struct route_result *out, const struct exchange *exchange,
                      const struct route_input *input)
{
    out->depends_on_headers |= exchange->ops->depends_on_headers;
    out->reaches_exchanges |= exchange->has_exchange_destinations | exchange->has_alternate;
    out->matches = 0;
    exchange->ops->route(out->view, exchange, input, out);
    if (LIKELY(out->matches > 0 || !exchange->has_alternate))
        return;
    const struct exchange *alternate =
        find_exchange(out, str_hash(exchange->alternate, exchange->hash_seed), exchange->alternate);
    if (alternate)
        visit(out, alternate);
}

HOT void route_more(const struct vhost_view *view, const struct exchange *exchange,
                    struct str routing_key, struct str headers, struct route_result *out)
{
    const struct route_input input = {routing_key, headers};
    if (UNLIKELY(out->marks_capacity < view->mark_limit))
        grow_marks(out, view->mark_limit);
    out->view = view;
    out->round++;
    out->marks[exchange->mark] = out->round;
    out->pending_count = 0;
    route_one(out, exchange, &input);
    while (out->pending_count > 0)
        route_one(out, out->pending[--out->pending_count], &input);
    out->view = NULL;
}

HOT void route(const struct vhost_view *view, const struct exchange *exchange,
               struct str routing_key, struct str headers, struct route_result *out)
{
    if (UNLIKELY(out->round >= ROUND_LIMIT)) {
        memset(out->marks, 0, out->marks_capacity * sizeof *out->marks);
        out->round = 0;
    }
    out->count = 0;
    out->depends_on_headers = false;
    out->reaches_exchanges = false;
    out->first_round = out->round + 1;
    route_more(view, exchange, routing_key, headers, out);
}
