/* SPDX-License-Identifier: Apache-2.0 */
/* tokki-perf: a load tool for AMQP 0-9-1 brokers (docs/tokki-perf.md). */
#include "main/perf/options.h"
#include "main/perf/scenario.h"

volatile sig_atomic_t scenario_is_interrupted;

static void on_signal(int number)
{
    (void)number;
    scenario_is_interrupted = 1;
}

static int run(const struct options *o, struct failure *why)
{
    switch (o->mode) {
    case PERF_MODE_CONNECTIONS:
        return scenario_connections(o, why);
    case PERF_MODE_DECLARE:
        return scenario_declare(o, why);
    case PERF_MODE_LOAD:
        return scenario_load(o, why);
    }
    return ERR_USAGE;
}

int main(int argc, char **argv)
{
    static struct options o; /* 6 KiB, for the whole run */
    struct failure why = {.text = ""};
    if (options_parse(argc, argv, &o, &why) != 0) {
        fprintf(stderr, "tokki-perf: %s\n", why.text);
        return PERF_EXIT_USAGE;
    }
    if (o.wants_help) {
        options_print_help(stdout);
        return PERF_EXIT_OK;
    }
    if (o.wants_version) {
        printf("tokki-perf %s\n", TOKKIMQ_VERSION);
        return PERF_EXIT_OK;
    }
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits must end */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (run(&o, &why) == 0)
        return PERF_EXIT_OK;
    fflush(stdout);
    fprintf(stderr, "tokki-perf: %s\n", why.text);
    return PERF_EXIT_FAILED;
}
