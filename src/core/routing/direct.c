/* SPDX-License-Identifier: Apache-2.0 */
/* The direct exchange: a persistent map from routing key to destinations; and the default exchange. */
#include "core/routing/exchange.h"

#include "core/catalog/catalog.h"
#include "core/routing/route.h"

#include "base/mem.h"

struct direct_key {
    struct hamt_item item; /* key: the routing key, in `bytes` */
    struct dest_set destinations;
    uint64_t stamp; /* the edit that made it */
    char bytes[];
};

static struct direct_key *key_new(const struct edit *edit, uint64_t hash, struct str text,
                                  const struct dest_set *destinations)
{
    struct direct_key *key = mem_alloc(sizeof *key + text.len);
    if (text.len)
        memcpy(key->bytes, text.data, text.len);
    key->item = (struct hamt_item){hash, str_of(key->bytes, text.len)};
    key->destinations = *destinations;
    key->stamp = edit->stamp;
    return key;
}

/* The entry of this key, made the edit's own; a new empty one when there is none. */
static struct direct_key *key_own(struct hamt *keys, const struct edit *edit, uint64_t hash,
                                  struct str text)
{
    const struct dest_set empty = {.count = 0};
    struct direct_key *old = (struct direct_key *)hamt_find(keys, hash, text);
    if (old && old->stamp == edit->stamp)
        return old;
    struct direct_key *key = key_new(edit, hash, text, old ? &old->destinations : &empty);
    hamt_put(keys, edit, &key->item);
    if (old)
        edit_dispose(edit, old, old->stamp);
    return key;
}

static void direct_bind(struct exchange *exchange, const struct edit *edit,
                        const struct binding *binding)
{
    uint64_t hash = str_hash(binding->routing_key, exchange->hash_seed);
    struct direct_key *key = key_own(&exchange->state.keys, edit, hash, binding->routing_key);
    dest_set_add(&key->destinations, edit, &binding->target);
}

static void direct_unbind(struct exchange *exchange, const struct edit *edit,
                          const struct binding *binding)
{
    uint64_t hash = str_hash(binding->routing_key, exchange->hash_seed);
    struct direct_key *key = key_own(&exchange->state.keys, edit, hash, binding->routing_key);
    dest_set_remove(&key->destinations, edit, binding->target.mark);
    if (key->destinations.count > 0)
        return;
    hamt_remove(&exchange->state.keys, edit, hash, binding->routing_key);
    edit_dispose(edit, key, key->stamp);
}

static HOT void direct_route(const struct vhost_view *view, const struct exchange *exchange,
                             const struct route_input *input, struct route_result *out)
{
    uint64_t hash = view_hash(view, input->routing_key);
    const struct direct_key *key =
        (const struct direct_key *)hamt_find(&exchange->state.keys, hash, input->routing_key);
    if (key)
        dest_set_route(&key->destinations, out);
}

static void drop_key(const struct edit *edit, struct hamt_item *item)
{
    struct direct_key *key = (struct direct_key *)item;
    struct dest_set destinations = key->destinations; /* readers may still see the key's */
    dest_set_clear(&destinations, edit);
    edit_dispose(edit, key, key->stamp);
}

static void direct_clear(struct exchange *exchange, const struct edit *edit)
{
    hamt_clear(&exchange->state.keys, edit, drop_key);
}

const struct exchange_ops direct_exchange_ops = {
    .name = "direct",
    .bind = direct_bind,
    .unbind = direct_unbind,
    .route = direct_route,
    .clear = direct_clear,
};

static HOT void default_route(const struct vhost_view *view, const struct exchange *exchange,
                              const struct route_input *input, struct route_result *out)
{
    (void)exchange;
    const struct queue_record *queue = view_find_queue(view, input->routing_key);
    if (!queue)
        return;
    const struct destination destination = {.queue = queue->ref, .mark = queue->mark};
    route_add(out, &destination);
}

/* Nothing is ever bound to it (the catalog refuses), so its state stays empty. */
const struct exchange_ops default_exchange_ops = {
    .name = "direct",
    .bind = direct_bind,
    .unbind = direct_unbind,
    .route = default_route,
    .clear = direct_clear,
};
