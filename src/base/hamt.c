/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent hash array mapped trie over items that carry their own keys. */
#include "base/hamt.h"

#include "base/bug.h"

/* A slot is NULL (only as the root of an empty map), an item (lowest bit set) or a node. A node has
 * one slot per bit of its bitmap, packed; level n of the trie looks at bits 6n..6n+5 of the hash.
 * Invariants: an inner node has two slots or more, or its one slot is a node (chains down to where
 * two hashes differ); nodes at BUCKET_SHIFT hold items of one hash, in no order, and use `bitmap` as
 * the number of slots. So the trie of a set of items is the same whatever the order of changes. */
struct hamt_node {
    uint64_t stamp; /* the edit that made it */
    uint64_t bitmap;
    uint32_t count;
    void *slots[];
};

#define BUCKET_SHIFT 66 /* 11 levels of 6 bits take all 64 */

static inline bool slot_is_item(const void *slot)
{
    return ((uintptr_t)slot & 1) != 0;
}

static inline struct hamt_item *slot_item(const void *slot)
{
    return (struct hamt_item *)((uintptr_t)slot - 1);
}

static inline void *item_slot(struct hamt_item *item)
{
    return (void *)((uintptr_t)item + 1);
}

static inline uint64_t level_bit(uint64_t hash, unsigned shift)
{
    return UINT64_C(1) << ((hash >> shift) & HAMT_LEVEL_MASK);
}

static inline uint32_t bits_set(uint64_t v)
{
    return (uint32_t)__builtin_popcountll(v);
}

static inline uint32_t slot_index(const struct hamt_node *node, uint64_t bit)
{
    return bits_set(node->bitmap & (bit - 1));
}

static inline bool item_has_key(const struct hamt_item *item, uint64_t hash, struct str key)
{
    if (item->hash != hash || item->key.len != key.len)
        return false;
    return key.len == 0 || memcmp(item->key.data, key.data, key.len) == 0;
}

static struct hamt_item *bucket_find(const struct hamt_node *node, uint64_t hash, struct str key)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (item_has_key(slot_item(node->slots[i]), hash, key))
            return slot_item(node->slots[i]);
    return NULL;
}

WITH_POPCNT HOT struct hamt_item *hamt_find_below(const struct hamt *map, uint64_t hash,
                                                  struct str key)
{
    void *slot = map->root;
    if (!slot_is_item(slot)) {
        /* The bit is there: hamt_find has looked. */
        const struct hamt_node *node = slot;
        slot = node->slots[bits_set(map->bitmap & (level_bit(hash, 0) - 1))];
    }
    for (unsigned shift = HAMT_LEVEL_BITS; !slot_is_item(slot); shift += HAMT_LEVEL_BITS) {
        const struct hamt_node *node = slot;
        if (UNLIKELY(shift == BUCKET_SHIFT))
            return bucket_find(node, hash, key);
        uint64_t bit = level_bit(hash, shift);
        if (!(node->bitmap & bit))
            return NULL;
        slot = node->slots[slot_index(node, bit)];
    }
    struct hamt_item *item = slot_item(slot);
    /* The key's bytes are in the item, and often on its next cache line: fetch both at once. In a
     * large map each line comes from memory, some 150 ns one after the other. */
    if (key.len)
        __builtin_prefetch((const char *)item + CACHE_LINE_BYTES);
    return item_has_key(item, hash, key) ? item : NULL;
}

static size_t node_bytes(uint32_t count)
{
    return sizeof(struct hamt_node) + count * sizeof(void *);
}

static struct hamt_node *node_new(const struct edit *edit, uint32_t count, uint64_t bitmap)
{
    struct hamt_node *node = edit_take(edit, node_bytes(count));
    node->stamp = edit->stamp;
    node->bitmap = bitmap;
    node->count = count;
    return node;
}

static void node_dispose(const struct edit *edit, struct hamt_node *node)
{
    edit_give(edit, node, node_bytes(node->count), node->stamp);
}

