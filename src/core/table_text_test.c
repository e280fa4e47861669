/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of table_text.c: the texts are those that OTP 25 and RabbitMQ 3.10 print. */
#include "table_text.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define BYTES(letter, literal)                                                                     \
    {                                                                                              \
        .tag = (letter), .bytes = {(literal), sizeof(literal) - 1 }                                \
    }

static const struct {
    double real;
    const char *text;
} reals[] = {
    {0, "0.0"},
    {-0.0, "-0.0"},
    {1.5, "1.5"},
    {0.1, "0.1"},
    {0.01, "0.01"},
    {0.001, "0.001"},
    {0.0001, "0.0001"},
    {1e-5, "1.0e-5"},
    {1.2345e-4, "1.2345e-4"},
    {100, "100.0"},
    {1000, "1.0e3"},
    {123456, "123456.0"},
    {1200000, "1.2e6"},
    {1.25e5, "1.25e5"},
    {12345678.9, "12345678.9"},
    {1234567890123, "1234567890123.0"},
    {9007199254740991, "9007199254740991.0"},
    {9007199254740992, "9.007199254740992e15"},
    {1e22, "1.0e22"},
    {-2.5e-10, "-2.5e-10"},
    {5e-324, "5.0e-324"},
    {1.7976931348623157e308, "1.7976931348623157e308"},
    {(double)0.1F, "0.10000000149011612"},
};

static void floats_look_like_erlangs(void **state)
{
    char buf[64];
    for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
        struct table_value value = {.tag = 'd', .real = reals[i].real};
        assert_int_equal(table_value_text(&value, buf, sizeof buf), strlen(reals[i].text));
        assert_string_equal(buf, reals[i].text);
    }
}

static const struct {
    struct table_value value;
    const char *text;
} terms[] = {
    {{.tag = 'l', .integer = INT64_MIN}, "-9223372036854775808"},
    {{.tag = 'T', .timestamp = UINT64_MAX}, "18446744073709551615"},
    {{.tag = 't', .boolean = true}, "true"},
    {{.tag = 'D', .decimal = {2, 314}}, "{2,314}"},
    {{.tag = 'V'}, "undefined"},
    {BYTES('S', "as it is"), "as it is"},
    {BYTES('S', ""), ""},
    {BYTES('A', ""), "[]"},
    {BYTES('F', ""), "[]"},
    {BYTES('A', "S\0\0\0\1aI\0\0\0\1"), "[{longstr,<<\"a\">>},{signedint,1}]"},
    {BYTES('F', "\1kS\0\0\0\1v"), "[{<<\"k\">>,longstr,<<\"v\">>}]"},
    {BYTES('F', "\1aF\0\0\0\3\1bV\1cV"),
     "[{<<\"a\">>,table,[{<<\"b\">>,void,undefined}]},{<<\"c\">>,void,undefined}]"},
    {BYTES('A', "S\0\0\0\2\1\2S\0\0\0\0"), "[{longstr,<<1,2>>},{longstr,<<>>}]"},
    {BYTES('A', "S\0\0\0\7a\"b\n\033\\x"), "[{longstr,<<\"a\\\"b\\n\\e\\\\x\">>}]"},
    {BYTES('A', "S\0\0\0\1\177"), "[{longstr,<<127>>}]"},
    {BYTES('A', "S\0\0\0\2\303\244"), "[{longstr,<<\"\303\244\">>}]"},
};

static void terms_look_like_erlangs(void **state)
{
    char buf[256];
    for (size_t i = 0; i < ARRAY_LEN(terms); i++) {
        table_value_text(&terms[i].value, buf, sizeof buf);
        assert_string_equal(buf, terms[i].text);
    }
}

static void text_is_cut_at_the_buffers_end(void **state)
{
    struct table_value value = BYTES('S', "0123456789");
    char buf[5] = "----";
    assert_int_equal(table_value_text(&value, buf, sizeof buf), 4);
    assert_string_equal(buf, "0123");
    assert_int_equal(table_value_text(&value, buf, 0), 0);
    assert_string_equal(buf, "0123");
    assert_int_equal(table_value_text(&value, buf, 1), 0);
    assert_string_equal(buf, "");
}

static void a_mismatch_names_types_when_one_side_is_absent(void **state)
{
    struct table_value ten = {.tag = 'I', .integer = 10};
    struct table_value text = BYTES('S', "b");
    char buf[128];

    table_mismatch_text(&ten, NULL, buf, sizeof buf);
    assert_string_equal(buf, "received the value '10' of type 'signedint' but current is none");
    table_mismatch_text(NULL, &text, buf, sizeof buf);
    assert_string_equal(buf, "received none but current is the value 'b' of type 'longstr'");
    table_mismatch_text(&ten, &text, buf, sizeof buf);
    assert_string_equal(buf, "received '10' but current is 'b'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_look_like_erlangs),
        cmocka_unit_test(terms_look_like_erlangs),
        cmocka_unit_test(text_is_cut_at_the_buffers_end),
        cmocka_unit_test(a_mismatch_names_types_when_one_side_is_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
