/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 5: publishes a log line with a key of several words. */
#include "../client.h"

int main(int argc, char **argv)
{
    const char *key = argc > 1 ? argv[1] : "anonymous.info";
    const char *message = words_from(argv, argc, 2, "Hello World!");
    amqp_connection_state_t conn = client_open();

    exchange_declare(conn, "topic_logs", "topic");
    check_status(amqp_basic_publish(conn, 1, amqp_cstring_bytes("topic_logs"),
                                    amqp_cstring_bytes(key), 0, 0, NULL,
                                    amqp_cstring_bytes(message)),
                 "publishing");
    printf(" [x] Sent '%s':'%s'\n", key, message);
    client_close(conn);
    return 0;
}
