/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the byte form of catalog commands: round trips, damage, what is refused. */
#include "core/catalog/catalog_fixture.h"
#include "core/catalog/command_codec.h"

#include "base/err.h"
#include "base/mem.h"

#define BIG_BYTES 120000
#define INCARNATION 0x0102030405060708U

static char big_table[BIG_BYTES];
static char long_name[256];
static struct catalog_queue_id many[CATALOG_RECORD_QUEUES_MAX + 1];

#define TABLE STR("\1aI\0\0\0\1\1bF\0\0\0\4\1ct\1")

static struct catalog_command samples[24];
static size_t sample_count;

static void add_sample(struct catalog_command command)
{
    assert_true(sample_count < ARRAY_LEN(samples));
    command.version = CATALOG_COMMAND_VERSION;
    samples[sample_count++] = command;
}

static void add_exchange(struct str name, enum exchange_type type, unsigned bits, struct str table)
{
    add_sample((struct catalog_command){.kind = CATALOG_EXCHANGE_DECLARE,
                                        .vhost = STR("/"),
                                        .exchange_declare = {.name = name,
                                                             .incarnation = INCARNATION,
                                                             .type = type,
                                                             .durable = bits & 1,
                                                             .auto_delete = bits & 2,
                                                             .internal = bits & 4,
                                                             .arguments = table}});
}

static void add_queue(struct str name, unsigned bits, struct str table)
{
    add_sample((struct catalog_command){.kind = CATALOG_QUEUE_DECLARE,
                                        .vhost = STR("v\0w"),
                                        .queue_declare = {.name = name,
                                                          .incarnation = CATALOG_INCARNATION_MAX,
                                                          .durable = bits & 1,
                                                          .auto_delete = bits & 2,
                                                          .arguments = table}});
}

static void add_binding(enum catalog_command_kind kind, enum destination_kind to, struct str source,
                        struct str destination, struct str key, struct str table)
{
    add_sample((struct catalog_command){.kind = (uint8_t)kind,
                                        .vhost = STR("/"),
                                        .binding = {source, to, destination, key, table}});
}

static void add_deletion(const struct catalog_queue_id *queues, size_t count)
{
    add_sample((struct catalog_command){
        .kind = CATALOG_QUEUES_DELETE, .vhost = STR("/"), .queues_delete = {queues, count}});
}

/* A longstr that fills the table. */
static void make_big_table(void)
{
    struct writer w = writer_of(big_table, sizeof big_table);
    writer_shortstr(&w, STR("x"));
    writer_u8(&w, 'S');
    writer_u32(&w, BIG_BYTES - 7);
}

/* Every kind, with nothing, with something, and with the most. */
static int make_samples(void **state)
{
    struct str none = {NULL, 0};
    struct str longest = str_of(long_name, 255);
    struct str big = str_of(big_table, sizeof big_table);
    static const struct catalog_queue_id two[] = {{STR("q"), 1}, {STR(""), INCARNATION}};
    memset(long_name, 'n', sizeof long_name);
    make_big_table();
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct catalog_queue_id){str_of(long_name, i % 256), i + 1};
    add_sample((struct catalog_command){
        .kind = CATALOG_VHOST_ADD, .vhost = STR("/"), .vhost_add.incarnation = 1});
    add_sample((struct catalog_command){
        .kind = CATALOG_VHOST_ADD, .vhost = longest, .vhost_add.incarnation = INCARNATION});
    add_sample((struct catalog_command){.kind = CATALOG_VHOST_DELETE, .vhost = STR("/")});
    add_sample((struct catalog_command){.kind = CATALOG_VHOST_DELETE});
    add_exchange(STR("x"), EXCHANGE_TOPIC, 1, TABLE);
    add_exchange(none, EXCHANGE_DIRECT, 0, none);
    add_exchange(longest, EXCHANGE_HEADERS, 7, big);
    add_exchange(STR("f"), EXCHANGE_FANOUT, 2, none);
    add_sample((struct catalog_command){
        .kind = CATALOG_EXCHANGE_DELETE, .vhost = STR("/"), .exchange_delete = {STR("x"), false}});
    add_sample((struct catalog_command){
        .kind = CATALOG_EXCHANGE_DELETE, .vhost = STR("/"), .exchange_delete = {none, true}});
    add_queue(STR("q"), 1, TABLE);
    add_queue(none, 0, none);
    add_queue(longest, 3, big);
    add_deletion(two, 2);
    add_deletion(NULL, 0);
    add_deletion(many, CATALOG_RECORD_QUEUES_MAX);
    add_binding(CATALOG_BIND, DESTINATION_QUEUE, STR("x"), STR("q"), STR("k"), TABLE);
    add_binding(CATALOG_BIND, DESTINATION_EXCHANGE, none, none, none, none);
    add_binding(CATALOG_UNBIND, DESTINATION_QUEUE, longest, longest, longest, big);
    add_binding(CATALOG_UNBIND, DESTINATION_EXCHANGE, STR("x"), STR("y"), none, TABLE);
    return 0;
}

