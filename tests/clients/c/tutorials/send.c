/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 1: sends one message to the queue "hello". */
#include "../client.h"

int main(void)
{
    amqp_connection_state_t conn = client_open();

    queue_declare(conn, "hello", 0);
    check_status(amqp_basic_publish(conn, 1, amqp_empty_bytes, amqp_cstring_bytes("hello"), 0, 0,
                                    NULL, amqp_cstring_bytes("Hello World!")),
                 "publishing");
    printf(" [x] Sent 'Hello World!'\n");
    client_close(conn);
    return 0;
}
