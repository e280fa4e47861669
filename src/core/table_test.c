/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of table.c: every type letter, what is refused, look-up, and tables cut at every byte. */
#include "table.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* A table of one entry "k" with this tag and value, as wire bytes. */
#define ENTRY(tag_and_value) STR("\1k" tag_and_value)

static const struct {
    struct str table;
    char tag;
    int64_t integer;
} integers[] = {
    {ENTRY("b\x80"), 'b', -128},
    {ENTRY("B\xff"), 'B', 255},
    {ENTRY("s\xff\xfe"), 's', -2},
    {ENTRY("u\xff\xfe"), 'u', 65534},
    {ENTRY("I\xff\xff\xff\xff"), 'I', -1},
    {ENTRY("i\xff\xff\xff\xff"), 'i', 4294967295},
    {ENTRY("l\x80\0\0\0\0\0\0\0"), 'l', INT64_MIN},
    {ENTRY("L\xff\xff\xff\xff\xff\xff\xff\xff"), 'l', -1},
};

static void reads_integers_of_all_widths(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
        struct table_value value;
        int64_t number;
        assert_int_equal(table_validate(integers[i].table), 0);
        assert_true(table_find(integers[i].table, STR("k"), &value));
        assert_int_equal(value.tag, integers[i].tag);
        assert_true(value.integer == integers[i].integer);
        assert_true(table_find_integer(integers[i].table, STR("k"), &number));
        assert_true(number == integers[i].integer);
    }
}

static struct table_value find(struct str table)
{
    struct table_value value;
    assert_int_equal(table_validate(table), 0);
    assert_true(table_find(table, STR("k"), &value));
    return value;
}

static void reads_the_other_types(void **state)
{
    struct table_value decimal = find(ENTRY("D\2\0\0\1\x3a"));

    assert_true(find(ENTRY("t\1")).boolean);
    assert_true(find(ENTRY("t\x80")).boolean);
    assert_false(find(ENTRY("t\0")).boolean);
    assert_true(find(ENTRY("T\xff\0\0\0\0\0\0\1")).timestamp == 0xff00000000000001);
    assert_true(find(ENTRY("f\x3f\xc0\0\0")).real == 1.5);
    assert_true(find(ENTRY("d\xc0\x04\0\0\0\0\0\0")).real == -2.5);
    assert_int_equal(decimal.decimal.scale, 2);
    assert_int_equal(decimal.decimal.digits, 314);
    assert_int_equal(find(ENTRY("V")).tag, 'V');
    assert_true(str_equals(find(ENTRY("S\0\0\0\2ab")).bytes, STR("ab")));
    assert_true(str_equals(find(ENTRY("x\0\0\0\2\0\xff")).bytes, STR("\0\xff")));
    assert_true(str_equals(find(ENTRY("F\0\0\0\3\1aV")).bytes, STR("\1aV")));
    assert_true(str_equals(find(ENTRY("A\0\0\0\3VVV")).bytes, STR("VVV")));
}

static void walks_in_wire_order(void **state)
{
    struct str table = STR("\1bV\1aV\0V");
    const char *names[] = {"b", "a", ""};
    struct table_iter iter;
    struct table_value value;
    struct str name;

    table_iter_init(&iter, table);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_true(table_next(&iter, &name, &value));
        assert_true(str_equals(name, str_from_c(names[i])));
    }
    assert_false(table_next(&iter, &name, &value));
    assert_false(iter.failed);
    assert_int_equal(table_count(table), 3);
}

static void the_first_of_equal_names_wins(void **state)
{
    struct str table = STR("\1aB\1\1aB\2");
    struct table_value value;
    assert_true(table_find(table, STR("a"), &value));
    assert_int_equal(value.integer, 1);
    assert_false(table_find(table, STR("b"), &value));
}

static void finding_with_a_type_refuses_others(void **state)
{
    struct str text;
    int64_t number;
    assert_true(table_find_longstr(ENTRY("S\0\0\0\2ab"), STR("k"), &text));
    assert_true(str_equals(text, STR("ab")));
    assert_false(table_find_longstr(ENTRY("x\0\0\0\2ab"), STR("k"), &text));
    assert_false(table_find_integer(ENTRY("T\0\0\0\0\0\0\0\1"), STR("k"), &number));
    assert_false(table_find_integer(ENTRY("t\1"), STR("k"), &number));
}