/* In a block of exactly its size, so that ASan sees every read past it; free `.data` with mem_free(). */
static struct str encode(const struct catalog_command *command)
{
    size_t size = catalog_command_size(command);
    uint8_t *bytes = mem_alloc(size);
    struct writer w = writer_of(bytes, size);
    catalog_command_encode(command, &w);
    assert_false(w.failed);
    assert_int_equal(writer_len(&w), size);
    return str_of(bytes, size);
}

static int decode(struct str bytes, struct catalog_command *out)
{
    static struct catalog_command_scratch scratch;
    return catalog_command_decode(bytes, out, &scratch);
}

/* decode() of a copy that has exactly this length. */
static int decode_part(struct str bytes)
{
    struct catalog_command out;
    uint8_t *part = mem_alloc(bytes.len + 1);
    uint8_t *start = part + 1; /* so an empty one has bytes beyond, too */
    if (bytes.len)
        memcpy(start, bytes.data, bytes.len);
    int rc = decode(str_of(start, bytes.len), &out);
    mem_free(part);
    return rc;
}

static void assert_same_str(struct str a, struct str b)
{
    assert_int_equal(a.len, b.len);
    assert_true(str_equals(a, b));
}

static void assert_same_queues(const struct catalog_queues_delete *a,
                               const struct catalog_queues_delete *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_same_str(a->queues[i].name, b->queues[i].name);
        assert_int_equal(a->queues[i].incarnation, b->queues[i].incarnation);
    }
}

static void assert_same_exchange(const struct catalog_exchange_declare *a,
                                 const struct catalog_exchange_declare *b)
{
    assert_same_str(a->name, b->name);
    assert_same_str(a->arguments, b->arguments);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->durable, b->durable);
    assert_int_equal(a->auto_delete, b->auto_delete);
    assert_int_equal(a->internal, b->internal);
}

static void assert_same_queue(const struct catalog_queue_declare *a,
                              const struct catalog_queue_declare *b)
{
    assert_same_str(a->name, b->name);
    assert_same_str(a->arguments, b->arguments);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->durable, b->durable);
    assert_int_equal(a->auto_delete, b->auto_delete);
    assert_true(!b->exclusive && b->owner == 0 && b->shard == 0 && b->slot == 0);
}

static void assert_same_binding(const struct catalog_binding *a, const struct catalog_binding *b)
{
    assert_same_str(a->source, b->source);
    assert_same_str(a->destination, b->destination);
    assert_same_str(a->routing_key, b->routing_key);
    assert_same_str(a->arguments, b->arguments);
    assert_int_equal(a->kind, b->kind);
}

static void assert_same(const struct catalog_command *a, const struct catalog_command *b)
{
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->kind, b->kind);
    assert_same_str(a->vhost, b->vhost);
    if (a->kind == CATALOG_VHOST_ADD)
        assert_int_equal(a->vhost_add.incarnation, b->vhost_add.incarnation);
    if (a->kind == CATALOG_EXCHANGE_DECLARE)
        assert_same_exchange(&a->exchange_declare, &b->exchange_declare);
    if (a->kind == CATALOG_EXCHANGE_DELETE) {
        assert_same_str(a->exchange_delete.name, b->exchange_delete.name);
        assert_int_equal(a->exchange_delete.if_unused, b->exchange_delete.if_unused);
    }
    if (a->kind == CATALOG_QUEUE_DECLARE)
        assert_same_queue(&a->queue_declare, &b->queue_declare);
    if (a->kind == CATALOG_QUEUES_DELETE)
        assert_same_queues(&a->queues_delete, &b->queues_delete);
    if (a->kind == CATALOG_BIND || a->kind == CATALOG_UNBIND)
        assert_same_binding(&a->binding, &b->binding);
}

static void every_kind_comes_back(void **state)
{
    for (size_t i = 0; i < sample_count; i++) {
        struct catalog_command out;
        struct str bytes = encode(&samples[i]);
        assert_int_equal(decode(bytes, &out), 0);
        assert_same(&samples[i], &out);
        mem_free((void *)bytes.data);
    }
}

