/* SPDX-License-Identifier: Apache-2.0 */
/* Disk in memory on which everything is sure at once: the platter below simulated disks. */
#ifndef TOKKI_STORAGE_DISK_RAM_H
#define TOKKI_STORAGE_DISK_RAM_H

#include "storage/disk.h"

/* Any alignment is fine, holes take no memory. Thread: the caller sees to it that calls on one of these
 * never run at once. Owner: the caller. Freed by: disk_free. */
struct disk *disk_ram_new(void);

/* A copy of all files that shares their octets until one side writes. Locks are not copied. The two may
 * be used by different threads. */
struct disk *disk_ram_clone(const struct disk *disk);

/* The machine has restarted: all locks are free. */
void disk_ram_unlock(struct disk *disk);

/* The first run of octets at or after `*offset` that is not a hole, at most `n` of it; false: only holes
 * up to the end. Fills `*offset`, `*data` and `*n`; the octets stay until the next call on the file. */
bool disk_ram_next_data(struct disk_file *file, uint64_t *offset, const void **data, size_t *n);

#endif
