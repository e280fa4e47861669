/* SPDX-License-Identifier: Apache-2.0 */
/* What every librabbitmq program of these tests needs: connecting, and ending with a readable text. */
#ifndef TOKKI_TESTS_CLIENT_H
#define TOKKI_TESTS_CLIENT_H

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with `what` and the library's text when `status` is not AMQP_STATUS_OK. */
static inline void check_status(int status, const char *what)
{
    if (status == AMQP_STATUS_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, amqp_error_string2(status));
    exit(1);
}

/* Ends the program with the broker's code and text unless `reply` is a normal one. */
static inline void check_reply(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        fprintf(stderr, "%s: %s\n", what, amqp_error_string2(reply.library_error));
    } else if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_channel_close_t *m = reply.reply.decoded;
        fprintf(stderr, "%s: channel closed, %d %.*s\n", what, m->reply_code,
                (int)m->reply_text.len, (char *)m->reply_text.bytes);
    } else if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        amqp_connection_close_t *m = reply.reply.decoded;
        fprintf(stderr, "%s: connection closed, %d %.*s\n", what, m->reply_code,
                (int)m->reply_text.len, (char *)m->reply_text.bytes);
    } else {
        fprintf(stderr, "%s: no reply\n", what);
    }
    exit(1);
}

/* A connection to AMQP_HOST, AMQP_PORT with channel 1 open. Free with client_close(). */
static inline amqp_connection_state_t client_open(void)
{
    const char *host = getenv("AMQP_HOST"), *port = getenv("AMQP_PORT");
    amqp_connection_state_t conn = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(conn);

    check_status(amqp_socket_open(socket, host ? host : "localhost", port ? atoi(port) : 5672),
                 "opening the socket");
    check_reply(amqp_login(conn, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
                "logging in");
    amqp_channel_open(conn, 1);
    check_reply(amqp_get_rpc_reply(conn), "opening channel 1");
    return conn;
}

static inline void client_close(amqp_connection_state_t conn)
{
    check_reply(amqp_channel_close(conn, 1, AMQP_REPLY_SUCCESS), "closing channel 1");
    check_reply(amqp_connection_close(conn, AMQP_REPLY_SUCCESS), "closing the connection");
    check_status(amqp_destroy_connection(conn), "ending the connection");
}

static inline void queue_declare(amqp_connection_state_t conn, const char *name, int durable)
{
    amqp_queue_declare(conn, 1, amqp_cstring_bytes(name), 0, durable, 0, 0, amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "declaring the queue");
}

/* Declares an exclusive queue that the server names; free the name with amqp_bytes_free(). */
static inline amqp_bytes_t queue_declare_temporary(amqp_connection_state_t conn)
{
    amqp_queue_declare_ok_t *ok =
        amqp_queue_declare(conn, 1, amqp_empty_bytes, 0, 0, 1, 0, amqp_empty_table);

    check_reply(amqp_get_rpc_reply(conn), "declaring a queue of our own");
    return amqp_bytes_malloc_dup(ok->queue);
}

static inline void exchange_declare(amqp_connection_state_t conn, const char *name,
                                    const char *type)
{
    amqp_exchange_declare(conn, 1, amqp_cstring_bytes(name), amqp_cstring_bytes(type), 0, 0, 0, 0,
                          amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "declaring the exchange");
}

static inline void queue_bind(amqp_connection_state_t conn, amqp_bytes_t queue,
                              const char *exchange, const char *key)
{
    amqp_queue_bind(conn, 1, queue, amqp_cstring_bytes(exchange), amqp_cstring_bytes(key),
                    amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "binding the queue");
}

/* Consumes from `queue` and calls `handle` for each message until the program is ended. */
static inline void consume_forever(amqp_connection_state_t conn, amqp_bytes_t queue, int no_ack,
                                   void (*handle)(amqp_connection_state_t, amqp_envelope_t *))
{
    amqp_basic_consume(conn, 1, queue, amqp_empty_bytes, 0, no_ack, 0, amqp_empty_table);
    check_reply(amqp_get_rpc_reply(conn), "consuming");
    for (;;) {
        amqp_envelope_t envelope;

        amqp_maybe_release_buffers(conn);
        check_reply(amqp_consume_message(conn, &envelope, NULL, 0), "waiting for a message");
        handle(conn, &envelope);
        amqp_destroy_envelope(&envelope);
    }
}

/* Joins argv[first..] with spaces, or gives `otherwise`; valid until the next call. */
static inline const char *words_from(char **argv, int argc, int first, const char *otherwise)
{
    static char text[4096];
    size_t used = 0;

    if (argc <= first)
        return otherwise;
    for (int i = first; i < argc && used < sizeof text; i++) {
        int n = snprintf(text + used, sizeof text - used, "%s%s", i == first ? "" : " ", argv[i]);

        used += n > 0 ? (size_t)n : 0;
    }
    return text;
}

#endif
