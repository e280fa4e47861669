/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of codec.c: frames at every length, each method there and back, what RabbitMQ refuses. */
#include "codec.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static enum amqp_frame_status parse(struct str bytes, uint32_t max, struct amqp_frame *f,
                                    size_t *used)
{
    return amqp_frame_parse((const uint8_t *)bytes.data, bytes.len, max, f, used);
}

static void a_frame_is_complete_with_its_last_octet(void **state)
{
    struct str bytes = STR("\1\1\2\0\0\0\3abc\xce next");
    struct amqp_frame f;
    size_t used;

    for (size_t n = 0; n < 11; n++) {
        assert_int_equal(parse(str_of(bytes.data, n), 100, &f, &used), AMQP_FRAME_INCOMPLETE);
        assert_int_equal(used, n < 7 ? 7 : 11);
    }
    assert_int_equal(parse(bytes, 100, &f, &used), AMQP_FRAME_OK);
    assert_int_equal(used, 11);
    assert_int_equal(f.type, AMQP_FRAME_METHOD);
    assert_int_equal(f.channel, 0x102);
    assert_true(str_equals(f.payload, STR("abc")));
}

static void the_size_limit_is_on_the_payload(void **state)
{
    struct str bytes = STR("\3\0\1\0\0\0\3abc\xce");
    struct amqp_frame f;
    size_t used;

    assert_int_equal(parse(bytes, 3, &f, &used), AMQP_FRAME_OK);
    assert_int_equal(parse(bytes, 2, &f, &used), AMQP_FRAME_TOO_LARGE);
    assert_int_equal(used, 3);
    assert_true(str_equals(f.payload, STR("abc")));
    assert_int_equal(parse(STR("\3\0\1\xff\xff\xff\xff"
                               "ab"),
                           100, &f, &used),
                     AMQP_FRAME_TOO_LARGE);
    assert_true(used == UINT32_MAX);
    assert_true(str_equals(f.payload, STR("ab")));
    assert_int_equal(parse(STR("\3\0\1\xff\xff\xff\xff"), UINT32_MAX, &f, &used),
                     AMQP_FRAME_INCOMPLETE);
    assert_true(used == (size_t)UINT32_MAX + AMQP_FRAME_OVERHEAD);
}

static void a_wrong_end_octet_is_shown(void **state)
{
    struct amqp_frame f;
    size_t used;
    assert_int_equal(parse(STR("\10\0\0\0\0\0\0\xcf"), 0, &f, &used), AMQP_FRAME_BAD_END);
    assert_int_equal((uint8_t)f.payload.data[f.payload.len], 0xcf);
    assert_int_equal(parse(STR("\10\0\0\0\0\0\0\xce"), 0, &f, &used), AMQP_FRAME_OK);
    assert_int_equal(f.type, AMQP_FRAME_HEARTBEAT);
}

static void every_method_is_found_and_no_other(void **state)
{
    size_t found = 0;
    for (uint32_t class = 0; class < 256; class ++)
        for (uint32_t method = 0; method < 256; method++)
            found += amqp_method_find(class << 16 | method) != NULL;
    assert_int_equal(found, AMQP_METHOD_COUNT);
    for (size_t i = 0; i < AMQP_METHOD_COUNT; i++)
        assert_ptr_equal(amqp_method_find(amqp_methods[i].id), &amqp_methods[i]);
    assert_null(amqp_method_find(0));
    assert_null(amqp_method_find(UINT32_MAX));
    assert_null(amqp_method_find(60 << 16 | 200));
}

static void methods_know_their_properties(void **state)
{
    const struct amqp_method *publish = amqp_method_find(AMQP_BASIC_PUBLISH);
    const struct amqp_method *declare = amqp_method_find(AMQP_QUEUE_DECLARE);
    const struct amqp_method *unbind_ok = amqp_method_find(40 << 16 | 51);

    assert_true(publish->has_content && publish->from_client);
    assert_false(publish->is_sync || publish->from_server);
    assert_true(declare->is_sync && !declare->has_content);
    assert_string_equal(declare->name, "queue.declare");
    assert_string_equal(unbind_ok->name, "exchange.unbind-ok");
}

