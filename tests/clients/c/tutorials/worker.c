/* SPDX-License-Identifier: Apache-2.0 */
/* Tutorial 2: works on tasks, one second for each dot, and acknowledges each. */
#include "../client.h"
#include <unistd.h>

static void work(amqp_connection_state_t conn, amqp_envelope_t *envelope)
{
    amqp_bytes_t body = envelope->message.body;
    unsigned dots = 0;

    printf(" [x] Received '%.*s'\n", (int)body.len, (char *)body.bytes);
    for (size_t i = 0; i < body.len; i++)
        dots += ((char *)body.bytes)[i] == '.';
    sleep(dots);
    printf(" [x] Done\n");
    check_status(amqp_basic_ack(conn, 1, envelope->delivery_tag, 0), "acknowledging");
}

int main(void)
{
    amqp_connection_state_t conn = client_open();

    queue_declare(conn, "task_queue", 1);
    printf(" [*] Waiting for messages. To exit press CTRL+C\n");
    amqp_basic_qos(conn, 1, 0, 1, 0);
    check_reply(amqp_get_rpc_reply(conn), "setting the prefetch count");
    consume_forever(conn, amqp_cstring_bytes("task_queue"), 0, work);
}
