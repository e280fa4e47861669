/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of arguments.c: RabbitMQ's texts for bad and for inequivalent arguments. */
#include "broker/arguments.h"

#include "base/err.h"
#include "core/table.h"
#include "io/shard_fixture.h"

#include <stdio.h>
#include <string.h>

#define INVALID "invalid arg '%s' for queue 'q' in vhost '/': %s"
#define INEQUIVALENT "inequivalent arg '%s' for %s in vhost '/': %s"

static struct refusal refusal;

/* Entries of a table with one argument, in a buffer that the next call overwrites in turn. */
static struct str table_of(const char *name, struct table_value value)
{
    static uint8_t buffers[4][400];
    static int next;
    uint8_t *buffer = buffers[next++ % 4];
    struct writer w = writer_of(buffer, sizeof buffers[0]);
    table_put(&w, str_from_c(name), &value);
    assert_false(w.failed);
    return str_of(buffer, writer_len(&w));
}

static struct table_value integer(char tag, int64_t number)
{
    return (struct table_value){.tag = tag, .integer = number};
}

static struct table_value longstr(const char *text)
{
    return (struct table_value){.tag = 'S', .bytes = str_from_c(text)};
}

static void assert_refused(int rc, int code, const char *format, const char *a, const char *b,
                           const char *c)
{
    char expected[600];
    assert_int_equal(rc, ERR_REFUSED);
    assert_int_equal(refusal.code, code);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(expected, sizeof expected, format, a, b, c);
#pragma GCC diagnostic pop
    assert_string_equal(refusal.text, expected);
}

static int check_queue(struct str arguments, struct queue_settings *settings)
{
    *settings = (struct queue_settings){0};
    refusal = (struct refusal){0};
    return arguments_queue_settings(STR("q"), STR("/"), arguments, settings, &refusal);
}

/* ---- a new queue ---- */

static void settings_are_filled(void **state)
{
    static const char tags[] = "bBsuIil";
    struct queue_settings settings;

    assert_int_equal(check_queue(STR(""), &settings), 0);
    assert_true(settings.ttl_ms == QUEUE_NO_TTL && settings.expires_ms == QUEUE_NO_TTL);
    for (size_t i = 0; tags[i]; i++) {
        assert_int_equal(check_queue(table_of("x-message-ttl", integer(tags[i], 100)), &settings),
                         0);
        assert_int_equal(settings.ttl_ms, 100);
        assert_int_equal(check_queue(table_of("x-expires", integer(tags[i], 100)), &settings), 0);
        assert_int_equal(settings.expires_ms, 100);
    }
    assert_int_equal(check_queue(table_of("x-message-ttl", integer('I', 0)), &settings), 0);
    assert_int_equal(settings.ttl_ms, 0);
    assert_int_equal(check_queue(table_of("x-expires", integer('l', 315360000000)), &settings), 0);
    assert_int_equal(settings.expires_ms, 315360000000);
}

static void what_means_nothing_here_is_taken(void **state)
{
    static const char *const names[] = {"x-what", "x-queue-mode", "x-queue-master-locator",
                                        "x-queue-version"};
    struct queue_settings settings;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(check_queue(table_of(names[i], longstr("lazy")), &settings), 0);
    assert_int_equal(check_queue(table_of("x-queue-type", longstr("classic")), &settings), 0);
}

