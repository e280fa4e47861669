/* SPDX-License-Identifier: Apache-2.0 */
/* What a librabbitmq application relies on beyond the tutorials; prints "ok - CHECK" for each. */
#include "client.h"

#include <unistd.h>

#define NAME_MAX_BYTES 64

static amqp_connection_state_t conn;
static struct timeval patience = {.tv_sec = 30};

static void fail(const char *what)
{
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static void expect(int holds, const char *what)
{
    if (!holds)
        fail(what);
}

static int bytes_equal(amqp_bytes_t bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.bytes, text, bytes.len) == 0;
}

static void open_channel(amqp_channel_t channel)
{
    amqp_channel_open(conn, channel);
    check_reply(amqp_get_rpc_reply(conn), "opening a channel");
}

static void close_channel(amqp_channel_t channel)
{
    check_reply(amqp_channel_close(conn, channel, AMQP_REPLY_SUCCESS), "closing a channel");
}

/* Declares an exclusive queue with a name of its own, which it puts into `name`. */
static amqp_bytes_t own_queue(amqp_channel_t channel, char name[NAME_MAX_BYTES])
{
    static int count;

    snprintf(name, NAME_MAX_BYTES, "tokki-librabbitmq-%ld-%d", (long)getpid(), ++count);
    amqp_queue_declare(conn, channel, amqp_cstring_bytes(name), 0, 0, 1, 0, amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "declaring a queue");
    return amqp_cstring_bytes(name);
}

static unsigned message_count(amqp_channel_t channel, amqp_bytes_t queue)
{
    amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(conn, channel, queue, 1, 0, 0, 0, amqp_empty_table);

    check_reply(amqp_get_rpc_reply(conn), "asking for the queue's length");
    return ok->message_count;
}

static void publish(amqp_channel_t channel, const char *exchange, amqp_bytes_t key, int mandatory,
                    const amqp_basic_properties_t *props, amqp_bytes_t body)
{
    check_status(amqp_basic_publish(conn, channel, amqp_cstring_bytes(exchange), key, mandatory, 0,
                                    props, body),
                 "publishing");
}

static void next_frame(amqp_frame_t *frame)
{
    check_status(amqp_simple_wait_frame_noblock(conn, frame, &patience), "waiting for a frame");
}

/* Gets one message into `message`, for which it returns the delivery tag; fails on an empty queue. */
static uint64_t get(amqp_channel_t channel, amqp_bytes_t queue, int no_ack, int redelivered,
                    amqp_message_t *message)
{
    amqp_rpc_reply_t reply = amqp_basic_get(conn, channel, queue, no_ack);
    amqp_basic_get_ok_t *ok = reply.reply.decoded;
    uint64_t tag;

    check_reply(reply, "getting a message");
    expect(reply.reply.id == AMQP_BASIC_GET_OK_METHOD, "the queue holds a message");
    expect(!!ok->redelivered == redelivered, "the redelivered flag is as it should be");
    tag = ok->delivery_tag;
    check_reply(amqp_read_message(conn, channel, message, 0), "reading a message");
    return tag;
}

static uint64_t get_text(amqp_channel_t channel, amqp_bytes_t queue, int redelivered,
                         const char *text)
{
    amqp_message_t message;
    uint64_t tag = get(channel, queue, 0, redelivered, &message);

    expect(bytes_equal(message.body, text), text);
    amqp_destroy_message(&message);
    return tag;
}

