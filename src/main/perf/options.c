/* SPDX-License-Identifier: Apache-2.0 */
/* Option table, parser and --help. Names and meanings are PerfTest's where it has the option. */
#include "main/perf/options.h"

#include "core/table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum option_kind {
    OPTION_SECTION, /* no option: a heading in --help */
    OPTION_FLAG,    /* takes no value, sets a bool */
    OPTION_BOOL,    /* true or false */
    OPTION_COUNT,   /* integer in [min, max]; where 0 is allowed, -1 means 0 too, as in PerfTest */
    OPTION_SECONDS, /* decimal seconds into nanoseconds */
    OPTION_TEXT,
    OPTION_CUSTOM, /* parsed by `parse` */
};

typedef int (*option_parse_fn)(struct options *o, const char *value, struct failure *why);

struct option_spec {
    enum option_kind kind;
    const char *short_name; /* without its dash; NULL for none */
    const char *long_name;
    const char *value_name;
    const char *help;
    size_t offset; /* of the field in struct options */
    uint64_t min, max;
    option_parse_fn parse;
};

static int parse_number(const char *text, uint64_t *out)
{
    if (text[0] < '0' || text[0] > '9')
        return ERR_USAGE;
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno || *end ? ERR_USAGE : 0;
}

static int parse_uri(struct options *o, const char *value, struct failure *why)
{
    return uri_parse(value, &o->uri, why);
}

static int parse_json(struct options *o, const char *value, struct failure *why)
{
    (void)value, (void)why;
    o->output = PERF_OUTPUT_JSON;
    return 0;
}

static int parse_csv(struct options *o, const char *value, struct failure *why)
{
    (void)value, (void)why;
    o->output = PERF_OUTPUT_CSV;
    return 0;
}

/* Copies the next item of a comma-separated list into `item` and advances; `*list` is NULL behind the
 * last one. False when there is none, or it is empty or too long. */
static bool list_next(const char **list, char *item, size_t cap)
{
    if (!*list)
        return false;
    const size_t len = strcspn(*list, ",");
    if (len == 0 || len >= cap)
        return false;
    memcpy(item, *list, len);
    item[len] = '\0';
    *list = (*list)[len] == ',' ? *list + len + 1 : NULL;
    return true;
}

static int parse_sizes(struct options *o, const char *value, struct failure *why)
{
    const char *list = value;
    char item[32];
    o->size_count = 0;
    while (list_next(&list, item, sizeof item)) {
        uint64_t n;
        if (parse_number(item, &n) != 0 || n > OPTIONS_BODY_MAX ||
            o->size_count == OPTIONS_SIZES_MAX)
            break;
        o->sizes[o->size_count++] = (uint32_t)n;
        if (!list)
            return 0;
    }
    return failure_set(why, ERR_USAGE, "--size '%s': wants up to %d sizes from 0 to %u, by commas",
                       value, OPTIONS_SIZES_MAX, OPTIONS_BODY_MAX);
}

static int parse_flags(struct options *o, const char *value, struct failure *why)
{
    const char *list = value;
    char item[32] = "";
    while (list_next(&list, item, sizeof item)) {
        if (strcmp(item, "persistent") == 0)
            o->is_persistent = true;
        else if (strcmp(item, "mandatory") == 0)
            o->is_mandatory = true;
        else
            break;
        if (!list)
            return 0;
    }
    return failure_set(why, ERR_USAGE, "--flag '%s': known are persistent and mandatory", value);
}

/* One name=value of --queue-args: an integer becomes a long, true/false a bool, the rest a longstr. */
static void put_queue_arg(struct writer *w, char *item)
{
    char *equals = strchr(item, '=');
    *equals = '\0';
    const char *text = equals + 1;
    const struct str name = str_from_c(item);
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (*text && !*end && errno == 0)
        table_put_i64(w, name, number);
    else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        table_put_bool(w, name, text[0] == 't');
    else
        table_put_longstr(w, name, str_from_c(text));
}

