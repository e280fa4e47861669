/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of uri.c: what each form of address means, and which are refused. */
#include "uri.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_good_addresses(void **state)
{
    static const struct {
        const char *text, *user, *password, *host, *vhost;
        uint16_t port;
    } cases[] = {
        {"amqp://", "guest", "guest", "localhost", "/", 5672},
        {"amqp://h", "guest", "guest", "h", "/", 5672},
        {"amqp://h:1", "guest", "guest", "h", "/", 1},
        {"amqp://h:65535/", "guest", "guest", "h", "", 65535},
        {"amqp://h/%2f", "guest", "guest", "h", "/", 5672},
        {"amqp://h/%2Fa", "guest", "guest", "h", "/a", 5672},
        {"amqp://u@h", "u", "guest", "h", "/", 5672},
        {"amqp://u:p@h:99/v", "u", "p", "h", "v", 99},
        {"amqp://u%40x:p%3a%25@h", "u@x", "p:%", "h", "/", 5672},
        {"amqp://u:@h", "u", "", "h", "/", 5672},
        {"amqp://[::1]", "guest", "guest", "::1", "/", 5672},
        {"amqp://u:p@[::1]:7/v", "u", "p", "::1", "v", 7},
        {"amqp:///v", "guest", "guest", "localhost", "v", 5672},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uri uri;
        struct failure why = {0};
        assert_int_equal(uri_parse(cases[i].text, &uri, &why), 0);
        assert_string_equal(uri.user, cases[i].user);
        assert_string_equal(uri.password, cases[i].password);
        assert_string_equal(uri.host, cases[i].host);
        assert_string_equal(uri.vhost, cases[i].vhost);
        assert_int_equal(uri.port, cases[i].port);
    }
}

static void test_bad_addresses(void **state)
{
    static const char *cases[] = {
        "",
        "localhost",
        "http://h",
        "amqps://h",
        "amqp://h:0",
        "amqp://h:65536",
        "amqp://h:x",
        "amqp://h:",
        "amqp://h/a/b",
        "amqp://[::1",
        "amqp://[::1]x",
        "amqp://h/%zz",
        "amqp://h/%",
        "amqp://h/%4",
        "amqp://h/%00",
        "amqp://h:99999999999999",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uri uri;
        struct failure why = {0};
        assert_int_equal(uri_parse(cases[i], &uri, &why), ERR_USAGE);
        assert_true(why.text[0] != '\0');
    }
}

static void test_too_long_part_is_refused(void **state)
{
    char text[400] = "amqp://";
    memset(text + 7, 'h', 300);
    struct uri uri;
    struct failure why = {0};
    assert_int_equal(uri_parse(text, &uri, &why), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_addresses),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_too_long_part_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
