/* SPDX-License-Identifier: Apache-2.0 */
/* The fanout exchange: one set of destinations, whatever the routing key. */
#include "core/routing/exchange.h"

static void fanout_bind(struct exchange *exchange, const struct edit *edit,
                        const struct binding *binding)
{
    dest_set_add(&exchange->state.all, edit, &binding->target);
}

static void fanout_unbind(struct exchange *exchange, const struct edit *edit,
                          const struct binding *binding)
{
    dest_set_remove(&exchange->state.all, edit, binding->target.mark);
}

static HOT void fanout_route(const struct vhost_view *view, const struct exchange *exchange,
                             const struct route_input *input, struct route_result *out)
{
    (void)view;
    (void)input;
    dest_set_route(&exchange->state.all, out);
}

static void fanout_clear(struct exchange *exchange, const struct edit *edit)
{
    dest_set_clear(&exchange->state.all, edit);
}

const struct exchange_ops fanout_exchange_ops = {
    .name = "fanout",
    .bind = fanout_bind,
    .unbind = fanout_unbind,
    .route = fanout_route,
    .clear = fanout_clear,
};
