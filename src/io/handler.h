/* SPDX-License-Identifier: Apache-2.0 */
/* What epoll hands out when a watched descriptor is ready. */
#ifndef TOKKI_IO_HANDLER_H
#define TOKKI_IO_HANDLER_H

#include <stdint.h>

struct shard;

/* Owner: the object that embeds it. `ready` runs on the shard's thread; it may close its own object
 * but frees it only by shard_defer, since later events of the turn may still name it. */
struct io_handler {
    void (*ready)(struct io_handler *handler, struct shard *shard, uint32_t events);
};

#endif
