/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 1: prints what arrives in the queue "hello". */
#include "../client.h"

static void handle(amqp_connection_state_t conn, amqp_envelope_t *envelope)
{
    amqp_bytes_t body = envelope->message.body;

    (void)conn;
    printf(" [x] Received '%.*s'\n", (int)body.len, (char *)body.bytes);
}

int main(void)
{
    amqp_connection_state_t conn = client_open();

    queue_declare(conn, "hello", 0);
    printf(" [*] Waiting for messages. To exit press CTRL+C\n");
    consume_forever(conn, amqp_cstring_bytes("hello"), 1, handle);
}
