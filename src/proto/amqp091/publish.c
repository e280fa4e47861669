/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing in place, and what every publish is checked for.
 *
 * The hot path looks at a whole publish (method, header and body frames of one channel in one run of
 * received bytes) and compares method and header with those of the last one. Equal bytes need no
 * decoding, no checks and no routing: only the body size differs, the route cache is asked whether it
 * is still current, and the queue gets an entry that points into the receive block.
 */
#include "proto/amqp091/publish.h"

#include "base/bug.h"
#include "base/mem.h"
#include "broker/arguments.h"
#include "broker/deliver.h"
#include "broker/mail.h"
#include "core/table.h"
#include "proto/amqp091/deliver.h"

/* Of a basic.publish frame: header, class and method, reserved short. */
#define NAMES_AT (AMQP_FRAME_HEADER_SIZE + 4 + 2)
/* Of a header frame: what precedes the body size. */
#define HEADER_HEAD (AMQP_FRAME_HEADER_SIZE + 4)

/* What a publish says besides its body, and what follows from it. */
struct publish_facts {
    struct str exchange;
    struct str routing_key;
    struct str headers;
    uint64_t ttl_ms; /* expiration; UINT64_MAX = none */
    bool mandatory;
    bool is_persistent;
    bool has_copies;
    bool wants_reply; /* reply-to is the direct reply-to name */
    bool is_in_place; /* the frames can be parsed again, on another shard */
};

/* The last publish in place: its method frame and its header frame without the body size. */
struct publish_template {
    uint32_t method_len;
    uint32_t route_serial;   /* of the session's route that belongs to it */
    uint32_t properties_len; /* with the frame end behind them */
    uint16_t names_len;
    uint8_t flags; /* enum message_flag of its messages */
    uint64_t ttl_ms;
    uint8_t bytes[]; /* method frame | HEADER_HEAD | properties and frame end */
};

/* A body in more frames than this is gathered frame by frame: looking for its end again with each
 * read would cost more. */
#define BODY_FRAMES_MAX 64U

/* Larger properties are not worth comparing. */
#define TEMPLATE_MAX 1024U

void publish_template_free(struct amqp_channel *channel)
{
    mem_free(channel->template);
    channel->template = NULL;
}

/* ---- checks ---- */

static int check_properties(struct amqp_channel *channel, const struct content_props *props,
                            struct publish_facts *facts, struct refusal *refusal)
{
    const struct identity *identity = channel->session.identity;
    struct table_value value;

    if ((props->flags & CONTENT_HAS_USER_ID) && !identity->is_impersonator &&
        !str_equals(props->user_id, identity_name(identity)))
        return refuse(refusal, REFUSAL_PRECONDITION_FAILED,
                      "user_id property set to '%.*s' but authenticated user was '%.*s'",
                      STR_ARG(props->user_id), STR_ARG(identity_name(identity)));
    facts->ttl_ms = UINT64_MAX;
    if ((props->flags & CONTENT_HAS_EXPIRATION) &&
        arguments_expiration(props->expiration, &facts->ttl_ms, refusal) != 0)
        return -1;
    facts->headers = props->headers;
    facts->is_persistent = content_is_persistent(props);
    facts->has_copies =
        (props->flags & CONTENT_HAS_HEADERS) && (table_find(props->headers, STR("CC"), &value) ||
                                                 table_find(props->headers, STR("BCC"), &value));
    facts->wants_reply =
        (props->flags & CONTENT_HAS_REPLY_TO) && str_equals(props->reply_to, STR(REPLY_TO_NAME));
    if (facts->wants_reply && !channel->session.reply)
        return refuse(refusal, REFUSAL_PRECONDITION_FAILED, "fast reply consumer does not exist");
    return 0;
}

/* ---- rewriting: a new image with other properties ---- */

/* Copy the table without BCC, as RabbitMQ does before delivery. */
static struct str without_bcc(struct str headers, struct writer *w)
{
    struct table_iter iter;
    struct table_value value;
    struct str name;

    table_iter_init(&iter, headers);
    while (table_next(&iter, &name, &value))
        if (!str_equals(name, STR("BCC")))
            table_put(w, name, &value);
    return str_of(w->start, writer_len(w));
}