static void bad_times_have_rabbitmqs_texts(void **state)
{
    static const struct {
        const char *name;
        struct table_value value;
        const char *detail;
    } cases[] = {
        {"x-expires", {.tag = 'I', .integer = 0}, "{value_zero,0}"},
        {"x-expires", {.tag = 'I', .integer = -1}, "{value_negative,-1}"},
        {"x-expires", {.tag = 'l', .integer = 315360000001}, "{value_too_large,315360000001}"},
        {"x-expires", {.tag = 'S', .bytes = {"1", 1}}, "\"expected integer, got longstr\""},
        {"x-expires", {.tag = 't', .boolean = true}, "\"expected integer, got bool\""},
        {"x-message-ttl", {.tag = 'b', .integer = -128}, "{value_negative,-128}"},
        {"x-message-ttl",
         {.tag = 'l', .integer = INT64_MAX},
         "{value_too_large,9223372036854775807}"},
        {"x-message-ttl", {.tag = 'd', .real = 1.5}, "\"expected integer, got double\""},
        {"x-message-ttl", {.tag = 'f', .real = 1}, "\"expected integer, got float\""},
        {"x-message-ttl", {.tag = 'T', .timestamp = 1}, "\"expected integer, got timestamp\""},
        {"x-message-ttl", {.tag = 'D', .decimal = {1, 2}}, "\"expected integer, got decimal\""},
        {"x-message-ttl", {.tag = 'V'}, "\"expected integer, got void\""},
        {"x-message-ttl", {.tag = 'F'}, "\"expected integer, got table\""},
        {"x-message-ttl", {.tag = 'A'}, "\"expected integer, got array\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct queue_settings settings;
        int rc = check_queue(table_of(cases[i].name, cases[i].value), &settings);
        assert_refused(rc, 406, INVALID, cases[i].name, cases[i].detail, NULL);
    }
}

static void queue_types(void **state)
{
    struct queue_settings settings;
    char name[300];
    char detail[200];

    assert_refused(check_queue(table_of("x-queue-type", longstr("nope")), &settings), 406, INVALID,
                   "x-queue-type", "\"unsupported queue type 'nope'\"", NULL);
    assert_refused(check_queue(table_of("x-queue-type", integer('I', 1)), &settings), 406, INVALID,
                   "x-queue-type", "{unacceptable_type,signedint}", NULL);
    assert_refused(check_queue(table_of("x-queue-type", longstr("quorum")), &settings), 540,
                   "argument 'x-queue-type': queue type '%s' is not supported", "quorum", NULL,
                   NULL);
    assert_refused(check_queue(table_of("x-queue-type", longstr("stream")), &settings), 540,
                   "argument 'x-queue-type': queue type '%s' is not supported", "stream", NULL,
                   NULL);
    /* A client's text is bounded in ours. */
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(detail, sizeof detail, "\"unsupported queue type '%.100s'\"", name);
    assert_refused(check_queue(table_of("x-queue-type", longstr(name)), &settings), 406, INVALID,
                   "x-queue-type", detail, NULL);
}

/* docs/differences.md: refused by name rather than ignored. */
static void later_features_are_refused_by_name(void **state)
{
    static const char *const names[] = {"x-dead-letter-exchange",
                                        "x-dead-letter-routing-key",
                                        "x-max-length",
                                        "x-max-length-bytes",
                                        "x-overflow",
                                        "x-max-priority",
                                        "x-single-active-consumer"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct queue_settings settings;
        int rc = check_queue(table_of(names[i], longstr("")), &settings);
        assert_refused(rc, 540, "argument '%s' is not supported", names[i], NULL, NULL);
    }
}

/* ---- declared again ---- */

static int compare_queue(bool durable, bool auto_delete, struct str received, struct str current)
{
    struct queue_record record;
    memset(&record, 0, sizeof record);
    record.name = STR("q");
    record.durable = true;
    record.arguments = current;
    refusal = (struct refusal){0};
    return arguments_compare_queue(&record, durable, auto_delete, received, STR("/"), &refusal);
}

static void queues_that_are_equal(void **state)
{
    struct str ttl = table_of("x-message-ttl", integer('I', 10));
    struct str none = STR("");

    assert_int_equal(compare_queue(true, false, none, none), 0);
    assert_int_equal(compare_queue(true, false, ttl, table_of("x-message-ttl", integer('l', 10))),
                     0);
    /* No type is the classic type; arguments that RabbitMQ does not know are not compared. */
    assert_int_equal(compare_queue(true, false, none, table_of("x-queue-type", longstr("classic"))),
                     0);
    assert_int_equal(compare_queue(true, false, table_of("x-queue-type", longstr("classic")), none),
                     0);
    assert_int_equal(compare_queue(true, false, table_of("x-what", integer('I', 1)), none), 0);
}

static void queues_that_differ(void **state)
{
    struct str ten = table_of("x-message-ttl", integer('I', 10));
    struct str none = STR("");

    assert_refused(compare_queue(false, false, none, none), 406, INEQUIVALENT, "durable",
                   "queue 'q'", "received 'false' but current is 'true'");
    assert_refused(compare_queue(true, true, none, none), 406, INEQUIVALENT, "auto_delete",
                   "queue 'q'", "received 'true' but current is 'false'");
    assert_refused(compare_queue(true, false, ten, none), 406, INEQUIVALENT, "x-message-ttl",
                   "queue 'q'", "received the value '10' of type 'signedint' but current is none");
    assert_refused(compare_queue(true, false, none, ten), 406, INEQUIVALENT, "x-message-ttl",
                   "queue 'q'", "received none but current is the value '10' of type 'signedint'");
    assert_refused(compare_queue(true, false, table_of("x-message-ttl", integer('I', 11)), ten),
                   406, INEQUIVALENT, "x-message-ttl", "queue 'q'",
                   "received '11' but current is '10'");
}

static int compare_exchange(const char *type, bool durable, bool auto_delete, bool internal,
                            struct str arguments)
{
    struct exchange exchange;
    memset(&exchange, 0, sizeof exchange);
    exchange.name = STR("x");
    exchange.type = EXCHANGE_FANOUT;
    refusal = (struct refusal){0};
    return arguments_compare_exchange(&exchange, str_from_c(type), durable, auto_delete, internal,
                                      arguments, STR("/"), &refusal);
}

static void exchanges(void **state)
{
    struct str none = STR("");
    struct str alternate = table_of("alternate-exchange", longstr("b"));

    assert_int_equal(compare_exchange("fanout", false, false, false, none), 0);
    assert_int_equal(
        compare_exchange("fanout", false, false, false, table_of("x", integer('I', 1))), 0);
    assert_refused(compare_exchange("direct", true, false, false, none), 406, INEQUIVALENT, "type",
                   "exchange 'x'", "received 'direct' but current is 'fanout'");
    assert_refused(compare_exchange("fanout", true, true, true, none), 406, INEQUIVALENT, "durable",
                   "exchange 'x'", "received 'true' but current is 'false'");
    assert_refused(compare_exchange("fanout", false, true, true, none), 406, INEQUIVALENT,
                   "auto_delete", "exchange 'x'", "received 'true' but current is 'false'");
    assert_refused(compare_exchange("fanout", false, false, true, none), 406, INEQUIVALENT,
                   "internal", "exchange 'x'", "received 'true' but current is 'false'");
    assert_refused(compare_exchange("fanout", false, false, false, alternate), 406, INEQUIVALENT,
                   "alternate-exchange", "exchange 'x'",
                   "received the value 'b' of type 'longstr' but current is none");
    assert_refused(
        arguments_check_exchange(STR("x"), STR("/"),
                                 table_of("alternate-exchange", integer('I', 1)), &refusal),
        406, "invalid type '%s' for arg 'alternate-exchange' in exchange 'x' in vhost '/'",
        "signedint", NULL, NULL);
    assert_int_equal(arguments_check_exchange(STR("x"), STR("/"), none, &refusal), 0);
}

/* ---- consumers and messages ---- */

static void consumer_priorities(void **state)
{
    static const struct {
        int64_t given;
        int32_t priority;
    } cases[] = {{0, 0}, {5, 5}, {-3, -3}, {INT64_MAX, INT32_MAX}, {INT64_MIN, INT32_MIN}};
    int32_t priority = 77;

    assert_int_equal(arguments_consumer(STR(""), STR("q"), STR("/"), &priority, &refusal), 0);
    assert_int_equal(priority, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str arguments = table_of("x-priority", integer('l', cases[i].given));
        assert_int_equal(arguments_consumer(arguments, STR("q"), STR("/"), &priority, &refusal), 0);
        assert_int_equal(priority, cases[i].priority);
    }
    assert_refused(arguments_consumer(table_of("x-priority", longstr("5")), STR("q"), STR("/"),
                                      &priority, &refusal),
                   406, INVALID, "x-priority", "\"expected integer, got longstr\"", NULL);
    assert_refused(arguments_consumer(table_of("x-stream-offset", longstr("first")), STR("q"),
                                      STR("/"), &priority, &refusal),
                   540, "argument '%s' is not supported", "x-stream-offset", NULL, NULL);
}

static void expirations(void **state)
{
    static const struct {
        const char *text;
        const char *detail; /* NULL: taken */
        uint64_t ttl_ms;
    } cases[] = {
        {"0", NULL, 0},
        {"1", NULL, 1},
        {"+60000", NULL, 60000},
        {"-0", NULL, 0},
        {"007", NULL, 7},
        {"315360000000", NULL, 315360000000},
        {"0000000000000000000000000005", NULL, 5},
        {"", "no_integer", 0},
        {"-", "no_integer", 0},
        {"abc", "no_integer", 0},
        {" 5", "no_integer", 0},
        {"5x", "{leftover_string,\"x\"}", 0},
        {"1.5", "{leftover_string,\".5\"}", 0},
        {"-1", "{value_negative,-1}", 0},
        {"-0010", "{value_negative,-10}", 0},
        {"315360000001", "{value_too_large,315360000001}", 0},
        /* Beyond 13 digits the rest was called a leftover string. */
        {"99999999999999999999", "{value_too_large,99999999999999999999}", 0},
        {"-99999999999999999999", "{value_negative,-99999999999999999999}", 0},
        {"99999999999999999999z", "{leftover_string,\"z\"}", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ttl_ms = 12345;
        int rc = arguments_expiration(str_from_c(cases[i].text), &ttl_ms, &refusal);
        if (cases[i].detail) {
            assert_refused(rc, 406, "invalid expiration '%s': %s", cases[i].text, cases[i].detail,
                           NULL);
        } else {
            assert_int_equal(rc, 0);
            assert_int_equal(ttl_ms, cases[i].ttl_ms);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_filled),
        cmocka_unit_test(what_means_nothing_here_is_taken),
        cmocka_unit_test(bad_times_have_rabbitmqs_texts),
        cmocka_unit_test(queue_types),
        cmocka_unit_test(later_features_are_refused_by_name),
        cmocka_unit_test(queues_that_are_equal),
        cmocka_unit_test(queues_that_differ),
        cmocka_unit_test(exchanges),
        cmocka_unit_test(consumer_priorities),
        cmocka_unit_test(expirations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
