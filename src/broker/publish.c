/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: from exchange and key to queues, with a cache of the last route. */
#include "base/bug.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/deliver.h"
#include "broker/durable.h"
#include "broker/going.h"
#include "broker/mail.h"
#include "broker/operation.h"
#include "core/table.h"

static struct str cached_exchange(const struct route_cache *cache)
{
    return str_of(cache->names, cache->exchange_len);
}

static struct str cached_key(const struct route_cache *cache)
{
    return str_of(cache->names + 256, cache->key_len);
}

/* ---- is the cached route still right? ---- */

static bool default_is_current(const struct route_cache *cache, const struct vhost_view *view)
{
    const struct queue_record *queue = view_find_queue(view, cached_key(cache));
    return (queue ? queue->ref.incarnation : 0) == cache->generation;
}

static bool exchange_is_current(const struct route_cache *cache, const struct vhost_view *view)
{
    const struct exchange *exchange = view_find_exchange(view, cached_exchange(cache));
    return exchange && !cache->is_checked_by_version &&
           exchange->incarnation == cache->incarnation && exchange->generation == cache->generation;
}

HOT bool session_route_is_current(struct session *session)
{
    struct route_cache *cache = session->route;
    const struct vhost_view *view;

    if (!cache || !cache->is_valid)
        return false;
    view = broker_route_view(session->broker, session->vhost);
    if (LIKELY(view->version == cache->version))
        return true;
    cache->is_valid = cache->exchange_len == 0 ? default_is_current(cache, view)
                                               : exchange_is_current(cache, view);
    cache->version = view->version;
    return cache->is_valid;
}

/* ---- computing a route ---- */

static struct route_cache *prepare_cache(struct session *session,
                                         const struct publication *publication)
{
    struct route_cache *cache = session->route;

    if (!cache) {
        cache = mem_alloc_zero(sizeof *cache);
        cache->targets = &cache->single;
        cache->capacity = 1;
        session->route = cache;
    }
    cache->is_valid = false;
    cache->serial++;
    cache->is_checked_by_version = false;
    cache->count = 0;
    cache->exchange_len = (uint8_t)publication->exchange.len;
    cache->key_len = (uint8_t)publication->routing_key.len;
    if (publication->exchange.len)
        memcpy(cache->names, publication->exchange.data, publication->exchange.len);
    if (publication->routing_key.len)
        memcpy(cache->names + 256, publication->routing_key.data, publication->routing_key.len);
    return cache;
}

static void set_targets(struct route_cache *cache, const struct queue_ref *targets, uint32_t count)
{
    if (count > cache->capacity) {
        struct queue_ref *old = cache->targets == &cache->single ? NULL : cache->targets;
        cache->targets = mem_resize(old, count * sizeof *targets);
        cache->capacity = count;
    }
    if (count > 0)
        memcpy(cache->targets, targets, count * sizeof *targets);
    cache->count = count;
}

/* One of CC and BCC: an array of routing keys. RabbitMQ takes longstr members and ignores others. */
static int route_copies(const struct vhost_view *view, const struct exchange *exchange,
                        const struct publication *publication, struct str name,
                        struct route_result *out, struct refusal *refusal)
{
    struct table_value value;
    struct table_value key;
    struct table_iter iter;

    if (!table_find(publication->headers, name, &value))
        return 0;
    if (value.tag != 'A')
        return refuse(refusal, REFUSAL_PRECONDITION_FAILED,
                      "invalid message: {unacceptable_type_in_header,\"%.*s\",%s}", STR_ARG(name),
                      table_type_name(value.tag));
    table_iter_init(&iter, value.bytes);
    while (array_next(&iter, &key))
        if (key.tag == 'S')
            route_more(view, exchange, key.bytes, publication->headers, out);
    return 0;
}

static int compute(struct session *session, const struct publication *publication,
                   struct route_cache *cache, struct refusal *refusal)
{
    struct broker_shard *broker = session->broker;
    const struct vhost_view *view = broker_route_view(broker, session->vhost);
    const struct exchange *exchange;
    struct route_result *out = &broker->route;

