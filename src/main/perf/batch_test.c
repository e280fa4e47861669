/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of batch.c: what is rendered parses as publishes, and patches hit the right bytes. */
#include "batch.c"
#include "keys.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct message {
    struct str exchange, key;
    uint64_t body_size;
    uint8_t body[STAMP_BYTES];
    size_t body_seen;
    uint8_t delivery_mode;
    bool is_mandatory;
};

static struct amqp_frame next_frame(struct cursor *in)
{
    struct amqp_frame frame;
    size_t used;
    assert_int_equal(amqp_frame_parse(in->pos, cursor_left(in), UINT32_MAX, &frame, &used),
                     AMQP_FRAME_OK);
    cursor_bytes(in, used);
    assert_int_equal(frame.channel, 7);
    return frame;
}

/* Reads one whole message as a broker would. */
static struct message read_message(struct cursor *in)
{
    struct message m = {0};
    struct amqp_frame frame = next_frame(in);
    assert_int_equal(frame.type, AMQP_FRAME_METHOD);
    struct cursor args = cursor_of_str(frame.payload);
    assert_int_equal(cursor_u32(&args), AMQP_BASIC_PUBLISH);
    union amqp_args publish;
    assert_int_equal(amqp_method_decode(amqp_method_find(AMQP_BASIC_PUBLISH), &args, &publish), 0);
    m.exchange = publish.basic_publish.exchange;
    m.key = publish.basic_publish.routing_key;
    m.is_mandatory = publish.basic_publish.mandatory;

    frame = next_frame(in);
    struct amqp_content_header header;
    struct content_props props;
    assert_int_equal(frame.type, AMQP_FRAME_HEADER);
    assert_int_equal(amqp_content_header_decode(frame.payload, &header), 0);
    assert_int_equal(content_props_parse(header.properties, &props), 0);
    m.body_size = header.body_size;
    m.delivery_mode = props.delivery_mode;
    while (m.body_seen < m.body_size) {
        frame = next_frame(in);
        assert_int_equal(frame.type, AMQP_FRAME_BODY);
        if (m.body_seen == 0)
            memcpy(m.body, frame.payload.data, MIN(frame.payload.len, (size_t)STAMP_BYTES));
        m.body_seen += frame.payload.len;
    }
    assert_int_equal(m.body_seen, m.body_size);
    return m;
}

static struct cursor whole(const struct batch *b)
{
    return cursor_of_str(batch_run(b, 0, b->count));
}

static void test_sizes_in_turn_over_many_frames(void **state)
{
    const uint32_t sizes[] = {0, 11, 12, 16, 5000, 70000};
    const struct batch_template t = {.channel = 7,
                                     .frame_max = 4096,
                                     .exchange = STR("ex"),
                                     .routing_key = STR("key"),
                                     .is_persistent = true,
                                     .sizes = sizes,
                                     .size_count = ARRAY_LEN(sizes)};
    struct batch b;
    batch_render(&b, &t, 1);
    assert_true(b.count % ARRAY_LEN(sizes) == 0 && b.is_patched);
    batch_patch(&b, 0, b.count, 0x1122334455667788, 100);
    struct cursor in = whole(&b);
    for (uint32_t i = 0; i < b.count; i++) {
        const struct message m = read_message(&in);
        assert_int_equal(m.body_size, sizes[i % ARRAY_LEN(sizes)]);
        assert_true(str_equals(m.exchange, STR("ex")) && str_equals(m.key, STR("key")));
        assert_int_equal(m.delivery_mode, 2);
        assert_false(m.is_mandatory);
        if (m.body_size < STAMP_BYTES)
            continue;
        assert_int_equal(load_u32(m.body), 100 + i);
        assert_true(load_u64(m.body + 4) == 0x1122334455667788);
    }
    assert_true(cursor_is_done(&in));
    batch_fini(&b);
}

static void test_small_messages_fill_the_batch(void **state)
{
    const uint32_t size = 0;
    const struct batch_template t = {
        .channel = 7, .frame_max = 131072, .sizes = &size, .size_count = 1, .is_mandatory = true};
    struct batch b;
    batch_render(&b, &t, 1);
    assert_in_range(batch_run(&b, 0, b.count).len, BATCH_BYTES - 100, BATCH_BYTES + 100);
    assert_false(b.is_patched);
    struct cursor in = whole(&b);
    for (uint32_t i = 0; i < b.count; i++)
        assert_true(read_message(&in).is_mandatory);
    batch_fini(&b);
}