/* Give `message` an image of its own with `props`; the body stays as it is. */
static void replace_properties(struct amqp_channel *channel, struct message *message,
                               const struct content_props *props, size_t properties_max)
{
    struct broker_shard *broker = channel->session.broker;
    uint32_t old_header = (uint32_t)message_header_payload(message).len + AMQP_FRAME_OVERHEAD;
    uint32_t rest = message_content_len(message) - old_header;
    uint32_t capacity = (uint32_t)(message->length + properties_max);
    struct block *block = block_new(broker->shard, capacity);
    struct writer w = writer_of(block->data, capacity);
    struct message old = *message;
    size_t header_at;

    writer_bytes(&w, message_image(message), message->names_len + MESSAGE_NAMES_TAIL);
    header_at = writer_len(&w);
    amqp_frame_start(&w, AMQP_FRAME_HEADER, channel->number, 0);
    writer_bytes(&w, message_header_payload(message).data, MESSAGE_HEADER_FIXED);
    content_props_write(&w, props);
    store_u32(block->data + header_at + 3,
              (uint32_t)(writer_len(&w) - header_at - AMQP_FRAME_HEADER_SIZE));
    writer_u8(&w, AMQP_FRAME_END);
    writer_bytes(&w, message_content(message) + old_header, rest);
    BUG_ON(w.failed, "rewritten properties outgrew %u bytes", capacity);
    message->length = (uint32_t)writer_len(&w);
    if (message->flags & MESSAGE_CHAINED) {
        struct message_shared *shared = message->shared;
        block_unref(broker->shard, shared->place.block, 1);
        shared->place = (struct message_place){block, 0, message->length};
        return;
    }
    message->block = block;
    message->offset = 0;
    message->spare = 0;
    message->flags &= (uint8_t) ~(MESSAGE_IN_RECEIVE | MESSAGE_SHARED);
    message_unref(broker->shard, &broker->queues.descriptors, &old);
}

static COLD void rewrite(struct amqp_channel *channel, struct message *message,
                         struct content_props *props, const struct publish_facts *facts)
{
    char address[REPLY_TO_MAX];
    uint8_t *table = mem_alloc(props->headers.len + 1);
    struct writer w = writer_of(table, props->headers.len);

    if (facts->has_copies)
        props->headers = without_bcc(props->headers, &w);
    if (facts->wants_reply)
        props->reply_to = reply_address_format(&channel->session, address);
    replace_properties(channel, message, props, sizeof address);
    mem_free(table);
}

/* ---- sending ---- */

static void return_message(struct amqp_channel *channel, struct message *message)
{
    struct amqp_basic_return args = {
        .reply_code = AMQP_NO_ROUTE,
        .reply_text = STR("NO_ROUTE"),
        .exchange = message_exchange(message),
        .routing_key = message_routing_key(message),
    };
    channel_send(channel, AMQP_BASIC_RETURN, &args);
    content_write(channel->conn, channel->number, message);
}

static void drop_message(struct amqp_channel *channel, const struct message *message)
{
    struct broker_shard *broker = channel->session.broker;
    message_unref(broker->shard, &broker->queues.descriptors, message);
}

/* To a direct reply-to address, which is no queue. */
static void send_reply(struct amqp_channel *channel, struct session_ref to, uint64_t token,
                       struct message *message)
{
    struct broker_shard *broker = channel->session.broker;

    channel->conn->is_settled = true;
    if (to.shard == broker->shard->id)
        deliver_reply(broker, to, token, message);
    else if (to.shard < broker->shard->count)
        mail_reply(broker, to, token, message);
    else
        drop_message(channel, message);
    session_confirm_nothing(&channel->session);
}

static void set_message_facts(struct amqp_channel *channel, struct message *message,
                              const struct publish_facts *facts)
{
    if (facts->is_persistent)
        message->flags |= MESSAGE_PERSISTENT;
    if (facts->ttl_ms != UINT64_MAX)
        message->expires_ms = channel->session.broker->shard->now_ms + facts->ttl_ms;
}

/* Route with everything known. Returns false when the message went another way (or was refused), and
 * so cannot serve as a template. Takes the message's reference. */