/* The payload of a method frame, ids included, as captured from clients. */
static const struct {
    uint32_t id;
    struct str payload;
} samples[] = {
    {AMQP_CONNECTION_START, STR("\0\xa\0\xa\0\11\0\0\0\4\1kt\1\0\0\0\5PLAIN\0\0\0\5en_US")},
    {AMQP_CONNECTION_TUNE_OK, STR("\0\xa\0\x1f\7\xff\0\2\0\0\0\x3c")},
    {AMQP_CONNECTION_OPEN, STR("\0\xa\0\x28\1/\0\0")},
    {AMQP_CONNECTION_CLOSE, STR("\0\xa\0\x32\0\xc8\7Goodbye\0\0\0\0")},
    {AMQP_CHANNEL_OPEN_OK, STR("\0\x14\0\xb\0\0\0\0")},
    {AMQP_EXCHANGE_DECLARE, STR("\0\x28\0\xa\0\0\1x\6direct\x0a\0\0\0\3\1aV")},
    {AMQP_QUEUE_DECLARE, STR("\0\x32\0\xa\0\0\1q\x12\0\0\0\0")},
    {AMQP_QUEUE_DECLARE_OK, STR("\0\x32\0\xb\1q\0\0\0\1\0\0\0\2")},
    {AMQP_BASIC_PUBLISH, STR("\0\x3c\0\x28\0\0\1x\3key\1")},
    {AMQP_BASIC_DELIVER, STR("\0\x3c\0\x3c\3tag\0\0\0\0\0\0\0\5\1\1x\3key")},
    {AMQP_BASIC_ACK, STR("\0\x3c\0\x50\0\0\0\0\0\0\0\7\1")},
    {AMQP_BASIC_NACK, STR("\0\x3c\0\x78\0\0\0\0\0\0\0\7\2")},
    {AMQP_TX_SELECT_OK, STR("\0\x5a\0\xb")},
};

static int decode(struct str payload, union amqp_args *args)
{
    struct cursor in = cursor_of_str(payload);
    const struct amqp_method *m = amqp_method_find(cursor_u32(&in));
    assert_non_null(m);
    return amqp_method_decode(m, &in, args);
}

static void samples_decode_and_encode_to_the_same_bytes(void **state)
{
    uint8_t buf[256];
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        union amqp_args args;
        struct writer w = writer_of(buf, sizeof buf);
        assert_int_equal(decode(samples[i].payload, &args), 0);
        amqp_method_encode(samples[i].id, &args, &w);
        assert_false(w.failed);
        assert_true(str_equals(str_of(buf, writer_len(&w)), samples[i].payload));
    }
}

static void cut_and_trailing_bytes_are_refused(void **state)
{
    uint8_t buf[256];
    union amqp_args args;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct str payload = samples[i].payload;
        for (size_t len = 4; len < payload.len; len++)
            assert_int_equal(decode(str_of(payload.data, len), &args), ERR_CORRUPT);
        memcpy(buf, payload.data, payload.len);
        buf[payload.len] = 0;
        assert_int_equal(decode(str_of(buf, payload.len + 1), &args), ERR_CORRUPT);
    }
}

static void arguments_land_in_their_members(void **state)
{
    union amqp_args args;
    assert_int_equal(decode(STR("\0\x32\0\xa\1\2\1q\x15\0\0\0\3\1aV"), &args), 0);
    assert_true(str_equals(args.queue_declare.queue, STR("q")));
    assert_true(args.queue_declare.passive && args.queue_declare.exclusive);
    assert_true(args.queue_declare.nowait);
    assert_false(args.queue_declare.durable || args.queue_declare.auto_delete);
    assert_true(str_equals(args.queue_declare.arguments, STR("\1aV")));

    assert_int_equal(decode(STR("\0\x3c\0\xa\0\1\0\0\1\0\1"), &args), 0);
    assert_int_equal(args.basic_qos.prefetch_size, 65536);
    assert_int_equal(args.basic_qos.prefetch_count, 256);
    assert_true(args.basic_qos.global);

    assert_int_equal(decode(STR("\0\x3c\0\x50\1\2\3\4\5\6\7\10\xfe"), &args), 0);
    assert_true(args.basic_ack.delivery_tag == 0x0102030405060708);
    assert_false(args.basic_ack.multiple);
}

static void bad_tables_are_refused(void **state)
{
    union amqp_args args;
    assert_int_equal(decode(STR("\0\x32\0\xa\0\0\1q\0\0\0\0\4\1kU\1"), &args), ERR_CORRUPT);
}

/* RabbitMQ answers 501 "Malformed UTF-8 in shortstr", also for reserved ones, but not when content
 * follows. */
static void short_strings_must_be_utf8_without_content(void **state)
{
    union amqp_args args;
    assert_int_equal(decode(STR("\0\x32\0\xa\0\0\1\xff\0\0\0\0\0"), &args), -EILSEQ);
    assert_int_equal(decode(STR("\0\xa\0\x28\1/\1\xff\0"), &args), -EILSEQ);
    assert_int_equal(decode(STR("\0\x32\0\xa\0\0\1\xff\0\0\0\0"), &args), ERR_CORRUPT);
    assert_int_equal(decode(STR("\0\x32\0\xa\0\0\2\xc3\xa4\0\0\0\0\0"), &args), 0);
    assert_int_equal(decode(STR("\0\x3c\0\x28\0\0\0\1\xff\0"), &args), 0);
    assert_true(str_equals(args.basic_publish.routing_key, STR("\xff")));
}