static int parse_queue_args(struct options *o, const char *value, struct failure *why)
{
    struct writer w = writer_of(o->queue_args, sizeof o->queue_args);
    w.pos += o->queue_args_len;
    const char *list = value;
    char item[1024];
    while (list_next(&list, item, sizeof item)) {
        if (!strchr(item, '='))
            break;
        put_queue_arg(&w, item);
        o->queue_args_len = writer_len(&w);
        if (!list && !w.failed)
            return 0;
    }
    return failure_set(why, ERR_USAGE, "--queue-args '%s': wants name=value,name=value", value);
}

static int parse_topic_bindings(struct options *o, const char *value, struct failure *why)
{
    o->has_topic_bindings = true;
    if (parse_number(value, &o->topic_bindings) == 0 && o->topic_bindings <= 10000000)
        return 0;
    return failure_set(why, ERR_USAGE, "--topic-bindings '%s': wants 0 to 10000000", value);
}

#define FIELD(member) offsetof(struct options, member)
#define SECTION(text)                                                                              \
    {                                                                                              \
        OPTION_SECTION, NULL, NULL, NULL, (text), 0, 0, 0, NULL                                    \
    }
#define FLAG(s, l, m, h)                                                                           \
    {                                                                                              \
        OPTION_FLAG, (s), (l), NULL, (h), FIELD(m), 0, 0, NULL                                     \
    }
#define BOOL(s, l, m, h)                                                                           \
    {                                                                                              \
        OPTION_BOOL, (s), (l), "BOOL", (h), FIELD(m), 0, 0, NULL                                   \
    }
#define TEXT(s, l, m, v, h)                                                                        \
    {                                                                                              \
        OPTION_TEXT, (s), (l), (v), (h), FIELD(m), 0, 0, NULL                                      \
    }
#define SECONDS(s, l, m, h)                                                                        \
    {                                                                                              \
        OPTION_SECONDS, (s), (l), "SECONDS", (h), FIELD(m), 0, 0, NULL                             \
    }
#define COUNT(s, l, m, lo, hi, h)                                                                  \
    {                                                                                              \
        OPTION_COUNT, (s), (l), "N", (h), FIELD(m), (lo), (hi), NULL                               \
    }
#define CUSTOM(s, l, v, f, h)                                                                      \
    {                                                                                              \
        OPTION_CUSTOM, (s), (l), (v), (h), 0, 0, 0, (f)                                            \
    }

#define MESSAGES_MAX 1000000000000U

