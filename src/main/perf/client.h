/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking AMQP 0-9-1 client for everything that is not the hot path: handshake, declares, close. */
#ifndef TOKKI_PERF_CLIENT_H
#define TOKKI_PERF_CLIENT_H

#include "main/perf/failure.h"
#include "main/perf/options.h"

#include "proto/amqp091/codec.h"

/* Replies of a broker during set-up fit in here; a larger frame is an error. */
#define CLIENT_BUFFER_BYTES 32768

/* Owner: whoever declares it. Thread: one. Freed by: client_close(), client_abort() or
 * client_detach(); all zero (fd 0 included) is no state of its own, so always client_open() first. */
struct client {
    int fd;
    uint32_t frame_max; /* as tuned; UINT32_MAX when the broker has no limit */
    uint16_t channel_max;
    uint8_t *in;
    size_t in_start, in_end; /* unread bytes of `in` */
};

/* Connect, log in, open the virtual host. `name` is the connection_name. `source` > 0 binds the
 * client's end to 127.0.0.source when the broker is on IPv4 loopback, so that many connections do not
 * share one range of ports. On failure nothing is left open.
 * Errors: -errno or ERR_REFUSED (the broker closed the connection), with `why` filled. */
MUST_CHECK int client_open(struct client *c, const struct options *o, const char *name,
                           unsigned source, struct failure *why);

/* Send one method and wait for the reply `wanted`; `reply` (may be NULL) borrows from c->in until the
 * next call. A close from the broker is ERR_REFUSED with its code and text in `why`. */
MUST_CHECK int client_call(struct client *c, uint16_t channel, uint32_t id, const void *args,
                           uint32_t wanted, union amqp_args *reply, struct failure *why);

/* Send one method without waiting. */
MUST_CHECK int client_send(struct client *c, uint16_t channel, uint32_t id, const void *args,
                           struct failure *why);

/* Send `bytes` (whole frames, borrowed) while reading, until `count` methods `wanted` have come. */
MUST_CHECK int client_pipeline(struct client *c, struct str bytes, uint32_t wanted, uint64_t count,
                               struct failure *why);

/* Orderly end: connection.close, wait for close-ok (two seconds at most), close the socket. */
void client_close(struct client *c);

/* Close the socket at once. Fine after a failed client_open(). */
void client_abort(struct client *c);

/* Give the socket away, now non-blocking. Everything the broker sent must have been read (BUG). */
MUST_CHECK int client_detach(struct client *c);

/* When method `id` ends a channel, a connection or a consumer, fill `why` and return ERR_REFUSED;
 * ERR_CORRUPT when its arguments are broken; 0 for all other methods. `in` stands behind the ids. */
int client_refusal(uint32_t id, struct cursor in, struct failure *why);

#endif