static void publisher_confirms(void)
{
    char name[NAME_MAX_BYTES];
    amqp_bytes_t queue;
    uint64_t confirmed = 0;

    open_channel(2);
    queue = own_queue(2, name);
    amqp_confirm_select(conn, 2);
    check_reply(amqp_get_rpc_reply(conn), "selecting confirms");
    for (int i = 0; i < 100; i++)
        publish(2, "", queue, 0, NULL, amqp_cstring_bytes("x"));
    while (confirmed < 100) { /* each ack answers one message or, with `multiple`, all up to it */
        amqp_frame_t frame;
        amqp_basic_ack_t *ack = NULL;

        next_frame(&frame);
        expect(frame.frame_type == AMQP_FRAME_METHOD && frame.channel == 2 &&
                   frame.payload.method.id == AMQP_BASIC_ACK_METHOD,
               "a confirm arrives");
        ack = frame.payload.method.decoded;
        confirmed = ack->multiple ? ack->delivery_tag : confirmed + 1;
    }
    expect(message_count(2, queue) == 100, "100 messages are in the queue");
    close_channel(2);
}

static void mandatory_return(void)
{
    amqp_frame_t frame;
    amqp_basic_return_t *returned = NULL;
    amqp_message_t message;

    open_channel(3);
    amqp_confirm_select(conn, 3);
    check_reply(amqp_get_rpc_reply(conn), "selecting confirms");
    publish(3, "amq.direct", amqp_cstring_bytes("tokki-nowhere"), 1, NULL,
            amqp_cstring_bytes("lost"));
    next_frame(&frame);
    expect(frame.payload.method.id == AMQP_BASIC_RETURN_METHOD, "the return comes first");
    returned = frame.payload.method.decoded;
    expect(returned->reply_code == 312 && bytes_equal(returned->reply_text, "NO_ROUTE"),
           "the return says 312 NO_ROUTE");
    expect(bytes_equal(returned->exchange, "amq.direct") &&
               bytes_equal(returned->routing_key, "tokki-nowhere"),
           "the return names exchange and key");
    check_reply(amqp_read_message(conn, 3, &message, 0), "reading the returned message");
    expect(bytes_equal(message.body, "lost"), "the body comes back");
    amqp_destroy_message(&message);
    next_frame(&frame);
    expect(frame.payload.method.id == AMQP_BASIC_ACK_METHOD, "the confirm follows the return");
    close_channel(3);
}

static void nack_and_requeue(void)
{
    char name[NAME_MAX_BYTES];
    amqp_bytes_t queue;
    uint64_t first, second;

    open_channel(4);
    queue = own_queue(4, name);
    publish(4, "", queue, 0, NULL, amqp_cstring_bytes("a"));
    publish(4, "", queue, 0, NULL, amqp_cstring_bytes("b"));
    publish(4, "", queue, 0, NULL, amqp_cstring_bytes("c"));
    first = get_text(4, queue, 0, "a");
    second = get_text(4, queue, 0, "b");
    check_status(amqp_basic_nack(conn, 4, first, 0, 1), "nack with requeue");
    first = get_text(4, queue, 1, "a");
    check_status(amqp_basic_reject(conn, 4, second, 0), "reject");
    check_status(amqp_basic_nack(conn, 4, first, 1, 0), "nack without requeue");
    first = get_text(4, queue, 0, "c");
    check_status(amqp_basic_ack(conn, 4, first, 0), "ack");
    expect(amqp_basic_get(conn, 4, queue, 0).reply.id == AMQP_BASIC_GET_EMPTY_METHOD,
           "the queue is empty");
    close_channel(4);
}

static uint64_t consume_text(const char *text)
{
    amqp_envelope_t envelope;
    uint64_t tag;

    check_reply(amqp_consume_message(conn, &envelope, &patience, 0), "waiting for a delivery");
    expect(bytes_equal(envelope.message.body, text), text);
    tag = envelope.delivery_tag;
    amqp_destroy_envelope(&envelope);
    return tag;
}

