/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of class connection: start, login, tune, open, close. */
#include "auth/sasl.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/table.h"
#include "proto/amqp091/channel.h"

#include <stdio.h>
#include <sys/utsname.h>

/* The RabbitMQ level that we match (architecture, section 11): clients compare it. */
#define RABBITMQ_VERSION "3.13.7"

/* ---- protocol header and connection.start ---- */

static void put_capabilities(struct writer *w)
{
    static const struct str names[] = {
        {"publisher_confirms", 18},
        {"exchange_exchange_bindings", 26},
        {"basic.nack", 10},
        {"consumer_cancel_notify", 22},
        {"connection.blocked", 18},
        {"consumer_priorities", 19},
        {"authentication_failure_close", 28},
        {"per_consumer_qos", 16},
        {"direct_reply_to", 15},
    };
    size_t mark = table_begin_nested(w, STR("capabilities"), 'F');
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        table_put_bool(w, names[i], true);
    table_end(w, mark);
}

static struct str server_properties(const struct amqp_conn *conn, uint8_t *buffer, size_t cap)
{
    struct writer w = writer_of(buffer, cap);
    struct utsname host;
    char platform[256];

    snprintf(platform, sizeof platform, "C17, %s %s", uname(&host) == 0 ? host.sysname : "POSIX",
             uname(&host) == 0 ? host.machine : "");
    put_capabilities(&w);
    table_put_longstr(&w, STR("cluster_name"), conn->broker->node->settings.cluster_name);
    table_put_longstr(&w, STR("copyright"), STR("Copyright (c) 2026 the TokkiMQ authors"));
    table_put_longstr(&w, STR("information"), STR("Licensed under the Apache License 2.0"));
    table_put_longstr(&w, STR("platform"), str_from_c(platform));
    table_put_longstr(&w, STR("product"), STR("TokkiMQ"));
    table_put_longstr(&w, STR("version"), STR(RABBITMQ_VERSION));
    table_put_longstr(&w, STR("tokkimq_version"), STR(TOKKIMQ_VERSION));
    return str_of(buffer, writer_len(&w));
}

static void send_start(struct amqp_conn *conn, uint8_t major, uint8_t minor)
{
    uint8_t buffer[2048];
    struct amqp_connection_start args = {
        .version_major = major,
        .version_minor = minor,
        .server_properties = server_properties(conn, buffer, sizeof buffer),
        .mechanisms = STR(SASL_MECHANISMS),
        .locales = STR("en_US"),
    };
    conn_send(conn, 0, AMQP_CONNECTION_START, &args);
    conn->state = CONN_STARTING;
}

static void refuse_header(struct amqp_conn *conn, const uint8_t *header)
{
    const char *hint = memcmp(header, "GET ", 4) == 0   ? "an HTTP client"
                       : header[0] == 0x16              ? "a TLS client"
                       : memcmp(header, "AMQP", 4) == 0 ? "an AMQP client of another version"
                                                        : "no AMQP client";
    char peer[ADDRESS_TEXT_MAX];

    address_format(&conn->peer, peer);
    log_warn("closing connection: unexpected protocol header", "peer=%s looks_like='%s'", peer,
             hint);
    stream_write(&conn->stream, "AMQP\0\0\x09\x01", 8);
    stream_send(&conn->stream);
    if (conn->stream.fd == -1)
        return;
    /* The client sees our header, then the end; what it has sent too much is read and dropped. */
    stream_shutdown(&conn->stream);
    conn_cut(conn);
}

void conn_on_header(struct amqp_conn *conn, const uint8_t *header)
{
    const uint8_t *version = header + 4;

    if (memcmp(header, "AMQP", 4) != 0)
        refuse_header(conn, header);
    else if (memcmp(version, "\0\0\x09\x01", 4) == 0 || memcmp(version, "\x01\x01\0\x09", 4) == 0)
        send_start(conn, 0, 9);
    else if (memcmp(version, "\x01\x01\x08\0", 4) == 0 ||
             memcmp(version, "\x01\x01\x09\x01", 4) == 0)
        send_start(conn, 8, 0);
    else
        refuse_header(conn, header);
}