/* As RabbitMQ's parser: none of these has a value there. */
static const struct str refused[] = {
    ENTRY("U\0\1"),                 /* the specification's short */
    ENTRY("C\1"),                   /* a letter of other dialects */
    ENTRY("\0"),                    /* no letter */
    ENTRY("f\x7f\x80\0\0"),         /* infinity */
    ENTRY("f\x7f\xc0\0\0"),         /* NaN */
    ENTRY("d\xff\xf0\0\0\0\0\0\0"), /* -infinity */
    ENTRY("d\x7f\xf8\0\0\0\0\0\0"), /* NaN */
    ENTRY("F\0\0\0\2\1a"),          /* damage one level down */
    ENTRY("A\0\0\0\1U"),            /* the same in an array */
    ENTRY("S\xff\xff\xff\xff"),     /* 4 GiB that are not there */
    ENTRY(""),                      /* a name only */
    {.data = "\2k", .len = 2},      /* not even that */
};

static void refuses_what_rabbitmq_refuses(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_int_equal(table_validate(refused[i]), ERR_CORRUPT);
}

static void an_empty_table_is_valid(void **state)
{
    struct table_value value;
    assert_int_equal(table_validate((struct str){NULL, 0}), 0);
    assert_false(table_find((struct str){NULL, 0}, STR("k"), &value));
    assert_int_equal(table_count((struct str){NULL, 0}), 0);
}

/* One entry of every type, with ends of entries noted, so that each cut is known good or bad. */
static void a_table_cut_anywhere_is_refused(void **state)
{
    static const struct str entries[] = {
        ENTRY("t\1"),
        ENTRY("b\1"),
        ENTRY("u\0\1"),
        ENTRY("I\0\0\0\1"),
        ENTRY("L\0\0\0\0\0\0\0\1"),
        ENTRY("f\x3f\xc0\0\0"),
        ENTRY("d\xc0\x04\0\0\0\0\0\0"),
        ENTRY("D\2\0\0\1\x3a"),
        ENTRY("S\0\0\0\3abc"),
        ENTRY("A\0\0\0\5tI\0\0\1"),
        ENTRY("F\0\0\0\4\1kt\1"),
    };
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        for (size_t len = 1; len < entries[i].len; len++) {
            /* A copy of the exact size, so that the sanitizer sees any look behind it. */
            char *copy = malloc(len);
            assert_non_null(copy);
            memcpy(copy, entries[i].data, len);
            assert_int_equal(table_validate(str_of(copy, len)), ERR_CORRUPT);
            free(copy);
        }
    }
}

/* `levels` arrays, each the only value of the one around it; the outermost is in a table. */
static struct str nested_arrays(unsigned char *buf, size_t cap, unsigned levels)
{
    unsigned char *p = buf + cap;
    uint32_t size = 0;
    for (unsigned i = 0; i < levels; i++) {
        p -= 5;
        p[0] = 'A';
        store_u32(p + 1, size);
        size += 5;
    }
    *--p = 'k';
    *--p = 1;
    return str_of(p, (size_t)(buf + cap - p));
}

static void nesting_has_a_limit(void **state)
{
    static unsigned char buf[100000];
    assert_int_equal(table_validate(nested_arrays(buf, sizeof buf, TABLE_DEPTH_MAX - 1)), 0);
    assert_int_equal(table_validate(nested_arrays(buf, sizeof buf, TABLE_DEPTH_MAX)), ERR_CORRUPT);
    assert_int_equal(table_validate(nested_arrays(buf, sizeof buf, 19000)), ERR_CORRUPT);
}

static void a_failed_walk_stays_failed(void **state)
{
    struct table_iter iter;
    struct table_value value = {.tag = '-'};
    struct str name = STR("unchanged");

    table_iter_init(&iter, STR("\1aU\0\1\1bV"));
    assert_false(table_next(&iter, &name, &value));
    assert_true(iter.failed);
    assert_false(table_next(&iter, &name, &value));
    assert_int_equal(value.tag, '-');
    assert_true(str_equals(name, STR("unchanged")));
}

static void types_have_rabbitmqs_names(void **state)
{
    assert_string_equal(table_type_name('S'), "longstr");
    assert_string_equal(table_type_name('I'), "signedint");
    assert_string_equal(table_type_name('L'), "long");
    assert_string_equal(table_type_name('x'), "binary");
    assert_null(table_type_name('U'));
    assert_null(table_type_name('\0'));
    assert_null(table_type_name('\xff'));
    assert_false(table_tag_is_integer('\0'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_integers_of_all_widths),
        cmocka_unit_test(reads_the_other_types),
        cmocka_unit_test(walks_in_wire_order),
        cmocka_unit_test(the_first_of_equal_names_wins),
        cmocka_unit_test(finding_with_a_type_refuses_others),
        cmocka_unit_test(refuses_what_rabbitmq_refuses),
        cmocka_unit_test(an_empty_table_is_valid),
        cmocka_unit_test(a_table_cut_anywhere_is_refused),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(a_failed_walk_stays_failed),
        cmocka_unit_test(types_have_rabbitmqs_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
