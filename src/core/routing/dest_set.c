/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent set of destinations: one inline, a short array, or a tree with arrays as leaves. */
#include "core/routing/dest_set.h"

#include "core/routing/route_internal.h"

#include "base/bug.h"
#include "base/mem.h"

/* A leaf holds 1..LEAF_MAX entries in no order; a full one is split over 32 leaves by five bits of
 * the mark, lowest first, since marks are dense and their low bits differ. An inner node knows how
 * many entries are below and turns back into a leaf at LEAF_MERGE, so the tree fits its contents and
 * does not flap. Marks differ, so seven levels (35 bits) always tell 33 of them apart. */
#define LEAF_MAX 32U
#define LEAF_MERGE 16U
#define BITS_PER_LEVEL 5
#define FANOUT 32U

struct dest_node {
    uint64_t stamp; /* the edit that made it */
    uint32_t count; /* entries in it or below it */
    bool is_leaf;
};

struct dest_leaf {
    struct dest_node node;
    struct destination entries[];
};

struct dest_inner {
    struct dest_node node;
    struct dest_node *children[FANOUT]; /* NULL where nothing is */
};

static struct dest_leaf *leaf_of(struct dest_node *node)
{
    return (struct dest_leaf *)node;
}

static struct dest_inner *inner_of(struct dest_node *node)
{
    return (struct dest_inner *)node;
}

static uint32_t child_index(uint32_t mark, unsigned shift)
{
    return (mark >> shift) & (FANOUT - 1);
}

static struct dest_leaf *leaf_new(const struct edit *edit, uint32_t count)
{
    struct dest_leaf *leaf = mem_alloc(sizeof *leaf + count * sizeof(struct destination));
    leaf->node = (struct dest_node){edit->stamp, count, true};
    return leaf;
}

static void node_dispose(const struct edit *edit, struct dest_node *node)
{
    edit_dispose(edit, node, node->stamp);
}

/* The node itself when the edit owns it, else a copy in its place. */
static struct dest_node *node_own(const struct edit *edit, struct dest_node *node)
{
    if (node->stamp == edit->stamp)
        return node;
    size_t size = sizeof(struct dest_inner);
    if (node->is_leaf)
        size = sizeof(struct dest_leaf) + node->count * sizeof(struct destination);
    struct dest_node *copy = mem_alloc(size);
    memcpy(copy, node, size);
    copy->stamp = edit->stamp;
    node_dispose(edit, node);
    return copy;
}

static struct dest_node *leaf_append(const struct edit *edit, struct dest_leaf *leaf,
                                     const struct destination *dest)
{
    uint32_t count = leaf->node.count;
    struct dest_leaf *copy = leaf_new(edit, count + 1);
    memcpy(copy->entries, leaf->entries, count * sizeof *dest);
    copy->entries[count] = *dest;
    node_dispose(edit, &leaf->node);
    return &copy->node;
}

static struct dest_node *node_add(const struct edit *edit, struct dest_node *node,
                                  const struct destination *dest, unsigned shift);

static struct dest_node *inner_add(const struct edit *edit, struct dest_node *node,
                                   const struct destination *dest, unsigned shift)
{
    struct dest_inner *inner = inner_of(node_own(edit, node));
    struct dest_node **child = &inner->children[child_index(dest->mark, shift)];
    uint32_t before = *child ? (*child)->count : 0;
    *child = node_add(edit, *child, dest, shift + BITS_PER_LEVEL);
    inner->node.count += (*child)->count - before;
    return &inner->node;
}

static struct dest_node *leaf_split(const struct edit *edit, struct dest_leaf *leaf, unsigned shift)
{
    struct dest_inner *inner = mem_alloc_zero(sizeof *inner);
    inner->node = (struct dest_node){edit->stamp, 0, false};
    struct dest_node *node = &inner->node;
    for (uint32_t i = 0; i < leaf->node.count; i++)
        node = inner_add(edit, node, &leaf->entries[i], shift);
    node_dispose(edit, &leaf->node);
    return node;
}

/* Takes `node` (NULL: nothing there) and returns what takes its place. */
static struct dest_node *node_add(const struct edit *edit, struct dest_node *node,
                                  const struct destination *dest, unsigned shift)
{
    if (!node) {
        struct dest_leaf *leaf = leaf_new(edit, 1);
        leaf->entries[0] = *dest;
        return &leaf->node;
    }
    if (!node->is_leaf)
        return inner_add(edit, node, dest, shift);
    for (uint32_t i = 0; i < node->count; i++)
        if (leaf_of(node)->entries[i].mark == dest->mark) {
            node = node_own(edit, node);
            leaf_of(node)->entries[i].uses += dest->uses;
            return node;
        }
    if (node->count < LEAF_MAX)
        return leaf_append(edit, leaf_of(node), dest);
    return inner_add(edit, leaf_split(edit, leaf_of(node), shift), dest, shift);
}

