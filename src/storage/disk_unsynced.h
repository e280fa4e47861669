/* SPDX-License-Identifier: Apache-2.0 */
/* Disk over any other whose syncs do nothing: for files that need not outlive the process. */
#ifndef TOKKI_STORAGE_DISK_UNSYNCED_H
#define TOKKI_STORAGE_DISK_UNSYNCED_H

#include "storage/disk.h"

/* The spill of transient messages is a log like the other one, on this. Zeros that are written behind the end
 * of a file, with which a log prepares its segments, are only reserved: they make later syncs cheap, and
 * there are none.
 *
 * Takes `below`, also on error, and removes every file in it. Thread: any. Freed by: disk_free. */
MUST_CHECK int disk_unsynced_new(struct disk *below, struct disk **out);

#endif