static void prefetch(void)
{
    static const char *const texts[] = {"0", "1", "2", "3", "4"};
    char name[NAME_MAX_BYTES];
    amqp_bytes_t queue;
    uint64_t first;

    open_channel(5);
    queue = own_queue(5, name);
    for (int i = 0; i < 5; i++)
        publish(5, "", queue, 0, NULL, amqp_cstring_bytes(texts[i]));
    amqp_basic_qos(conn, 5, 0, 2, 0);
    check_reply(amqp_get_rpc_reply(conn), "setting the prefetch count");
    amqp_basic_consume(conn, 5, queue, amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "consuming");
    first = consume_text("0");
    consume_text("1");
    expect(message_count(5, queue) == 3, "3 messages wait behind a prefetch of 2");
    expect(!amqp_frames_enqueued(conn) && !amqp_data_in_buffer(conn), "no third delivery");
    check_status(amqp_basic_ack(conn, 5, first, 0), "ack");
    consume_text("2");
    close_channel(5);
}

#define ENTRY(key_, kind_, member_, ...)                                                           \
    {                                                                                              \
        .key = {sizeof key_ - 1, (void *)key_},                                                    \
        .value = {.kind = (kind_), .value.member_ = __VA_ARGS__},                                  \
    }
#define TEXT(text_)                                                                                \
    {                                                                                              \
        sizeof text_ - 1, (void *)text_                                                            \
    }

static amqp_table_entry_t inner_entries[] = {
    ENTRY("deep", AMQP_FIELD_KIND_UTF8, bytes, TEXT("value")),
    ENTRY("void", AMQP_FIELD_KIND_VOID, i32, 0),
};
static amqp_field_value_t array_values[] = {
    {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1},
    {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = TEXT("two")},
    {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {2, inner_entries}},
};
static amqp_table_entry_t entries[] = {
    ENTRY("t", AMQP_FIELD_KIND_BOOLEAN, boolean, 1),
    ENTRY("b", AMQP_FIELD_KIND_I8, i8, -8),
    ENTRY("B", AMQP_FIELD_KIND_U8, u8, 200),
    ENTRY("s", AMQP_FIELD_KIND_I16, i16, -1600),
    ENTRY("u", AMQP_FIELD_KIND_U16, u16, 60000),
    ENTRY("I", AMQP_FIELD_KIND_I32, i32, -320000),
    ENTRY("i", AMQP_FIELD_KIND_U32, u32, 4000000000u),
    ENTRY("l", AMQP_FIELD_KIND_I64, i64, INT64_MIN),
    ENTRY("f", AMQP_FIELD_KIND_F32, f32, 0.1f),
    ENTRY("d", AMQP_FIELD_KIND_F64, f64, 0.1),
    ENTRY("D", AMQP_FIELD_KIND_DECIMAL, decimal, {2, 314}),
    ENTRY("S", AMQP_FIELD_KIND_UTF8, bytes, TEXT("gr\xc3\xbc\xc3\x9f")),
    ENTRY("A", AMQP_FIELD_KIND_ARRAY, array, {3, array_values}),
    ENTRY("T", AMQP_FIELD_KIND_TIMESTAMP, u64, 1700000000),
    ENTRY("F", AMQP_FIELD_KIND_TABLE, table, {2, inner_entries}),
    ENTRY("V", AMQP_FIELD_KIND_VOID, i32, 0),
    ENTRY("x", AMQP_FIELD_KIND_BYTES, bytes, TEXT("\0\xff")),
};

static void expect_equal_table(const amqp_table_t *got, const amqp_table_t *sent);

static void expect_equal_bytes(amqp_bytes_t got, amqp_bytes_t sent, const char *what)
{
    expect(got.len == sent.len && memcmp(got.bytes, sent.bytes, sent.len) == 0, what);
}

