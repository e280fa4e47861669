/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of options.c: defaults, every form of argument, and which command lines are refused. */
#include "options.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ARGS_MAX 48

/* Splits `line` at blanks; "''" is an empty argument. */
static int parse_line(const char *line, struct options *out, struct failure *why)
{
    static char copy[1024];
    char *argv[ARGS_MAX + 1] = {(char *)"tokki-perf"};
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    char *rest;
    for (char *word = strtok_r(copy, " ", &rest); word && argc < ARGS_MAX;
         word = strtok_r(NULL, " ", &rest))
        argv[argc++] = strcmp(word, "''") == 0 ? (char *)"" : word;
    *why = (struct failure){0};
    return options_parse(argc, argv, out, why);
}

static struct options options_of(const char *line)
{
    struct options o;
    struct failure why;
    const int rc = parse_line(line, &o, &why);
    if (rc != 0)
        fail_msg("%s: %s", line, why.text);
    return o;
}

static void test_defaults_are_those_of_perftest(void **state)
{
    const struct options o = options_of("");
    assert_int_equal(o.producers, 1);
    assert_int_equal(o.consumers, 1);
    assert_int_equal(o.producer_channels, 1);
    assert_string_equal(o.exchange, "direct");
    assert_string_equal(o.exchange_type, "direct");
    assert_true(o.is_auto_delete);
    assert_false(o.is_autoack);
    assert_int_equal(o.ack_every, 1);
    assert_int_equal(o.rate, 0);
    assert_int_equal(o.confirm_window, 0);
    assert_int_equal(o.size_count, 1);
    assert_int_equal(o.sizes[0], 16);
    assert_int_equal(options_named_queues(&o), 0);
    assert_int_equal(o.mode, PERF_MODE_LOAD);
}

static void test_all_forms_of_an_argument(void **state)
{
    static const char *lines[] = {"-x 7", "-x7", "-x=7", "--producers 7", "--producers=7"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_int_equal(options_of(lines[i]).producers, 7);
}

static void test_load_options(void **state)
{
    const struct options o = options_of(
        "-x 2 -y 3 -u q -e ex -t topic -k key -s 16,1024 -r 100 -c 4096 -q 1000 -A 250 -f "
        "persistent,mandatory -z 1.5 -C 10 -D 20 --json --server-pid 1");
    assert_int_equal(o.consumers, 3);
    assert_string_equal(o.queue, "q");
    assert_string_equal(o.routing_key, "key");
    assert_int_equal(o.size_count, 2);
    assert_int_equal(o.sizes[1], 1024);
    assert_int_equal(o.confirm_window, 4096);
    assert_int_equal(o.prefetch, 1000);
    assert_int_equal(o.ack_every, 250);
    assert_true(o.is_persistent && o.is_mandatory);
    assert_int_equal(o.duration_ns, 1500000000);
    assert_int_equal(o.producer_messages, 10);
    assert_int_equal(o.consumer_messages, 20);
    assert_int_equal(o.output, PERF_OUTPUT_JSON);
    assert_int_equal(options_named_queues(&o), 1);
}

static void test_short_names_of_several_letters(void **state)
{
    const struct options o = options_of("-qp perf-%03d -qpf 5 -qpt 14 -ad false");
    assert_int_equal(options_named_queues(&o), 10);
    assert_false(o.is_auto_delete);
}

static void test_minus_one_is_off(void **state)
{
    const struct options o = options_of("-r -1 -c -1 -e ''");
    assert_int_equal(o.rate, 0);
    assert_int_equal(o.confirm_window, 0);
    assert_string_equal(o.exchange, "");
}

static void test_flag_may_be_repeated(void **state)
{
    const struct options o = options_of("-f persistent -f mandatory");
    assert_true(o.is_persistent && o.is_mandatory);
}

static void test_queue_args_have_types(void **state)
{
    const struct options o = options_of(
        "-qa x-max-length=10,x-overflow=reject-publish -qa x-single-active-consumer=true");
    struct table_value v;
    assert_int_equal(table_validate(options_queue_args(&o)), 0);
    assert_true(table_find(options_queue_args(&o), STR("x-max-length"), &v));
    assert_int_equal(v.tag, 'l');
    assert_int_equal(v.integer, 10);
    assert_true(table_find(options_queue_args(&o), STR("x-overflow"), &v));
    assert_true(v.tag == 'S' && str_equals(v.bytes, STR("reject-publish")));
    assert_true(table_find(options_queue_args(&o), STR("x-single-active-consumer"), &v));
    assert_true(v.tag == 't' && v.boolean);
}

static void test_scenarios(void **state)
{
    assert_int_equal(options_of("--connections 10").mode, PERF_MODE_CONNECTIONS);
    assert_int_equal(options_of("--declare-queues 10").mode, PERF_MODE_DECLARE);
    const struct options o = options_of("--topic-bindings 0 -u q");
    assert_true(o.has_topic_bindings && o.uses_random_keys);
    assert_string_equal(o.exchange_type, "topic");
}

static void test_refused_command_lines(void **state)
{
    static const char *lines[] = {
        "-x",
        "-x abc",
        "-x -3",
        "-x 1000001",
        "x",
        "-",
        "--nothing",
        "-j",
        "--autoack=1",
        "-s",
        "-s ''",
        "-s 1,",
        "-s 1,x",
        "-s 999999999",
        "-f fast",
        "-ad maybe",
        "-z soon",
        "-z -1",
        "-qa name",
        "-u q -qp q%d",
        "-u ''",
        "-qp q -qpt 3",
        "-qp q%s -qpt 3",
        "-qp q%d%d -qpt 3",
        "-qp q%d -qpf 3 -qpt 1",
        "-x 0 -y 0",
        "-q 10 -A 11",
        "-p",
        "-k a -K",
        "--framemax 100",
        "--connections 1 --declare-queues 1",
        "--topic-bindings 1 -e ''",
        "--topic-bindings many",
        "-h http://x",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct options o;
        struct failure why;
        if (parse_line(lines[i], &o, &why) != ERR_USAGE)
            fail_msg("accepted: %s", lines[i]);
        assert_true(why.text[0] != '\0');
    }
}

static void test_help_names_every_option(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    options_print_help(to);
    fclose(to);
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        if (specs[i].long_name)
            assert_non_null(strstr(text, specs[i].long_name));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_those_of_perftest),
        cmocka_unit_test(test_all_forms_of_an_argument),
        cmocka_unit_test(test_load_options),
        cmocka_unit_test(test_short_names_of_several_letters),
        cmocka_unit_test(test_minus_one_is_off),
        cmocka_unit_test(test_flag_may_be_repeated),
        cmocka_unit_test(test_queue_args_have_types),
        cmocka_unit_test(test_scenarios),
        cmocka_unit_test(test_refused_command_lines),
        cmocka_unit_test(test_help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
