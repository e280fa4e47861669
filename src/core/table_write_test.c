/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of table_write.c: what is written reads back, nests, fails when there is no room. */
#include "table_write.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct str written(const struct writer *w)
{
    return str_of(w->start, writer_len(w));
}

static void writes_a_table_with_its_length(void **state)
{
    uint8_t buf[64];
    struct writer w = writer_of(buf, sizeof buf);
    size_t mark = table_begin(&w);
    table_put_longstr(&w, STR("a"), STR("xy"));
    table_put_bool(&w, STR("b"), true);
    table_end(&w, mark);
    assert_false(w.failed);
    assert_true(str_equals(written(&w), STR("\0\0\0\xd\1aS\0\0\0\2xy\1bt\1")));
}

static void the_short_forms_use_rabbitmqs_letters(void **state)
{
    uint8_t buf[64];
    struct writer w = writer_of(buf, sizeof buf);
    table_put_i32(&w, STR(""), -2);
    table_put_i64(&w, STR(""), 3);
    table_put_timestamp(&w, STR(""), 4);
    table_put_table(&w, STR(""), STR("\1aV"));
    assert_true(str_equals(written(&w), STR("\0I\xff\xff\xff\xfe"
                                            "\0l\0\0\0\0\0\0\0\3"
                                            "\0T\0\0\0\0\0\0\0\4"
                                            "\0F\0\0\0\3\1aV")));
}

static void nests_tables_and_arrays(void **state)
{
    uint8_t buf[64];
    struct writer w = writer_of(buf, sizeof buf);
    size_t array = table_begin_nested(&w, STR("a"), 'A');
    array_put_longstr(&w, STR("x"));
    size_t table = array_begin_nested(&w, 'F');
    table_put_bool(&w, STR("b"), false);
    table_end(&w, table);
    table_end(&w, array);
    assert_true(str_equals(written(&w), STR("\1aA\0\0\0\xf"
                                            "S\0\0\0\1x"
                                            "F\0\0\0\4\1bt\0")));
    assert_int_equal(table_validate(written(&w)), 0);
}

/* One entry of each type the broker may emit. */
static const struct str all_types =
    STR("\1at\1\1bb\x80\1cB\xff\1ds\xff\xfe\1eu\xff\xfe\1fI\xff\xff\xff\xff\1gi\xff\xff\xff\xff"
        "\1hl\x80\0\0\0\0\0\0\0\1jf\x3f\xc0\0\0\1kd\xc0\x04\0\0\0\0\0\0\1mD\2\0\0\1\x3a"
        "\1nS\0\0\0\2ab\1oA\0\0\0\2VV\1pT\xff\0\0\0\0\0\0\1\1qF\0\0\0\3\1aV\1rV\1sx\0\0\0\1\0");

static void every_type_is_written_as_it_was_read(void **state)
{
    uint8_t buf[256];
    struct writer w = writer_of(buf, sizeof buf);
    struct table_iter iter;
    struct table_value value;
    struct str name;

    assert_int_equal(table_validate(all_types), 0);
    table_iter_init(&iter, all_types);
    while (table_next(&iter, &name, &value))
        table_put(&w, name, &value);
    assert_true(str_equals(written(&w), all_types));
    w = writer_of(buf, sizeof buf);
    table_write_canonical(&w, all_types);
    assert_true(str_equals(written(&w), all_types));
}

static void canonical_form_is_rabbitmqs(void **state)
{
    uint8_t buf[64];
    struct writer w = writer_of(buf, sizeof buf);
    table_write_canonical(&w, STR("\1aL\0\0\0\0\0\0\0\1\1bA\0\0\0\xbt\7L\0\0\0\0\0\0\0\2"));
    assert_true(
        str_equals(written(&w), STR("\1al\0\0\0\0\0\0\0\1\1bA\0\0\0\xbt\1l\0\0\0\0\0\0\0\2")));
}

static void no_room_latches_a_failure(void **state)
{
    uint8_t buf[256];
    for (size_t cap = 0; cap < all_types.len + 4; cap++) {
        struct writer w = writer_of(buf, cap);
        size_t mark = table_begin(&w);
        table_write_canonical(&w, all_types);
        table_end(&w, mark);
        assert_true(w.failed);
    }
}

static void long_names_latch_a_failure(void **state)
{
    static char name[256];
    uint8_t buf[512];
    struct writer w = writer_of(buf, sizeof buf);
    table_put_bool(&w, str_of(name, 256), true);
    assert_true(w.failed);
    w = writer_of(buf, sizeof buf);
    table_put_bool(&w, str_of(name, 255), true);
    assert_false(w.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_table_with_its_length),
        cmocka_unit_test(the_short_forms_use_rabbitmqs_letters),
        cmocka_unit_test(nests_tables_and_arrays),
        cmocka_unit_test(every_type_is_written_as_it_was_read),
        cmocka_unit_test(canonical_form_is_rabbitmqs),
        cmocka_unit_test(no_room_latches_a_failure),
        cmocka_unit_test(long_names_latch_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
