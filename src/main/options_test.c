/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of options.c: command line, environment, sizes of memory, and wrong values. */
#include "main/options.h"

#include "base/err.h"

#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GIB (1024ULL * 1024 * 1024)

static int clear_environment(void **state)
{
    unsetenv("RABBITMQ_NODE_PORT");
    unsetenv("RABBITMQ_NODENAME");
    unsetenv("RABBITMQ_NODE_IP_ADDRESS");
    return 0;
}

/* Parse up to four arguments (NULL ends them); what is printed goes nowhere. */
static enum options_result parse(struct options *out, const char *a, const char *b, const char *c,
                                 const char *d)
{
    const char *texts[] = {"tokkimq", a, b, c, d, NULL};
    char *argv[6];
    int argc = 0;
    enum options_result result;
    int old[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    for (; texts[argc]; argc++)
        argv[argc] = strdup(texts[argc]);
    argv[argc] = NULL;
    fflush(NULL);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    optind = 0; /* glibc: begin anew */
    result = options_parse(argc, argv, out);
    fflush(NULL);
    dup2(old[0], STDOUT_FILENO);
    dup2(old[1], STDERR_FILENO);
    close(old[0]);
    close(old[1]);
    close(nowhere);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return result;
}

static void memory_limits(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"100000", 100000},
        {"1GiB", GIB},
        {"1G", GIB},
        {"1GB", 1000000000},
        {"512MiB", 512 * 1024 * 1024},
        {"512M", 512 * 1024 * 1024},
        {"64MB", 64000000},
        {"64k", 65536},
        {"64kB", 64000},
        {"64KB", 64000},
        {"64kiB", 65536},
        {"64KiB", 65536},
        {"1.5GiB", GIB + GIB / 2},
        {"0.5GiB", GIB / 2},
        {"0.4", 6871947673},
        {"1", 16 * GIB},
        {"1.0", 16 * GIB},
        {"0.25", 4 * GIB},
        {"2", 2},
        {"", 0},
        {"0", 0},
        {"0.0", 0},
        {"-1", 0},
        {"-0.4", 0},
        {"x", 0},
        {"GiB", 0},
        {"1gib", 0},
        {"1 GiB", 0},
        {"1GiBs", 0},
        {"1TB", 0},
        {"0.4%", 0},
        {"nan", 0},
        {"inf", 0},
        {"1e400", 0},
        /* Beyond 64 bits: the product was converted without a look, which is undefined. */
        {"100000000000GB", 0},
        {"999999999999999GiB", 0},
        /* Rounds to no bytes, which would read as "not given". */
        {"0.00000000000001", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t bytes = 0;
        int rc = memory_limit_parse(cases[i].text, 16 * GIB, &bytes);
        if (rc != (cases[i].bytes ? 0 : ERR_USAGE) || (rc == 0 && bytes != cases[i].bytes))
            fail_msg("'%s': rc %d, %llu bytes", cases[i].text, rc, (unsigned long long)bytes);
    }
}

static void defaults_hold(void **state)
{
    struct options o;
    assert_int_equal(parse(&o, NULL, NULL, NULL, NULL), OPTIONS_RUN);
    assert_string_equal(o.data_dir, "data");
    assert_null(o.address);
    assert_int_equal(o.port, 5672);
    assert_int_equal(o.shards, 0);
    assert_int_equal(o.spin_us, 50);
    assert_int_equal(o.memory_limit_bytes, 0);
    assert_null(o.log_file);
    assert_int_equal(o.log_level, LOG_INFO);
    assert_null(o.node_name);
}

static void values_are_taken(void **state)
{
    struct options o;
    assert_int_equal(parse(&o, "--port", "0", "--shards=64", "--spin=100000"), OPTIONS_RUN);
    assert_int_equal(o.port, 0);
    assert_int_equal(o.shards, 64);
    assert_int_equal(o.spin_us, 100000);
    assert_int_equal(parse(&o, "--port=65535", "--memory-limit=2GiB", "--log-level=debug", NULL),
                     OPTIONS_RUN);
    assert_int_equal(o.port, 65535);
    assert_int_equal(o.memory_limit_bytes, 2 * GIB);
    assert_int_equal(o.log_level, LOG_DEBUG);
    assert_int_equal(parse(&o, "--log-level=warning", "--memory-limit=0.5", NULL, NULL),
                     OPTIONS_RUN);
    assert_int_equal(o.log_level, LOG_WARN);
    assert_true(o.memory_limit_bytes > 0);
}

static void wrong_values_are_refused(void **state)
{
    static const char *const wrong[] = {
        "--port=65536",  "--port=-1",       "--port=",          "--port=x",
        "--port=5672x",  "--port=0x10",     "--port= 5672",     "--port=+5672",
        "--shards=0",    "--shards=65",     "--shards=-1",      "--shards=two",
        "--spin=100001", "--spin=1ms",      "--memory-limit=0", "--memory-limit=lots",
        "--log-level=",  "--log-level=all", "--log-level=INFO", "--no-such-option",
        "--help=me",     "stray",           "--data-dir",       "--port=99999999999999999999",
        "--spin=-0",     "--spin=",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct options o;
        if (parse(&o, wrong[i], NULL, NULL, NULL) != OPTIONS_WRONG)
            fail_msg("'%s' was taken", wrong[i]);
    }
}

static void the_command_line_beats_the_environment(void **state)
{
    struct options o;
    setenv("RABBITMQ_NODE_PORT", "6000", 1);
    setenv("RABBITMQ_NODENAME", "rabbit@there", 1);
    setenv("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1", 1);
    assert_int_equal(parse(&o, NULL, NULL, NULL, NULL), OPTIONS_RUN);
    assert_int_equal(o.port, 6000);
    assert_string_equal(o.node_name, "rabbit@there");
    assert_string_equal(o.address, "127.0.0.1");
    assert_int_equal(parse(&o, "--port=6001", NULL, NULL, NULL), OPTIONS_RUN);
    assert_int_equal(o.port, 6001);
    setenv("RABBITMQ_NODE_PORT", "many", 1);
    assert_int_equal(parse(&o, NULL, NULL, NULL, NULL), OPTIONS_WRONG);
}

static void help_and_version_end_well(void **state)
{
    struct options o;
    assert_int_equal(parse(&o, "--help", "--port=bad", NULL, NULL), OPTIONS_EXIT_OK);
    assert_int_equal(parse(&o, "--version", NULL, NULL, NULL), OPTIONS_EXIT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_limits),
        cmocka_unit_test_setup(defaults_hold, clear_environment),
        cmocka_unit_test_setup(values_are_taken, clear_environment),
        cmocka_unit_test_setup(wrong_values_are_refused, clear_environment),
        cmocka_unit_test_setup_teardown(the_command_line_beats_the_environment, clear_environment,
                                        clear_environment),
        cmocka_unit_test(help_and_version_end_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
