/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 4: prints the log lines of the severities given. */
#include "../client.h"

static void handle(amqp_connection_state_t conn, amqp_envelope_t *envelope)
{
    amqp_bytes_t key = envelope->routing_key, body = envelope->message.body;

    (void)conn;
    printf(" [x] '%.*s':'%.*s'\n", (int)key.len, (char *)key.bytes, (int)body.len,
           (char *)body.bytes);
}

int main(int argc, char **argv)
{
    amqp_connection_state_t conn;
    amqp_bytes_t queue;

    if (argc < 2) {
        fprintf(stderr, "Usage: %s KEY...\n", argv[0]);
        return 1;
    }
    conn = client_open();
    exchange_declare(conn, "direct_logs", "direct");
    queue = queue_declare_temporary(conn);
    for (int i = 1; i < argc; i++)
        queue_bind(conn, queue, "direct_logs", argv[i]);
    printf(" [*] Waiting for logs. To exit press CTRL+C\n");
    consume_forever(conn, queue, 1, handle);
}
