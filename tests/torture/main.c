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
                    "One history, or as many as the seconds allow.\n"
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
    struct options options = {0};

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
    if (options.histories == 0)
        options.histories = options.seconds > 0 ? UINT64_MAX : 1;
    return options;
}

#define U(counter) ((unsigned long long)(counter))

static void tell_of_lives(const struct torture_counts *counts)
{
    printf("%llu lives: %llu power cuts, %llu of them while recovering, %llu kills, %llu clean "
           "stops, %llu failed logs, %llu failed spills\n",
           U(counts->lives), U(counts->cuts), U(counts->second_cuts), U(counts->kills),
           U(counts->stops), U(counts->failures), U(counts->spill_failures));
    printf("%llu effects logged, %llu of them unsure at a cut; %llu transactions, %llu "
           "checkpoints, %llu messages recovered\n",
           U(counts->events), U(counts->unsure), U(counts->transactions), U(counts->checkpoints),
           U(counts->messages));
}

static void tell_of_pages(const struct torture_counts *counts)
{
    printf("%llu pages left memory, %llu came back, %llu were there at a start; %llu gets waited, "
           "%llu queues were read to the end\n",
           U(counts->pages), U(counts->loaded), U(counts->restored_pages), U(counts->later),
           U(counts->drained));
    printf("%llu messages expired, %llu of them in pages, %llu after a delivery; %llu pages of a "
           "start had times\n",
           U(counts->expired), U(counts->expired_paged), U(counts->expired_returned),
           U(counts->unread_times));
    printf("spill: %llu pages, %llu of them with messages of the log; %llu messages were delivered "
           "from it, %llu ended with it; %llu sweeps, which let go of %llu KiB, %llu segments "
           "cleaned, %llu stalls, not begun %llu times\n",
           U(counts->spilled_pages), U(counts->mixed_pages), U(counts->spilled_given),
           U(counts->transient_lost), U(counts->sweeps), U(counts->swept >> 10),
           U(counts->spill_cleaned), U(counts->stalls), U(counts->spill_refusals));
}

static void tell_of_disk(const struct torture_counts *counts)
{
    printf("cleaner: %llu segments emptied in %llu rounds, %llu KiB moved; the disk's use was "
           "looked at %llu times, at most %llu %% of the bound, %llu looks above half of it; "
           "%llu bounds would have been broken without the cleaner, %llu times it found no end\n",
           U(counts->cleaned), U(counts->rounds), U(counts->moved >> 10), U(counts->bounds),
           U(counts->bound_most), U(counts->bounds_near), U(counts->bounds_held),
           U(counts->restless));
}

static void tell(const struct torture_counts *counts)
{
    tell_of_lives(counts);
    tell_of_pages(counts);
    tell_of_disk(counts);
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

#define PROGRESS_MS 30000U

static void run(const struct options *options, uint64_t *done, uint64_t *failed)
{
    uint64_t began = clock_mono_ms();
    uint64_t now = began;
    uint64_t next = began + PROGRESS_MS;

    for (; *done < options->histories &&
           (options->seconds == 0 || now < began + options->seconds * 1000U);
         ++*done, now = clock_mono_ms()) {
        if (now >= next) {
            printf("%llu s: %llu histories, %llu failed\n", U((now - began) / 1000U), U(*done),
                   U(*failed));
            next = now + PROGRESS_MS;
        }
        fflush(stdout);
        if (options->goes_on)
            *failed += !run_apart(options->first + *done, options->is_verbose);
        else
            history_run(options->first + *done, options->is_verbose);
    }
}

int main(int count, char **words)
{
    struct options options = parse(count, words);
    uint64_t done = 0;
    uint64_t failed = 0;

    /* It is told of every planned failure. */
    log_set_level(options.is_verbose ? LOG_DEBUG : (enum log_level)(LOG_ERROR + 1));
    if (options.is_verbose)
        (void)setvbuf(stdout, NULL, _IOLBF, 0); /* beside the node's own lines */
    printf("first seed: %llu\n", U(options.first));
    run(&options, &done, &failed);
    if (!options.goes_on)
        tell(&torture_counts);
    printf("%llu histories, %llu failed\n", U(done), U(failed));
    printf("%d passed, %d failed, 0 skipped\n", failed == 0, failed != 0);
    return failed != 0;
}