static const struct option_spec specs[] = {
    SECTION("Broker"),
    CUSTOM("h", "uri", "URI", parse_uri,
           "amqp://user:password@host:port/vhost (default amqp://guest:guest@localhost:5672/%2f)"),
    TEXT("d", "id", id, "TEXT", "name of this run; starts each connection's connection_name"),
    COUNT("M", "framemax", frame_max, 0, 1U << 30, "frame_max to ask for (default: the broker's)"),
    COUNT(NULL, "server-pid", server_pid, 0, 1U << 30,
          "pid of the broker on this machine: report its CPU time per message and its memory"),

    SECTION("Publishers and consumers"),
    COUNT("x", "producers", producers, 0, 100000, "publisher connections (default 1)"),
    COUNT("y", "consumers", consumers, 0, 100000, "consumer connections (default 1)"),
    COUNT("X", "producer-channel-count", producer_channels, 1, 2047,
          "channels per publisher connection, each a publisher of its own (default 1)"),
    COUNT("Y", "consumer-channel-count", consumer_channels, 1, 2047,
          "channels per consumer connection, each a consumer of its own (default 1)"),
    COUNT(NULL, "threads", threads, 1, 64,
          "threads for the publishers, and as many for the consumers (default 1)"),

    SECTION("Queues, exchange and routing keys"),
    TEXT("u", "queue", queue, "NAME",
         "one queue for all (default: each consumer its own, named by the broker)"),
    TEXT("qp", "queue-pattern", queue_pattern, "PATTERN",
         "several queues: a name with %d; publishers and consumers spread over them"),
    COUNT("qpf", "queue-pattern-from", pattern_from, 0, 10000000,
          "first number for %d (default 1)"),
    COUNT("qpt", "queue-pattern-to", pattern_to, 0, 10000000, "last number for %d"),
    BOOL("ad", "auto-delete", is_auto_delete, "declare auto-delete queues (default true)"),
    CUSTOM("qa", "queue-args", "K=V,...", parse_queue_args,
           "arguments of queue.declare: integers, true, false, else text"),
    TEXT("e", "exchange", exchange, "NAME",
         "exchange (default direct; '' is the default exchange)"),
    TEXT("t", "type", exchange_type, "TYPE", "type of the exchange (default direct)"),
    TEXT("k", "routing-key", routing_key, "KEY",
         "routing and binding key (default: the queue's name, or one made up for this run)"),
    FLAG("K", "random-routing-key", uses_random_keys, "a random routing key for each message"),
    FLAG("p", "predeclared", is_predeclared, "declare and bind nothing"),
    CUSTOM(NULL, "topic-bindings", "N", parse_topic_bindings,
           "bind each queue by '#' and N generated topic patterns, publish matching random keys"),

    SECTION("Messages"),
    CUSTOM("s", "size", "BYTES,...", parse_sizes,
           "body size(s), used in turn (default 16; below 12 there is no latency)"),
    COUNT("r", "rate", rate, 0, 1000000000, "messages/s per publisher (default: no limit)"),
    CUSTOM("f", "flag", "FLAGS", parse_flags, "persistent and/or mandatory, by commas or repeated"),
    COUNT("c", "confirm", confirm_window, 0, 10000000,
          "publisher confirms; at most N messages of a publisher unconfirmed"),
    COUNT("q", "qos", prefetch, 0, 65535, "prefetch of each consumer (default 0, no limit)"),
    COUNT("Q", "global-qos", channel_prefetch, 0, 65535, "prefetch of each consumer channel"),
    COUNT("A", "multi-ack-every", ack_every, 1, 1000000,
          "acknowledge N messages at once (default 1: each by itself)"),
    FLAG("a", "autoack", is_autoack, "consume without acknowledgements"),

    SECTION("How long"),
    SECONDS("z", "time", duration_ns, "run so long (default: until Ctrl-C or the counts below)"),
    SECONDS(NULL, "warmup", warmup_ns, "run so long before measuring starts (default 0)"),
    COUNT("C", "pmessages", producer_messages, 0, MESSAGES_MAX,
          "messages per publisher; with -y 0 ends when all are confirmed or written"),
    COUNT("D", "cmessages", consumer_messages, 0, MESSAGES_MAX, "messages per consumer"),

    SECTION("Other scenarios"),
    COUNT(NULL, "connections", connections, 1, 1000000,
          "only open N idle connections, hold them for --time, report time and memory"),
    COUNT(NULL, "declare-queues", declare_queues, 1, 10000000,
          "only declare N queues in one pipeline (durable with -f persistent), then delete them"),

    SECTION("Output"),
    SECONDS("i", "interval", interval_ns, "progress line on stderr so often (default 1)"),
    FLAG(NULL, "quiet", is_quiet, "no progress lines"),
    CUSTOM(NULL, "json", NULL, parse_json, "result on stdout as one JSON object"),
    CUSTOM(NULL, "csv", NULL, parse_csv, "result on stdout as a CSV heading and one line"),
    FLAG("?", "help", wants_help, "this text"),
    FLAG(NULL, "version", wants_version, "version"),
};

static bool takes_value(const struct option_spec *spec)
{
    return spec->value_name != NULL;
}

/* The option called `name` (no dashes, `len` bytes), by its long or its short name. */
static const struct option_spec *spec_find(struct str name, bool is_long)
{
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        const char *own = is_long ? specs[i].long_name : specs[i].short_name;
        if (own && str_equals(str_from_c(own), name))
            return &specs[i];
    }
    return NULL;
}

/* Splits "--name", "--name=value", "-n", "-n=value", "-nvalue". NULL when no option has that name. */
static const struct option_spec *argument_split(const char *arg, const char **value)
{
    const bool is_long = arg[1] == '-';
    const char *name = arg + (is_long ? 2 : 1);
    const size_t len = strcspn(name, "=");
    *value = name[len] == '=' ? name + len + 1 : NULL;
    const struct option_spec *spec = spec_find(str_of(name, len), is_long);
    if (spec || is_long || len < 2)
        return spec;
    spec = spec_find(str_of(name, 1), false);
    *value = name + 1;
    return spec && takes_value(spec) ? spec : NULL;
}

