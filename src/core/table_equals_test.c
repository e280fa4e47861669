/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of table_equals.c against answers that rabbit_misc of RabbitMQ 3.10 gave. */
#include "table_equals.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define INTEGER(letter, number)                                                                    \
    {                                                                                              \
        .tag = (letter), .integer = (number)                                                       \
    }
#define TEXT(letter, literal)                                                                      \
    {                                                                                              \
        .tag = (letter), .bytes = {(literal), sizeof(literal) - 1 }                                \
    }

static const struct {
    struct table_value a;
    struct table_value b;
    bool by_value;
    bool strictly;
} pairs[] = {
    {INTEGER('I', 10), INTEGER('I', 10), true, true},
    {INTEGER('I', 10), INTEGER('I', 11), false, false},
    {INTEGER('I', 10), INTEGER('l', 10), true, false},
    {INTEGER('b', -1), INTEGER('l', -1), true, false},
    {INTEGER('l', 1), {.tag = 'T', .timestamp = 1}, true, false},
    {INTEGER('l', -1), {.tag = 'T', .timestamp = UINT64_MAX}, false, false},
    {{.tag = 'T', .timestamp = UINT64_MAX}, {.tag = 'T', .timestamp = UINT64_MAX}, true, true},
    {INTEGER('l', 1), {.tag = 'd', .real = 1}, false, false},
    {{.tag = 'f', .real = 1.5}, {.tag = 'd', .real = 1.5}, true, false},
    {INTEGER('l', 1), {.tag = 't', .boolean = true}, false, false},
    {{.tag = 't', .boolean = true}, {.tag = 't', .boolean = true}, true, true},
    {{.tag = 't', .boolean = true}, {.tag = 't', .boolean = false}, false, false},
    {TEXT('S', "10"), INTEGER('I', 10), false, false},
    {TEXT('S', "10"), TEXT('x', "10"), true, false},
    {TEXT('S', "10"), TEXT('S', "10"), true, true},
    {TEXT('S', "10"), TEXT('S', "1"), false, false},
    {{.tag = 'V'}, {.tag = 'V'}, true, true},
    {{.tag = 'V'}, TEXT('S', ""), false, false},
    {{.tag = 'D', .decimal = {1, 5}}, {.tag = 'D', .decimal = {1, 5}}, true, true},
    {{.tag = 'D', .decimal = {1, 5}}, {.tag = 'D', .decimal = {2, 5}}, false, false},
    {{.tag = 'D', .decimal = {0, 5}}, INTEGER('l', 5), false, false},
    /* The types count inside of arrays and tables, and so does the order. */
    {TEXT('A', "B\1"), TEXT('A', "B\1"), true, true},
    {TEXT('A', "B\1"), TEXT('A', "b\1"), false, false},
    {TEXT('A', "B\1"), TEXT('A', "B\1V"), false, false},
    {TEXT('A', "B\1V"), TEXT('A', "B\1"), false, false},
    {TEXT('F', "\1aV\1bV"), TEXT('F', "\1aV\1bV"), true, true},
    {TEXT('F', "\1aV\1bV"), TEXT('F', "\1bV\1aV"), false, false},
    {TEXT('F', "\1aV"), TEXT('F', "\1aV\1bV"), false, false},
    {TEXT('F', "\1aA\0\0\0\1V"), TEXT('F', "\1aA\0\0\0\1V"), true, true},
    /* 'L' and 'l' are one type, any octet but 0 is true: equal though the bytes differ. */
    {TEXT('A', "L\0\0\0\0\0\0\0\1t\1"), TEXT('A', "l\0\0\0\0\0\0\0\1t\2"), true, true},
};

static void equality_is_rabbitmqs(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        const struct table_value *a = &pairs[i].a;
        const struct table_value *b = &pairs[i].b;
        assert_int_equal(table_value_equals(a, b, TABLE_EQUAL_VALUE), pairs[i].by_value);
        assert_int_equal(table_value_equals(b, a, TABLE_EQUAL_VALUE), pairs[i].by_value);
        assert_int_equal(table_value_equals(a, b, TABLE_EQUAL_STRICT), pairs[i].strictly);
        assert_int_equal(table_value_equals(b, a, TABLE_EQUAL_STRICT), pairs[i].strictly);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_rabbitmqs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
