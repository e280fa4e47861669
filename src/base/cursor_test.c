/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of cursor.h: byte order, every short length, and that a failure stays. */
#include "base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void reads_big_endian(void **state)
{
    struct cursor c = cursor_of_str(STR("\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17"));
    assert_int_equal(cursor_u8(&c), 0x01);
    assert_int_equal(cursor_u16(&c), 0x0203);
    assert_int_equal(cursor_u32(&c), 0x04050607);
    assert_true(cursor_u64(&c) == 0x08090a0b0c0d0e0f);
    assert_true(cursor_is_done(&c));
}

static void reads_strings(void **state)
{
    struct cursor c = cursor_of_str(STR("\2ab\0\0\0\0\3cde\0rest"));
    assert_true(str_equals(cursor_shortstr(&c), STR("ab")));
    assert_int_equal(cursor_shortstr(&c).len, 0);
    assert_true(str_equals(cursor_longstr(&c), STR("cde")));
    assert_int_equal(cursor_u8(&c), 0);
    assert_false(cursor_is_done(&c));
    assert_int_equal(cursor_left(&c), 4);
    assert_true(str_equals(cursor_str(&c, 4), STR("rest")));
    assert_int_equal(cursor_str(&c, 0).len, 0);
    assert_true(cursor_is_done(&c));
}

typedef uint64_t (*read_fn)(struct cursor *c);

static uint64_t read_u8(struct cursor *c)
{
    return cursor_u8(c);
}

static uint64_t read_u16(struct cursor *c)
{
    return cursor_u16(c);
}

static uint64_t read_u32(struct cursor *c)
{
    return cursor_u32(c);
}

static uint64_t read_u64(struct cursor *c)
{
    return cursor_u64(c);
}

static uint64_t read_shortstr(struct cursor *c)
{
    return cursor_shortstr(c).len;
}

static uint64_t read_longstr(struct cursor *c)
{
    return cursor_longstr(c).len;
}

static const struct {
    read_fn read;
    struct str input; /* exactly what it needs */
} readers[] = {
    {read_u8, STR("\1")},          {read_u16, STR("\1\1")},
    {read_u32, STR("\1\1\1\1")},   {read_u64, STR("\1\1\1\1\1\1\1\1")},
    {read_shortstr, STR("\3abc")}, {read_longstr, STR("\0\0\0\3abc")},
};

/* Copies of the exact size, so that the sanitizer sees any look past the end. */
static void short_input_gives_zero_and_fails(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        for (size_t len = 0; len < readers[i].input.len; len++) {
            char *copy = malloc(len ? len : 1);
            assert_non_null(copy);
            memcpy(copy, readers[i].input.data, len);
            struct cursor c = cursor_of(copy, len);
            assert_true(readers[i].read(&c) == 0);
            assert_true(c.failed);
            assert_false(cursor_is_done(&c));
            free(copy);
        }
        struct cursor c = cursor_of_str(readers[i].input);
        assert_true(readers[i].read(&c) != 0);
        assert_true(cursor_is_done(&c));
    }
}

static void a_failed_cursor_reads_nothing_more(void **state)
{
    struct cursor c = cursor_of_str(STR("\1\2\3"));
    assert_int_equal(cursor_u32(&c), 0);
    assert_int_equal(cursor_left(&c), 3);
    assert_int_equal(cursor_u8(&c), 0);
    assert_null(cursor_bytes(&c, 0));
    assert_true(c.failed);
}

static void huge_lengths_do_not_wrap(void **state)
{
    struct cursor c = cursor_of_str(STR("\xff\xff\xff\xff"
                                        "abc"));
    assert_int_equal(cursor_longstr(&c).len, 0);
    assert_true(c.failed);
    c = cursor_of_str(STR("abc"));
    assert_null(cursor_bytes(&c, SIZE_MAX));
    assert_true(c.failed);
}

static void an_empty_cursor_is_done(void **state)
{
    struct cursor c = cursor_of(NULL, 0);
    assert_true(cursor_is_done(&c));
    assert_int_equal(cursor_u8(&c), 0);
    assert_false(cursor_is_done(&c));
}

static void writes_big_endian(void **state)
{
    uint8_t buf[32];
    struct writer w = writer_of(buf, sizeof buf);
    writer_u8(&w, 1);
    writer_u16(&w, 0x0203);
    writer_u32(&w, 0x04050607);
    writer_u64(&w, 0x08090a0b0c0d0e0f);
    writer_shortstr(&w, STR("ab"));
    writer_longstr(&w, STR("c"));
    writer_str(&w, (struct str){NULL, 0});
    assert_false(w.failed);
    assert_true(str_equals(str_of(buf, writer_len(&w)),
                           STR("\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\2ab\0\0\0\1c")));
}

static void writing_past_the_end_changes_nothing(void **state)
{
    uint8_t buf[4] = {9, 9, 9, 9};
    struct writer w = writer_of(buf, 3);
    writer_u32(&w, 0);
    assert_true(w.failed);
    assert_int_equal(writer_len(&w), 0);
    writer_u8(&w, 1); /* it would fit, but something before it is missing */
    assert_int_equal(writer_len(&w), 0);
    assert_null(writer_reserve(&w, 0));
    assert_memory_equal(buf, "\11\11\11\11", 4);
}

static void a_shortstr_has_at_most_255_bytes(void **state)
{
    static const char text[256];
    uint8_t buf[300];
    struct writer w = writer_of(buf, sizeof buf);
    writer_shortstr(&w, str_of(text, 255));
    assert_false(w.failed);
    assert_int_equal(writer_len(&w), 256);
    w = writer_of(buf, sizeof buf);
    writer_shortstr(&w, str_of(text, 256));
    assert_true(w.failed);
    assert_int_equal(writer_len(&w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_big_endian),
        cmocka_unit_test(reads_strings),
        cmocka_unit_test(short_input_gives_zero_and_fails),
        cmocka_unit_test(a_failed_cursor_reads_nothing_more),
        cmocka_unit_test(huge_lengths_do_not_wrap),
        cmocka_unit_test(an_empty_cursor_is_done),
        cmocka_unit_test(writes_big_endian),
        cmocka_unit_test(writing_past_the_end_changes_nothing),
        cmocka_unit_test(a_shortstr_has_at_most_255_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
