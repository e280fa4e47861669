/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking client: connect, handshake, calls, pipelines, close. */
#include "main/perf/client.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A broker busy with thousands of declares may be slow, but not that slow. */
#define CLIENT_TIMEOUT_S 60
/* Sending more than a frame of set-up methods at once is what client_pipeline() is for. */
#define CLIENT_METHOD_MAX 8192

static int errno_failure(struct failure *why, const char *what)
{
    const int code = errno ? errno : EIO;
    if (code == EAGAIN)
        return failure_set(why, -ETIMEDOUT, "%s: no answer within %d s", what, CLIENT_TIMEOUT_S);
    return failure_set(why, -code, "%s: %s", what, strerror(code));
}

/* --- Socket --- */

static void bind_source(int fd, const struct sockaddr *to, unsigned source)
{
    const struct sockaddr_in *target = (const struct sockaddr_in *)(const void *)to;
    if (source == 0 || to->sa_family != AF_INET || ntohl(target->sin_addr.s_addr) >> 24 != 127)
        return;
    const int on = 1; /* the port is chosen at connect, where 4-tuples count and not ports */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    struct sockaddr_in own = {.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(0x7f000000U + source);
    if (bind(fd, (const struct sockaddr *)(const void *)&own, sizeof own) == -1)
        return;
}

static int socket_connect(const struct addrinfo *to, unsigned source)
{
    const int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    const int on = 1;
    const struct timeval limit = {.tv_sec = CLIENT_TIMEOUT_S};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    bind_source(fd, to->ai_addr, source);
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return fd;
    const int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static int host_connect(const struct uri *uri, unsigned source, int *fd, struct failure *why)
{
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)uri->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    const int rc = getaddrinfo(uri->host, port, &hints, &list);
    if (rc != 0)
        return failure_set(why, -EHOSTUNREACH, "cannot resolve '%s': %s", uri->host,
                           gai_strerror(rc));
    *fd = -1;
    for (const struct addrinfo *to = list; to && *fd == -1; to = to->ai_next)
        *fd = socket_connect(to, source);
    const int code = errno;
    freeaddrinfo(list);
    if (*fd != -1)
        return 0;
    return failure_set(why, -code, "cannot connect to %s:%s: %s", uri->host, port, strerror(code));
}

static int send_all(struct client *c, const void *data, size_t len, struct failure *why)
{
    for (size_t sent = 0; sent < len;) {
        const ssize_t n = send(c->fd, (const char *)data + sent, len - sent, MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return errno_failure(why, "send");
        sent += (size_t)n;
    }
    return 0;
}

/* Read what is there into c->in; ERR_AGAIN when nothing is and `flags` has MSG_DONTWAIT. */
static int receive_more(struct client *c, int flags, struct failure *why)
{
    if (c->in_start) {
        memmove(c->in, c->in + c->in_start, c->in_end - c->in_start);
        c->in_end -= c->in_start;
        c->in_start = 0;
    }
    if (c->in_end == CLIENT_BUFFER_BYTES)
        return failure_set(why, ERR_TOO_BIG, "the broker sent a frame above %d bytes",
                           CLIENT_BUFFER_BYTES);
    for (;;) {
        const ssize_t n = recv(c->fd, c->in + c->in_end, CLIENT_BUFFER_BYTES - c->in_end, flags);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && errno == EAGAIN && (flags & MSG_DONTWAIT))
            return ERR_AGAIN;
        if (n == -1)
            return errno_failure(why, "receive");
        if (n == 0)
            return failure_set(why, ERR_EOF,
                               "the broker closed the socket without a word "
                               "(wrong user, password or protocol?)");
        c->in_end += (size_t)n;
        return 0;
    }
}

/* --- Frames --- */

/* The next frame already in c->in; ERR_AGAIN when it is not complete. */
static int frame_take(struct client *c, struct amqp_frame *frame, struct failure *why)
{
    size_t used = 0;
    const uint8_t *at = c->in + c->in_start;
    switch (amqp_frame_parse(at, c->in_end - c->in_start, UINT32_MAX, frame, &used)) {
    case AMQP_FRAME_OK:
        c->in_start += used;
        return 0;
    case AMQP_FRAME_INCOMPLETE:
        break;
    case AMQP_FRAME_TOO_LARGE:
    case AMQP_FRAME_BAD_END:
        return failure_set(why, ERR_CORRUPT, "the broker sent a broken frame");
    }
    /* A protocol header is the answer to one that the broker does not speak. */
    if (c->in_end - c->in_start >= 8 && memcmp(at, "AMQP", 4) == 0)
        return failure_set(why, ERR_REFUSED, "the broker wants AMQP version %u-%u-%u", at[5], at[6],
                           at[7]);
    return ERR_AGAIN;
}

int client_refusal(uint32_t id, struct cursor in, struct failure *why)
{
    const struct amqp_method *m = amqp_method_find(id);
    if (!m)
        return failure_set(why, ERR_CORRUPT, "the broker sent the unknown method %u.%u", id >> 16,
                           id & 0xFFFF);
    if (id != AMQP_CONNECTION_CLOSE && id != AMQP_CHANNEL_CLOSE && id != AMQP_BASIC_CANCEL)
        return 0;
    union amqp_args args;
    if (amqp_method_decode(m, &in, &args) == ERR_CORRUPT)
        return failure_set(why, ERR_CORRUPT, "the broker sent a broken %s", m->name);
    if (id == AMQP_BASIC_CANCEL)
        return failure_set(why, ERR_REFUSED,
                           "the broker cancelled consumer '%.*s' (queue deleted?)",
                           STR_ARG(args.basic_cancel.consumer_tag));
    const struct amqp_connection_close *close = &args.connection_close;
    if (id == AMQP_CHANNEL_CLOSE)
        return failure_set(why, ERR_REFUSED, "the broker closed the channel: %u %.*s",
                           args.channel_close.reply_code, STR_ARG(args.channel_close.reply_text));
    return failure_set(why, ERR_REFUSED, "the broker closed the connection: %u %.*s",
                       close->reply_code, STR_ARG(close->reply_text));
}

/* The id of a method frame, `*in` behind it; 0 for other frames. */
static uint32_t method_of(const struct amqp_frame *frame, struct cursor *in)
{
    *in = cursor_of_str(frame->payload);
    return frame->type == AMQP_FRAME_METHOD ? cursor_u32(in) : 0;
}

/* Skip frames until the method `wanted`; a close ends in ERR_REFUSED. */
static int wait_method(struct client *c, uint32_t wanted, union amqp_args *reply,
                       struct failure *why)
{
    for (;;) {
        struct amqp_frame frame;
        struct cursor in;
        int rc = frame_take(c, &frame, why);
        if (rc == ERR_AGAIN)
            rc = receive_more(c, 0, why);
        else if (rc == 0) {
            const uint32_t id = method_of(&frame, &in);
            if (id == wanted) {
                union amqp_args ignored;
                if (amqp_method_decode(amqp_method_find(id), &in, reply ? reply : &ignored) == 0)
                    return 0;
                return failure_set(why, ERR_CORRUPT, "the broker sent a broken %s",
                                   amqp_method_find(id)->name);
            }
            if (id)
                rc = client_refusal(id, in, why);
        }
        if (rc != 0)
            return rc;
    }
}

int client_send(struct client *c, uint16_t channel, uint32_t id, const void *args,
                struct failure *why)
{
    uint8_t bytes[CLIENT_METHOD_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    amqp_frame_method(&w, channel, id, args);
    if (w.failed)
        return failure_set(why, ERR_TOO_BIG, "a method's arguments are too long");
    return send_all(c, bytes, writer_len(&w), why);
}

int client_call(struct client *c, uint16_t channel, uint32_t id, const void *args, uint32_t wanted,
                union amqp_args *reply, struct failure *why)
{
    const int rc = client_send(c, channel, id, args, why);
    return rc ? rc : wait_method(c, wanted, reply, why);
}

/* --- Handshake (AMQP 0-9-1, 2.2.4) --- */

static int send_start_ok(struct client *c, const struct uri *uri, const char *name,
                         struct failure *why)
{
    uint8_t table[1024], capabilities[128], response[600];
    struct writer caps = writer_of(capabilities, sizeof capabilities);
    table_put_bool(&caps, STR("authentication_failure_close"), true);
    table_put_bool(&caps, STR("consumer_cancel_notify"), true);
    table_put_bool(&caps, STR("connection.blocked"), true);
    struct writer props = writer_of(table, sizeof table);
    table_put_longstr(&props, STR("product"), STR("tokki-perf"));
    table_put_longstr(&props, STR("version"), STR(TOKKIMQ_VERSION));
    table_put_longstr(&props, STR("connection_name"), str_from_c(name));
    table_put_table(&props, STR("capabilities"), str_of(capabilities, writer_len(&caps)));
    struct writer plain = writer_of(response, sizeof response);
    writer_u8(&plain, 0);
    writer_str(&plain, str_from_c(uri->user));
    writer_u8(&plain, 0);
    writer_str(&plain, str_from_c(uri->password));
    BUG_ON(caps.failed || props.failed || plain.failed, "start-ok does not fit");

    const struct amqp_connection_start_ok args = {
        .client_properties = str_of(table, writer_len(&props)),
        .mechanism = STR("PLAIN"),
        .response = str_of(response, writer_len(&plain)),
        .locale = STR("en_US"),
    };
    return client_send(c, 0, AMQP_CONNECTION_START_OK, &args, why);
}

static int tune(struct client *c, const struct options *o, struct failure *why)
{
    union amqp_args args;
    const int rc = wait_method(c, AMQP_CONNECTION_TUNE, &args, why);
    if (rc != 0)
        return rc;
    uint32_t frame_max = args.connection_tune.frame_max;
    if (o->frame_max && (frame_max == 0 || o->frame_max < frame_max))
        frame_max = (uint32_t)o->frame_max;
    c->frame_max = frame_max ? frame_max : UINT32_MAX;
    c->channel_max =
        args.connection_tune.channel_max ? args.connection_tune.channel_max : UINT16_MAX;
    /* No heartbeats: an idle connection must stay idle, and a busy one needs none. */
    const struct amqp_connection_tune_ok ok = {args.connection_tune.channel_max, frame_max, 0};
    return client_send(c, 0, AMQP_CONNECTION_TUNE_OK, &ok, why);
}

static int handshake(struct client *c, const struct options *o, const char *name,
                     struct failure *why)
{
    int rc = send_all(c, "AMQP\0\0\x09\x01", 8, why);
    if (rc == 0)
        rc = wait_method(c, AMQP_CONNECTION_START, NULL, why);
    if (rc == 0)
        rc = send_start_ok(c, &o->uri, name, why);
    if (rc == 0)
        rc = tune(c, o, why);
    const struct amqp_connection_open open = {.virtual_host = str_from_c(o->uri.vhost)};
    if (rc == 0)
        rc = client_call(c, 0, AMQP_CONNECTION_OPEN, &open, AMQP_CONNECTION_OPEN_OK, NULL, why);
    return rc;
}

int client_open(struct client *c, const struct options *o, const char *name, unsigned source,
                struct failure *why)
{
    *c = (struct client){.fd = -1};
    int rc = host_connect(&o->uri, source, &c->fd, why);
    if (rc != 0)
        return rc;
    c->in = mem_alloc(CLIENT_BUFFER_BYTES);
    rc = handshake(c, o, name, why);
    if (rc != 0)
        client_abort(c);
    return rc;
}

/* --- Pipeline --- */

/* Count `wanted` among the complete frames in c->in. */
static int count_methods(struct client *c, uint32_t wanted, uint64_t *seen, struct failure *why)
{
    struct amqp_frame frame;
    struct cursor in;
    int rc;
    while ((rc = frame_take(c, &frame, why)) == 0) {
        const uint32_t id = method_of(&frame, &in);
        if (id == wanted)
            (*seen)++;
        else if (id && (rc = client_refusal(id, in, why)) != 0)
            return rc;
    }
    return rc == ERR_AGAIN ? 0 : rc;
}

int client_pipeline(struct client *c, struct str bytes, uint32_t wanted, uint64_t count,
                    struct failure *why)
{
    uint64_t seen = 0;
    size_t sent = 0;
    int rc = count_methods(c, wanted, &seen, why);
    while (rc == 0 && (sent < bytes.len || seen < count)) {
        struct pollfd p = {c->fd, (short)(POLLIN | (sent < bytes.len ? POLLOUT : 0)), 0};
        const int ready = poll(&p, 1, CLIENT_TIMEOUT_S * 1000);
        if (ready == -1 && errno == EINTR)
            continue;
        if (ready <= 0) {
            if (ready == 0)
                errno = EAGAIN;
            return errno_failure(why, "waiting for replies");
        }
        if (p.revents & POLLOUT) {
            const ssize_t n =
                send(c->fd, bytes.data + sent, bytes.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0)
                sent += (size_t)n;
        }
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
            rc = receive_more(c, MSG_DONTWAIT, why);
            if (rc == 0)
                rc = count_methods(c, wanted, &seen, why);
            if (rc == ERR_AGAIN)
                rc = 0;
        }
    }
    return rc;
}

/* --- End --- */

void client_abort(struct client *c)
{
    if (c->fd != -1)
        close(c->fd);
    mem_free(c->in);
    *c = (struct client){.fd = -1};
}

void client_close(struct client *c)
{
    struct failure ignored;
    const struct timeval limit = {.tv_sec = 2};
    const struct amqp_connection_close args = {AMQP_REPLY_SUCCESS, STR("done"), 0, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (client_call(c, 0, AMQP_CONNECTION_CLOSE, &args, AMQP_CONNECTION_CLOSE_OK, NULL, &ignored) !=
        0)
        ignored.text[0] = '\0'; /* the run is over: what matters was reported before */
    client_abort(c);
}

int client_detach(struct client *c)
{
    BUG_ON(c->in_start != c->in_end, "%zu bytes of the broker unread", c->in_end - c->in_start);
    const int fd = c->fd;
    const int flags = fcntl(fd, F_GETFL);
    BUG_ON(flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1, "fcntl: %s",
           strerror(errno));
    mem_free(c->in);
    *c = (struct client){.fd = -1};
    return fd;
}
