/* SPDX-License-Identifier: Apache-2.0 */
/* Cold segments: where the cleaner writes what it moves. */
#ifndef TOKKI_STORAGE_COLD_H
#define TOKKI_STORAGE_COLD_H

#include "storage/log_internal.h"

/* A file that is being made. */
#define COLD_NEW "cold.new"

/* The most octets of parts in one batch. A part of the largest size fits. */
#define COLD_BATCH_BYTES (2U * 1024U * 1024U)

/* After the open: numbers go on behind those that are there. */
void cold_init(struct log *log);
void cold_fini(struct log *log);
/* Write and sync these moved parts, which stay the caller's, and turn the table of places to them. -errno: those that
 * do not fit a place stay where they were; a failed sync too, since nobody was told anything. Thread: the helper's. */
MUST_CHECK int cold_write(struct log *log, struct log_part *parts);

#endif
