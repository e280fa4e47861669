/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent hash array mapped trie: a map whose published versions never change under readers. */
#ifndef TOKKI_BASE_HAMT_H
#define TOKKI_BASE_HAMT_H

#include "base/reclaim.h"
#include "base/str.h"

/* The map holds *items*: objects of the caller that begin with a struct hamt_item. A change copies
 * the few nodes on the path to the item and shares all others with the version before.
 *
 * History is linear (one writer, each version made from the last), so a replaced node is unreachable
 * from the new version at once and is only kept for readers of older ones: it is retired (reclaim.h).
 * No reference counts are needed, and copying a node touches none of its children.
 *
 * Readers: any thread, on a struct hamt reached through a published pointer, until their next
 * quiescent point. Writers: one thread, with the edit that their next publication ends. */

/* First member of every item. Immutable once it is in a map that was published. */
struct hamt_item {
    uint64_t hash;
    struct str key; /* key.data NULL: an integer key, which `hash` stands for */
};

/* Owner: whoever embeds it (by value, in an object that is itself replaced on change).
 * Thread: see above. Freed by: hamt_clear(). A zeroed struct is an empty map. */
struct hamt {
    void *root;      /* tagged: item, node or NULL */
    uint64_t bitmap; /* of the root: for many keys that are not there nothing else is touched */
    size_t count;
};

/* Each level of the trie takes 6 bits of the hash, the root the lowest. 64 ways, not the usual 32: with some
 * thousand or 100,000 keys it is one level less, which is one cache miss less per look-up and outweighs the
 * longer copies. */
#define HAMT_LEVEL_BITS 6
#define HAMT_LEVEL_MASK 63U

/* Key of an integer: a one-to-one mixing of its bits, so equal hashes mean equal integers. It is the finalizer of
 * splitmix64, of which every step can be undone. */
static inline uint64_t hamt_hash_integer(uint64_t key)
{
    key ^= key >> 30;
    key *= 0xBF58476D1CE4E5B9U;
    key ^= key >> 27;
    key *= 0x94D049BB133111EBU;
    key ^= key >> 31;
    return key;
}

/* hamt_find() where the bitmap has the key's bit. */
struct hamt_item *hamt_find_below(const struct hamt *map, uint64_t hash, struct str key);

/* The item with this key, or NULL. For an integer: hash = hamt_hash_integer(n), key = {NULL, 0}. */
static inline struct hamt_item *hamt_find(const struct hamt *map, uint64_t hash, struct str key)
{
    if (!(map->bitmap & UINT64_C(1) << (hash & HAMT_LEVEL_MASK)))
        return NULL;
    return hamt_find_below(map, hash, key);
}

/* Put `item` (takes; stays at its address) in the place of the item with an equal key. Returns that
 * one, for the caller to dispose of, or NULL. */
struct hamt_item *hamt_put(struct hamt *map, const struct edit *edit, struct hamt_item *item);

/* Take out the item with this key: returned for the caller to dispose of; NULL when there is none. */
struct hamt_item *hamt_remove(struct hamt *map, const struct edit *edit, uint64_t hash,
                              struct str key);

/* Called for each item that hamt_clear() takes out. */
typedef void hamt_drop_fn(const struct edit *edit, struct hamt_item *item);

/* Dispose of all nodes and hand every item to `drop` (NULL: items are owned elsewhere). */
void hamt_clear(struct hamt *map, const struct edit *edit, hamt_drop_fn *drop);

/* The root, 64 bits in steps of 6, and one level for items of equal hash. */
#define HAMT_LEVELS_MAX 13

/* A walk over all items, in an order that depends on the hashes only. */
struct hamt_iter {
    void *const *slots[HAMT_LEVELS_MAX];
    uint32_t left[HAMT_LEVELS_MAX];
    void *root; /* a copy: slots[0] points here, so an iter must not be moved */
    int depth;
};

void hamt_iter_init(struct hamt_iter *iter, const struct hamt *map);

/* The next item; NULL at the end. The map must not change meanwhile. */
struct hamt_item *hamt_iter_next(struct hamt_iter *iter);

#endif
