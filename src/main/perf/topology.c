/* SPDX-License-Identifier: Apache-2.0 */
/* Declaring and binding what a load run uses. */
#include "main/perf/topology.h"

#include "main/perf/keys.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <unistd.h>

/* A bind frame: fixed parts, queue and exchange names, pattern. */
#define BIND_BYTES_MAX (64 + 2 * 256 + KEYS_TOPIC_MAX)

void topology_init(struct topology *t, const struct options *o)
{
    t->options = o;
    snprintf(t->run_key, sizeof t->run_key, "perf%04x",
             (unsigned)((clock_mono_ns() >> 10 ^ (uint64_t)getpid() << 4) & 0xFFFF));
}

/* The one %d of `pattern` becomes `number`; options.c has checked the pattern. */
static void pattern_format(const char *pattern, uint64_t number, char *out)
{
    const char *percent = strchr(pattern, '%');
    const char *digits = percent + 1;
    const int is_zero_filled = *digits == '0';
    const int width = (int)strtol(digits, NULL, 10); /* at most two digits, or none: 0 */
    const char *rest = digits + strspn(digits, "0123456789") + 1;
    if (is_zero_filled)
        snprintf(out, TOPOLOGY_NAME_MAX, "%.*s%0*llu%s", (int)(percent - pattern), pattern, width,
                 (unsigned long long)number, rest);
    else
        snprintf(out, TOPOLOGY_NAME_MAX, "%.*s%*llu%s", (int)(percent - pattern), pattern, width,
                 (unsigned long long)number, rest);
}

bool topology_queue_name(const struct topology *t, uint64_t number, char *out)
{
    const struct options *o = t->options;
    const uint64_t count = options_named_queues(o);
    if (count == 0)
        return false;
    if (o->queue_pattern)
        pattern_format(o->queue_pattern, o->pattern_from + number % count, out);
    else
        snprintf(out, TOPOLOGY_NAME_MAX, "%s", o->queue);
    return true;
}

struct str topology_routing_key(const struct topology *t, uint64_t number, char *buf)
{
    if (t->options->routing_key)
        return str_from_c(t->options->routing_key);
    if (topology_queue_name(t, number, buf))
        return str_from_c(buf);
    return str_from_c(t->run_key);
}

static struct str binding_key(const struct topology *t, uint64_t number, char *buf)
{
    const bool is_topic = strcmp(t->options->exchange_type, "topic") == 0;
    if (t->options->uses_random_keys && is_topic)
        return STR("#");
    return topology_routing_key(t, number, buf);
}

static bool exchange_is_ours(const struct options *o)
{
    return o->exchange[0] != '\0' && strncmp(o->exchange, "amq.", 4) != 0;
}

static int declare_exchange(const struct topology *t, struct client *c, struct failure *why)
{
    const struct amqp_exchange_declare declare = {
        .exchange = str_from_c(t->options->exchange),
        .type = str_from_c(t->options->exchange_type),
        .durable =
            !t->options->has_topic_bindings, /* those are many: let the run's end clear them */
        .auto_delete = t->options->has_topic_bindings,
    };
    return client_call(c, 1, AMQP_EXCHANGE_DECLARE, &declare, AMQP_EXCHANGE_DECLARE_OK, NULL, why);
}

/* All generated patterns in one pipeline: one round trip each would take minutes. */
static int bind_patterns(const struct topology *t, struct client *c, uint16_t channel,
                         struct str queue, struct failure *why)
{
    const uint64_t count = t->options->topic_bindings;
    const size_t capacity = count * BIND_BYTES_MAX;
    uint8_t *bytes = mem_alloc(capacity + 1);
    struct writer w = writer_of(bytes, capacity);
    uint64_t random = 0x5DEECE66D;
    for (uint64_t i = 0; i < count; i++) {
        char pattern[KEYS_TOPIC_MAX];
        const size_t len = keys_topic_pattern(&random, pattern);
        const struct amqp_queue_bind bind = {
            .queue = queue,
            .exchange = str_from_c(t->options->exchange),
            .routing_key = str_of(pattern, len),
        };
        amqp_frame_method(&w, channel, AMQP_QUEUE_BIND, &bind);
    }
    const int rc =
        client_pipeline(c, str_of(bytes, writer_len(&w)), AMQP_QUEUE_BIND_OK, count, why);
    mem_free(bytes);
    return rc;
}

static int bind_queue(const struct topology *t, struct client *c, uint16_t channel, uint64_t number,
                      struct str queue, struct failure *why)
{
    char buf[TOPOLOGY_NAME_MAX];
    if (t->options->exchange[0] == '\0')
        return 0; /* the default exchange knows every queue */
    const struct amqp_queue_bind bind = {
        .queue = queue,
        .exchange = str_from_c(t->options->exchange),
        .routing_key = binding_key(t, number, buf),
    };
    int rc = client_call(c, channel, AMQP_QUEUE_BIND, &bind, AMQP_QUEUE_BIND_OK, NULL, why);
    if (rc == 0 && t->options->topic_bindings)
        rc = bind_patterns(t, c, channel, queue, why);
    return rc;
}

static struct amqp_queue_declare queue_declare_args(const struct options *o, struct str name)
{
    return (struct amqp_queue_declare){
        .queue = name,
        .durable = o->is_persistent,
        .auto_delete = o->is_auto_delete,
        .arguments = options_queue_args(o),
    };
}

int topology_declare(const struct topology *t, struct client *c, struct failure *why)
{
    if (t->options->is_predeclared)
        return 0;
    int rc = exchange_is_ours(t->options) ? declare_exchange(t, c, why) : 0;
    for (uint64_t i = 0; rc == 0 && i < options_named_queues(t->options); i++) {
        char name[TOPOLOGY_NAME_MAX];
        if (!topology_queue_name(t, i, name))
            break;
        const struct amqp_queue_declare declare = queue_declare_args(t->options, str_from_c(name));
        rc = client_call(c, 1, AMQP_QUEUE_DECLARE, &declare, AMQP_QUEUE_DECLARE_OK, NULL, why);
        if (rc == 0)
            rc = bind_queue(t, c, 1, i, str_from_c(name), why);
    }
    return rc;
}

int topology_declare_own_queue(const struct topology *t, struct client *c, uint16_t channel,
                               char *name, struct failure *why)
{
    union amqp_args reply;
    const struct amqp_queue_declare declare = queue_declare_args(t->options, STR(""));
    int rc =
        client_call(c, channel, AMQP_QUEUE_DECLARE, &declare, AMQP_QUEUE_DECLARE_OK, &reply, why);
    if (rc != 0)
        return rc;
    snprintf(name, TOPOLOGY_NAME_MAX, "%.*s", STR_ARG(reply.queue_declare_ok.queue));
    return bind_queue(t, c, channel, 0, str_from_c(name), why);
}
