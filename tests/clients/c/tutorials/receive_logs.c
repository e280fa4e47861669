/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 3: prints every log line, through a queue that the server names. */
#include "../client.h"

static void handle(amqp_connection_state_t conn, amqp_envelope_t *envelope)
{
    amqp_bytes_t body = envelope->message.body;

    (void)conn;
    printf(" [x] '%.*s'\n", (int)body.len, (char *)body.bytes);
}

int main(void)
{
    amqp_connection_state_t conn = client_open();
    amqp_bytes_t queue;

    exchange_declare(conn, "logs", "fanout");
    queue = queue_declare_temporary(conn);
    queue_bind(conn, queue, "logs", "");
    printf(" [*] Waiting for logs. To exit press CTRL+C\n");
    consume_forever(conn, queue, 1, handle);
}