static int parse_count(const struct option_spec *spec, const char *value, uint64_t *out,
                       struct failure *why)
{
    if (spec->min == 0 && strcmp(value, "-1") == 0) {
        *out = 0;
        return 0;
    }
    if (parse_number(value, out) == 0 && *out >= spec->min && *out <= spec->max)
        return 0;
    return failure_set(why, ERR_USAGE, "--%s '%s': wants an integer from %llu to %llu",
                       spec->long_name, value, (unsigned long long)spec->min,
                       (unsigned long long)spec->max);
}

static int parse_seconds(const struct option_spec *spec, const char *value, uint64_t *out,
                         struct failure *why)
{
    char *end;
    const double seconds = strtod(value, &end);
    if (end == value || *end || !isfinite(seconds) || seconds < 0 || seconds > 1e8)
        return failure_set(why, ERR_USAGE, "--%s '%s': wants seconds", spec->long_name, value);
    *out = (uint64_t)llround(seconds * 1e9);
    return 0;
}

static int parse_bool(const struct option_spec *spec, const char *value, bool *out,
                      struct failure *why)
{
    *out = strcmp(value, "true") == 0;
    if (*out || strcmp(value, "false") == 0)
        return 0;
    return failure_set(why, ERR_USAGE, "--%s '%s': wants true or false", spec->long_name, value);
}

static int option_apply(const struct option_spec *spec, const char *value, struct options *out,
                        struct failure *why)
{
    void *field = (char *)out + spec->offset;
    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return 0;
    case OPTION_BOOL:
        return parse_bool(spec, value, field, why);
    case OPTION_COUNT:
        return parse_count(spec, value, field, why);
    case OPTION_SECONDS:
        return parse_seconds(spec, value, field, why);
    case OPTION_TEXT:
        *(const char **)field = value;
        return 0;
    case OPTION_CUSTOM:
        return spec->parse(out, value, why);
    case OPTION_SECTION:
        break;
    }
    return ERR_USAGE;
}

/* True when `pattern` has exactly one %d (as %d or %0Nd) and no other conversion. */
static bool pattern_is_valid(const char *pattern)
{
    const char *percent = strchr(pattern, '%');
    if (!percent || strchr(percent + 1, '%'))
        return false;
    const size_t digits = strspn(percent + 1, "0123456789");
    return digits <= 2 && percent[1 + digits] == 'd' && strlen(pattern) < 200;
}

static int check_queues(const struct options *o, struct failure *why)
{
    if (o->queue && strlen(o->queue) > UINT8_MAX)
        return failure_set(why, ERR_USAGE, "--queue is above 255 bytes");
    if (o->queue && o->queue_pattern)
        return failure_set(why, ERR_USAGE, "--queue and --queue-pattern exclude each other");
    if (o->queue_pattern && !pattern_is_valid(o->queue_pattern))
        return failure_set(why, ERR_USAGE, "--queue-pattern '%s' wants one %%d", o->queue_pattern);
    if (o->queue_pattern && o->pattern_to < o->pattern_from)
        return failure_set(why, ERR_USAGE, "--queue-pattern-to is below --queue-pattern-from");
    if (o->queue && o->queue[0] == '\0')
        return failure_set(why, ERR_USAGE,
                           "--queue is empty: leave it out for server-named queues");
    if (o->is_predeclared && o->consumers && options_named_queues(o) == 0)
        return failure_set(why, ERR_USAGE, "--predeclared needs --queue or --queue-pattern");
    return 0;
}

static int check_names(const struct options *o, struct failure *why)
{
    const char *names[] = {o->exchange, o->exchange_type, o->routing_key, o->id};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i] && strlen(names[i]) > 200)
            return failure_set(why, ERR_USAGE, "'%.20s...' is above 200 bytes", names[i]);
    }
    if (o->exchange[0] == '\0' && o->has_topic_bindings)
        return failure_set(why, ERR_USAGE, "--topic-bindings needs an exchange");
    if (o->routing_key && o->uses_random_keys)
        return failure_set(why, ERR_USAGE,
                           "--routing-key and --random-routing-key exclude each other");
    return 0;
}

