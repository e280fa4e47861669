/* SPDX-License-Identifier: Apache-2.0 */
/* Catalog commands as bytes: the records of the log and of checkpoints. */
#ifndef TOKKI_CORE_CATALOG_COMMAND_CODEC_H
#define TOKKI_CORE_CATALOG_COMMAND_CODEC_H

#include "core/catalog/catalog.h"

#include "base/cursor.h"

/* The most queues that one CATALOG_QUEUES_DELETE record names. Bounds the size of a record (67 KiB
 * here; declares and binds by their tables, which came in one frame) and the memory to read it. */
#define CATALOG_RECORD_QUEUES_MAX 256

/* Exact length of the encoding. Borrows. */
MUST_CHECK size_t catalog_command_size(const struct catalog_command *command);

/* Write the command, with what replay needs and no more: not the shard and slot of a queue (placement
 * is found anew), not its owner. Borrows. Latches `w->failed` when there is no room, and for a command
 * that is no record and could not be read back: without incarnation (0), an exclusive queue, a name
 * above 255 bytes, more than CATALOG_RECORD_QUEUES_MAX queues, another version or an unknown kind. What
 * catalog_set_journal() and catalog_emit() hand out is never refused. */
void catalog_command_encode(const struct catalog_command *command, struct writer *w);

/* Room for what a decoded command points to beside the input. */
struct catalog_command_scratch {
    struct catalog_queue_id queues[CATALOG_RECORD_QUEUES_MAX];
};

/* Read one command that fills `bytes` exactly. Strings in `out` borrow from `bytes`, the list of queues
 * from `scratch`. 0, or ERR_CORRUPT (then `out` holds nothing) for whatever catalog_command_encode()
 * does not write: an encoding accepted is the only one of its command. All fields are checked, tables
 * entry by entry, so catalog_apply() takes every command that comes out of here. What only the catalog
 * could know is not checked: that the arguments of a binding passed exchange_check_binding() for the
 * type of its source. They did when the record was written; with other ones routing is safe, but
 * matches as the headers exchange sees fit. */
MUST_CHECK int catalog_command_decode(struct str bytes, struct catalog_command *out,
                                      struct catalog_command_scratch *scratch);

#endif
