/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 6: answers requests for Fibonacci numbers. */
#include "../client.h"

static unsigned fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static void serve(amqp_connection_state_t conn, amqp_envelope_t *envelope)
{
    amqp_basic_properties_t *asked = &envelope->message.properties;
    amqp_basic_properties_t props = {
        ._flags = AMQP_BASIC_CORRELATION_ID_FLAG,
        .correlation_id = asked->correlation_id,
    };
    char text[32];
    unsigned n;

    snprintf(text, sizeof text, "%.*s", (int)envelope->message.body.len,
             (char *)envelope->message.body.bytes);
    n = (unsigned)atoi(text);
    printf(" [.] fib(%u)\n", n);
    snprintf(text, sizeof text, "%u", fib(n));
    check_status(amqp_basic_publish(conn, 1, amqp_empty_bytes, asked->reply_to, 0, 0, &props,
                                    amqp_cstring_bytes(text)),
                 "answering");
    check_status(amqp_basic_ack(conn, 1, envelope->delivery_tag, 0), "acknowledging");
}

int main(void)
{
    amqp_connection_state_t conn = client_open();

    queue_declare(conn, "rpc_queue", 0);
    amqp_basic_qos(conn, 1, 0, 1, 0);
    check_reply(amqp_get_rpc_reply(conn), "setting the prefetch count");
    printf(" [x] Awaiting RPC requests\n");
    consume_forever(conn, amqp_cstring_bytes("rpc_queue"), 0, serve);
}
