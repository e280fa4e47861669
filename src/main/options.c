/* SPDX-License-Identifier: Apache-2.0 */
/* getopt_long over one table of options. */
#include "main/options.h"

#include "base/err.h"
#include "broker/alarm.h"
#include "io/shard.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum option_key {
    OPTION_DATA_DIR = 256,
    OPTION_ADDRESS,
    OPTION_PORT,
    OPTION_SHARDS,
    OPTION_SPIN,
    OPTION_MEMORY_LIMIT,
    OPTION_QUEUE_MEMORY,
    OPTION_DISK_LIMIT,
    OPTION_SEGMENT_SIZE,
    OPTION_RECOVER,
    OPTION_LOG,
    OPTION_LOG_LEVEL,
    OPTION_NODE_NAME,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"data-dir", required_argument, NULL, OPTION_DATA_DIR},
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"port", required_argument, NULL, OPTION_PORT},
    {"shards", required_argument, NULL, OPTION_SHARDS},
    {"spin", required_argument, NULL, OPTION_SPIN},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY_LIMIT},
    {"queue-memory", required_argument, NULL, OPTION_QUEUE_MEMORY},
    {"disk-free-limit", required_argument, NULL, OPTION_DISK_LIMIT},
    {"log-segment-size", required_argument, NULL, OPTION_SEGMENT_SIZE},
    {"recover", no_argument, NULL, OPTION_RECOVER},
    {"log", required_argument, NULL, OPTION_LOG},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"node-name", required_argument, NULL, OPTION_NODE_NAME},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static const char usage[] =
    "Usage: tokkimq [OPTION]...\n"
    "A message broker for applications written for RabbitMQ.\n"
    "\n"
    "  --data-dir DIR      where the node keeps its data (default: data)\n"
    "  --address IP        listen on this address only (default: all, IPv4 and IPv6)\n"
    "  --port N            AMQP 0-9-1 port (default: 5672, or $RABBITMQ_NODE_PORT); 0 = any\n"
    "  --shards N          threads that serve clients (default: one per core)\n"
    "  --spin US           microseconds a busy shard looks for more before it sleeps, while it\n"
    "                      finds some (default: 50; 0: none)\n"
    "  --memory-limit X    watermark that blocks publishers: bytes, 512MiB, 2GB, or a fraction of\n"
    "                      the memory such as 0.4 (the default)\n"
    "  --queue-memory X    memory of waiting messages, 1MiB or more; what is beyond it waits on "
    "the\n"
    "                      disk (default: 40MiB)\n"
    "  --disk-free-limit X  free space below which publishers are blocked (default: 50MB)\n"
    "  --log-segment-size X  size of a file of the log, 1MiB to 1GiB (default: 64MiB)\n"
    "  --recover           start although the data directory is damaged: keep everything "
    "readable,\n"
    "                      write what is dropped to recover-report.txt in it\n"
    "  --log FILE          append the log to FILE (default: stderr)\n"
    "  --log-level LEVEL   debug, info, warning or error (default: info)\n"
    "  --node-name NAME    name of the node (default: rabbit@HOST, or $RABBITMQ_NODENAME)\n"
    "  --version           print the version and exit\n"
    "  --help              print this and exit\n";

static int parse_number(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    /* strtoull would also take blanks and a sign, and turn -1 into a large number. */
    if (text[0] < '0' || text[0] > '9')
        return ERR_USAGE;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno != 0 || *end != '\0' || *value > max ? ERR_USAGE : 0;
}

/* At least one byte, since 0 means "not given"; no more than fits. */
static int to_bytes(double number, uint64_t *bytes)
{
    if (!(number >= 1 && number < 9.2e18))
        return ERR_USAGE;
    *bytes = (uint64_t)number;
    return 0;
}

int memory_limit_parse(const char *text, uint64_t total_bytes, uint64_t *bytes)
{
    /* RabbitMQ: kB is 1000 and KiB 1024; a bare k, M, G is binary. */
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"", 1},          {"k", 1024},         {"kB", 1e3},    {"KB", 1e3},
                 {"kiB", 1024},    {"KiB", 1024},       {"M", 1048576}, {"MB", 1e6},
                 {"MiB", 1048576}, {"G", 1073741824.0}, {"GB", 1e9},    {"GiB", 1073741824.0}};
    char *end;
    double number = strtod(text, &end);

    if (end == text)
        return ERR_USAGE;
    if (*end == '\0' && number <= 1)
        return to_bytes(number * (double)total_bytes, bytes);
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strcmp(end, units[i].suffix) == 0)
            return to_bytes(number * units[i].factor, bytes);
    return ERR_USAGE;
}

