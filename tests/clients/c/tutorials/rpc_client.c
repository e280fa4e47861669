/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 6: asks for fib(30) and waits for the answer in a queue of its own. */
#include "../client.h"
#include <unistd.h>

/* Waits for the message with this correlation id and prints it. */
static void print_answer(amqp_connection_state_t conn, amqp_bytes_t id)
{
    int found = 0;

    while (!found) {
        amqp_envelope_t envelope;
        amqp_basic_properties_t *props = &envelope.message.properties;

        amqp_maybe_release_buffers(conn);
        check_reply(amqp_consume_message(conn, &envelope, NULL, 0), "waiting for the answer");
        found = props->_flags & AMQP_BASIC_CORRELATION_ID_FLAG &&
                props->correlation_id.len == id.len &&
                memcmp(props->correlation_id.bytes, id.bytes, id.len) == 0;
        if (found) {
            printf(" [.] Got %.*s\n", (int)envelope.message.body.len,
                   (char *)envelope.message.body.bytes);
        }
        amqp_destroy_envelope(&envelope);
    }
}

int main(void)
{
    amqp_connection_state_t conn = client_open();
    amqp_bytes_t replies = queue_declare_temporary(conn);
    char id[32];
    amqp_basic_properties_t props = {
        ._flags = AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG,
        .reply_to = replies,
    };

    snprintf(id, sizeof id, "%ld", (long)getpid());
    props.correlation_id = amqp_cstring_bytes(id);
    amqp_basic_consume(conn, 1, replies, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "consuming");
    printf(" [x] Requesting fib(30)\n");
    check_status(amqp_basic_publish(conn, 1, amqp_empty_bytes, amqp_cstring_bytes("rpc_queue"), 0,
                                    0, &props, amqp_cstring_bytes("30")),
                 "publishing");
    print_answer(conn, props.correlation_id);
    amqp_bytes_free(replies);
    client_close(conn);
    return 0;
}