/* ---- login ---- */

static bool has_capability(struct str capabilities, struct str name)
{
    struct table_value value;
    return table_find(capabilities, name, &value) && value.tag == 't' && value.boolean;
}

static void keep_client_properties(struct amqp_conn *conn, struct str properties)
{
    struct table_value capabilities;

    conn->client_properties = str_dup(properties);
    if (!table_find(properties, STR("capabilities"), &capabilities) || capabilities.tag != 'F')
        return;
    conn->wants_cancel_notify = has_capability(capabilities.bytes, STR("consumer_cancel_notify"));
    conn->wants_blocked = has_capability(capabilities.bytes, STR("connection.blocked"));
    conn->wants_auth_close =
        has_capability(capabilities.bytes, STR("authentication_failure_close"));
}

static void refuse_login(struct amqp_conn *conn, struct str user, struct str mechanism,
                         const char *reason)
{
    char peer[ADDRESS_TEXT_MAX];

    address_format(&conn->peer, peer);
    log_error("login refused", "peer=%s user='%.*s' mechanism=%.*s reason='%s'", peer,
              STR_ARG(user), STR_ARG(mechanism), reason);
    if (!conn->wants_auth_close) {
        conn_cut(conn);
        return;
    }
    conn_fail(conn, REFUSAL_ACCESS_REFUSED, 0,
              "Login was refused using authentication mechanism %.*s. For details see the broker "
              "logfile.",
              STR_ARG(mechanism));
}

static void on_start_ok(struct amqp_conn *conn, const struct amqp_connection_start_ok *args)
{
    enum sasl_mechanism mechanism = sasl_mechanism_find(args->mechanism);
    struct amqp_connection_tune tune = {AMQP_CHANNEL_MAX, AMQP_FRAME_MAX, AMQP_HEARTBEAT_S};
    struct str name;
    struct str password;
    const char *reason = "";

    keep_client_properties(conn, args->client_properties);
    if (mechanism == SASL_UNKNOWN ||
        sasl_credentials(mechanism, args->response, &name, &password) != 0) {
        log_error("login failed",
                  "reason='unknown mechanism or malformed response' mechanism='%.*s'",
                  STR_ARG(args->mechanism));
        conn_cut(conn);
        return;
    }
    if (auth_login(name, password, address_is_loopback(&conn->peer), &conn->identity, &reason) !=
        0) {
        refuse_login(conn, name, args->mechanism, reason);
        return;
    }
    conn_send(conn, 0, AMQP_CONNECTION_TUNE, &tune);
    conn->state = CONN_TUNING;
}

/* ---- tune, open ---- */

/* Source: rabbit_reader validates that the client stays within what was offered. */
static bool is_within(struct amqp_conn *conn, const char *field, uint32_t value, uint32_t min,
                      uint32_t max)
{
    bool is_low = value != 0 && value < min;
    if (!is_low && value != 0 && value <= max)
        return true;
    log_error("closing AMQP connection: bad tune-ok",
              "reason='negotiated %s = %u%s is %s than the %s allowed value (%u)'", field, value,
              value == 0 ? " (no limit)" : "", is_low ? "lower" : "higher",
              is_low ? "minimum" : "maximum", is_low ? min : max);
    conn_cut(conn);
    return false;
}

static void on_tune_ok(struct amqp_conn *conn, const struct amqp_connection_tune_ok *args)
{
    if (!is_within(conn, "frame_max", args->frame_max, AMQP_FRAME_MIN, AMQP_FRAME_MAX) ||
        !is_within(conn, "channel_max", args->channel_max, 1, AMQP_CHANNEL_MAX))
        return;
    conn->frame_max = args->frame_max;
    conn->channel_max = args->channel_max;
    conn->heartbeat_s = args->heartbeat;
    conn->state = CONN_OPENING;
}