static bool route_and_send(struct amqp_channel *channel, struct message *message,
                           const struct publish_facts *facts, struct content_props *props)
{
    struct publication publication = {
        .exchange = facts->exchange,
        .routing_key = facts->routing_key,
        .headers = facts->headers,
        .mandatory = facts->mandatory,
        .has_copies = facts->has_copies,
    };
    struct publish_result result;
    struct refusal refusal;
    struct session_ref to;
    uint64_t token;

    if (facts->exchange.len == 0 && reply_address_parse(facts->routing_key, &to, &token)) {
        send_reply(channel, to, token, message);
        return false;
    }
    if (session_route(&channel->session, &publication, &result, &refusal) != 0) {
        drop_message(channel, message);
        channel_refuse(channel, &refusal, AMQP_BASIC_PUBLISH);
        return false;
    }
    if (facts->is_in_place && result.only_shard != UINT16_MAX &&
        conn_move(channel->conn, result.only_shard)) {
        drop_message(channel, message);
        return false;
    }
    channel->conn->is_settled = true;
    if (facts->has_copies || facts->wants_reply)
        rewrite(channel, message, props, facts);
    if (result.is_unroutable)
        return_message(channel, message);
    set_message_facts(channel, message, facts);
    session_publish(&channel->session, message);
    return !facts->has_copies && !facts->wants_reply && !facts->mandatory &&
           channel->session.route->is_valid;
}

/* In a transaction the exchange is looked at now and the route found at the commit. */
static void keep_for_commit(struct amqp_channel *channel, struct message *message,
                            const struct publish_facts *facts)
{
    struct publication publication = {
        .exchange = facts->exchange,
        .routing_key = facts->routing_key,
        .headers = facts->headers,
        .has_copies = facts->has_copies,
    };
    struct publish_result result;
    struct refusal refusal;

    channel->conn->is_settled = true;
    if (session_route(&channel->session, &publication, &result, &refusal) != 0) {
        drop_message(channel, message);
        channel_refuse(channel, &refusal, AMQP_BASIC_PUBLISH);
        return;
    }
    transaction_publish(channel, message, facts->mandatory);
}

/* Everything about one publish but its framing. Returns as route_and_send. */
static bool publish_checked(struct amqp_channel *channel, struct message *message,
                            struct publish_facts *facts, bool is_commit)
{
    struct content_props props;
    struct refusal refusal = {0};

    channel->conn->has_published = true;
    if (content_props_parse(message_properties(message), &props) != 0) {
        drop_message(channel, message);
        conn_fail(channel->conn, REFUSAL_SYNTAX_ERROR, AMQP_BASIC_PUBLISH,
                  "malformed content properties");
        return false;
    }
    if (check_properties(channel, &props, facts, &refusal) != 0) {
        drop_message(channel, message);
        channel_refuse(channel, &refusal, AMQP_BASIC_PUBLISH);
        return false;
    }
    if (channel->mode == CHANNEL_TX && !is_commit) {
        keep_for_commit(channel, message, facts);
        return false;
    }
    return route_and_send(channel, message, facts, &props);
}

void publish_message(struct amqp_channel *channel, struct message *message, bool mandatory,
                     bool is_commit)
{
    struct publish_facts facts = {
        .exchange = message_exchange(message),
        .routing_key = message_routing_key(message),
        .mandatory = mandatory,
    };
    /* The names outlive the image that they point into. */
    char names[512];

    memcpy(names, facts.exchange.data, facts.exchange.len);
    memcpy(names + 256, facts.routing_key.data, facts.routing_key.len);
    facts.exchange.data = names;
    facts.routing_key.data = names + 256;
    publish_checked(channel, message, &facts, is_commit);
}

/* ---- in place ---- */

/* One whole publish at `p`. */
struct span {
    const uint8_t *p;
    uint32_t method_len; /* method frame */
    uint32_t header_len; /* header frame */
    uint32_t total;
    uint32_t body_frames;
    uint64_t body_size;
};

static inline bool is_frame(const uint8_t *p, uint8_t type, uint16_t channel)
{
    return p[0] == type && load_u16(p + 1) == channel;
}

/* Walk the body frames; fills total and body_frames. */
static enum publish_progress span_body(struct span *span, size_t n, uint16_t channel, uint32_t max)
{
    size_t at = span->method_len + span->header_len;
    uint64_t left = span->body_size;

