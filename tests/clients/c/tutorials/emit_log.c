/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 3: publishes a log line to the fanout exchange "logs". */
#include "../client.h"

int main(int argc, char **argv)
{
    const char *message = words_from(argv, argc, 1, "info: Hello World!");
    amqp_connection_state_t conn = client_open();

    exchange_declare(conn, "logs", "fanout");
    check_status(amqp_basic_publish(conn, 1, amqp_cstring_bytes("logs"), amqp_empty_bytes, 0, 0,
                                    NULL, amqp_cstring_bytes(message)),
                 "publishing");
    printf(" [x] Sent '%s'\n", message);
    client_close(conn);
    return 0;
}
