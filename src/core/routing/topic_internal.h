/* SPDX-License-Identifier: Apache-2.0 */
/* The places of a topic trie: what topic.c builds and topic_walk.c walks through. */
#ifndef TOKKI_CORE_ROUTING_TOPIC_INTERNAL_H
#define TOKKI_CORE_ROUTING_TOPIC_INTERNAL_H

#include "core/routing/exchange.h"
#include "core/routing/topic_word.h"

/* What a leaf and a node begin with. The item's key is the word if that is long, and empty for short
 * ones, the root, and below * and #. */
struct topic_place {
    struct hamt_item item;
    uint32_t rest_len;
    bool is_leaf;
    bool has_rest; /* a leaf: more words follow, in the text behind the word (one may be empty) */
};

/* Where one pattern goes on alone, with plain words only. */
struct topic_leaf {
    struct topic_place place;
    struct dest_set here; /* destinations of the pattern */
    uint64_t stamp;       /* the edit that made it */
    char bytes[];         /* the word if it is long, the rest */
};

struct topic_node {
    struct topic_place place;
    struct topic_place *star;
    struct topic_place *hash; /* a leaf only at the end of its pattern */
    struct hamt words;        /* struct topic_place by word */
    /* ---- second cache line: not looked at where a walk goes through ---- */
    struct dest_set here; /* destinations of the pattern that ends here */
    uint64_t stamp;
    char bytes[]; /* the word if it is long */
};
static_assert(offsetof(struct topic_node, words.count) == CACHE_LINE_BYTES,
              "what a walk looks at is on one line");

static inline struct topic_node *topic_node_of(struct topic_place *place)
{
    return (struct topic_node *)place;
}

static inline struct topic_leaf *topic_leaf_of(struct topic_place *place)
{
    return (struct topic_leaf *)place;
}

static inline struct str topic_leaf_rest(const struct topic_leaf *leaf)
{
    return str_of(leaf->bytes + leaf->place.item.key.len, leaf->place.rest_len);
}

/* Does the leaf's pattern end, or go on with just these words? */
static inline bool topic_leaf_matches(const struct topic_leaf *leaf,
                                      const struct topic_words *words)
{
    if (!leaf->place.has_rest)
        return words->done;
    return !words->done && str_equals(topic_leaf_rest(leaf), words->rest);
}

/* exchange_ops.route of the topic exchange. */
void topic_route(const struct vhost_view *view, const struct exchange *exchange,
                 const struct route_input *input, struct route_result *out);

#endif
