/* SPDX-License-Identifier: Apache-2.0 */
/* TCP listeners: one socket watched by every shard, accepting with back-pressure. */
#ifndef TOKKI_IO_LISTENER_H
#define TOKKI_IO_LISTENER_H

#include "io/shard.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* Text of a peer address: "[v6]:port" or "v4:port". */
#define ADDRESS_TEXT_MAX 64

struct listener;

/* A new connection on `shard`; takes `fd` (non-blocking, TCP_NODELAY). Thread: the shard's. */
typedef void (*accept_fn)(struct shard *shard, int fd, const struct sockaddr_storage *peer,
                          void *context);

/* Bind and listen on `address` (numeric IPv4 or IPv6; NULL = all addresses, both families on one
 * socket) and `port` (0 = any). SO_REUSEADDR is set. Errors: -errno (-EADDRINUSE: port taken). */
MUST_CHECK int listener_open(const char *address, uint16_t port, accept_fn accept, void *context,
                             struct listener **out);
/* The port it listens on. */
uint16_t listener_port(const struct listener *listener);
/* Watch it on every shard of `set`, before the shards run. Errors: -errno. */
MUST_CHECK int listener_attach(struct listener *listener, struct shard_set *set);
/* `shard` accepts no more. Thread: the shard's. */
void listener_stop(struct listener *listener, struct shard *shard);
/* After the shards have ended. NULL is fine. */
void listener_close(struct listener *listener);
/* Is some shard out of descriptors, and accepting paused? Any thread. */
bool listener_is_starved(const struct listener *listener);

/* Fill `text` with `address` as ADDRESS:PORT. */
void address_format(const struct sockaddr_storage *address, char text[ADDRESS_TEXT_MAX]);
/* Is it 127.0.0.0/8, ::1 or v4-mapped loopback? */
bool address_is_loopback(const struct sockaddr_storage *address);

#endif
