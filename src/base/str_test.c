/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of str.c: order, hashes, copies, and UTF-8 at its borders. */
#include "str.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    struct str text;
    bool is_utf8;
} samples[] = {
    {STR(""), true},
    {STR("plain, with \0 inside"), true},
    {STR("\x7f"), true},
    {STR("\xc2\x80"), true},         /* U+0080, the first of two octets */
    {STR("\xdf\xbf"), true},         /* U+07FF */
    {STR("\xe0\xa0\x80"), true},     /* U+0800 */
    {STR("\xed\x9f\xbf"), true},     /* U+D7FF, the last before the surrogates */
    {STR("\xee\x80\x80"), true},     /* U+E000, the first after them */
    {STR("\xef\xbf\xbf"), true},     /* U+FFFF */
    {STR("\xf0\x90\x80\x80"), true}, /* U+10000 */
    {STR("\xf4\x8f\xbf\xbf"), true}, /* U+10FFFF, the last one */
    {STR("a\xc3\xa4z\xe2\x82\xac"), true},
    {STR("\x80"), false}, /* a continuation alone */
    {STR("\xbf"), false},
    {STR("\xc0\x80"), false},         /* overlong 0 */
    {STR("\xc1\xbf"), false},         /* overlong DEL */
    {STR("\xe0\x9f\xbf"), false},     /* overlong U+07FF */
    {STR("\xf0\x8f\xbf\xbf"), false}, /* overlong U+FFFF */
    {STR("\xed\xa0\x80"), false},     /* U+D800, a surrogate */
    {STR("\xed\xbf\xbf"), false},     /* U+DFFF */
    {STR("\xf4\x90\x80\x80"), false}, /* U+110000 */
    {STR("\xf5\x80\x80\x80"), false},
    {STR("\xff"), false},
    {STR("\xc3"
         "a"),
     false}, /* the continuation is none */
    {STR("\xe2\x82"
         "a"),
     false},
    {STR("\xf0\x90\x80"
         "a"),
     false},
    {STR("ab\xc3"), false}, /* cut */
    {STR("\xe2\x82"), false},
    {STR("\xf0\x90\x80"), false},
};

static void utf8_is_that_of_rfc_3629(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        assert_int_equal(str_is_utf8(samples[i].text), samples[i].is_utf8);
    assert_true(str_is_utf8((struct str){NULL, 0}));
}

/* Encode every code point; all but the surrogates must pass, and none of their cut forms. */
static size_t encode(uint32_t point, uint8_t out[static 4])
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (uint8_t)(lead[len] | point);
    return len;
}

static void every_code_point_is_utf8(void **state)
{
    uint8_t bytes[4];
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
        size_t len = encode(point, bytes);
        if (str_is_utf8(str_of(bytes, len)) == is_surrogate)
            fail_msg("U+%04X", point);
        if (len > 1 && str_is_utf8(str_of(bytes, len - 1)))
            fail_msg("U+%04X without its last octet", point);
    }
}

static void comparing_orders_by_bytes_then_by_length(void **state)
{
    static const struct str ordered[] = {
        STR(""), STR("\0"), STR("a"), STR("a\0"), STR("ab"), STR("b"), STR("\x80"), STR("\xff"),
    };
    for (size_t i = 0; i < ARRAY_LEN(ordered); i++) {
        for (size_t k = 0; k < ARRAY_LEN(ordered); k++) {
            int order = str_compare(ordered[i], ordered[k]);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
            assert_int_equal(str_equals(ordered[i], ordered[k]), i == k);
        }
    }
    assert_int_equal(str_compare((struct str){NULL, 0}, STR("")), 0);
    assert_true(str_equals((struct str){NULL, 0}, STR("")));
}

static void prefixes_are_found(void **state)
{
    assert_true(str_starts_with(STR("amq.direct"), STR("amq.")));
    assert_true(str_starts_with(STR("amq."), STR("amq.")));
    assert_true(str_starts_with(STR("amq."), STR("")));
    assert_true(str_starts_with((struct str){NULL, 0}, (struct str){NULL, 0}));
    assert_false(str_starts_with(STR("amq"), STR("amq.")));
    assert_false(str_starts_with(STR("xamq."), STR("amq.")));
}

static void hashes_depend_on_bytes_and_seed_only(void **state)
{
    char copy[] = "queue";
    assert_true(str_hash(STR("queue"), 1) == str_hash(str_of(copy, 5), 1));
    assert_true(str_hash(STR("queue"), 1) != str_hash(STR("queue"), 2));
    assert_true(str_hash(STR("queue"), 1) != str_hash(STR("queuf"), 1));
    assert_true(str_hash((struct str){NULL, 0}, 1) == str_hash(STR(""), 1));
}

static void a_copy_is_its_own_and_ends_in_nul(void **state)
{
    char original[] = "a\0b";
    struct str copy = str_dup(str_of(original, 3));
    original[0] = 'x';
    assert_true(str_equals(copy, STR("a\0b")));
    assert_int_equal(copy.data[3], 0);
    mem_free((char *)copy.data);
    copy = str_dup((struct str){NULL, 0});
    assert_int_equal(copy.len, 0);
    assert_string_equal(copy.data, "");
    mem_free((char *)copy.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_that_of_rfc_3629),
        cmocka_unit_test(every_code_point_is_utf8),
        cmocka_unit_test(comparing_orders_by_bytes_then_by_length),
        cmocka_unit_test(prefixes_are_found),
        cmocka_unit_test(hashes_depend_on_bytes_and_seed_only),
        cmocka_unit_test(a_copy_is_its_own_and_ends_in_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