static void start_heartbeat(struct amqp_conn *conn)
{
    struct shard *shard = conn->stream.shard;

    timer_stop(&shard->timers, &conn->timer);
    if (conn->heartbeat_s == 0)
        return;
    conn->quiet_since_ms = shard->now_ms;
    timer_start(&shard->timers, &conn->timer, shard->now_ms + conn->heartbeat_s * 500U);
}

static void on_open(struct amqp_conn *conn, const struct amqp_connection_open *args)
{
    struct str name = args->virtual_host;
    struct vhost *vhost = catalog_find_vhost(conn->broker->node->catalog, name);
    char peer[ADDRESS_TEXT_MAX];

    if (!vhost) {
        conn_fail(conn, REFUSAL_NOT_ALLOWED, AMQP_CONNECTION_OPEN, "vhost %.*s not found",
                  STR_ARG(name));
        return;
    }
    if (!auth_may_enter(&conn->identity, name)) {
        conn_fail(conn, REFUSAL_NOT_ALLOWED, AMQP_CONNECTION_OPEN,
                  "access to vhost '%.*s' refused for user '%s'", STR_ARG(name),
                  conn->identity.name);
        return;
    }
    conn->vhost = vhost;
    conn->state = CONN_OPEN;
    start_heartbeat(conn);
    conn_send(conn, 0, AMQP_CONNECTION_OPEN_OK, NULL);
    address_format(&conn->peer, peer);
    log_info("AMQP connection opened", "id=%llu peer=%s vhost='%.*s' user='%s'",
             (unsigned long long)conn->base.id, peer, STR_ARG(name), conn->identity.name);
}

/* ---- close ---- */

static void on_close(struct amqp_conn *conn)
{
    if (conn->state == CONN_ENDING)
        return;
    if (conn->state == CONN_CLOSING) {
        /* Crossing ours: both are answered. */
        conn_send(conn, 0, AMQP_CONNECTION_CLOSE_OK, NULL);
        return;
    }
    log_info("AMQP connection closed by the client", "id=%llu", (unsigned long long)conn->base.id);
    timer_stop(&conn->stream.shard->timers, &conn->timer);
    conn->state = CONN_ENDING;
    conn_end_channels(conn);
}

static void fail_state(struct amqp_conn *conn, uint32_t method)
{
    static const char *const names[] = {"starting", "starting", "tuning",  "opening",
                                        "running",  "closing",  "closing", "closed"};
    /* Before tune-ok RabbitMQ just ends the connection. */
    if (conn->state < CONN_OPENING) {
        conn_cut(conn);
        return;
    }
    conn_fail(conn, REFUSAL_CHANNEL_ERROR, method, "unexpected method in connection state %s",
              names[conn->state]);
}

static void on_update_secret(struct amqp_conn *conn)
{
    /* Passwords do not expire: a new one changes nothing on an open connection. RabbitMQ's internal
     * backend answers the same. */
    conn_send(conn, 0, AMQP_CONNECTION_UPDATE_SECRET_OK, NULL);
}

void conn_on_method(struct amqp_conn *conn, const struct amqp_method *method, union amqp_args *args)
{
    enum conn_state state = conn->state;
    uint32_t id = method->id;

    if (state >= CONN_CLOSING && id != AMQP_CONNECTION_CLOSE && id != AMQP_CONNECTION_CLOSE_OK)
        return;
    if (id == AMQP_CONNECTION_START_OK && state == CONN_STARTING)
        on_start_ok(conn, &args->connection_start_ok);
    else if (id == AMQP_CONNECTION_TUNE_OK && state == CONN_TUNING)
        on_tune_ok(conn, &args->connection_tune_ok);
    else if (id == AMQP_CONNECTION_OPEN && state == CONN_OPENING)
        on_open(conn, &args->connection_open);
    else if (id == AMQP_CONNECTION_CLOSE && state >= CONN_OPENING)
        on_close(conn);
    else if (id == AMQP_CONNECTION_CLOSE_OK && state == CONN_CLOSING)
        conn_drop(conn);
    else if (id == AMQP_CONNECTION_UPDATE_SECRET && state == CONN_OPEN)
        on_update_secret(conn);
    else
        fail_state(conn, id);
}
