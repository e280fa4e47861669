/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of content.c: all properties, each alone, cut ones, and RabbitMQ's leniencies. */
#include "content.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct str everything = STR("\xff\xfc"
                                         "\1a"
                                         "\1b"
                                         "\0\0\0\4\1kt\1"
                                         "\2"
                                         "\7"
                                         "\1c\1d\1e\1f"
                                         "\0\0\0\0\0\0\1\2"
                                         "\1g\1h\1i\1j");

static void reads_every_property(void **state)
{
    struct content_props p;
    assert_int_equal(content_props_parse(everything, &p), 0);
    assert_int_equal(p.flags, CONTENT_HAS_ALL);
    assert_true(str_equals(p.content_type, STR("a")));
    assert_true(str_equals(p.content_encoding, STR("b")));
    assert_true(str_equals(p.headers, STR("\1kt\1")));
    assert_int_equal(p.delivery_mode, CONTENT_PERSISTENT);
    assert_true(content_is_persistent(&p));
    assert_int_equal(p.priority, 7);
    assert_true(str_equals(p.correlation_id, STR("c")));
    assert_true(str_equals(p.reply_to, STR("d")));
    assert_true(str_equals(p.expiration, STR("e")));
    assert_true(str_equals(p.message_id, STR("f")));
    assert_int_equal(p.timestamp, 0x102);
    assert_true(str_equals(p.type, STR("g")));
    assert_true(str_equals(p.user_id, STR("h")));
    assert_true(str_equals(p.app_id, STR("i")));
    assert_true(str_equals(p.cluster_id, STR("j")));
}

static void absent_properties_are_empty(void **state)
{
    struct content_props p;
    memset(&p, 0xff, sizeof p);
    assert_int_equal(content_props_parse(STR("\0\0"), &p), 0);
    assert_int_equal(p.flags, 0);
    assert_int_equal(p.headers.len + p.reply_to.len + p.cluster_id.len + p.timestamp, 0);
    assert_false(content_is_persistent(&p));
}

/* Every set of two flags: values stand in flag order and come back the same. */
static void any_two_properties_round_trip(void **state)
{
    uint8_t buf[64];
    struct content_props all;
    struct content_props p;

    assert_int_equal(content_props_parse(everything, &all), 0);
    for (unsigned a = 2; a < 16; a++) {
        for (unsigned b = 2; b < 16; b++) {
            struct writer w = writer_of(buf, sizeof buf);
            all.flags = (uint16_t)(1U << a | 1U << b);
            content_props_write(&w, &all);
            assert_false(w.failed);
            assert_int_equal(content_props_parse(str_of(buf, writer_len(&w)), &p), 0);
            assert_int_equal(p.flags, all.flags);
            struct writer again = writer_of(buf + 32, 32);
            content_props_write(&again, &p);
            assert_int_equal(writer_len(&again), writer_len(&w));
            assert_memory_equal(buf, buf + 32, writer_len(&w));
        }
    }
}

static void writes_what_it_read(void **state)
{
    uint8_t buf[64];
    struct content_props p;
    struct writer w = writer_of(buf, sizeof buf);
    assert_int_equal(content_props_parse(everything, &p), 0);
    content_props_write(&w, &p);
    assert_true(str_equals(str_of(buf, writer_len(&w)), everything));
}

static void cut_properties_are_refused(void **state)
{
    struct content_props p;
    for (size_t len = 0; len < everything.len; len++) {
        char *copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, everything.data, len);
        assert_int_equal(content_props_parse(str_of(copy, len), &p), ERR_CORRUPT);
        free(copy);
    }
}

static void bad_headers_and_trailing_bytes_are_refused(void **state)
{
    struct content_props p;
    assert_int_equal(content_props_parse(STR("\x20\0\0\0\0\4\1kU\1"), &p), ERR_CORRUPT);
    assert_int_equal(content_props_parse(STR("\x10\0\2\0"), &p), ERR_CORRUPT);
    assert_int_equal(content_props_parse(STR("\0\0\0"), &p), ERR_CORRUPT);
}

/* RabbitMQ's parser does not look at the two lowest bits, nor whether the texts are UTF-8. */
static void is_as_lenient_as_rabbitmq(void **state)
{
    struct content_props p;
    assert_int_equal(content_props_parse(STR("\0\3"), &p), 0);
    assert_int_equal(p.flags, 0);
    assert_int_equal(content_props_parse(STR("\x80\1\2\xff\xfe"), &p), 0);
    assert_int_equal(p.flags, CONTENT_HAS_CONTENT_TYPE);
    assert_true(str_equals(p.content_type, STR("\xff\xfe")));
}

static void writing_without_room_latches_a_failure(void **state)
{
    uint8_t buf[64];
    struct content_props p;
    assert_int_equal(content_props_parse(everything, &p), 0);
    for (size_t cap = 0; cap < everything.len; cap++) {
        struct writer w = writer_of(buf, cap);
        content_props_write(&w, &p);
        assert_true(w.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_property),
        cmocka_unit_test(absent_properties_are_empty),
        cmocka_unit_test(any_two_properties_round_trip),
        cmocka_unit_test(writes_what_it_read),
        cmocka_unit_test(cut_properties_are_refused),
        cmocka_unit_test(bad_headers_and_trailing_bytes_are_refused),
        cmocka_unit_test(is_as_lenient_as_rabbitmq),
        cmocka_unit_test(writing_without_room_latches_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