/* `node` with slots[index] = slot: itself when the edit owns it, else a copy. */
static struct hamt_node *node_set(const struct edit *edit, struct hamt_node *node, uint32_t index,
                                  void *slot)
{
    if (node->slots[index] == slot)
        return node;
    if (node->stamp != edit->stamp) {
        struct hamt_node *copy = node_new(edit, node->count, node->bitmap);
        memcpy(copy->slots, node->slots, node->count * sizeof(void *));
        node_dispose(edit, node);
        node = copy;
    }
    node->slots[index] = slot;
    return node;
}

/* A copy of `node` with one slot more at `index`. Nodes have no room to spare: 100,000 keys make
 * tens of thousands of nodes, and an owned one costs one allocation per insertion, not a chain of them. */
static struct hamt_node *node_insert(const struct edit *edit, struct hamt_node *node,
                                     uint32_t index, uint64_t bitmap, void *slot)
{
    struct hamt_node *copy = node_new(edit, node->count + 1, bitmap);
    memcpy(copy->slots, node->slots, index * sizeof(void *));
    copy->slots[index] = slot;
    memcpy(copy->slots + index + 1, node->slots + index, (node->count - index) * sizeof(void *));
    node_dispose(edit, node);
    return copy;
}

/* The slot that takes the place of `node` without slots[index]: NULL, its last item, or a copy. */
static void *node_delete(const struct edit *edit, struct hamt_node *node, uint32_t index,
                         uint64_t bitmap)
{
    void *rest = NULL;
    if (node->count == 2 && slot_is_item(node->slots[1 - index])) {
        rest = node->slots[1 - index];
    } else if (node->count > 1) {
        struct hamt_node *copy = node_new(edit, node->count - 1, bitmap);
        memcpy(copy->slots, node->slots, index * sizeof(void *));
        memcpy(copy->slots + index, node->slots + index + 1,
               (node->count - index - 1) * sizeof(void *));
        rest = copy;
    }
    node_dispose(edit, node);
    return rest;
}

/* The smallest trie at `shift` with two items whose keys differ. */
static void *pair_new(const struct edit *edit, struct hamt_item *a, struct hamt_item *b,
                      unsigned shift)
{
    if (shift == BUCKET_SHIFT) {
        struct hamt_node *bucket = node_new(edit, 2, 2);
        bucket->slots[0] = item_slot(a);
        bucket->slots[1] = item_slot(b);
        return bucket;
    }
    uint64_t bit_a = level_bit(a->hash, shift);
    uint64_t bit_b = level_bit(b->hash, shift);
    struct hamt_node *node;
    if (bit_a == bit_b) {
        node = node_new(edit, 1, bit_a);
        node->slots[0] = pair_new(edit, a, b, shift + HAMT_LEVEL_BITS);
    } else {
        node = node_new(edit, 2, bit_a | bit_b);
        node->slots[bit_a > bit_b] = item_slot(a);
        node->slots[bit_b > bit_a] = item_slot(b);
    }
    return node;
}

static void *bucket_put(const struct edit *edit, struct hamt_node *node, struct hamt_item *item,
                        struct hamt_item **replaced)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (item_has_key(slot_item(node->slots[i]), item->hash, item->key)) {
            *replaced = slot_item(node->slots[i]);
            return node_set(edit, node, i, item_slot(item));
        }
    return node_insert(edit, node, node->count, node->count + 1, item_slot(item));
}

/* The slot that takes the place of `slot` once `item` is below it. */
static void *slot_put(const struct edit *edit, void *slot, struct hamt_item *item, unsigned shift,
                      struct hamt_item **replaced)
{
    if (slot_is_item(slot)) {
        struct hamt_item *old = slot_item(slot);
        if (!item_has_key(old, item->hash, item->key))
            return pair_new(edit, old, item, shift);
        *replaced = old;
        return item_slot(item);
    }
    struct hamt_node *node = slot;
    if (shift == BUCKET_SHIFT)
        return bucket_put(edit, node, item, replaced);
    uint64_t bit = level_bit(item->hash, shift);
    uint32_t index = slot_index(node, bit);
    if (!(node->bitmap & bit))
        return node_insert(edit, node, index, node->bitmap | bit, item_slot(item));
    void *child = slot_put(edit, node->slots[index], item, shift + HAMT_LEVEL_BITS, replaced);
    return node_set(edit, node, index, child);
}