    while (left > 0) {
        uint32_t size;
        if (n > at && span->p[at] != AMQP_FRAME_BODY)
            return PUBLISH_NOT;
        if (n - at < AMQP_FRAME_HEADER_SIZE)
            return PUBLISH_NEED_MORE;
        size = load_u32(span->p + at + 3);
        if (!is_frame(span->p + at, AMQP_FRAME_BODY, channel) || size > left || size > max ||
            size == 0)
            return PUBLISH_NOT;
        if (n - at < (size_t)size + AMQP_FRAME_OVERHEAD)
            return PUBLISH_NEED_MORE;
        if (span->p[at + AMQP_FRAME_HEADER_SIZE + size] != AMQP_FRAME_END)
            return PUBLISH_NOT;
        at += size + AMQP_FRAME_OVERHEAD;
        left -= size;
        if (++span->body_frames > BODY_FRAMES_MAX)
            return PUBLISH_NOT;
    }
    span->total = (uint32_t)at;
    return PUBLISH_DONE;
}

/* Is there a whole publish of `channel` at `p`? Anything irregular is left to the frame by frame
 * path, which knows the right error. */
static inline enum publish_progress span_find(const uint8_t *p, size_t n, uint16_t channel,
                                              uint32_t max, struct span *span)
{
    uint32_t size = load_u32(p + 3);
    const uint8_t *header;

    span->p = p;
    span->body_frames = 0;
    if (size < 9 || size > 9 + 2 * 255)
        return PUBLISH_NOT;
    span->method_len = size + AMQP_FRAME_OVERHEAD;
    /* What follows already shows whether it is the content header. */
    if (n > span->method_len && p[span->method_len] != AMQP_FRAME_HEADER)
        return PUBLISH_NOT;
    if (n < span->method_len + HEADER_HEAD + 8U)
        return n < span->method_len + AMQP_FRAME_HEADER_SIZE ||
                       load_u32(p + span->method_len + 3) >= MESSAGE_HEADER_FIXED + 2
                   ? PUBLISH_NEED_MORE
                   : PUBLISH_NOT;
    if (p[span->method_len - 1] != AMQP_FRAME_END)
        return PUBLISH_NOT;
    header = p + span->method_len;
    size = load_u32(header + 3);
    if (!is_frame(header, AMQP_FRAME_HEADER, channel) || size < MESSAGE_HEADER_FIXED + 2 ||
        size > max || load_u32(header + 7) != AMQP_CLASS_BASIC << 16)
        return PUBLISH_NOT;
    span->header_len = size + AMQP_FRAME_OVERHEAD;
    span->body_size = load_u64(header + HEADER_HEAD);
    if (span->body_size > PUBLISH_IN_PLACE_MAX)
        return PUBLISH_NOT;
    if (n < span->method_len + span->header_len)
        return PUBLISH_NEED_MORE;
    if (header[span->header_len - 1] != AMQP_FRAME_END)
        return PUBLISH_NOT;
    return span_body(span, n, channel, max);
}

/* Fills `message` where it will stay and writes each member once (append() in classic.c says why).
 * `flags`: more of them. */
static inline void span_message(struct amqp_conn *conn, const struct span *span, uint32_t names_len,
                                uint8_t flags, struct message *message)
{
    struct block *block = conn->input.block;

    flags |= span->body_frames <= 1 ? MESSAGE_IN_RECEIVE | MESSAGE_ONE_FRAME : MESSAGE_IN_RECEIVE;
    *message = (struct message){
        .block = block,
        .offset = (uint32_t)(span->p + NAMES_AT - block->data),
        .length = span->total - NAMES_AT,
        .names_len = (uint16_t)names_len,
        .flags = flags,
        .body_bytes = (uint32_t)span->body_size,
    };
    block_ref(block, 1);
}

static inline bool matches_template(const struct publish_template *t, const struct span *span)
{
    const uint8_t *header = span->p + span->method_len;
    return t && t->method_len == span->method_len &&
           t->properties_len == span->header_len - HEADER_HEAD - 8 &&
           memcmp(span->p, t->bytes, t->method_len + HEADER_HEAD) == 0 &&
           memcmp(header + HEADER_HEAD + 8, t->bytes + t->method_len + HEADER_HEAD,
                  t->properties_len) == 0;
}

