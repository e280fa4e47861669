/* SPDX-License-Identifier: Apache-2.0 */
/* Routing: the queues that a message with this key and these headers goes to. */
#ifndef TOKKI_CORE_ROUTING_ROUTE_H
#define TOKKI_CORE_ROUTING_ROUTE_H

#include "core/routing/exchange.h"

struct route_scratch;

/* The answer of route(), reused from call to call: in the steady state nothing is allocated. One per
 * thread (or per whatever routes) is right; it costs 4 bytes per queue of the largest vhost.
 *
 * Owner: the caller. Thread: the owner's. Freed by: route_result_fini(). */
struct route_result {
    struct queue_ref *queues; /* each queue once, in no particular order */
    uint32_t count;

    /* A headers exchange was met: the answer holds for this message only, not for its key. */
    bool depends_on_headers;
    /* Another exchange took part (binding to an exchange, or an alternate exchange): the answer holds
     * while the view's version is the same. Else it holds while the exchange's generation is. */
    bool reaches_exchanges;

    /* Private to routing. */
    uint32_t capacity;
    uint32_t *marks; /* by mark: the round that saw it last */
    uint32_t marks_capacity;
    uint32_t first_round; /* of this answer: queues are seen when marks[] >= first_round */
    uint32_t round;       /* exchanges are visited when marks[] == round */
    uint32_t matches;     /* destinations matched by the exchange at work, seen before or not */
    const struct exchange **pending;
    uint32_t pending_count;
    uint32_t pending_capacity;
    const struct vhost_view *view;
    struct route_scratch *scratch; /* parsed headers */
};

void route_result_init(struct route_result *result);
void route_result_fini(struct route_result *result);

/* Fill `out` (reset first) with the queues of `view` that a message published to `exchange` reaches.
 * `headers` is the headers table without its u32 length, already validated; empty when the message
 * has none. Bindings to exchanges are followed, each exchange visited once; an exchange with an
 * alternate that matches nothing hands over to it. Direct exchanges and the default exchange take a
 * couple of hash look-ups. Thread: any reader of the view. */
void route(const struct vhost_view *view, const struct exchange *exchange, struct str routing_key,
           struct str headers, struct route_result *out);

/* As route(), but adds to the answer in `out`, for the further keys of the CC and BCC headers; still
 * each queue once. */
void route_more(const struct vhost_view *view, const struct exchange *exchange,
                struct str routing_key, struct str headers, struct route_result *out);

/* For exchange_ops.route(): one matching destination. */
void route_add(struct route_result *out, const struct destination *destination);

#endif