static void a_method_frame_is_written_whole(void **state)
{
    struct amqp_basic_ack ack = {.delivery_tag = 7, .multiple = true};
    struct str expected = STR("\1\0\5\0\0\0\xd\0\x3c\0\x50\0\0\0\0\0\0\0\7\1\xce");
    uint8_t buf[64];

    struct writer w = writer_of(buf, sizeof buf);
    amqp_frame_method(&w, 5, AMQP_BASIC_ACK, &ack);
    assert_true(str_equals(str_of(buf, writer_len(&w)), expected));
    amqp_frame_method(&w, 5, AMQP_CHANNEL_CLOSE_OK, NULL);
    assert_true(str_equals(str_of(buf + expected.len, writer_len(&w) - expected.len),
                           STR("\1\0\5\0\0\0\4\0\x14\0\x29\xce")));
    for (size_t cap = 0; cap < expected.len; cap++) {
        w = writer_of(buf, cap);
        amqp_frame_method(&w, 5, AMQP_BASIC_ACK, &ack);
        assert_true(w.failed);
    }
}

static void a_text_above_255_bytes_cannot_be_written(void **state)
{
    static char text[256];
    uint8_t buf[512];
    struct amqp_basic_cancel cancel = {.consumer_tag = {text, sizeof text}};
    struct writer w = writer_of(buf, sizeof buf);
    amqp_frame_method(&w, 1, AMQP_BASIC_CANCEL, &cancel);
    assert_true(w.failed);
}

static void content_frames_are_written_and_read(void **state)
{
    struct amqp_content_header header;
    struct amqp_frame f;
    uint8_t buf[64];
    size_t used;

    struct writer w = writer_of(buf, sizeof buf);
    amqp_frame_content_header(&w, 2, AMQP_CLASS_BASIC, 1000000, STR("\x10\0\2"));
    assert_int_equal(parse(str_of(buf, writer_len(&w)), 100, &f, &used), AMQP_FRAME_OK);
    assert_int_equal(f.type, AMQP_FRAME_HEADER);
    assert_int_equal(used, writer_len(&w));
    assert_int_equal(amqp_content_header_decode(f.payload, &header), 0);
    assert_int_equal(header.class_id, 60);
    assert_int_equal(header.weight, 0);
    assert_int_equal(header.body_size, 1000000);
    assert_true(str_equals(header.properties, STR("\x10\0\2")));
    f.payload.len = 11;
    assert_int_equal(amqp_content_header_decode(f.payload, &header), ERR_CORRUPT);

    w = writer_of(buf, sizeof buf);
    amqp_frame_body(&w, 2, STR("body"));
    amqp_frame_heartbeat(&w);
    assert_true(
        str_equals(str_of(buf, writer_len(&w)), STR("\3\0\2\0\0\0\4body\xce\10\0\0\0\0\0\0\xce")));
}

static void reply_codes_have_names_and_scopes(void **state)
{
    assert_string_equal(amqp_reply_name(AMQP_PRECONDITION_FAILED), "PRECONDITION_FAILED");
    assert_string_equal(amqp_reply_name(541), "INTERNAL_ERROR");
    assert_null(amqp_reply_name(0));
    assert_true(amqp_reply_is_hard(AMQP_NOT_ALLOWED));
    assert_false(amqp_reply_is_hard(AMQP_NOT_FOUND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_complete_with_its_last_octet),
        cmocka_unit_test(the_size_limit_is_on_the_payload),
        cmocka_unit_test(a_wrong_end_octet_is_shown),
        cmocka_unit_test(every_method_is_found_and_no_other),
        cmocka_unit_test(methods_know_their_properties),
        cmocka_unit_test(samples_decode_and_encode_to_the_same_bytes),
        cmocka_unit_test(cut_and_trailing_bytes_are_refused),
        cmocka_unit_test(arguments_land_in_their_members),
        cmocka_unit_test(bad_tables_are_refused),
        cmocka_unit_test(short_strings_must_be_utf8_without_content),
        cmocka_unit_test(a_method_frame_is_written_whole),
        cmocka_unit_test(a_text_above_255_bytes_cannot_be_written),
        cmocka_unit_test(content_frames_are_written_and_read),
        cmocka_unit_test(reply_codes_have_names_and_scopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
