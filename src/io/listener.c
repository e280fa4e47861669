/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting connections; when descriptors run out, accepting rests instead of spinning. */
#include "io/listener.h"

#include "base/log.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Connections accepted per turn and shard: others on the shard get their turn too. */
#define ACCEPTS_PER_TURN 64
/* How long accepting rests when the process has no descriptor left. */
#define STARVED_PAUSE_MS 500
#define BACKLOG 4096

/* One shard's view of a listener. */
struct acceptor {
    struct io_handler handler;
    struct listener *listener;
    struct shard *shard;
    struct timer resume;
    bool is_watched;
};

/* Owner: main. Thread: each acceptor belongs to its shard, the rest is immutable once attached.
 * Freed by: listener_close. */
struct listener {
    int fd;
    accept_fn accept;
    void *context;
    _Atomic int starved; /* acceptors that rest for want of descriptors */
    uint16_t count;
    struct acceptor acceptors[SHARDS_MAX];
};

void address_format(const struct sockaddr_storage *address, char text[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(v4->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        if (mapped)
            inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, sizeof host);
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, mapped ? "%s:%u" : "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        snprintf(text, ADDRESS_TEXT_MAX, "?");
    }
}

bool address_is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->ss_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    }
    return false;
}

static void set_watched(struct acceptor *acceptor, bool watched)
{
    int rc;
    if (acceptor->is_watched == watched)
        return;
    acceptor->is_watched = watched;
    if (!watched) {
        shard_unwatch(acceptor->shard, acceptor->listener->fd);
        return;
    }
    /* EPOLLEXCLUSIVE: one new connection wakes one shard, not all. */
    rc = shard_watch(acceptor->shard, acceptor->listener->fd, &acceptor->handler,
                     EPOLLIN | EPOLLEXCLUSIVE);
    BUG_ON(rc != 0, "watching the listener: %d", rc);
}

static void on_resume(struct timer *timer)
{
    struct acceptor *acceptor = CONTAINER_OF(timer, struct acceptor, resume);
    if (acceptor->shard->stopping)
        return;
    atomic_fetch_sub(&acceptor->listener->starved, 1);
    set_watched(acceptor, true);
}

static void rest(struct acceptor *acceptor, int error)
{
    if (atomic_fetch_add(&acceptor->listener->starved, 1) == 0)
        log_warn("file descriptor limit alarm: accepting of connections pauses",
                 "reason='%s' retry_ms=%d", strerror(error), STARVED_PAUSE_MS);
    set_watched(acceptor, false);
    timer_start(&acceptor->shard->timers, &acceptor->resume,
                acceptor->shard->now_ms + STARVED_PAUSE_MS);
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

static void on_acceptable(struct io_handler *handler, struct shard *shard, uint32_t events)
{
    struct acceptor *acceptor = CONTAINER_OF(handler, struct acceptor, handler);
    struct listener *listener = acceptor->listener;
    int one = 1;

    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd == -1) {
            if (is_shortage(errno))
                rest(acceptor, errno);
            return; /* EAGAIN: another shard was faster; ECONNABORTED and the like: peer left */
        }
        /* Failure only costs latency. */
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1)
            log_debug("TCP_NODELAY refused", "errno=%d", errno);
        listener->accept(shard, fd, &peer, listener->context);
    }
}

/* Fill `out`; returns its length, or 0 when `address` is not numeric. */
static socklen_t make_address(const char *address, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (address && inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    v6->sin6_addr = in6addr_any;
    if (address && inet_pton(AF_INET6, address, &v6->sin6_addr) != 1)
        return 0;
    return sizeof *v6;
}

static int bind_and_listen(int fd, const struct sockaddr_storage *address, socklen_t len)
{
    int one = 1;
    int zero = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == -1)
        return -errno;
    /* One socket for both families unless an address was named. */
    if (address->ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) == -1)
        return -errno;
    if (bind(fd, (const struct sockaddr *)address, len) == -1 || listen(fd, BACKLOG) == -1)
        return -errno;
    return 0;
}

int listener_open(const char *address, uint16_t port, accept_fn accept, void *context,
                  struct listener **out)
{
    struct sockaddr_storage where;
    socklen_t len = make_address(address, port, &where);
    int fd;
    int rc;

    *out = NULL;
    if (len == 0)
        return -EINVAL;
    fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1 && errno == EAFNOSUPPORT && !address) {
        /* A host without IPv6. */
        len = make_address("0.0.0.0", port, &where);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd == -1)
        return -errno;
    rc = bind_and_listen(fd, &where, len);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *out = mem_alloc_zero(sizeof **out);
    (*out)->fd = fd;
    (*out)->accept = accept;
    (*out)->context = context;
    return 0;
}

uint16_t listener_port(const struct listener *listener)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(listener->fd, (struct sockaddr *)&address, &len) == -1)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
}

int listener_attach(struct listener *listener, struct shard_set *set)
{
    listener->count = set->count;
    for (uint16_t i = 0; i < set->count; i++) {
        struct acceptor *acceptor = &listener->acceptors[i];
        int rc =
            shard_watch(set->shards[i], listener->fd, &acceptor->handler, EPOLLIN | EPOLLEXCLUSIVE);
        if (rc != 0)
            return rc;
        acceptor->handler.ready = on_acceptable;
        acceptor->listener = listener;
        acceptor->shard = set->shards[i];
        acceptor->is_watched = true;
        timer_init(&acceptor->resume, on_resume);
    }
    return 0;
}

void listener_stop(struct listener *listener, struct shard *shard)
{
    struct acceptor *acceptor = &listener->acceptors[shard->id];
    timer_stop(&shard->timers, &acceptor->resume);
    set_watched(acceptor, false);
}

bool listener_is_starved(const struct listener *listener)
{
    return atomic_load(&listener->starved) > 0;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    close(listener->fd);
    mem_free(listener);
}
