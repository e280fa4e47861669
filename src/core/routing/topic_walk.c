/* SPDX-License-Identifier: Apache-2.0 */
/* Matching a routing key: a walk through the topic trie as a set of places at once. */
#include "core/routing/route_internal.h"
#include "core/routing/topic_internal.h"

#include "base/mem.h"

/* Matching keeps the set of nodes reached after i words. Each node has one parent, so it is reached
 * at one i only, except below a `#`. A `#` node, once entered, stays (it takes any number of words):
 * entering it again later adds nothing, which `seen` finds out. So a walk does at most words x nodes
 * steps, whatever patterns a hostile client binds; plain backtracking is exponential in `#`. */

struct walk {
    struct topic_scratch *scratch;
    struct route_result *out;
    struct topic_words rest; /* the words not taken yet */
};

/* ---- '#' ---- */

static bool seen_put(struct topic_scratch *scratch, const struct topic_place *place)
{
    uint32_t mask = scratch->seen_capacity - 1;
    uint32_t at = (uint32_t)hamt_hash_integer((uintptr_t)place) & mask;
    for (; scratch->seen[at]; at = (at + 1) & mask)
        if (scratch->seen[at] == place)
            return false;
    scratch->seen[at] = place;
    scratch->seen_count++;
    return true;
}

static void seen_grow(struct topic_scratch *scratch)
{
    const struct topic_place **old = scratch->seen;
    uint32_t old_capacity = scratch->seen_capacity;
    scratch->seen_capacity = old_capacity ? old_capacity * 2 : 64;
    scratch->seen = mem_alloc_zero(scratch->seen_capacity * sizeof(struct topic_place *));
    scratch->seen_count = 0;
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i])
            seen_put(scratch, old[i]);
    mem_free(old);
}

/* True the first time this walk gets to the place below a '#'. */
static bool hash_is_new(struct topic_scratch *scratch, const struct topic_place *place)
{
    if ((scratch->seen_count + 1) * 2 > scratch->seen_capacity)
        seen_grow(scratch);
    return seen_put(scratch, place);
}

static void seen_clear(struct topic_scratch *scratch)
{
    if (scratch->seen_count == 0)
        return;
    memset(scratch->seen, 0, scratch->seen_capacity * sizeof(struct topic_place *));
    scratch->seen_count = 0;
}

static COLD void list_grow(struct topic_list *list, uint32_t needed)
{
    list->capacity = MAX(MAX(list->capacity * 2, needed), 16U);
    list->nodes = mem_resize(list->nodes, list->capacity * sizeof *list->nodes);
}

/* Make room for `more` nodes, which list_push takes without a look. */
static inline void list_reserve(struct topic_list *list, uint32_t more)
{
    if (UNLIKELY(list->capacity - list->count < more))
        list_grow(list, list->count + more);
}

static inline void list_push(struct topic_list *list, const struct topic_node *node)
{
    list->nodes[list->count++] = node;
}

/* The walk has come to a node with this '#' child, which may take no words. A leaf matches at once whatever
 * follows; nodes stay active for the rest of the key. */
static void enter_hash(struct walk *walk, const struct topic_place *hash)
{
    struct topic_scratch *scratch = walk->scratch;
    const struct topic_node *node;
    for (; hash; hash = node->hash) {
        /* Nothing is met twice before the first '#' that is followed by something. */
        if ((scratch->sticky.count > 0 || !hash->is_leaf) && !hash_is_new(scratch, hash))
            return;
        if (hash->is_leaf) {
            dest_set_route(&((const struct topic_leaf *)hash)->here, walk->out);
            return;
        }
        node = (const struct topic_node *)hash;
        dest_set_route(&node->here, walk->out);
        list_reserve(&scratch->sticky, 1);
        list_push(&scratch->sticky, node);
    }
}

/* ---- words ---- */

/* The walk has come to a place; there is room in the list for it. */
static inline void enter(struct walk *walk, const struct topic_place *place)
{
    const struct topic_node *node;
    if (place->is_leaf) {
        const struct topic_leaf *leaf = (const struct topic_leaf *)place;
        if (topic_leaf_matches(leaf, &walk->rest))
            dest_set_route(&leaf->here, walk->out);
        return;
    }
    node = (const struct topic_node *)place;
    list_push(&walk->scratch->next, node);
    if (node->star)
        __builtin_prefetch(node->star);
    if (node->hash)
        enter_hash(walk, node->hash);
}

static inline void advance(struct walk *walk, const struct topic_node *node, uint64_t hash,
                           struct str key)
{
    const struct topic_place *child =
        (const struct topic_place *)hamt_find(&node->words, hash, key);
    if (child)
        enter(walk, child);
    if (node->star)
        enter(walk, node->star);
}

/* Take a word of the key at every place where the walk is. */
static void advance_all(struct walk *walk, uint64_t hash, struct str key)
{
    struct topic_scratch *scratch = walk->scratch;
    /* A '#' entered by this very word starts with the next one. */
    uint32_t sticky = scratch->sticky.count;
    struct topic_list now = scratch->next;
    scratch->next = scratch->now;
    scratch->next.count = 0;
    scratch->now = now;
    /* Each place leads to two at most. */
    list_reserve(&scratch->next, 2 * (now.count + sticky));
    for (uint32_t i = 0; i < now.count; i++)
        advance(walk, now.nodes[i], hash, key);
    for (uint32_t i = 0; i < sticky; i++)
        advance(walk, scratch->sticky.nodes[i], hash, key);
}

HOT void topic_route(const struct vhost_view *view, const struct exchange *exchange,
                     const struct route_input *input, struct route_result *out)
{
    struct topic_scratch *scratch = &out->scratch->topic;
    struct walk walk = {scratch, out, topic_words_of(input->routing_key)};
    struct topic_word word;

    (void)view;
    if (!exchange->state.topic)
        return;
    scratch->sticky.count = 0;
    scratch->next.count = 0;
    seen_clear(scratch);
    list_reserve(&scratch->next, 1);
    enter(&walk, &exchange->state.topic->place);
    while (scratch->next.count + scratch->sticky.count > 0 && topic_word_next(&walk.rest, &word))
        advance_all(&walk, topic_word_hash(&word, exchange->hash_seed), topic_word_key(&word));
    if (!walk.rest.done)
        return; /* nothing could match any more */
    for (uint32_t i = 0; i < scratch->next.count; i++)
        dest_set_route(&scratch->next.nodes[i]->here, out);
}

void topic_scratch_fini(struct topic_scratch *scratch)
{
    mem_free(scratch->now.nodes);
    mem_free(scratch->next.nodes);
    mem_free(scratch->sticky.nodes);
    mem_free(scratch->seen);
}
