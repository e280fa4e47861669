/* SPDX-License-Identifier: Apache-2.0 */
/* Disk in memory for tests: exact about what a power cut leaves, and it fails whatever it is told to. */
#ifndef TOKKI_STORAGE_DISK_MEMORY_H
#define TOKKI_STORAGE_DISK_MEMORY_H

#include "storage/disk.h"

/* A lossy disk (disk_lossy.h) over chunks of memory (disk_ram.h), with faults in front. A mistake in the
 * use of DISK_DIRECT is a bug and aborts. Thread: calls of disk.h any; the functions of this header while
 * no other call runs. Freed by: disk_free, once all files are closed. */
struct disk *disk_memory_new(void);

/* The same disk once more, sure and unsure, to try many ends of one history. Open files stay with the
 * original; faults, limits and locks are not copied. Cheap: octets are shared until one side writes. */
struct disk *disk_memory_clone(struct disk *disk);

/* --- Ends and beginnings. */

/* The power goes and comes back: `seed` decides what of the unsure is left, and that is sure then. Open
 * files give -EIO until they are closed; locks, faults and a planned cut are over, counts go on. */
void disk_memory_crash(struct disk *disk, uint64_t seed);

/* The process ends and a new one begins, the machine goes on: like a crash that loses nothing; what was
 * unsure still is. */
void disk_memory_restart(struct disk *disk);

/* The power goes in the middle of the `n`-th call from now that changes something (1: the next one; 0:
 * never). That call may have had any part of its effect, it and all later ones are -EIO, until
 * disk_memory_crash. Opening counts only when it makes a file. */
void disk_memory_cut_after(struct disk *disk, uint64_t n);
/* Has that cut come? */
bool disk_memory_is_cut(struct disk *disk);

/* --- Faults. */

enum disk_call {
    DISK_CALL_OPEN = 1 << 0,
    DISK_CALL_READ = 1 << 1,
    DISK_CALL_WRITE = 1 << 2,
    DISK_CALL_SYNC = 1 << 3,
    DISK_CALL_RESERVE = 1 << 4,
    DISK_CALL_TRUNCATE = 1 << 5,
    DISK_CALL_RENAME = 1 << 6,
    DISK_CALL_UNLINK = 1 << 7,
    DISK_CALL_SYNC_DIR = 1 << 8,
    DISK_CALL_LIST = 1 << 9,
    DISK_CALL_ALL = (1 << 10) - 1,
};

enum disk_fault_mode { DISK_FAULT_ONCE, DISK_FAULT_FOR_EVER };

/* Of the calls of `calls` (a set of disk_call) let `after` more pass, then let one, or all from there on,
 * fail with `error` (-errno). A failed write may have written any of its sectors. A failed sync leaves what
 * it should have made sure unsure for ever: it can be read, later syncs pass it over, and it may be gone
 * after a crash, unless it is written again. Other failed calls change nothing. A new fault takes the place
 * of the old one; 0 for `calls` ends it. */
void disk_memory_fail(struct disk *disk, unsigned calls, uint64_t after, int error,
                      enum disk_fault_mode mode);

/* Writes, reserves and truncates that would bring the sum of the file sizes above `bytes` are -ENOSPC.
 * Unlinked files count until the directory is synced and they are closed. UINT64_MAX: no limit. While
 * other calls run, too. */
void disk_memory_set_limit(struct disk *disk, uint64_t bytes);

/* How many calls of these kinds there were so far, also failed ones. */
uint64_t disk_memory_calls(struct disk *disk, unsigned calls);

/* --- Damage. Both make what else is unsure in the file sure. Errors: -ENOENT; -EINVAL beyond the end. */

/* One octet becomes itself xor `mask`. */
MUST_CHECK int disk_memory_corrupt(struct disk *disk, const char *name, uint64_t offset,
                                   unsigned char mask);
/* Cut the file to `bytes`, or lengthen it with zeros. */
MUST_CHECK int disk_memory_truncate(struct disk *disk, const char *name, uint64_t bytes);

#endif