static int check_load(const struct options *o, struct failure *why)
{
    const uint64_t prefetch = MAX(o->prefetch, o->channel_prefetch);
    if (o->producers == 0 && o->consumers == 0)
        return failure_set(why, ERR_USAGE, "no publishers and no consumers: nothing to do");
    if (!o->is_autoack && prefetch && o->ack_every > prefetch)
        return failure_set(
            why, ERR_USAGE,
            "--multi-ack-every %llu is above the prefetch %llu: consumers would wait "
            "for ever",
            (unsigned long long)o->ack_every, (unsigned long long)prefetch);
    if (o->frame_max && o->frame_max < 4096)
        return failure_set(why, ERR_USAGE, "--framemax wants at least 4096");
    return 0;
}

static int options_check(struct options *o, struct failure *why)
{
    if (o->connections && o->declare_queues)
        return failure_set(why, ERR_USAGE, "--connections and --declare-queues are two scenarios");
    o->mode = o->connections      ? PERF_MODE_CONNECTIONS
              : o->declare_queues ? PERF_MODE_DECLARE
                                  : PERF_MODE_LOAD;
    if (o->has_topic_bindings) {
        o->exchange_type = "topic";
        if (strcmp(o->exchange, "direct") == 0)
            o->exchange = "perf.topic";
        o->uses_random_keys = true;
    }
    int rc = check_queues(o, why);
    if (rc == 0)
        rc = check_names(o, why);
    if (rc == 0)
        rc = check_load(o, why);
    return rc;
}

int options_parse(int argc, char **argv, struct options *out, struct failure *why)
{
    *out = (struct options){.producers = 1,
                            .consumers = 1,
                            .producer_channels = 1,
                            .consumer_channels = 1,
                            .threads = 1,
                            .pattern_from = 1,
                            .exchange = "direct",
                            .exchange_type = "direct",
                            .is_auto_delete = true,
                            .sizes = {16},
                            .size_count = 1,
                            .ack_every = 1,
                            .interval_ns = 1000000000};
    int rc = uri_parse("amqp://", &out->uri, why);
    for (int i = 1; i < argc && rc == 0; i++) {
        const char *arg = argv[i], *value = NULL;
        if (arg[0] != '-' || arg[1] == '\0')
            return failure_set(why, ERR_USAGE, "unexpected argument '%s'", arg);
        const struct option_spec *spec = argument_split(arg, &value);
        if (!spec)
            return failure_set(why, ERR_USAGE, "unknown option '%s' (see --help)", arg);
        if (!takes_value(spec) && value)
            return failure_set(why, ERR_USAGE, "--%s takes no value", spec->long_name);
        if (takes_value(spec) && !value) {
            if (i + 1 == argc)
                return failure_set(why, ERR_USAGE, "--%s wants a value", spec->long_name);
            value = argv[++i];
        }
        rc = option_apply(spec, value, out, why);
    }
    if (rc != 0 || out->wants_help || out->wants_version)
        return rc;
    return options_check(out, why);
}

void options_print_help(FILE *to)
{
    fprintf(to, "usage: tokki-perf [options]\n"
                "Load tool for AMQP 0-9-1 brokers. Options are PerfTest's where it has them.\n");
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        const struct option_spec *s = &specs[i];
        if (s->kind == OPTION_SECTION) {
            fprintf(to, "\n%s:\n", s->help);
            continue;
        }
        char names[80];
        snprintf(names, sizeof names, "%s%s%s--%s%s%s", s->short_name ? "-" : "    ",
                 s->short_name ? s->short_name : "", s->short_name ? ", " : "", s->long_name,
                 s->value_name ? " " : "", s->value_name ? s->value_name : "");
        fprintf(to, "  %-34s %s\n", names, s->help);
    }
    fprintf(to, "\nExit code: 0 done, 1 the broker or the network failed, 2 bad arguments.\n");
}