/* The layout of the file header, byte by byte: what is on disks must not move. */
static void the_layout_stays(void **state)
{
    static const struct {
        size_t sample;
        struct str bytes;
    } expected[] = {
        {0, STR("\1\1\1/\0\0\0\0\0\0\0\1")},
        {2, STR("\1\2\1/")},
        {4, STR("\1\3\1/\1\2\3\4\5\6\7\10\1x\2\1\0\0\0\22"
                "\1aI\0\0\0\1\1bF\0\0\0\4\1ct\1")},
        {9, STR("\1\4\1/\0\1")},
        {10, STR("\1\5\3v\0w\100\0\0\0\0\0\0\0\1q\1\0\0\0\22"
                 "\1aI\0\0\0\1\1bF\0\0\0\4\1ct\1")},
        {13, STR("\1\6\1/\0\2\0\0\0\0\0\0\0\1\1q\1\2\3\4\5\6\7\10\0")},
        {16, STR("\1\7\1/\0\1x\1q\1k\0\0\0\22"
                 "\1aI\0\0\0\1\1bF\0\0\0\4\1ct\1")},
        {19, STR("\1\10\1/\1\1x\1y\0\0\0\0\22"
                 "\1aI\0\0\0\1\1bF\0\0\0\4\1ct\1")},
    };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        struct str bytes = encode(&samples[expected[i].sample]);
        assert_same_str(bytes, expected[i].bytes);
        mem_free((void *)bytes.data);
    }
}

static void cut_or_longer_bytes_are_refused(void **state)
{
    for (size_t i = 0; i < sample_count; i++) {
        struct str bytes = encode(&samples[i]);
        /* Inside the big table one length is like another. */
        for (size_t len = 0; len<bytes.len; len += len> 2000 && len + 2000 < bytes.len ? 997 : 1)
            assert_int_equal(decode_part(str_of(bytes.data, len)), ERR_CORRUPT);
        char *longer = mem_alloc(bytes.len + 1);
        memcpy(longer, bytes.data, bytes.len);
        longer[bytes.len] = 0;
        assert_int_equal(decode_part(str_of(longer, bytes.len + 1)), ERR_CORRUPT);
        mem_free(longer);
        mem_free((void *)bytes.data);
    }
}

static void check_canonical(struct str bytes, const struct catalog_command *command)
{
    struct str again = encode(command);
    assert_same_str(again, bytes);
    mem_free((void *)again.data);
}

/* Up to three bytes changed: refused, or exactly what the bytes say. */
static void mutations_never_crash(void **state)
{
    uint64_t seed = 7;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 60000; round++) {
        const struct catalog_command *sample = &samples[round % sample_count];
        struct catalog_command out;
        if (catalog_command_size(sample) > 1000)
            continue;
        struct str bytes = encode(sample);
        for (unsigned i = 0; i < 1 + round / 100 % 3; i++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            ((uint8_t *)bytes.data)[(seed >> 33) % bytes.len] ^= (uint8_t)(1U << (seed >> 60 & 7));
        }
        int rc = decode(bytes, &out);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        if (rc == 0) {
            check_canonical(bytes, &out);
            accepted++;
        }
        mem_free((void *)bytes.data);
    }
    assert_true(accepted > 1000); /* names and numbers may have any value */
}