static void expect_equal_value(const amqp_field_value_t *got, const amqp_field_value_t *sent)
{
    char what[] = "a header value of type ? came back equal";

    what[23] = (char)sent->kind;
    expect(got->kind == sent->kind, what);
    switch (sent->kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
        expect(got->value.boolean == sent->value.boolean, what);
        break;
    case AMQP_FIELD_KIND_I8:
        expect(got->value.i8 == sent->value.i8, what);
        break;
    case AMQP_FIELD_KIND_U8:
        expect(got->value.u8 == sent->value.u8, what);
        break;
    case AMQP_FIELD_KIND_I16:
        expect(got->value.i16 == sent->value.i16, what);
        break;
    case AMQP_FIELD_KIND_U16:
        expect(got->value.u16 == sent->value.u16, what);
        break;
    case AMQP_FIELD_KIND_I32:
        expect(got->value.i32 == sent->value.i32, what);
        break;
    case AMQP_FIELD_KIND_U32:
        expect(got->value.u32 == sent->value.u32, what);
        break;
    case AMQP_FIELD_KIND_I64:
        expect(got->value.i64 == sent->value.i64, what);
        break;
    case AMQP_FIELD_KIND_TIMESTAMP:
        expect(got->value.u64 == sent->value.u64, what);
        break;
    case AMQP_FIELD_KIND_F32:
        expect(memcmp(&got->value.f32, &sent->value.f32, sizeof(float)) == 0, what);
        break;
    case AMQP_FIELD_KIND_F64:
        expect(memcmp(&got->value.f64, &sent->value.f64, sizeof(double)) == 0, what);
        break;
    case AMQP_FIELD_KIND_DECIMAL:
        expect(got->value.decimal.decimals == sent->value.decimal.decimals &&
                   got->value.decimal.value == sent->value.decimal.value,
               what);
        break;
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        expect_equal_bytes(got->value.bytes, sent->value.bytes, what);
        break;
    case AMQP_FIELD_KIND_TABLE:
        expect_equal_table(&got->value.table, &sent->value.table);
        break;
    case AMQP_FIELD_KIND_ARRAY:
        expect(got->value.array.num_entries == sent->value.array.num_entries, what);
        for (int i = 0; i < sent->value.array.num_entries; i++) {
            expect_equal_value(&got->value.array.entries[i], &sent->value.array.entries[i]);
        }
        break;
    default:
        break; /* void */
    }
}

/* RabbitMQ 4 sorts headers by name, 3.10 keeps their order: the names count here. */
static const amqp_field_value_t *table_find(const amqp_table_t *table, amqp_bytes_t key)
{
    for (int i = 0; i < table->num_entries; i++) {
        amqp_bytes_t name = table->entries[i].key;

        if (name.len == key.len && memcmp(name.bytes, key.bytes, key.len) == 0) {
            return &table->entries[i].value;
        }
    }
    fail("every header came back");
    return NULL;
}

static void expect_equal_table(const amqp_table_t *got, const amqp_table_t *sent)
{
    expect(got->num_entries == sent->num_entries, "a table came back with all its entries");
    for (int i = 0; i < sent->num_entries; i++) {
        expect_equal_value(table_find(got, sent->entries[i].key), &sent->entries[i].value);
    }
}

static void properties_and_header_types(void)
{
    const amqp_flags_t all =
        AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG | AMQP_BASIC_HEADERS_FLAG |
        AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG |
        AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
        AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_USER_ID_FLAG |
        AMQP_BASIC_APP_ID_FLAG | AMQP_BASIC_CLUSTER_ID_FLAG;
    const amqp_basic_properties_t sent = {
        ._flags = all,
        .content_type = TEXT("text/plain"),
        .content_encoding = TEXT("utf-8"),
        .headers = {sizeof entries / sizeof entries[0], entries},
        .delivery_mode = 2,
        .priority = 9,
        .correlation_id = TEXT("c-1"),
        .reply_to = TEXT("r-1"),
        .expiration = TEXT("60000"),
        .message_id = TEXT("m-1"),
        .timestamp = 1700000000,
        .type = TEXT("t-1"),
        .user_id = TEXT("guest"),
        .app_id = TEXT("a-1"),
        .cluster_id = TEXT("k-1"),
    };
    char name[NAME_MAX_BYTES];
    amqp_bytes_t queue;
    amqp_message_t message;
    amqp_basic_properties_t *got = &message.properties;

    open_channel(6);
    queue = own_queue(6, name);
    publish(6, "", queue, 0, &sent, amqp_cstring_bytes("body"));
    get(6, queue, 1, 0, &message);
    expect(bytes_equal(message.body, "body"), "the body came back");
    expect(got->_flags == all, "all properties came back");
    expect(got->delivery_mode == 2 && got->priority == 9 && got->timestamp == 1700000000,
           "the number properties are equal");
    expect_equal_bytes(got->content_type, sent.content_type, "content-type");
    expect_equal_bytes(got->content_encoding, sent.content_encoding, "content-encoding");
    expect_equal_bytes(got->correlation_id, sent.correlation_id, "correlation-id");
    expect_equal_bytes(got->reply_to, sent.reply_to, "reply-to");
    expect_equal_bytes(got->expiration, sent.expiration, "expiration");
    expect_equal_bytes(got->message_id, sent.message_id, "message-id");
    expect_equal_bytes(got->type, sent.type, "type");
    expect_equal_bytes(got->user_id, sent.user_id, "user-id");
    expect_equal_bytes(got->app_id, sent.app_id, "app-id");
    expect_equal_bytes(got->cluster_id, sent.cluster_id, "cluster-id");
    expect_equal_table(&got->headers, &sent.headers);
    amqp_destroy_message(&message);
    close_channel(6);
}

