/* SPDX-License-Identifier: Apache-2.0 */
/* Disk over any other that fails at the calls which a line of text names. */
#ifndef TOKKI_STORAGE_DISK_FAULTY_H
#define TOKKI_STORAGE_DISK_FAULTY_H

#include "storage/disk.h"

/* The real binary of a test build runs on this. `rules` are separated by commas, each is
 *
 *   CALL:ERROR:FIRST[-[LAST]][:PREFIX]     sync:EIO:3:segment-    write:ENOSPC:1-    any:EIO:20-24
 *
 * CALL is open, read, write, sync, reserve, truncate, rename, unlink, sync_dir or any; ERROR the name of an
 * errno, or SLOW: the call takes a second and does what it should. Of the calls of that kind on files whose
 * name now begins with PREFIX (the directory has none) those numbered FIRST to LAST fail, "3-" all from the
 * third on. A failed write has written its first half;
 * before a sync fails `forget` (may be NULL) is called with the file of `below`: what is unsure is lost.
 *
 * Takes `below`, also on error. ERR_USAGE: no such rules. Thread: any. Freed by: disk_free. */
MUST_CHECK int disk_faulty_new(struct disk *below, const char *rules,
                               void (*forget)(struct disk_file *file), struct disk **out);

#endif