static void bad_fields_are_refused(void **state)
{
    static const struct {
        const char *what;
        struct str bytes;
    } bad[] = {
        {"nothing", {NULL, 0}},
        {"version 0", STR("\0\2\1/")},
        {"version 2", STR("\2\2\1/")},
        {"kind 0", STR("\1\0\1/")},
        {"kind 9", STR("\1\11\1/")},
        {"kind 255", STR("\1\377\1/")},
        {"vhost longer than the record", STR("\1\2\2/")},
        {"vhost delete with a body", STR("\1\2\1/\0")},
        {"incarnation 0", STR("\1\1\1/\0\0\0\0\0\0\0\0")},
        {"incarnation 2^62 + 1", STR("\1\1\1/\100\0\0\0\0\0\0\1")},
        {"incarnation 2^64 - 1", STR("\1\1\1/\377\377\377\377\377\377\377\377")},
        {"exchange: type 4", STR("\1\3\1/\0\0\0\0\0\0\0\1\1x\4\1\0\0\0\0")},
        {"exchange: unknown flag", STR("\1\3\1/\0\0\0\0\0\0\0\1\1x\0\10\0\0\0\0")},
        {"exchange: table cut", STR("\1\3\1/\0\0\0\0\0\0\0\1\1x\0\1\0\0\0\2\1a")},
        {"exchange: tag U", STR("\1\3\1/\0\0\0\0\0\0\0\1\1x\0\1\0\0\0\4\1aU\0")},
        {"exchange: table of 4 GiB", STR("\1\3\1/\0\0\0\0\0\0\0\1\1x\0\1\377\377\377\377")},
        {"exchange delete: unknown flag", STR("\1\4\1/\1x\2")},
        {"queue: internal", STR("\1\5\1/\0\0\0\0\0\0\0\1\1q\4\0\0\0\0")},
        {"queue: NaN", STR("\1\5\1/\0\0\0\0\0\0\0\1\1q\1\0\0\0\7\1af\177\300\0\0")},
        {"queues: one more than there are", STR("\1\6\1/\0\2\0\0\0\0\0\0\0\1\1q")},
        {"queues: one fewer", STR("\1\6\1/\0\0\0\0\0\0\0\0\0\1\1q")},
        {"queues: too many", STR("\1\6\1/\1\1")},
        {"bind: kind 2", STR("\1\7\1/\2\1x\1q\0\0\0\0\0")},
        {"bind: table", STR("\1\7\1/\0\1x\1q\0\0\0\0\1\1")},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int rc = decode_part(bad[i].bytes);
        if (rc != ERR_CORRUPT)
            fail_msg("%s: %d", bad[i].what, rc);
    }
}

static void a_refused_command_is_empty(void **state)
{
    struct catalog_command out = samples[4];
    assert_int_equal(decode(STR("\1\3\1/\0\0\0\0\0\0\0\1\1x\4\1\0\0\0\0"), &out), ERR_CORRUPT);
    assert_int_equal(out.kind, 0);
    assert_null(out.vhost.data);
    assert_null(out.exchange_declare.name.data);
}

static void assert_not_written(struct catalog_command command)
{
    static uint8_t bytes[400 * CATALOG_RECORD_QUEUES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    if (!command.version)
        command.version = CATALOG_COMMAND_VERSION;
    catalog_command_encode(&command, &w);
    assert_true(w.failed);
}

static void what_is_no_record_is_not_written(void **state)
{
    struct catalog_command queue = samples[10];
    queue.queue_declare.exclusive = true;
    assert_not_written(queue);
    queue.queue_declare.exclusive = false;
    queue.queue_declare.owner = 5;
    assert_not_written(queue);
    queue.queue_declare.owner = 0;
    queue.queue_declare.incarnation = 0;
    assert_not_written(queue);
    queue.queue_declare.incarnation = CATALOG_INCARNATION_MAX + 1;
    assert_not_written(queue);
    assert_not_written((struct catalog_command){.kind = CATALOG_VHOST_ADD, .vhost = STR("/")});
    assert_not_written((struct catalog_command){.kind = 0, .vhost = STR("/")});
    assert_not_written((struct catalog_command){.kind = 9, .vhost = STR("/")});
    assert_not_written((struct catalog_command){.version = 2, .kind = CATALOG_VHOST_DELETE});
    assert_not_written((struct catalog_command){.kind = CATALOG_VHOST_DELETE,
                                                .vhost = str_of(long_name, sizeof long_name)});
    assert_not_written((struct catalog_command){
        .kind = CATALOG_QUEUES_DELETE, .queues_delete = {many, CATALOG_RECORD_QUEUES_MAX + 1}});
}

static void a_full_buffer_is_noticed(void **state)
{
    for (size_t i = 0; i < sample_count; i++) {
        size_t size = catalog_command_size(&samples[i]);
        for (size_t room = 0; room < size; room += 1 + size / 50) {
            uint8_t *bytes = mem_alloc(room + 1);
            struct writer w = writer_of(bytes, room);
            catalog_command_encode(&samples[i], &w);
            assert_true(w.failed);
            mem_free(bytes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back),
        cmocka_unit_test(the_layout_stays),
        cmocka_unit_test(cut_or_longer_bytes_are_refused),
        cmocka_unit_test(mutations_never_crash),
        cmocka_unit_test(bad_fields_are_refused),
        cmocka_unit_test(a_refused_command_is_empty),
        cmocka_unit_test(what_is_no_record_is_not_written),
        cmocka_unit_test(a_full_buffer_is_noticed),
    };
    return cmocka_run_group_tests(tests, make_samples, NULL);
}
