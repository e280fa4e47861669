/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent set of destinations: what one routing key, pattern or fanout leads to. */
#ifndef TOKKI_CORE_ROUTING_DEST_SET_H
#define TOKKI_CORE_ROUTING_DEST_SET_H

#include "base/hamt.h"
#include "core/ref.h"

enum destination_kind { DESTINATION_QUEUE, DESTINATION_EXCHANGE };

/* Where a binding leads, in the form that routing needs. Immutable.
 *
 * `mark` is a small number, unique among the exchanges and queues of one view: sets are ordered by
 * it, and routing finds duplicates by it (struct route_result). */
struct destination {
    union {
        struct queue_ref queue;           /* DESTINATION_QUEUE */
        const struct hamt_item *exchange; /* DESTINATION_EXCHANGE: key into the view's exchanges */
    };
    uint32_t mark;
    uint32_t uses : 31; /* bindings that put it into this set */
    uint32_t is_exchange : 1;
};

struct dest_node;

/* Each destination once, with the number of its bindings. One destination, by far the most frequent
 * case, lives in the set itself; up to 32 in one array; more in a tree with such arrays as leaves,
 * so that a walk reads memory in runs and a change copies a few hundred bytes.
 *
 * Owner: whoever embeds it (by value). Thread: as struct hamt. Freed by: dest_set_clear().
 * A zeroed struct is an empty set. */
struct dest_set {
    union {
        struct destination one; /* count == 1 */
        struct dest_node *root; /* count > 1 */
    };
    uint32_t count;
};

/* Add one use of `dest` (copied). True when it was not in the set before. */
bool dest_set_add(struct dest_set *set, const struct edit *edit, const struct destination *dest);

/* Take away one use of the destination with this mark. True when that was the last one and it left
 * the set. It must be in the set. */
bool dest_set_remove(struct dest_set *set, const struct edit *edit, uint32_t mark);

/* Empty the set. */
void dest_set_clear(struct dest_set *set, const struct edit *edit);

struct route_result;

/* Add all destinations to the result of a routing in progress. */
void dest_set_route(const struct dest_set *set, struct route_result *out);

#endif