static enum options_result wrong(const char *what, const char *value)
{
    fprintf(stderr, "tokkimq: %s: '%s' (see tokkimq --help)\n", what, value);
    return OPTIONS_WRONG;
}

static enum options_result set_port(const char *text, struct options *out)
{
    uint64_t value;
    if (parse_number(text, UINT16_MAX, &value) != 0)
        return wrong("the port must be a number from 0 to 65535", text);
    out->port = (uint16_t)value;
    return OPTIONS_RUN;
}

static enum options_result set_shards(const char *text, struct options *out)
{
    uint64_t value;
    if (parse_number(text, SHARDS_MAX, &value) != 0 || value == 0)
        return wrong("the number of shards must be from 1 to 64", text);
    out->shards = (uint16_t)value;
    return OPTIONS_RUN;
}

static enum options_result set_spin(const char *text, struct options *out)
{
    uint64_t value;
    if (parse_number(text, 100000, &value) != 0)
        return wrong("the spin time must be from 0 to 100000 us", text);
    out->spin_us = (uint32_t)value;
    return OPTIONS_RUN;
}

static enum options_result set_segment_size(const char *text, struct options *out)
{
    uint64_t bytes;
    if (memory_limit_parse(text, 0, &bytes) != 0 || bytes < (1U << 20) || bytes > (1U << 30))
        return wrong("the segment size must be from 1MiB to 1GiB", text);
    out->segment_bytes = bytes / 4096 * 4096;
    return OPTIONS_RUN;
}

static enum options_result set_queue_memory(const char *text, struct options *out)
{
    if (memory_limit_parse(text, memory_total(), &out->queue_memory_bytes) != 0 ||
        out->queue_memory_bytes < (1U << 20))
        return wrong("the memory of queues must be a size from 1MiB on, or a fraction", text);
    return OPTIONS_RUN;
}

static enum options_result take(int key, const char *value, struct options *out)
{
    switch (key) {
    case OPTION_DATA_DIR:
        out->data_dir = value;
        return OPTIONS_RUN;
    case OPTION_ADDRESS:
        out->address = value;
        return OPTIONS_RUN;
    case OPTION_PORT:
        return set_port(value, out);
    case OPTION_SHARDS:
        return set_shards(value, out);
    case OPTION_SPIN:
        return set_spin(value, out);
    case OPTION_MEMORY_LIMIT:
        if (memory_limit_parse(value, memory_total(), &out->memory_limit_bytes) != 0)
            return wrong("the memory limit must be a size or a fraction", value);
        return OPTIONS_RUN;
    case OPTION_QUEUE_MEMORY:
        return set_queue_memory(value, out);
    case OPTION_DISK_LIMIT:
        if (memory_limit_parse(value, 0, &out->disk_limit_bytes) != 0)
            return wrong("the limit of free disk space must be a size", value);
        return OPTIONS_RUN;
    case OPTION_SEGMENT_SIZE:
        return set_segment_size(value, out);
    case OPTION_RECOVER:
        out->recovers = true;
        return OPTIONS_RUN;
    case OPTION_LOG:
        out->log_file = value;
        return OPTIONS_RUN;
    case OPTION_LOG_LEVEL:
        if (log_level_parse(str_from_c(value), &out->log_level) != 0)
            return wrong("the log level must be debug, info, warning or error", value);
        return OPTIONS_RUN;
    case OPTION_NODE_NAME:
        out->node_name = value;
        return OPTIONS_RUN;
    case OPTION_VERSION:
        printf("TokkiMQ %s\n", TOKKIMQ_VERSION);
        return OPTIONS_EXIT_OK;
    case OPTION_HELP:
        fputs(usage, stdout);
        return OPTIONS_EXIT_OK;
    default:
        fputs("Try 'tokkimq --help'.\n", stderr);
        return OPTIONS_WRONG;
    }
}

static enum options_result take_environment(struct options *out)
{
    const char *port = getenv("RABBITMQ_NODE_PORT");

    out->node_name = getenv("RABBITMQ_NODENAME");
    out->address = getenv("RABBITMQ_NODE_IP_ADDRESS");
    return port ? set_port(port, out) : OPTIONS_RUN;
}

enum options_result options_parse(int argc, char **argv, struct options *out)
{
    enum options_result result;
    int key;

    *out = (struct options){.data_dir = "data",
                            .port = 5672,
                            .spin_us = 50,
                            .segment_bytes = 64ULL << 20,
                            .queue_memory_bytes = 40ULL << 20,
                            .disk_limit_bytes = 50000000,
                            .log_level = LOG_INFO};
    result = take_environment(out);
    while (result == OPTIONS_RUN && (key = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        result = take(key, optarg, out);
    if (result == OPTIONS_RUN && optind < argc)
        return wrong("unexpected argument", argv[optind]);
    return result;
}