static void set_root(struct hamt *map, void *root)
{
    map->root = root;
    if (!root)
        map->bitmap = 0;
    else if (slot_is_item(root))
        map->bitmap = level_bit(slot_item(root)->hash, 0);
    else
        map->bitmap = ((struct hamt_node *)root)->bitmap;
}

struct hamt_item *hamt_put(struct hamt *map, const struct edit *edit, struct hamt_item *item)
{
    struct hamt_item *replaced = NULL;
    set_root(map, map->root ? slot_put(edit, map->root, item, 0, &replaced) : item_slot(item));
    if (!replaced)
        map->count++;
    return replaced;
}

static void *bucket_remove(const struct edit *edit, struct hamt_node *node, uint64_t hash,
                           struct str key)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (item_has_key(slot_item(node->slots[i]), hash, key))
            return node_delete(edit, node, i, node->count - 1);
    BUG_ON(true, "hamt: the item to remove has left its bucket");
}

/* The slot that takes the place of `slot` without the item of this key, which is below it. */
static void *slot_remove(const struct edit *edit, void *slot, uint64_t hash, struct str key,
                         unsigned shift)
{
    if (slot_is_item(slot))
        return NULL;
    struct hamt_node *node = slot;
    if (shift == BUCKET_SHIFT)
        return bucket_remove(edit, node, hash, key);
    uint64_t bit = level_bit(hash, shift);
    uint32_t index = slot_index(node, bit);
    void *child = slot_remove(edit, node->slots[index], hash, key, shift + HAMT_LEVEL_BITS);
    if (!child)
        return node_delete(edit, node, index, node->bitmap & ~bit);
    if (node->count == 1 && slot_is_item(child)) {
        node_dispose(edit, node); /* the end of a chain: the item moves up */
        return child;
    }
    return node_set(edit, node, index, child);
}

struct hamt_item *hamt_remove(struct hamt *map, const struct edit *edit, uint64_t hash,
                              struct str key)
{
    /* Looked up first, so that a key that is not there copies nothing. */
    struct hamt_item *item = hamt_find(map, hash, key);
    if (!item)
        return NULL;
    set_root(map, slot_remove(edit, map->root, hash, key, 0));
    map->count--;
    return item;
}

static void slot_clear(const struct edit *edit, void *slot, hamt_drop_fn *drop)
{
    if (slot_is_item(slot)) {
        if (drop)
            drop(edit, slot_item(slot));
        return;
    }
    struct hamt_node *node = slot;
    for (uint32_t i = 0; i < node->count; i++)
        slot_clear(edit, node->slots[i], drop);
    node_dispose(edit, node);
}

void hamt_clear(struct hamt *map, const struct edit *edit, hamt_drop_fn *drop)
{
    if (map->root)
        slot_clear(edit, map->root, drop);
    *map = (struct hamt){NULL, 0, 0};
}

void hamt_iter_init(struct hamt_iter *iter, const struct hamt *map)
{
    iter->root = map->root;
    iter->slots[0] = &iter->root;
    iter->left[0] = map->root ? 1 : 0;
    iter->depth = 0;
}

struct hamt_item *hamt_iter_next(struct hamt_iter *iter)
{
    while (iter->depth >= 0) {
        int depth = iter->depth;
        if (iter->left[depth] == 0) {
            iter->depth--;
            continue;
        }
        iter->left[depth]--;
        void *slot = *iter->slots[depth]++;
        if (slot_is_item(slot))
            return slot_item(slot);
        const struct hamt_node *node = slot;
        iter->depth = depth + 1;
        iter->slots[depth + 1] = node->slots;
        iter->left[depth + 1] = node->count;
    }
    return NULL;
}
