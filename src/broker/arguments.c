/* SPDX-License-Identifier: Apache-2.0 */
/* One table of queue arguments rules checking, refusing and comparing. */
#include "broker/arguments.h"

#include "base/err.h"
#include "core/table.h"

#include <stdio.h>

/* RabbitMQ's limit for expiry times: ten years in ms. */
#define EXPIRY_MAX_MS 315360000000LL

enum argument_kind {
    ARGUMENT_TTL,        /* integer >= 0, ms */
    ARGUMENT_EXPIRES,    /* integer > 0, ms */
    ARGUMENT_QUEUE_TYPE, /* "classic" */
    ARGUMENT_HINT,       /* means nothing on one node: compared, else without effect */
    ARGUMENT_MISSING,    /* its feature is not built */
};

struct argument_rule {
    struct str name;
    enum argument_kind kind;
};

/* What RabbitMQ compares on redeclaration, in its order of names; all others are stored only. */
static const struct argument_rule queue_rules[] = {
    {{"x-expires", 9}, ARGUMENT_EXPIRES},
    {{"x-message-ttl", 13}, ARGUMENT_TTL},
    {{"x-queue-type", 12}, ARGUMENT_QUEUE_TYPE},
    {{"x-queue-mode", 12}, ARGUMENT_HINT},
    {{"x-queue-version", 15}, ARGUMENT_HINT},
    {{"x-queue-master-locator", 22}, ARGUMENT_HINT},
    {{"x-queue-leader-locator", 22}, ARGUMENT_HINT},
    {{"x-dead-letter-exchange", 22}, ARGUMENT_MISSING},
    {{"x-dead-letter-routing-key", 25}, ARGUMENT_MISSING},
    {{"x-dead-letter-strategy", 22}, ARGUMENT_MISSING},
    {{"x-max-length", 12}, ARGUMENT_MISSING},
    {{"x-max-length-bytes", 18}, ARGUMENT_MISSING},
    {{"x-max-in-memory-length", 22}, ARGUMENT_MISSING},
    {{"x-max-in-memory-bytes", 21}, ARGUMENT_MISSING},
    {{"x-overflow", 10}, ARGUMENT_MISSING},
    {{"x-max-priority", 14}, ARGUMENT_MISSING},
    {{"x-single-active-consumer", 24}, ARGUMENT_MISSING},
    {{"x-consumer-timeout", 18}, ARGUMENT_MISSING},
    {{"x-delivery-limit", 16}, ARGUMENT_MISSING},
    {{"x-quorum-initial-group-size", 27}, ARGUMENT_MISSING},
    {{"x-quorum-target-group-size", 26}, ARGUMENT_MISSING},
    {{"x-max-age", 9}, ARGUMENT_MISSING},
    {{"x-stream-max-segment-size-bytes", 31}, ARGUMENT_MISSING},
    {{"x-stream-filter-size-bytes", 26}, ARGUMENT_MISSING},
    {{"x-initial-cluster-size", 22}, ARGUMENT_MISSING},
    {{"x-message-deduplication", 23}, ARGUMENT_MISSING},
};

static int refuse_missing(struct refusal *refusal, struct str argument)
{
    return refuse(refusal, REFUSAL_NOT_IMPLEMENTED, "argument '%.*s' is not supported",
                  STR_ARG(argument));
}

/* "invalid arg 'x-expires' for queue 'q' in vhost '/': DETAIL". */
static int refuse_value(struct refusal *refusal, struct str argument, struct str name,
                        struct str vhost, const char *detail)
{
    return refuse(refusal, REFUSAL_PRECONDITION_FAILED,
                  "invalid arg '%.*s' for queue '%.*s' in vhost '%.*s': %s", STR_ARG(argument),
                  STR_ARG(name), STR_ARG(vhost), detail);
}

/* RabbitMQ's Erlang term for what is wrong with a time, empty when nothing is. */
static void describe_time(const struct table_value *value, int64_t least, char *out, size_t cap)
{
    out[0] = '\0';
    if (!table_tag_is_integer(value->tag))
        snprintf(out, cap, "\"expected integer, got %s\"", table_type_name(value->tag));
    else if (value->integer < 0)
        snprintf(out, cap, "{value_negative,%lld}", (long long)value->integer);
    else if (value->integer < least)
        snprintf(out, cap, "{value_zero,0}");
    else if (value->integer > EXPIRY_MAX_MS)
        snprintf(out, cap, "{value_too_large,%lld}", (long long)value->integer);
}

static int check_queue_type(const struct table_value *value, struct str name, struct str vhost,
                            struct refusal *refusal)
{
    char detail[160];

