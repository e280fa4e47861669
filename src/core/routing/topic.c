/* SPDX-License-Identifier: Apache-2.0 */
/* The topic exchange: a persistent trie of pattern words, walked as a set of places at once. */
#include "core/routing/exchange.h"

#include "core/routing/route_internal.h"

#include "base/bug.h"
#include "base/mem.h"

/* A pattern is a path of words from the root; `*` and `#` are paths of their own. Words are not
 * numbered in a table beside the trie: the hash of each word of the key is computed once, and the
 * children of a node are found by that hash, so a table would only add a look-up per word (and
 * reference counts). "words that are empty count; a key of no bytes has no words" (RabbitMQ,
 * split_topic_key).
 *
 * Matching keeps the set of nodes reached after i words. Each node has one parent, so it is reached
 * at one i only, except below a `#`. A `#` node, once entered, stays (it takes any number of words):
 * entering it again later adds nothing, which `seen` finds out. So a walk does at most words x nodes
 * steps, whatever patterns a hostile client binds; plain backtracking is exponential in `#`.
 *
 * With 100,000 bindings routing is a matter of cache misses:
 * - Where one pattern goes on alone, and with plain words only, its rest is kept as text in a *leaf*
 *   and compared as a whole; a second pattern through it makes the leaf a node. That halves the
 *   number of places and their size.
 * - What a step looks at in a node is on its first two lines; most words that a node does not have are told
 *   without a look at anything else (hamt_find). */

/* What a leaf and a node share: a word of the trie. */
struct topic_place {
    struct hamt_item item; /* key: the word; empty in the root and below * and # */
    struct dest_set here;  /* destinations of the pattern that ends here */
    uint32_t rest_len;
    bool is_leaf;
    bool has_rest;  /* a leaf: more words follow, in the text behind the word (one may be empty) */
    uint64_t stamp; /* the edit that made it */
};

struct topic_leaf {
    struct topic_place place;
    char bytes[]; /* the word, the rest */
};

struct topic_node {
    struct topic_place place;
    struct topic_place *star;
    struct topic_place *hash; /* a leaf only at the end of its pattern */
    struct hamt words;        /* struct topic_place by word */
    char bytes[];             /* the word */
};

/* Words of a key or pattern, one at a time. */
struct word_iter {
    struct str rest;
    bool done;
};

static inline struct word_iter words_of(struct str text)
{
    return (struct word_iter){text, text.len == 0};
}

static inline bool word_next(struct word_iter *iter, struct str *word)
{
    if (iter->done)
        return false;
    const char *text = iter->rest.data;
    size_t len = 0;
    /* Words are short: a loop beats the call of memchr. */
    while (len < iter->rest.len && text[len] != '.')
        len++;
    *word = str_of(text, len);
    iter->done = len == iter->rest.len;
    if (!iter->done)
        iter->rest = str_of(text + len + 1, iter->rest.len - len - 1);
    return true;
}

static bool word_is(struct str word, char wildcard)
{
    return word.len == 1 && word.data[0] == wildcard;
}

static struct topic_node *node_of(struct topic_place *place)
{
    return (struct topic_node *)place;
}

static struct str leaf_rest(const struct topic_place *leaf)
{
    const struct str *word = &leaf->item.key;
    return str_of(word->data + word->len, leaf->rest_len);
}

/* Does the leaf's pattern end, or go on with just these words? */
static inline bool leaf_matches(const struct topic_place *leaf, const struct word_iter *words)
{
    if (!leaf->has_rest)
        return words->done;
    return !words->done && str_equals(leaf_rest(leaf), words->rest);
}