bool dest_set_add(struct dest_set *set, const struct edit *edit, const struct destination *dest)
{
    struct destination added = *dest;
    added.uses = 1;
    if (set->count == 0) {
        set->one = added;
        set->count = 1;
        return true;
    }
    if (set->count == 1 && set->one.mark == dest->mark) {
        set->one.uses++;
        return false;
    }
    struct dest_node *root = set->count == 1 ? node_add(edit, NULL, &set->one, 0) : set->root;
    uint32_t before = root->count;
    set->root = node_add(edit, root, &added, 0);
    set->count = set->root->count;
    return set->count != before;
}

/* Copy all entries at or below `node` to `out` and dispose of the nodes; returns the end. */
static struct destination *node_drain(const struct edit *edit, struct dest_node *node,
                                      struct destination *out)
{
    if (node->is_leaf) {
        memcpy(out, leaf_of(node)->entries, node->count * sizeof *out);
        out += node->count;
    } else {
        for (uint32_t i = 0; i < FANOUT; i++)
            if (inner_of(node)->children[i])
                out = node_drain(edit, inner_of(node)->children[i], out);
    }
    node_dispose(edit, node);
    return out;
}

static struct dest_node *leaf_remove(const struct edit *edit, struct dest_node *node, uint32_t mark)
{
    uint32_t index = 0;
    while (index < node->count && leaf_of(node)->entries[index].mark != mark)
        index++;
    BUG_ON(index == node->count, "mark %u is not in its destination set", mark);
    if (leaf_of(node)->entries[index].uses == 1 && node->count == 1) {
        node_dispose(edit, node);
        return NULL;
    }
    node = node_own(edit, node);
    struct destination *entry = &leaf_of(node)->entries[index];
    if (--entry->uses == 0)
        *entry = leaf_of(node)->entries[--node->count];
    return node;
}

/* Takes `node` and returns what takes its place; NULL when nothing is left. */
static struct dest_node *node_remove(const struct edit *edit, struct dest_node *node, uint32_t mark,
                                     unsigned shift)
{
    if (node->is_leaf)
        return leaf_remove(edit, node, mark);
    struct dest_inner *inner = inner_of(node_own(edit, node));
    struct dest_node **child = &inner->children[child_index(mark, shift)];
    BUG_ON(!*child, "mark %u is not in its destination set", mark);
    uint32_t before = (*child)->count;
    *child = node_remove(edit, *child, mark, shift + BITS_PER_LEVEL);
    inner->node.count -= before - (*child ? (*child)->count : 0);
    if (inner->node.count > LEAF_MERGE)
        return &inner->node;
    struct dest_leaf *leaf = leaf_new(edit, inner->node.count);
    node_drain(edit, &inner->node, leaf->entries);
    return &leaf->node;
}

bool dest_set_remove(struct dest_set *set, const struct edit *edit, uint32_t mark)
{
    uint32_t before = set->count;
    if (before == 1) {
        BUG_ON(set->one.mark != mark, "mark %u is not in its destination set", mark);
        if (--set->one.uses == 0)
            set->count = 0;
        return set->count == 0;
    }
    struct dest_node *root = node_remove(edit, set->root, mark, 0);
    set->count = root->count;
    if (root->count > 1)
        set->root = root;
    else
        node_drain(edit, root, &set->one);
    return set->count != before;
}

static void node_clear(const struct edit *edit, struct dest_node *node)
{
    if (!node->is_leaf)
        for (uint32_t i = 0; i < FANOUT; i++)
            if (inner_of(node)->children[i])
                node_clear(edit, inner_of(node)->children[i]);
    node_dispose(edit, node);
}

void dest_set_clear(struct dest_set *set, const struct edit *edit)
{
    if (set->count > 1)
        node_clear(edit, set->root);
    *set = (struct dest_set){.count = 0};
}

static void node_route(struct dest_node *node, struct route_result *out)
{
    if (node->is_leaf) {
        const struct destination *entries = leaf_of(node)->entries;
        for (uint32_t i = 0; i < node->count; i++)
            route_add_inline(out, &entries[i]);
        return;
    }
    for (uint32_t i = 0; i < FANOUT; i++)
        if (inner_of(node)->children[i])
            node_route(inner_of(node)->children[i], out);
}

void dest_set_route(const struct dest_set *set, struct route_result *out)
{
    if (set->count == 1)
        route_add_inline(out, &set->one);
    else if (set->count > 1)
        node_route(set->root, out);
}
