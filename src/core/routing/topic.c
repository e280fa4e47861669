/* SPDX-License-Identifier: Apache-2.0 */
/* The topic exchange: a persistent trie of pattern words, and how it changes. */
#include "core/routing/topic_internal.h"

#include "base/bug.h"

/* A pattern is a path of words from the root; `*` and `#` are paths of their own. Words are not
 * numbered in a table beside the trie: short ones are numbers by themselves (topic_word.h), the hash of each
 * word of the key is computed once, and the children of a node are found by that hash, so a table
 * would only add a look-up per word (and reference counts).
 *
 * With 100,000 bindings routing is a matter of cache misses:
 * - Where one pattern goes on alone, and with plain words only, its rest is kept as text in a *leaf*
 *   and compared as a whole; a second pattern through it makes the leaf a node. That halves the
 *   number of places and their size.
 * - What a walk looks at in a node is on one cache line, the name of a short word included; most words that a
 *   node does not have are told without a look at anything else (hamt_find).
 *
 * The walk is in topic_walk.c. */

static size_t leaf_bytes(size_t text_len)
{
    return sizeof(struct topic_leaf) + text_len;
}

/* Whole cache lines, so that each node begins on one. */
static size_t node_bytes(size_t key_len)
{
    size_t lines = (sizeof(struct topic_node) + key_len + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES;
    return lines * CACHE_LINE_BYTES;
}

/* A leaf for the word and the words after it. */
static struct topic_place *leaf_new(const struct edit *edit, uint64_t hash, struct str key,
                                    const struct topic_words *rest, const struct dest_set *here)
{
    size_t rest_len = rest->done ? 0 : rest->rest.len;
    struct topic_leaf *leaf = edit_take(edit, leaf_bytes(key.len + rest_len));
    if (key.len)
        memcpy(leaf->bytes, key.data, key.len);
    if (rest_len)
        memcpy(leaf->bytes + key.len, rest->rest.data, rest_len);
    leaf->place = (struct topic_place){
        .item = {hash, str_of(key.len ? leaf->bytes : NULL, key.len)},
        .rest_len = (uint32_t)rest_len,
        .is_leaf = true,
        .has_rest = !rest->done,
    };
    leaf->here = *here;
    leaf->stamp = edit->stamp;
    return &leaf->place;
}

/* A copy of `from` (NULL: an empty node) for the word with this key, which is `from`'s if it has one. */
static struct topic_node *node_new(const struct edit *edit, const struct topic_node *from,
                                   uint64_t hash, struct str key)
{
    struct topic_node *node = edit_take(edit, node_bytes(key.len));
    if (from)
        *node = *from;
    else
        memset(node, 0, sizeof *node);
    if (key.len)
        memcpy(node->bytes, key.data, key.len);
    node->place.item = (struct hamt_item){hash, str_of(key.len ? node->bytes : NULL, key.len)};
    node->stamp = edit->stamp;
    return node;
}

static uint64_t place_stamp(struct topic_place *place)
{
    return place->is_leaf ? topic_leaf_of(place)->stamp : topic_node_of(place)->stamp;
}

static struct dest_set *place_here(struct topic_place *place)
{
    return place->is_leaf ? &topic_leaf_of(place)->here : &topic_node_of(place)->here;
}

static void place_dispose(const struct edit *edit, struct topic_place *place)
{
    size_t key_len = place->item.key.len;
    size_t bytes = place->is_leaf ? leaf_bytes(key_len + place->rest_len) : node_bytes(key_len);
    edit_give(edit, place, bytes, place_stamp(place));
}

/* The root: itself when the edit owns it, else a copy in its place; a new one for NULL. */
static struct topic_node *root_own(const struct edit *edit, struct topic_node *root)
{
    if (root && root->stamp == edit->stamp)
        return root;
    struct topic_node *copy = node_new(edit, root, 0, str_of(NULL, 0));
    if (root)
        place_dispose(edit, &root->place);
    return copy;
}

/* One step down the trie: a word as a key, or where a wildcard's child hangs. */
struct step {
    struct str key; /* empty for a wildcard */
    uint64_t hash;
    struct topic_place **wildcard; /* NULL: the child is in `words` */
    bool is_hash;
};

static struct step step_of(struct topic_node *parent, const struct topic_word *word, uint64_t seed)
{
    if (word->number == TOPIC_STAR)
        return (struct step){.wildcard = &parent->star};
    if (word->number == TOPIC_HASH)
        return (struct step){.wildcard = &parent->hash, .is_hash = true};
    return (struct step){.key = topic_word_key(word), .hash = topic_word_hash(word, seed)};
}

static struct topic_place *step_child(struct topic_node *parent, const struct step *step)
{
    if (step->wildcard)
        return *step->wildcard;
    return (struct topic_place *)hamt_find(&parent->words, step->hash, step->key);
}

/* Put a new child below an owned parent, in the place of `old` (may be NULL). */
static void step_put(const struct edit *edit, struct topic_node *parent, const struct step *step,
                     struct topic_place *old, struct topic_place *child)
{
    if (step->wildcard)
        *step->wildcard = child;
    else
        hamt_put(&parent->words, edit, &child->item);
    if (old)
        place_dispose(edit, old);
}

/* Take the child out of an owned parent. */
static void step_remove(const struct edit *edit, struct topic_node *parent, const struct step *step,
                        struct topic_place *child)
{
    if (step->wildcard)
        *step->wildcard = NULL;
    else
        hamt_remove(&parent->words, edit, step->hash, step->key);
    place_dispose(edit, child);
}

static struct topic_words leaf_words(const struct topic_leaf *leaf)
{
    return (struct topic_words){topic_leaf_rest(leaf), !leaf->place.has_rest};
}

/* The leaf `old` below an owned parent, made the edit's own. */
static struct topic_place *leaf_own(const struct edit *edit, struct topic_node *parent,
                                    const struct step *step, struct topic_place *old)
{
    if (place_stamp(old) == edit->stamp)
        return old;
    const struct topic_words rest = leaf_words(topic_leaf_of(old));
    struct topic_place *leaf = leaf_new(edit, step->hash, step->key, &rest, place_here(old));
    step_put(edit, parent, step, old, leaf);
    return leaf;
}

/* A node for the leaf `old`, whose rest becomes a leaf below that: another pattern goes through here. */
static struct topic_node *leaf_to_node(const struct edit *edit, const struct step *step,
                                       const struct topic_leaf *old, uint64_t seed)
{
    struct topic_node *node = node_new(edit, NULL, step->hash, step->key);
    struct topic_words rest = leaf_words(old);
    struct topic_word word;
    if (topic_word_next(&rest, &word)) {
        struct topic_place *leaf =
            leaf_new(edit, topic_word_hash(&word, seed), topic_word_key(&word), &rest, &old->here);
        hamt_put(&node->words, edit, &leaf->item);
    } else {
        node->here = old->here;
    }
    return node;
}

/* The child of an owned parent as an owned node; made when missing, split when a leaf. */
static struct topic_node *step_own(const struct edit *edit, struct topic_node *parent,
                                   const struct step *step, uint64_t seed)
{
    struct topic_place *child = step_child(parent, step);
    struct topic_node *node;
    if (child && child->is_leaf)
        node = leaf_to_node(edit, step, topic_leaf_of(child), seed);
    else if (child && place_stamp(child) == edit->stamp)
        return topic_node_of(child);
    else
        node = node_new(edit, child ? topic_node_of(child) : NULL, step->hash, step->key);
    step_put(edit, parent, step, child, &node->place);
    return node;
}

static bool words_are_plain(struct topic_words words)
{
    struct topic_word word;
    while (topic_word_next(&words, &word))
        if (word.number == TOPIC_STAR || word.number == TOPIC_HASH)
            return false;
    return true;
}

/* May the words after this step be the text of a leaf? What follows a '#' may begin at any word. */
static bool fits_leaf(const struct step *step, const struct topic_words *words)
{
    return step->is_hash ? words->done : words_are_plain(*words);
}

static bool is_leaf_of(struct topic_place *place, const struct topic_words *words)
{
    return place->is_leaf && topic_leaf_matches(topic_leaf_of(place), words);
}

/* The place where the pattern ends, as the edit's own; made when missing. */
static struct topic_place *pattern_own(const struct edit *edit, struct topic_node *node,
                                       struct topic_words words, uint64_t seed)
{
    const struct dest_set empty = {.count = 0};
    struct topic_word word;
    while (topic_word_next(&words, &word)) {
        struct step step = step_of(node, &word, seed);
        struct topic_place *child = step_child(node, &step);
        if (!child && fits_leaf(&step, &words)) {
            child = leaf_new(edit, step.hash, step.key, &words, &empty);
            step_put(edit, node, &step, NULL, child);
            return child;
        }
        if (child && is_leaf_of(child, &words))
            return leaf_own(edit, node, &step, child);
        node = step_own(edit, node, &step, seed);
    }
    return &node->place;
}

static void topic_bind(struct exchange *exchange, const struct edit *edit,
                       const struct binding *binding)
{
    struct topic_node *root = root_own(edit, exchange->state.topic);
    exchange->state.topic = root;
    struct topic_place *end =
        pattern_own(edit, root, topic_words_of(binding->routing_key), exchange->hash_seed);
    dest_set_add(place_here(end), edit, &binding->target);
}

static bool place_is_empty(struct topic_place *place)
{
    const struct topic_node *node = topic_node_of(place);
    if (place_here(place)->count > 0 || place->is_leaf)
        return place_here(place)->count == 0;
    return node->words.count == 0 && !node->star && !node->hash;
}

/* Take the pattern's destination away below `node`, which is owned; places left empty go. */
static void unbind_below(const struct edit *edit, struct topic_node *node, struct topic_words words,
                         uint64_t seed, uint32_t mark)
{
    struct topic_word word;
    if (!topic_word_next(&words, &word)) {
        dest_set_remove(&node->here, edit, mark);
        return;
    }
    struct step step = step_of(node, &word, seed);
    struct topic_place *child = step_child(node, &step);
    BUG_ON(!child || (child->is_leaf && !is_leaf_of(child, &words)),
           "topic: the pattern to unbind is not in the trie");
    if (child->is_leaf) {
        child = leaf_own(edit, node, &step, child);
        dest_set_remove(place_here(child), edit, mark);
    } else {
        child = &step_own(edit, node, &step, seed)->place;
        unbind_below(edit, topic_node_of(child), words, seed, mark);
    }
    if (place_is_empty(child))
        step_remove(edit, node, &step, child);
}

static void topic_unbind(struct exchange *exchange, const struct edit *edit,
                         const struct binding *binding)
{
    struct topic_node *root = root_own(edit, exchange->state.topic);
    unbind_below(edit, root, topic_words_of(binding->routing_key), exchange->hash_seed,
                 binding->target.mark);
    exchange->state.topic = root;
    if (!place_is_empty(&root->place))
        return;
    exchange->state.topic = NULL;
    place_dispose(edit, &root->place);
}

static void place_clear(const struct edit *edit, struct topic_place *place);

static void drop_place(const struct edit *edit, struct hamt_item *item)
{
    place_clear(edit, (struct topic_place *)item);
}

static void place_clear(const struct edit *edit, struct topic_place *place)
{
    struct dest_set here = *place_here(place); /* readers may still see the place's, and its maps */
    dest_set_clear(&here, edit);
    if (!place->is_leaf) {
        const struct topic_node *node = topic_node_of(place);
        struct hamt words = node->words;
        hamt_clear(&words, edit, drop_place);
        if (node->star)
            place_clear(edit, node->star);
        if (node->hash)
            place_clear(edit, node->hash);
    }
    place_dispose(edit, place);
}

static void topic_clear(struct exchange *exchange, const struct edit *edit)
{
    if (exchange->state.topic)
        place_clear(edit, &exchange->state.topic->place);
    exchange->state.topic = NULL;
}

const struct exchange_ops topic_exchange_ops = {
    .name = "topic",
    .bind = topic_bind,
    .unbind = topic_unbind,
    .route = topic_route,
    .clear = topic_clear,
};
