/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of tokki-perf: what each option means, its default and its limits. */
#ifndef TOKKI_PERF_OPTIONS_H
#define TOKKI_PERF_OPTIONS_H

#include "main/perf/failure.h"
#include "main/perf/uri.h"

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_SIZES_MAX 32
#define OPTIONS_BODY_MAX (128U << 20)
#define OPTIONS_QUEUE_ARGS_MAX 4096

enum perf_mode {
    PERF_MODE_LOAD,        /* publish and consume */
    PERF_MODE_CONNECTIONS, /* --connections: open idle ones and hold them */
    PERF_MODE_DECLARE,     /* --declare-queues: declare and delete in one pipeline */
};

enum perf_output { PERF_OUTPUT_TEXT, PERF_OUTPUT_JSON, PERF_OUTPUT_CSV };

/* Owner: main(). Thread: written before the threads start, then read by all. Freed by: nobody, texts
 * borrow from argv. Counts are 64 bit so that one parser fits all. 0 means off or no limit. */
struct options {
    struct uri uri;
    enum perf_mode mode;
    enum perf_output output;
    bool wants_help, wants_version, is_quiet;

    uint64_t producers, consumers, producer_channels, consumer_channels, threads;

    const char *queue, *queue_pattern; /* NULL: each consumer has its own server-named queue */
    uint64_t pattern_from, pattern_to;
    const char *exchange, *exchange_type, *routing_key;
    const char *id; /* in connection_name; NULL: "perf" */
    bool uses_random_keys;
    bool is_auto_delete, is_predeclared;
    uint8_t queue_args[OPTIONS_QUEUE_ARGS_MAX];
    size_t queue_args_len;
    uint64_t topic_bindings; /* valid when has_topic_bindings */
    bool has_topic_bindings;

    uint32_t sizes[OPTIONS_SIZES_MAX];
    uint32_t size_count;
    uint64_t rate, confirm_window, prefetch, channel_prefetch, ack_every;
    bool is_autoack, is_persistent, is_mandatory;
    uint64_t frame_max;

    uint64_t duration_ns, warmup_ns, interval_ns;
    uint64_t producer_messages, consumer_messages;

    uint64_t connections, declare_queues;
    uint64_t server_pid;
};

/* Parse the whole command line into `*out` and check that the options fit together.
 * ERR_USAGE fills `why`. With wants_help or wants_version nothing else is checked. */
MUST_CHECK int options_parse(int argc, char **argv, struct options *out, struct failure *why);

/* The text of --help. */
void options_print_help(FILE *to);

/* The queue argument table for queue.declare: entries without the length. Borrows from `o`. */
static inline struct str options_queue_args(const struct options *o)
{
    return str_of(o->queue_args, o->queue_args_len);
}

/* Number of named queues: those of the pattern, or one, or 0 when consumers make their own. */
static inline uint64_t options_named_queues(const struct options *o)
{
    if (o->queue_pattern)
        return o->pattern_to - o->pattern_from + 1;
    return o->queue ? 1 : 0;
}

#endif
