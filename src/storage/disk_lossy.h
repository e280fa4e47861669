/* SPDX-License-Identifier: Apache-2.0 */
/* Disk that holds back all that is not synced, over any other disk, so that a power cut can be played. */
#ifndef TOKKI_STORAGE_DISK_LOSSY_H
#define TOKKI_STORAGE_DISK_LOSSY_H

#include "storage/disk.h"

/* The real binary of a test build runs on this over its directory. What it writes stays in memory until
 * it is synced (reads see it), and files are made, renamed and removed below by disk_sync_dir. A process
 * that just ends (kill -9) has lost everything that was not synced.
 *
 * Takes `below`, on which nobody else may write. `seed` decides what a cut keeps.
 * Thread: any; one mutex serves all calls. Freed by: disk_free. Errors: those of below.
 */
MUST_CHECK int disk_lossy_new(struct disk *below, uint64_t seed, struct disk **out);

/* The power goes: a random part of what is not sure reaches the disk below, and from now on every call
 * is -EIO. Of each file sometimes all, nothing or a prefix of its writes is kept, else any subset; of the
 * directory's changes likewise, in any order that makes sense. */
void disk_lossy_cut(struct disk *disk);

/* How the process ends by disk_lossy_cut_after, for the test that started it. */
#define DISK_LOSSY_EXIT 86

/* Cut within the `n`-th of the calls from now that change something, 1 being the next one, and end the
 * process by _exit(DISK_LOSSY_EXIT). 0: never. */
void disk_lossy_cut_after(struct disk *disk, uint64_t n);

/* What was called so far, and what is held back now. */
struct disk_lossy_counts {
    uint64_t changes; /* calls that change something: what disk_lossy_cut_after counts */
    uint64_t writes;
    uint64_t write_bytes;
    uint64_t syncs;     /* of files */
    uint64_t dir_syncs; /* of the directory */
    uint64_t unsure_sectors;
    uint64_t unsure_changes; /* of the directory */
};
void disk_lossy_count(struct disk *disk, struct disk_lossy_counts *counts);

/* The rest serves disk_memory, whose machine goes on after a cut. */

/* Chance goes on from here. */
void disk_lossy_seed(struct disk *disk, uint64_t seed);

/* The machine is on again after disk_lossy_cut: the disk shows what the cut left. Files opened before
 * give -EIO for ever and still have to be closed. */
void disk_lossy_boot(struct disk *disk);

/* The process has ended and the machine goes on: files opened before are dead, nothing is lost. */
void disk_lossy_kill(struct disk *disk);

/* The sync of this file has failed: what is unsure stays so for ever. */
void disk_lossy_forget(struct disk_file *file);

/* The sum of all files' sizes as they are seen. */
uint64_t disk_lossy_bytes(struct disk *disk);

/* The same disk once more, sure and unsure, without the open files, over `below`, a copy of what this one
 * has below (taken). */
struct disk *disk_lossy_clone(struct disk *disk, struct disk *below);

/* The disk that holds what is sure. Owner: still the lossy disk. */
struct disk *disk_lossy_below(struct disk *disk);

#endif