static void test_a_large_message_is_a_batch(void **state)
{
    const uint32_t size = 10000000;
    const struct batch_template t = {
        .channel = 7, .frame_max = 131072, .sizes = &size, .size_count = 1};
    struct batch b;
    batch_render(&b, &t, 1);
    assert_int_equal(b.count, 1);
    struct cursor in = whole(&b);
    assert_int_equal(read_message(&in).body_size, size);
    assert_true(cursor_is_done(&in));
    batch_fini(&b);
}

static void test_no_frame_limit(void **state)
{
    const uint32_t size = 300000;
    const struct batch_template t = {
        .channel = 7, .frame_max = UINT32_MAX, .sizes = &size, .size_count = 1};
    struct batch b;
    batch_render(&b, &t, 1);
    struct cursor in = whole(&b);
    assert_int_equal(read_message(&in).body_size, size);
    batch_fini(&b);
}

static void check_words(struct str key)
{
    for (size_t i = 0; i < key.len; i++) {
        const char c = key.data[i];
        assert_true(i % 4 == 0 ? c == 'w' : i % 4 == 3 ? c == '.' : c >= '0' && c <= '9');
    }
}

static void test_random_keys_differ_and_are_well_formed(void **state)
{
    const uint32_t size = 16;
    struct batch_template t = {.channel = 7,
                               .frame_max = 131072,
                               .exchange = STR("perf.topic"),
                               .keys = BATCH_KEYS_TOPIC,
                               .sizes = &size,
                               .size_count = 1};
    struct batch b;
    batch_render(&b, &t, 42);
    batch_patch(&b, 0, b.count, 1, 1);
    struct cursor in = whole(&b);
    for (uint32_t i = 0; i < b.count; i++) {
        const struct str key = read_message(&in).key;
        assert_int_equal(key.len, keys_topic_len(i));
        check_words(key);
    }
    batch_fini(&b);

    t.keys = BATCH_KEYS_RANDOM;
    batch_render(&b, &t, 42);
    batch_patch(&b, 0, b.count, 1, 1);
    in = whole(&b);
    const struct str first = read_message(&in).key, second = read_message(&in).key;
    assert_int_equal(first.len, KEYS_RANDOM_LEN);
    assert_false(str_equals(first, second));
    batch_fini(&b);
}

static void test_patch_touches_only_its_messages(void **state)
{
    const uint32_t size = 16;
    const struct batch_template t = {.channel = 7,
                                     .frame_max = 131072,
                                     .routing_key = STR("k"),
                                     .sizes = &size,
                                     .size_count = 1};
    struct batch b;
    batch_render(&b, &t, 1);
    const struct str all = batch_run(&b, 0, b.count);
    uint8_t *before = mem_alloc(all.len);
    memcpy(before, all.data, all.len);
    batch_patch(&b, 10, 5, 99, 7);
    assert_memory_equal(before, all.data, b.slots[10].start);
    assert_memory_equal(before + b.slots[15].start, all.data + b.slots[15].start,
                        all.len - b.slots[15].start);
    assert_memory_not_equal(before + b.slots[12].start, all.data + b.slots[12].start, 80);
    mem_free(before);
    batch_fini(&b);
}

static void test_patterns_are_legal(void **state)
{
    uint64_t random = 3;
    uint32_t wildcards = 0;
    for (int i = 0; i < 10000; i++) {
        char pattern[KEYS_TOPIC_MAX];
        const size_t len = keys_topic_pattern(&random, pattern);
        assert_in_range(len, 9, KEYS_TOPIC_MAX);
        assert_true(pattern[len - 1] != '.');
        const bool has_star = memchr(pattern, '*', len) != NULL;
        const bool has_hash = memchr(pattern, '#', len) != NULL;
        wildcards += has_star || has_hash;
        if (!has_star && !has_hash)
            check_words(str_of(pattern, len));
        for (size_t at = 0; at < len; at++)
            assert_true((at == 0 || pattern[at - 1] == '.') ==
                        (pattern[at] == 'w' || pattern[at] == '*' || pattern[at] == '#'));
    }
    assert_in_range(wildcards, 800, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_in_turn_over_many_frames),
        cmocka_unit_test(test_small_messages_fill_the_batch),
        cmocka_unit_test(test_a_large_message_is_a_batch),
        cmocka_unit_test(test_no_frame_limit),
        cmocka_unit_test(test_random_keys_differ_and_are_well_formed),
        cmocka_unit_test(test_patch_touches_only_its_messages),
        cmocka_unit_test(test_patterns_are_legal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
