# SPDX-License-Identifier: Apache-2.0
"""What the disk does with a log: writes of 1 MiB, and reads of the same file, one at a time and four."""
import mmap
import os
import statistics
import threading
import time

from disk import CHUNK, FILE_BYTES, SECONDS, Disk

REPEATS, READERS = 3, 4


def read_rate(disk, readers):
    """Octets per second of 1 MiB reads in order, by so many threads that take turns."""
    buffers = [mmap.mmap(-1, CHUNK) for _ in range(readers)]
    counts, began = [0] * readers, time.perf_counter()

    def read(reader):
        position = reader * CHUNK
        while time.perf_counter() - began < SECONDS:
            counts[reader] += os.preadv(disk.fd, [buffers[reader]], position % FILE_BYTES)
            position += readers * CHUNK

    threads = [threading.Thread(target=read, args=(i,)) for i in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def disk_limits(directory):
    """Octets per second, medians: written with one sync at the end, with one after each write, read."""
    disk = Disk(directory)
    measures = {
        "sequential": disk.sequential,
        "synced": lambda: disk.synced(CHUNK)[0] * CHUNK,
        "read": lambda: read_rate(disk, 1),
        "read_by_four": lambda: read_rate(disk, READERS),
    }
    try:
        os.sync()  # what was there before is not to be paid here
        rounds = [{name: measure() for name, measure in measures.items()} for _ in range(REPEATS)]
        return {name: statistics.median(values[name] for values in rounds) for name in measures}
    finally:
        disk.close()