    if (check_permission(session, PERMISSION_WRITE, "exchange", publication->exchange, refusal) !=
        0)
        return ERR_REFUSED;
    exchange = view_find_exchange(view, publication->exchange);
    if (!exchange)
        return refuse_no_exchange(refusal, publication->exchange, session->vhost->name);
    if (exchange->internal)
        return refuse(refusal, REFUSAL_ACCESS_REFUSED,
                      "cannot publish to internal exchange '%.*s' in vhost '%.*s'",
                      STR_ARG(publication->exchange), STR_ARG(session->vhost->name));
    route(view, exchange, publication->routing_key, publication->headers, out);
    if (publication->has_copies &&
        (route_copies(view, exchange, publication, STR("CC"), out, refusal) != 0 ||
         route_copies(view, exchange, publication, STR("BCC"), out, refusal) != 0))
        return ERR_REFUSED;
    set_targets(cache, out->queues, out->count);
    cache->is_valid = !out->depends_on_headers && !publication->has_copies;
    cache->is_checked_by_version = out->reaches_exchanges;
    cache->version = view->version;
    cache->generation = exchange->generation;
    cache->incarnation = exchange->incarnation;
    if (publication->exchange.len == 0)
        cache->generation = out->count > 0 ? out->queues[0].incarnation : 0;
    return 0;
}

static bool matches(const struct route_cache *cache, const struct publication *publication)
{
    return cache && str_equals(cached_key(cache), publication->routing_key) &&
           str_equals(cached_exchange(cache), publication->exchange);
}

int session_route(struct session *session, const struct publication *publication,
                  struct publish_result *result, struct refusal *refusal)
{
    struct route_cache *cache = session->route;

    if (publication->has_copies || !matches(cache, publication) ||
        !session_route_is_current(session)) {
        cache = prepare_cache(session, publication);
        if (compute(session, publication, cache, refusal) != 0)
            return ERR_REFUSED;
    }
    result->targets = cache->count;
    result->is_unroutable = publication->mandatory && cache->count == 0;
    result->only_shard = cache->count == 1 ? cache->targets[0].shard : UINT16_MAX;
    return 0;
}

/* ---- handing over ---- */

static void count_confirm(struct session *session, uint32_t remote, uint64_t *seq)
{
    *seq = 0;
    if (!session->is_confirming)
        return;
    *seq = confirms_add(&session->confirms, remote);
    if (!list_is_linked(&session->confirming) && confirms_pending(&session->confirms))
        list_push_back(&session->broker->confirming, &session->confirming);
}

void session_confirm_nothing(struct session *session)
{
    uint64_t seq;
    count_confirm(session, 0, &seq);
}

lsn_t enqueue_here(struct broker_shard *broker, struct queue_ref ref, const struct message *message)
{
    struct queue *queue = queue_find(&broker->queues, ref);

    if (LIKELY(queue && queue->state == QUEUE_LIVE))
        return queue_enqueue(queue, message);
    message_unref(broker->shard, &broker->queues.descriptors, message);
    return 0;
}

static HOT void publish_one(struct session *session, struct queue_ref target,
                            struct message *message)
{
    struct broker_shard *broker = session->broker;
    bool is_kept = (message->flags & MESSAGE_PERSISTENT) && target.is_durable;
    bool waits;
    uint64_t seq;
    lsn_t lsn;

    if (LIKELY(target.shard == broker->shard->id)) {
        lsn = enqueue_here(broker, target, message);
        waits = lsn == 0 && is_kept && going_is_unsure(broker, target);
        count_confirm(session, lsn != 0 || waits, &seq);
        if (lsn != 0 && seq != 0)
            durable_confirm(broker, lsn, session->ref, seq);
        else if (waits && seq != 0)
            going_confirm(broker, &target, session->ref, seq);
        return;
    }
    count_confirm(session, 1, &seq);
    session->touched |= 1ULL << target.shard;
    mail_publish(session, target, message, seq);
}

/* The targets of a route that lie here, and those that keep persistent messages. */
struct target_counts {
    uint32_t here;
    uint32_t durable;
    uint32_t durable_here;
};

static struct target_counts count_targets(const struct route_cache *cache, uint16_t here)
{
    struct target_counts counts = {0};