static void keep_template(struct amqp_channel *channel, const struct span *span,
                          const struct message *message, uint64_t ttl_ms)
{
    uint32_t properties_len = span->header_len - HEADER_HEAD - 8;
    uint32_t len = span->method_len + HEADER_HEAD + properties_len;
    struct publish_template *t = channel->template;

    if (len > TEMPLATE_MAX)
        return;
    if (!t)
        t = channel->template = mem_alloc(sizeof *t + TEMPLATE_MAX);
    t->method_len = span->method_len;
    t->route_serial = channel->session.route->serial;
    t->properties_len = properties_len;
    t->names_len = message->names_len;
    t->flags = message->flags & MESSAGE_PERSISTENT;
    t->ttl_ms = ttl_ms;
    memcpy(t->bytes, span->p, span->method_len + HEADER_HEAD);
    memcpy(t->bytes + span->method_len + HEADER_HEAD, span->p + span->method_len + HEADER_HEAD + 8,
           properties_len);
}

/* The first publish of its kind: decode, check, route; remember it when it may repeat. */
static void publish_span(struct amqp_channel *channel, const struct span *span)
{
    struct cursor in = cursor_of(span->p + NAMES_AT, span->method_len - NAMES_AT - 1);
    struct publish_facts facts = {.exchange = cursor_shortstr(&in), .is_in_place = true};
    struct message message;
    struct message sent;
    uint8_t bits;

    facts.routing_key = cursor_shortstr(&in);
    bits = cursor_u8(&in);
    if (!cursor_is_done(&in)) {
        conn_fail(channel->conn, REFUSAL_SYNTAX_ERROR, AMQP_BASIC_PUBLISH,
                  "malformed basic.publish");
        return;
    }
    facts.mandatory = bits & 1;
    if (bits & 2) {
        channel_fail(channel, REFUSAL_NOT_IMPLEMENTED, AMQP_BASIC_PUBLISH, "immediate=true");
        return;
    }
    if (channel->template)
        channel->template->method_len = 0;
    span_message(channel->conn, span, (uint32_t)(facts.exchange.len + facts.routing_key.len + 2), 0,
                 &message);
    sent = message;
    if (publish_checked(channel, &message, &facts, false)) {
        sent.flags |= facts.is_persistent ? MESSAGE_PERSISTENT : 0;
        keep_template(channel, span, &sent, facts.ttl_ms);
    }
}

static bool may_publish(const struct amqp_channel *channel)
{
    return channel && channel->state == CHANNEL_OPEN && channel->busy == 0 && !channel->assembly;
}

HOT enum publish_progress publish_in_place(struct amqp_conn *conn, const uint8_t *p, size_t n,
                                           size_t *used)
{
    uint16_t number;
    struct amqp_channel *channel;
    struct publish_template *t;
    struct span span;
    enum publish_progress progress;
    struct message message;

    if (n < NAMES_AT || p[0] != AMQP_FRAME_METHOD || load_u32(p + 7) != AMQP_BASIC_PUBLISH)
        return PUBLISH_NOT;
    number = load_u16(p + 1);
    channel = conn_channel(conn, number);
    if (UNLIKELY(!may_publish(channel)))
        return PUBLISH_NOT;
    progress = span_find(p, n, number, conn->frame_max - AMQP_FRAME_OVERHEAD, &span);
    if (progress != PUBLISH_DONE)
        return progress;
    *used = span.total;
    t = channel->template;
    if (UNLIKELY(!matches_template(t, &span) || t->route_serial != channel->session.route->serial ||
                 !session_route_is_current(&channel->session))) {
        publish_span(channel, &span);
        if (conn->is_moving)
            *used = 0;
        return PUBLISH_DONE;
    }
    span_message(conn, &span, t->names_len, t->flags, &message);
    if (UNLIKELY(t->ttl_ms != UINT64_MAX))
        message.expires_ms = conn->stream.shard->now_ms + t->ttl_ms;
    session_publish(&channel->session, &message);
    conn->has_published = true;
    return PUBLISH_DONE;
}
