/* SPDX-License-Identifier: Apache-2.0 */
/* Runs seeded histories and tells their totals. */
#include "torture.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
    uint64_t first;
    uint64_t histories;
    uint64_t seconds; /* 0: no limit */
    bool is_verbose;
    bool goes_on;
};

static void usage(void)
{
    fprintf(stderr, "usage: torture [--seed N] [--histories N] [--seconds N] [--verbose] [--all]\n"
                    "--all goes on after a failure and counts; each history is a process then.\n"
                    "Without --seed the first seed is taken from the clock and printed.\n");
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = text ? strtoull(text, &end, 0) : 0;

    if (!text || *text == '\0' || *end != '\0')
        usage();
    return value;
}

static struct options parse(int count, char **words)
{
    struct options options = {.histories = 1};

    options.first = clock_read_ns(CLOCK_REALTIME) / 1000000U * 1000000U;
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--verbose") == 0)
            options.is_verbose = true;
        else if (strcmp(words[i], "--all") == 0)
            options.goes_on = true;
        else if (strcmp(words[i], "--seed") == 0)
            options.first = number(words[++i]);
        else if (strcmp(words[i], "--histories") == 0)
            options.histories = number(words[++i]);
        else if (strcmp(words[i], "--seconds") == 0)
            options.seconds = number(words[++i]);
        else
            usage();
    }
    return options;
}

static void tell(const struct torture_counts *counts)
{
    printf("%llu lives: %llu power cuts, %llu of them while recovering, %llu kills, %llu clean "
           "stops, %llu failed logs\n",
           (unsigned long long)counts->lives, (unsigned long long)counts->cuts,
           (unsigned long long)counts->second_cuts, (unsigned long long)counts->kills,
           (unsigned long long)counts->stops, (unsigned long long)counts->failures);
    printf("%llu effects logged, %llu of them unsure at a cut; %llu transactions, %llu "
           "checkpoints, %llu messages recovered\n"
           "%llu pages left memory, %llu came back, %llu were there at a start; %llu gets waited, "
           "%llu "
           "queues were read to the end\n",
           (unsigned long long)counts->events, (unsigned long long)counts->unsure,
           (unsigned long long)counts->transactions, (unsigned long long)counts->checkpoints,
           (unsigned long long)counts->messages, (unsigned long long)counts->pages,
           (unsigned long long)counts->loaded, (unsigned long long)counts->restored_pages,
           (unsigned long long)counts->later, (unsigned long long)counts->drained);
}

static bool run_apart(uint64_t seed, bool is_verbose)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        history_run(seed, is_verbose);
        fflush(stdout);
        _exit(0);
    }
    BUG_ON(child < 0 || waitpid(child, &status, 0) != child, "cannot fork");
    if (status != 0 && !WIFEXITED(status))
        printf("history %llu: ended by signal %d\n", (unsigned long long)seed, WTERMSIG(status));
    return status == 0;
}

int main(int count, char **words)
{
    struct options options = parse(count, words);
    uint64_t until = clock_mono_ms() + options.seconds * 1000U;
    uint64_t done = 0;
    uint64_t failed = 0;

    if (!options.is_verbose)
        log_set_level((enum log_level)(LOG_ERROR + 1)); /* it is told of every planned failure */
    printf("first seed: %llu\n", (unsigned long long)options.first);
    for (; done < options.histories && (options.seconds == 0 || clock_mono_ms() < until); done++) {
        fflush(stdout);
        if (options.goes_on)
            failed += !run_apart(options.first + done, options.is_verbose);
        else
            history_run(options.first + done, options.is_verbose);
    }
    if (!options.goes_on)
        tell(&torture_counts);
    printf("%llu histories, %llu failed\n", (unsigned long long)done, (unsigned long long)failed);
    printf("%d passed, %d failed, 0 skipped\n", failed == 0, failed != 0);
    return failed != 0;
}