    if (value->tag != 'S') {
        snprintf(detail, sizeof detail, "{unacceptable_type,%s}", table_type_name(value->tag));
        return refuse_value(refusal, STR("x-queue-type"), name, vhost, detail);
    }
    if (str_equals(value->bytes, STR("classic")))
        return 0;
    if (str_equals(value->bytes, STR("quorum")) || str_equals(value->bytes, STR("stream")))
        return refuse(refusal, REFUSAL_NOT_IMPLEMENTED,
                      "argument 'x-queue-type': queue type '%.*s' is "
                      "not supported",
                      STR_ARG(value->bytes));
    snprintf(detail, sizeof detail, "\"unsupported queue type '%.*s'\"",
             (int)MIN(value->bytes.len, (size_t)100), value->bytes.data);
    return refuse_value(refusal, STR("x-queue-type"), name, vhost, detail);
}

static int apply_rule(const struct argument_rule *rule, const struct table_value *value,
                      struct str name, struct str vhost, struct queue_settings *settings,
                      struct refusal *refusal)
{
    char detail[160] = "";

    switch (rule->kind) {
    case ARGUMENT_EXPIRES:
        describe_time(value, 1, detail, sizeof detail);
        settings->expires_ms = (uint64_t)value->integer;
        break;
    case ARGUMENT_TTL:
        describe_time(value, 0, detail, sizeof detail);
        settings->ttl_ms = (uint64_t)value->integer;
        break;
    case ARGUMENT_QUEUE_TYPE:
        return check_queue_type(value, name, vhost, refusal);
    case ARGUMENT_HINT:
        return 0;
    case ARGUMENT_MISSING:
        return refuse_missing(refusal, rule->name);
    }
    return detail[0] ? refuse_value(refusal, rule->name, name, vhost, detail) : 0;
}

int arguments_queue_settings(struct str name, struct str vhost, struct str arguments,
                             struct queue_settings *settings, struct refusal *refusal)
{
    settings->ttl_ms = QUEUE_NO_TTL;
    settings->expires_ms = QUEUE_NO_TTL;
    for (size_t i = 0; i < ARRAY_LEN(queue_rules); i++) {
        struct table_value value;
        if (table_find(arguments, queue_rules[i].name, &value) &&
            apply_rule(&queue_rules[i], &value, name, vhost, settings, refusal) != 0)
            return ERR_REFUSED;
    }
    return 0;
}

/* ---- equivalence ---- */

static int refuse_inequivalent(struct refusal *refusal, const char *argument, const char *kind,
                               struct str name, struct str vhost, const char *received,
                               const char *current)
{
    return refuse(
        refusal, REFUSAL_PRECONDITION_FAILED,
        "inequivalent arg '%s' for %s '%.*s' in vhost '%.*s': received %s but current is %s",
        argument, kind, STR_ARG(name), STR_ARG(vhost), received, current);
}

static int compare_flag(const char *argument, bool received, bool current, const char *kind,
                        struct str name, struct str vhost, struct refusal *refusal)
{
    static const char *const words[] = {"'false'", "'true'"};
    if (received == current)
        return 0;
    return refuse_inequivalent(refusal, argument, kind, name, vhost, words[received],
                               words[current]);
}

static bool is_classic(const struct table_value *value)
{
    return !value || (value->tag == 'S' && str_equals(value->bytes, STR("classic")));
}

static int compare_argument(struct str argument, struct str received, struct str current,
                            const char *kind, struct str name, struct str vhost,
                            struct refusal *refusal)
{
    struct table_value a;
    struct table_value b;
    bool has_a = table_find(received, argument, &a);
    bool has_b = table_find(current, argument, &b);
    char mismatch[300];

    if (has_a == has_b && (!has_a || table_value_equals(&a, &b, TABLE_EQUAL_VALUE)))
        return 0;
    /* No type and the classic type are the same (reference, section 11). */
    if (str_equals(argument, STR("x-queue-type")) && is_classic(has_a ? &a : NULL) &&
        is_classic(has_b ? &b : NULL))
        return 0;
    table_mismatch_text(has_a ? &a : NULL, has_b ? &b : NULL, mismatch, sizeof mismatch);
    return refuse(refusal, REFUSAL_PRECONDITION_FAILED,
                  "inequivalent arg '%.*s' for %s '%.*s' in vhost '%.*s': %s", STR_ARG(argument),
                  kind, STR_ARG(name), STR_ARG(vhost), mismatch);
}

int arguments_compare_queue(const struct queue_record *queue, bool durable, bool auto_delete,
                            struct str arguments, struct str vhost, struct refusal *refusal)
{
    if (compare_flag("durable", durable, queue->durable, "queue", queue->name, vhost, refusal) !=
            0 ||
        compare_flag("auto_delete", auto_delete, queue->auto_delete, "queue", queue->name, vhost,
                     refusal) != 0)
        return ERR_REFUSED;
    for (size_t i = 0; i < ARRAY_LEN(queue_rules); i++)
        if (compare_argument(queue_rules[i].name, arguments, queue->arguments, "queue", queue->name,
                             vhost, refusal) != 0)
            return ERR_REFUSED;
    return 0;
}

