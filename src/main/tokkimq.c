/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's program: options, start, wait for a signal, orderly stop. */
#include "base/err.h"
#include "base/mem.h"
#include "broker/alarm.h"
#include "broker/disk_watch.h"
#include "broker/node.h"
#include "broker/recover.h"
#include "broker/status.h"
#include "main/options.h"
#include "main/store.h"
#include "proto/amqp091/conn.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* One connection is one descriptor: take what the system grants. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            log_warn("cannot raise the file descriptor limit", "error=%d", errno);
    }
}

/* SIGTERM, SIGINT and SIGUSR1 are taken by main alone, with sigwait. */
static void block_signals(sigset_t *waited)
{
    sigemptyset(waited);
    sigaddset(waited, SIGTERM);
    sigaddset(waited, SIGINT);
    sigaddset(waited, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, waited, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void fill_name(const struct options *options, char *name, size_t cap)
{
    char host[256] = "localhost";

    if (options->node_name) {
        snprintf(name, cap, "%s", options->node_name);
        return;
    }
    if (gethostname(host, sizeof host) != 0)
        snprintf(host, sizeof host, "localhost");
    host[sizeof host - 1] = '\0';
    host[strcspn(host, ".")] = '\0'; /* short names, as RabbitMQ's default */
    snprintf(name, cap, "rabbit@%s", host);
}

static uint16_t default_shards(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return (uint16_t)MAX(1L, MIN(cores, (long)SHARDS_MAX));
}

static struct node_settings settings_from(const struct options *options, struct str name)
{
    return (struct node_settings){
        .shards = options->shards ? options->shards : default_shards(),
        .spin_us = options->spin_us,
        .memory_limit_bytes =
            options->memory_limit_bytes ? options->memory_limit_bytes : memory_limit_default(),
        .queue_memory_bytes = options->queue_memory_bytes,
        .name = name,
        .cluster_name = name,
    };
}

static void print_banner(const struct node *node, const struct options *options)
{
    printf("\n  TokkiMQ %s\n\n"
           "  node            %.*s\n"
           "  listeners       AMQP 0-9-1 on %s:%u\n"
           "  data directory  %s\n"
           "  shards          %u\n"
           "  memory limit    %llu MiB\n\n",
           TOKKIMQ_VERSION, STR_ARG(node->settings.name), options->address ? options->address : "*",
           listener_port(node->listeners[0]), options->data_dir, node->settings.shards,
           (unsigned long long)(node->settings.memory_limit_bytes >> 20));
    fflush(stdout);
}

static int open_listener(struct node *node, const struct options *options)
{
    int rc = node_listen(node, options->address, options->port, amqp_accept);

    if (rc == -EADDRINUSE)
        fprintf(stderr,
                "tokkimq: port %u is taken: another broker or program listens on it "
                "(choose one with --port)\n",
                options->port);
    else if (rc == -EINVAL)
        fprintf(stderr, "tokkimq: '%s' is no IP address\n", options->address);
    else if (rc != 0)
        fprintf(stderr, "tokkimq: cannot listen on port %u: %s\n", options->port, err_text(rc));
    return rc;
}

/* What the data directory holds becomes the node's state, and the log goes on behind it. */
static int load(struct node *node, const struct options *options)
{
    struct log_error error = {0};
    struct log_events events;
    int rc = node_recover(node, &error);

    if (rc == 0) {
        node_log_events(node, &events);
        log_set_events(node->log, &events);
        rc = log_start(node->log, &error);
    }

    if (rc != 0) {
        store_complain(options, &error, rc);
        return rc;
    }
    if (!log_report_name(node->log))
        return 0;
    log_warn("the data directory was damaged; see the report", "file=%s/%s", options->data_dir,
             log_report_name(node->log));
    /* With it the damage lies before the replay, and the next start needs no --recover. */
    atomic_store(&node->wants_checkpoint, true);
    return 0;
}

/* Until one that ends the node; returns it. SIGUSR1 asks how it is. */
static int wait_for_signal(struct node *node, const sigset_t *waited)
{
    int number = 0;

    while (sigwait(waited, &number) == 0 && number == SIGUSR1)
        status_log(node);
    return number;
}

/* Serve until a signal comes. */
static int run(struct node *node, const struct options *options, const sigset_t *waited)
{
    struct disk_watch *watch = NULL;
    int rc = open_listener(node, options);

    if (rc == 0)
        rc = load(node, options);
    if (rc != 0)
        return rc;
    rc = disk_watch_start(node, options->data_dir, options->disk_limit_bytes, &watch);
    if (rc == 0)
        rc = node_start(node);
    if (rc != 0) {
        disk_watch_stop(watch);
        fprintf(stderr, "tokkimq: cannot start threads: %s\n", err_text(rc));
        return rc;
    }
    print_banner(node, options);
    log_info("node started", "name=%.*s port=%u shards=%u", STR_ARG(node->settings.name),
             listener_port(node->listeners[0]), node->settings.shards);
    log_info("node stopping", "signal=%d", wait_for_signal(node, waited));
    disk_watch_stop(watch);
    rc = node_stop(node);
    log_info("node stopped", "%s", "");
    return rc;
}

int main(int argc, char **argv)
{
    struct options options;
    struct node_settings settings;
    struct node *node = NULL;
    sigset_t waited;
    char name[512];
    int rc;

    switch (options_parse(argc, argv, &options)) {
    case OPTIONS_RUN:
        break;
    case OPTIONS_EXIT_OK:
        return EXIT_SUCCESS;
    case OPTIONS_WRONG:
        return 2;
    }
    /* Receive blocks go back to the system when a burst is over; glibc would raise the limit by itself. */
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    /* Else a shard that reads a backlog gives the same pages back and takes them again, 40 ns per message. */
    (void)mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
    log_set_level(options.log_level);
    if (options.log_file && (rc = log_open_file(options.log_file)) != 0) {
        fprintf(stderr, "tokkimq: cannot open the log '%s': %s\n", options.log_file, err_text(rc));
        return EXIT_FAILURE;
    }
    raise_descriptor_limit();
    block_signals(&waited);
    fill_name(&options, name, sizeof name);
    settings = settings_from(&options, str_from_c(name));
    if (store_open(&options, settings.shards, &settings.log, &settings.spill) != 0)
        return EXIT_FAILURE;
    rc = node_new(&settings, &node);
    if (rc != 0)
        fprintf(stderr, "tokkimq: cannot set up the node: %s\n", err_text(rc));
    else
        rc = run(node, &options, &waited);
    node_free(node);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
