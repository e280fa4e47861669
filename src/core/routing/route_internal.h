/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of routing/ share: adding to an answer without a call, scratch memory of types. */
#ifndef TOKKI_CORE_ROUTING_ROUTE_INTERNAL_H
#define TOKKI_CORE_ROUTING_ROUTE_INTERNAL_H

#include "core/routing/route.h"

#include "core/table.h"

/* Growable list of pointers to trie nodes. */
struct topic_list {
    const struct topic_node **nodes;
    uint32_t count;
    uint32_t capacity;
};

/* Scratch of one walk through a topic trie (topic.c). */
struct topic_scratch {
    struct topic_list now;
    struct topic_list next;
    struct topic_list sticky;
    const struct topic_place **seen; /* hash set of the '#' children entered; NULL is free */
    uint32_t seen_count;
    uint32_t seen_capacity; /* power of two, or 0 */
};

/* One header of the message being routed. */
struct header_entry {
    uint64_t name_hash;
    struct str name;
    struct table_value value;
};

/* The headers of the message being routed, by name (headers.c). */
struct header_scratch {
    struct header_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t *index;     /* hash table of positions in `entries` plus one; 0 is free */
    uint32_t index_size; /* power of two in use, at least twice `count` */
    uint32_t index_capacity;
};

struct route_scratch {
    struct topic_scratch topic;
    struct header_scratch headers;
};

void topic_scratch_fini(struct topic_scratch *scratch);
void header_scratch_fini(struct header_scratch *scratch);

/* Makes room for one more queue. */
void route_grow_queues(struct route_result *out);

/* A destination that is an exchange. */
void route_add_exchange(struct route_result *out, const struct destination *destination);

static inline void route_add_inline(struct route_result *out, const struct destination *destination)
{
    out->matches++;
    if (UNLIKELY(destination->is_exchange)) {
        route_add_exchange(out, destination);
        return;
    }
    uint32_t *mark = &out->marks[destination->mark];
    if (*mark >= out->first_round)
        return;
    *mark = out->round;
    if (UNLIKELY(out->count == out->capacity))
        route_grow_queues(out);
    out->queues[out->count++] = destination->queue;
}

#endif