int arguments_check_exchange(struct str name, struct str vhost, struct str arguments,
                             struct refusal *refusal)
{
    struct table_value value;

    if (!table_find(arguments, STR("alternate-exchange"), &value))
        return 0;
    if (value.tag != 'S')
        return refuse(refusal, REFUSAL_PRECONDITION_FAILED,
                      "invalid type '%s' for arg 'alternate-exchange' in exchange '%.*s' in vhost "
                      "'%.*s'",
                      table_type_name(value.tag), STR_ARG(name), STR_ARG(vhost));
    return 0;
}

int arguments_compare_exchange(const struct exchange *exchange, struct str type, bool durable,
                               bool auto_delete, bool internal, struct str arguments,
                               struct str vhost, struct refusal *refusal)
{
    struct str current = str_from_c(exchange_type_name(exchange->type));
    struct str name = exchange->name;
    char received_text[300];
    char current_text[64];

    if (!str_equals(type, current)) {
        snprintf(received_text, sizeof received_text, "'%.*s'", STR_ARG(type));
        snprintf(current_text, sizeof current_text, "'%.*s'", STR_ARG(current));
        return refuse_inequivalent(refusal, "type", "exchange", name, vhost, received_text,
                                   current_text);
    }
    if (compare_flag("durable", durable, exchange->durable, "exchange", name, vhost, refusal) !=
            0 ||
        compare_flag("auto_delete", auto_delete, exchange->auto_delete, "exchange", name, vhost,
                     refusal) != 0 ||
        compare_flag("internal", internal, exchange->internal, "exchange", name, vhost, refusal) !=
            0)
        return ERR_REFUSED;
    return compare_argument(STR("alternate-exchange"), arguments, exchange->arguments, "exchange",
                            name, vhost, refusal);
}

/* ---- consumers and messages ---- */

int arguments_consumer(struct str arguments, struct str queue, struct str vhost, int32_t *priority,
                       struct refusal *refusal)
{
    char detail[80];
    static const struct str missing[] = {{"x-stream-offset", 15},
                                         {"x-stream-filter", 15},
                                         {"x-stream-match-unfiltered", 25},
                                         {"x-consumer-timeout", 18}};
    struct table_value value;

    *priority = 0;
    for (size_t i = 0; i < ARRAY_LEN(missing); i++)
        if (table_find(arguments, missing[i], &value))
            return refuse_missing(refusal, missing[i]);
    if (!table_find(arguments, STR("x-priority"), &value))
        return 0;
    if (!table_tag_is_integer(value.tag)) {
        snprintf(detail, sizeof detail, "\"expected integer, got %s\"", table_type_name(value.tag));
        return refuse_value(refusal, STR("x-priority"), queue, vhost, detail);
    }
    *priority = (int32_t)MAX(MIN(value.integer, (int64_t)INT32_MAX), (int64_t)INT32_MIN);
    return 0;
}

static int refuse_expiration(struct refusal *refusal, struct str text, const char *detail)
{
    return refuse(refusal, REFUSAL_PRECONDITION_FAILED, "invalid expiration '%.*s': %s",
                  STR_ARG(text), detail);
}

/* Read as Erlang's string:to_integer reads: a sign, digits, and what is left over. */
int arguments_expiration(struct str text, uint64_t *ttl_ms, struct refusal *refusal)
{
    size_t i = text.len > 0 && (text.data[0] == '-' || text.data[0] == '+');
    bool negative = i == 1 && text.data[0] == '-';
    size_t first = i;
    int64_t value = 0;
    char detail[300];

    /* The largest value stands for all above it. */
    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        value = MIN(value * 10 + (text.data[i] - '0'), EXPIRY_MAX_MS + 1);
    if (i == first)
        return refuse_expiration(refusal, text, "no_integer");
    if (i < text.len) {
        snprintf(detail, sizeof detail, "{leftover_string,\"%.*s\"}", (int)(text.len - i),
                 text.data + i);
        return refuse_expiration(refusal, text, detail);
    }
    if ((negative && value > 0) || value > EXPIRY_MAX_MS) {
        while (text.data[first] == '0')
            first++;
        snprintf(detail, sizeof detail, "{%s%.*s}",
                 negative ? "value_negative,-" : "value_too_large,", (int)(text.len - first),
                 text.data + first);
        return refuse_expiration(refusal, text, detail);
    }
    *ttl_ms = (uint64_t)value;
    return 0;
}
