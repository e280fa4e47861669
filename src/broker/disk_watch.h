/* SPDX-License-Identifier: Apache-2.0 */
/* Disk watch: publishers stop before the disk is full. */
#ifndef TOKKI_BROKER_DISK_WATCH_H
#define TOKKI_BROKER_DISK_WATCH_H

#include "broker/node.h"

struct disk_watch;

/* Look at the file system of `path` now and then: less than `limit_bytes` free raises ALARM_DISK_FREE, as
 * RabbitMQ's disk_free_limit does; room again clears it. What the log has reserved ahead is not free any more,
 * so the limit is beyond it. Has a thread of its own, since the file system may be slow to answer. -errno. */
MUST_CHECK int disk_watch_start(struct node *node, const char *path, uint64_t limit_bytes,
                                struct disk_watch **out);
/* NULL is fine. */
void disk_watch_stop(struct disk_watch *watch);

#endif
