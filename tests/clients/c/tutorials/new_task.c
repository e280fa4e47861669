/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 2: queues a persistent task. */
#include "../client.h"

int main(int argc, char **argv)
{
    const char *message = words_from(argv, argc, 1, "Hello World!");
    amqp_connection_state_t conn = client_open();
    amqp_basic_properties_t props = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
    };

    queue_declare(conn, "task_queue", 1);
    check_status(amqp_basic_publish(conn, 1, amqp_empty_bytes, amqp_cstring_bytes("task_queue"), 0,
                                    0, &props, amqp_cstring_bytes(message)),
                 "publishing");
    printf(" [x] Sent '%s'\n", message);
    client_close(conn);
    return 0;
}