    for (uint32_t i = 0; i < cache->count; i++) {
        const struct queue_ref *target = &cache->targets[i];
        counts.here += target->shard == here;
        counts.durable += target->is_durable;
        counts.durable_here += target->is_durable && target->shard == here;
    }
    return counts;
}

static bool is_going(const struct broker_shard *here, const struct queue_ref *target)
{
    return target->shard == here->shard->id && target->is_durable && going_is_unsure(here, *target);
}

/* Durable queues here that the message comes too late for. */
static uint32_t count_going(const struct broker_shard *here, const struct route_cache *cache)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < cache->count; i++)
        count += is_going(here, &cache->targets[i]);
    return count;
}

static COLD void wait_for_going(struct session *session, const struct route_cache *cache,
                                uint64_t seq)
{
    for (uint32_t i = 0; i < cache->count; i++)
        if (is_going(session->broker, &cache->targets[i]))
            going_confirm(session->broker, &cache->targets[i], session->ref, seq);
}

/* To several queues: those here share one descriptor, every other gets references of its own; the log gets
 * the body once. */
static void publish_many(struct session *session, const struct route_cache *cache,
                         struct message *message)
{
    struct broker_shard *broker = session->broker;
    uint16_t here = broker->shard->id;
    struct target_counts counts = count_targets(cache, here);
    bool is_kept = (message->flags & MESSAGE_PERSISTENT) && stage_keeps(&broker->stage);
    uint32_t going = is_kept && session->is_confirming ? count_going(broker, cache) : 0;
    uint32_t waits_here = is_kept && counts.durable_here > going;
    lsn_t lsn = 0;
    uint64_t seq;

    count_confirm(session, cache->count - counts.here + waits_here + going, &seq);
    if (UNLIKELY(going > 0))
        wait_for_going(session, cache, seq);
    if (counts.here > 1 || (is_kept && counts.durable > 1))
        message_share(message, &broker->queues.descriptors);
    if (is_kept && counts.durable > 1)
        stage_body(&broker->stage, message);
    message_ref(message, cache->count - 1);
    /* The far ones first: an export must find the descriptor whole. */
    for (uint32_t i = 0; i < cache->count; i++) {
        struct message copy = *message;
        if (cache->targets[i].shard == here)
            continue;
        session->touched |= 1ULL << cache->targets[i].shard;
        mail_publish(session, cache->targets[i], &copy, seq);
    }
    for (uint32_t i = 0; i < cache->count; i++)
        if (cache->targets[i].shard == here)
            lsn = MAX(lsn, enqueue_here(broker, cache->targets[i], message));
    if (!waits_here || seq == 0)
        return;
    if (lsn != 0)
        durable_confirm(broker, lsn, session->ref, seq);
    else
        session_confirmed(session, seq, 1); /* the durable ones are on their way out */
}

/* By an unbind or a deletion that a power cut would undo? */
static void publish_nowhere(struct session *session, struct message *message)
{
    struct broker_shard *broker = session->broker;
    bool waits = (message->flags & MESSAGE_PERSISTENT) && going_is_catalog_unsure(broker);
    uint64_t seq;

    message_unref(broker->shard, &broker->queues.descriptors, message);
    count_confirm(session, waits, &seq);
    if (waits && seq != 0)
        going_confirm(broker, NULL, session->ref, seq);
}

HOT void session_publish(struct session *session, struct message *message)
{
    const struct route_cache *cache = session->route;

    session->broker->work += cache->count;

    if (LIKELY(cache->count == 1)) {
        publish_one(session, cache->targets[0], message);
        return;
    }
    if (cache->count > 1) {
        publish_many(session, cache, message);
        return;
    }
    publish_nowhere(session, message);
}

bool session_is_congested(const struct session *session)
{
    const struct shard *shard = session->broker->shard;

    if (UNLIKELY(durable_is_behind(session->broker)))
        return true;
    for (uint64_t rest = session->touched; rest != 0; rest &= rest - 1)
        if (shard_is_congested(shard, (uint16_t)__builtin_ctzll(rest)))
            return true;
    return false;
}