/* A leaf for the word and the words after it. */
static struct topic_place *leaf_new(const struct edit *edit, uint64_t hash, struct str word,
                                    const struct word_iter *rest, const struct dest_set *here)
{
    size_t rest_len = rest->done ? 0 : rest->rest.len;
    struct topic_leaf *leaf = mem_alloc(sizeof *leaf + word.len + rest_len);
    if (word.len)
        memcpy(leaf->bytes, word.data, word.len);
    if (rest_len)
        memcpy(leaf->bytes + word.len, rest->rest.data, rest_len);
    leaf->place = (struct topic_place){
        .item = {hash, str_of(leaf->bytes, word.len)},
        .stamp = edit->stamp,
        .here = *here,
        .rest_len = (uint32_t)rest_len,
        .is_leaf = true,
        .has_rest = !rest->done,
    };
    return &leaf->place;
}

/* A copy of `from` (NULL: an empty node) for the word, which is `from`'s if it has one. */
static struct topic_node *node_new(const struct edit *edit, const struct topic_node *from,
                                   uint64_t hash, struct str word)
{
    size_t size = sizeof(struct topic_node) + word.len;
    size_t lines = (size + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES;
    struct topic_node *node = mem_alloc_aligned(CACHE_LINE_BYTES, lines * CACHE_LINE_BYTES);
    if (from)
        *node = *from;
    else
        memset(node, 0, sizeof *node);
    if (word.len)
        memcpy(node->bytes, word.data, word.len);
    node->place.item = (struct hamt_item){hash, str_of(node->bytes, word.len)};
    node->place.stamp = edit->stamp;
    return node;
}

/* The root: itself when the edit owns it, else a copy in its place; a new one for NULL. */
static struct topic_node *root_own(const struct edit *edit, struct topic_node *root)
{
    if (root && root->place.stamp == edit->stamp)
        return root;
    struct topic_node *copy = node_new(edit, root, 0, str_of(NULL, 0));
    if (root)
        edit_dispose(edit, root, root->place.stamp);
    return copy;
}

/* One step down the trie: a word and its hash, or where a wildcard's child hangs. */
struct step {
    struct str word; /* empty for a wildcard */
    uint64_t hash;
    struct topic_place **wildcard; /* NULL: the child is in `words` */
    bool is_hash;
};

static struct step step_of(struct topic_node *parent, struct str word, uint64_t seed)
{
    if (word_is(word, '*'))
        return (struct step){.wildcard = &parent->star};
    if (word_is(word, '#'))
        return (struct step){.wildcard = &parent->hash, .is_hash = true};
    return (struct step){.word = word, .hash = str_hash(word, seed)};
}

static struct topic_place *step_child(struct topic_node *parent, const struct step *step)
{
    if (step->wildcard)
        return *step->wildcard;
    return (struct topic_place *)hamt_find(&parent->words, step->hash, step->word);
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
        edit_dispose(edit, old, old->stamp);
}

/* Take the child out of an owned parent. */
static void step_remove(const struct edit *edit, struct topic_node *parent, const struct step *step,
                        struct topic_place *child)
{
    if (step->wildcard)
        *step->wildcard = NULL;
    else
        hamt_remove(&parent->words, edit, step->hash, step->word);
    edit_dispose(edit, child, child->stamp);
}

/* The leaf `old` below an owned parent, made the edit's own. */
static struct topic_place *leaf_own(const struct edit *edit, struct topic_node *parent,
                                    const struct step *step, struct topic_place *old)
{
    if (old->stamp == edit->stamp)
        return old;
    const struct word_iter rest = {leaf_rest(old), !old->has_rest};
    struct topic_place *leaf = leaf_new(edit, step->hash, step->word, &rest, &old->here);
    step_put(edit, parent, step, old, leaf);
    return leaf;
}

/* A node for the leaf `old`, whose rest becomes a leaf below that: another pattern goes through here. */
static struct topic_node *leaf_to_node(const struct edit *edit, const struct step *step,
                                       const struct topic_place *old, uint64_t seed)
{
    struct topic_node *node = node_new(edit, NULL, step->hash, step->word);
    struct word_iter rest = {leaf_rest(old), !old->has_rest};
    struct str word;
    if (word_next(&rest, &word)) {
        struct topic_place *leaf = leaf_new(edit, str_hash(word, seed), word, &rest, &old->here);
        hamt_put(&node->words, edit, &leaf->item);
    } else {
        node->place.here = old->here;
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
        node = leaf_to_node(edit, step, child, seed);
    else if (child && child->stamp == edit->stamp)
        return node_of(child);
    else
        node = node_new(edit, child ? node_of(child) : NULL, step->hash, step->word);
    step_put(edit, parent, step, child, &node->place);
    return node;
}

static bool words_are_plain(struct word_iter words)
{
    struct str word;
    while (word_next(&words, &word))
        if (word_is(word, '*') || word_is(word, '#'))
            return false;
    return true;
}

/* May the words after this step be the text of a leaf? What follows a '#' may begin at any word. */
static bool fits_leaf(const struct step *step, const struct word_iter *words)
{
    return step->is_hash ? words->done : words_are_plain(*words);
}

/* The place where the pattern ends, as the edit's own; made when missing. */
static struct topic_place *pattern_own(const struct edit *edit, struct topic_node *node,
                                       struct word_iter words, uint64_t seed)
{
    const struct dest_set empty = {.count = 0};
    struct str word;
    while (word_next(&words, &word)) {
        struct step step = step_of(node, word, seed);
        struct topic_place *child = step_child(node, &step);
        if (!child && fits_leaf(&step, &words)) {
            child = leaf_new(edit, step.hash, step.word, &words, &empty);
            step_put(edit, node, &step, NULL, child);
            return child;
        }
        if (child && child->is_leaf && leaf_matches(child, &words))
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
        pattern_own(edit, root, words_of(binding->routing_key), exchange->hash_seed);
    dest_set_add(&end->here, edit, &binding->target);
}

static bool place_is_empty(const struct topic_place *place)
{
    const struct topic_node *node = (const struct topic_node *)place;
    if (place->here.count > 0 || place->is_leaf)
        return place->here.count == 0;
    return node->words.count == 0 && !node->star && !node->hash;
}

/* Take the pattern's destination away below `node`, which is owned; places left empty go. */
static void unbind_below(const struct edit *edit, struct topic_node *node, struct word_iter words,
                         uint64_t seed, uint32_t mark)
{
    struct str word;
    if (!word_next(&words, &word)) {
        dest_set_remove(&node->place.here, edit, mark);
        return;
    }
    struct step step = step_of(node, word, seed);
    struct topic_place *child = step_child(node, &step);
    BUG_ON(!child || (child->is_leaf && !leaf_matches(child, &words)),
           "topic: the pattern to unbind is not in the trie");
    if (child->is_leaf) {
        child = leaf_own(edit, node, &step, child);
        dest_set_remove(&child->here, edit, mark);
    } else {
        child = &step_own(edit, node, &step, seed)->place;
        unbind_below(edit, node_of(child), words, seed, mark);
    }
    if (place_is_empty(child))
        step_remove(edit, node, &step, child);
}

static void topic_unbind(struct exchange *exchange, const struct edit *edit,
                         const struct binding *binding)
{
    struct topic_node *root = root_own(edit, exchange->state.topic);
    unbind_below(edit, root, words_of(binding->routing_key), exchange->hash_seed,
                 binding->target.mark);
    exchange->state.topic = root;
    if (!place_is_empty(&root->place))
        return;
    exchange->state.topic = NULL;
    edit_dispose(edit, root, root->place.stamp);
}

static void list_push(struct topic_list *list, const struct topic_node *node)
{
    if (UNLIKELY(list->count == list->capacity)) {
        list->capacity = list->capacity ? list->capacity * 2 : 16;
        list->nodes = mem_resize(list->nodes, list->capacity * sizeof *list->nodes);
    }
    list->nodes[list->count++] = node;
}

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

/* The walk has come to a node with this '#' child, which may take no words. A leaf matches at once whatever
 * follows; nodes stay active for the rest of the key. */
static void enter_hash(const struct topic_place *hash, struct topic_scratch *scratch,
                       struct route_result *out)
{
    for (; hash; hash = ((const struct topic_node *)hash)->hash) {
        /* Nothing is met twice before the first '#' that is followed by something. */
        if ((scratch->sticky.count > 0 || !hash->is_leaf) && !hash_is_new(scratch, hash))
            return;
        dest_set_route(&hash->here, out);
        if (hash->is_leaf)
            return;
        list_push(&scratch->sticky, (const struct topic_node *)hash);
    }
}

static inline void prefetch_place(const struct topic_place *place)
{
    __builtin_prefetch(place);
    __builtin_prefetch((const char *)place + CACHE_LINE_BYTES);
}

/* The walk has come to a place with these words left. */
static inline void enter(const struct topic_place *place, const struct word_iter *rest,
                         struct topic_scratch *scratch, struct route_result *out)
{
    if (place->is_leaf) {
        if (leaf_matches(place, rest))
            dest_set_route(&place->here, out);
        return;
    }
    const struct topic_node *node = (const struct topic_node *)place;
    list_push(&scratch->next, node);
    if (node->star)
        prefetch_place(node->star);
    if (node->hash)
        enter_hash(node->hash, scratch, out);
}

/* A word of the key, its hash, and what follows. */
struct walk_step {
    struct str word;
    uint64_t hash;
    struct word_iter rest;
};

static inline void advance(const struct topic_node *node, const struct walk_step *step,
                           struct topic_scratch *scratch, struct route_result *out)
{
    const struct topic_place *child =
        (const struct topic_place *)hamt_find(&node->words, step->hash, step->word);
    if (child)
        enter(child, &step->rest, scratch, out);
    if (node->star)
        enter(node->star, &step->rest, scratch, out);
}

static void advance_all(const struct walk_step *step, struct topic_scratch *scratch,
                        struct route_result *out)
{
    /* A '#' entered by this very word starts with the next one. */
    uint32_t sticky = scratch->sticky.count;
    struct topic_list now = scratch->next;
    scratch->next = scratch->now;
    scratch->next.count = 0;
    scratch->now = now;
    for (uint32_t i = 0; i < now.count; i++)
        advance(now.nodes[i], step, scratch, out);
    for (uint32_t i = 0; i < sticky; i++)
        advance(scratch->sticky.nodes[i], step, scratch, out);
}

static HOT void topic_route(const struct vhost_view *view, const struct exchange *exchange,
                            const struct route_input *input, struct route_result *out)
{
    (void)view;
    struct topic_scratch *scratch = &out->scratch->topic;
    if (!exchange->state.topic)
        return;
    scratch->sticky.count = 0;
    scratch->next.count = 0;
    seen_clear(scratch);
    struct walk_step step = {.rest = words_of(input->routing_key)};
    enter(&exchange->state.topic->place, &step.rest, scratch, out);
    while (scratch->next.count + scratch->sticky.count > 0 && word_next(&step.rest, &step.word)) {
        step.hash = str_hash(step.word, exchange->hash_seed);
        advance_all(&step, scratch, out);
    }
    if (!step.rest.done)
        return; /* nothing could match any more */
    for (uint32_t i = 0; i < scratch->next.count; i++)
        dest_set_route(&scratch->next.nodes[i]->place.here, out);
}

void topic_scratch_fini(struct topic_scratch *scratch)
{
    mem_free(scratch->now.nodes);
    mem_free(scratch->next.nodes);
    mem_free(scratch->sticky.nodes);
    mem_free(scratch->seen);
}

static void place_clear(const struct edit *edit, struct topic_place *place);

static void drop_place(const struct edit *edit, struct hamt_item *item)
{
    place_clear(edit, (struct topic_place *)item);
}

static void place_clear(const struct edit *edit, struct topic_place *place)
{
    struct dest_set here = place->here; /* readers may still see the place's, and its maps */
    dest_set_clear(&here, edit);
    if (!place->is_leaf) {
        const struct topic_node *node = node_of(place);
        struct hamt words = node->words;
        hamt_clear(&words, edit, drop_place);
        if (node->star)
            place_clear(edit, node->star);
        if (node->hash)
            place_clear(edit, node->hash);
    }
    edit_dispose(edit, place, place->stamp);
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
