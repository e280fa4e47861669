/* SPDX-License-Identifier: Apache-2.0 */
/* Command line and environment of tokkimq. */
#ifndef TOKKI_MAIN_OPTIONS_H
#define TOKKI_MAIN_OPTIONS_H

#include "base/attr.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>

/* Owner: main. Texts are borrowed from argv and the environment. */
struct options {
    const char *data_dir;
    const char *address; /* NULL: all */
    uint16_t port;
    uint16_t shards; /* 0: one per core */
    uint32_t spin_us;
    uint64_t memory_limit_bytes; /* 0: 40 % of the memory there is */
    uint64_t queue_memory_bytes; /* of waiting messages */
    uint64_t disk_limit_bytes;   /* free space */
    uint64_t segment_bytes;      /* of a file of the log */
    bool recovers;               /* go on after damage */
    const char *log_file;        /* NULL: stderr */
    enum log_level log_level;
    const char *node_name; /* NULL: rabbit@host */
};

enum options_result { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_WRONG };

/* Fill `*out` from the environment (RABBITMQ_NODE_PORT, RABBITMQ_NODENAME,
 * RABBITMQ_NODE_IP_ADDRESS), then from the command line, which wins. Help and version are printed
 * here; a wrong argument gets one clear line on stderr. */
MUST_CHECK enum options_result options_parse(int argc, char **argv, struct options *out);

/* "1GiB", "512MiB", "64MB", "100000", or a fraction of the memory like "0.4"; 0 or ERR_USAGE. */
MUST_CHECK int memory_limit_parse(const char *text, uint64_t total_bytes, uint64_t *bytes);

#endif