static void large_bodies(void)
{
    static const size_t sizes[] = {0, 1, 1u << 20, 5u << 20};
    char name[NAME_MAX_BYTES];
    amqp_bytes_t queue;

    open_channel(7);
    queue = own_queue(7, name);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        amqp_bytes_t body = amqp_bytes_malloc(sizes[i]);
        amqp_message_t message;

        for (size_t k = 0; k < sizes[i]; k++)
            ((char *)body.bytes)[k] = (char)(k % 251);
        publish(7, "", queue, 0, NULL, body);
        get(7, queue, 1, 0, &message);
        expect_equal_bytes(message.body, body, "a large body came back equal");
        amqp_destroy_message(&message);
        amqp_bytes_free(body);
        amqp_maybe_release_buffers(conn);
    }
    close_channel(7);
}

/* librabbitmq announces no consumer_cancel_notify capability unless told to: amqp_login_with_properties. */
static void consumer_cancel_notification(void)
{
    amqp_table_entry_t able = ENTRY("consumer_cancel_notify", AMQP_FIELD_KIND_BOOLEAN, boolean, 1);
    amqp_table_entry_t capabilities =
        ENTRY("capabilities", AMQP_FIELD_KIND_TABLE, table, {1, NULL});
    amqp_table_t properties = {1, &capabilities};
    amqp_connection_state_t before = conn;
    amqp_basic_consume_ok_t *ok = NULL;
    char name[NAME_MAX_BYTES], tag[128];
    amqp_bytes_t queue;
    amqp_frame_t frame;

    capabilities.value.value.table.entries = &able;
    conn = amqp_new_connection();
    check_status(
        amqp_socket_open(amqp_tcp_socket_new(conn), getenv("AMQP_HOST"), atoi(getenv("AMQP_PORT"))),
        "opening the socket");
    check_reply(amqp_login_with_properties(conn, "/", 0, 131072, 0, &properties,
                                           AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
                "logging in");
    open_channel(1);
    open_channel(2);
    queue = own_queue(1, name);
    ok = amqp_basic_consume(conn, 1, queue, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "consuming");
    snprintf(tag, sizeof tag, "%.*s", (int)ok->consumer_tag.len, (char *)ok->consumer_tag.bytes);
    amqp_queue_delete(conn, 2, queue, 0, 0);
    check_reply(amqp_get_rpc_reply(conn), "deleting the queue");
    next_frame(&frame);
    expect(frame.channel == 1 && frame.payload.method.id == AMQP_BASIC_CANCEL_METHOD,
           "basic.cancel arrives");
    expect(bytes_equal(((amqp_basic_cancel_t *)frame.payload.method.decoded)->consumer_tag, tag),
           "basic.cancel names the consumer");
    client_close(conn);
    conn = before;
}

static void transactions(void)
{
    char name[NAME_MAX_BYTES];
    amqp_bytes_t queue;

    open_channel(8);
    queue = own_queue(8, name);
    amqp_tx_select(conn, 8);
    check_reply(amqp_get_rpc_reply(conn), "tx.select");
    publish(8, "", queue, 0, NULL, amqp_cstring_bytes("kept"));
    expect(message_count(8, queue) == 0, "nothing in the queue before the commit");
    amqp_tx_commit(conn, 8);
    check_reply(amqp_get_rpc_reply(conn), "tx.commit");
    expect(message_count(8, queue) == 1, "one message after the commit");
    publish(8, "", queue, 0, NULL, amqp_cstring_bytes("dropped"));
    amqp_tx_rollback(conn, 8);
    check_reply(amqp_get_rpc_reply(conn), "tx.rollback");
    expect(message_count(8, queue) == 1, "one message after the rollback");
    close_channel(8);
}

static void direct_reply_to(void)
{
    amqp_bytes_t pseudo = amqp_cstring_bytes("amq.rabbitmq.reply-to");
    const amqp_basic_properties_t asked = {._flags = AMQP_BASIC_REPLY_TO_FLAG, .reply_to = pseudo};
    char name[NAME_MAX_BYTES];
    amqp_bytes_t queue;
    amqp_message_t message;

    open_channel(9);
    queue = own_queue(9, name);
    amqp_basic_consume(conn, 9, pseudo, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "consuming the answers");
    publish(9, "", queue, 0, &asked, amqp_cstring_bytes("question"));
    get(9, queue, 1, 0, &message);
    publish(9, "", message.properties.reply_to, 0, NULL, amqp_cstring_bytes("answer"));
    amqp_destroy_message(&message);
    consume_text("answer");
    close_channel(9);
}

static void channel_error(void)
{
    amqp_rpc_reply_t reply;
    amqp_channel_close_t *closed = NULL;
    char name[NAME_MAX_BYTES];

    open_channel(10);
    amqp_queue_declare(conn, 10, amqp_cstring_bytes("tokki-missing"), 1, 0, 0, 0, amqp_empty_table);
    reply = amqp_get_rpc_reply(conn);
    expect(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD,
           "the channel is closed");
    closed = reply.reply.decoded;
    expect(closed->reply_code == 404 &&
               bytes_equal(closed->reply_text, "NOT_FOUND - no queue 'tokki-missing' in vhost '/'"),
           "the channel error is 404 with its text");
    expect(closed->class_id == 50 && closed->method_id == 10, "it names queue.declare");
    open_channel(11); /* the connection is still good; librabbitmq has sent close-ok by now */
    own_queue(11, name);
    close_channel(11);
}

static void connection_error(void)
{
    amqp_rpc_reply_t reply;
    amqp_connection_close_t *closed = NULL;

    amqp_basic_qos(conn, 1, 1, 0, 0);
    reply = amqp_get_rpc_reply(conn);
    expect(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD,
           "the connection is closed");
    closed = reply.reply.decoded;
    expect(closed->reply_code == 540 &&
               bytes_equal(closed->reply_text, "NOT_IMPLEMENTED - prefetch_size!=0 (1)"),
           "the connection error is 540 with its text");
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } checks[] = {
        {"publisher confirms", publisher_confirms},
        {"mandatory return", mandatory_return},
        {"nack and requeue", nack_and_requeue},
        {"prefetch", prefetch},
        {"properties and header types", properties_and_header_types},
        {"large bodies", large_bodies},
        {"consumer cancel notification", consumer_cancel_notification},
        {"transactions", transactions},
        {"direct reply-to", direct_reply_to},
        {"channel error", channel_error},
        {"connection error", connection_error},
    };

    conn = client_open();
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        checks[i].run();
        printf("ok - %s\n", checks[i].name);
    }
    return 0;
}
