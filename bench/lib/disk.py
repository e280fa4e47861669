# SPDX-License-Identifier: Apache-2.0
"""What the disk under the brokers can do at that moment, by the two things a log does: write on, and write and sync."""
import mmap
import os
import statistics
import subprocess
import time

CHUNK = 1 << 20
FILE_BYTES = 512 << 20
SECONDS = 0.5  # of each measurement


def is_memory(directory):
    """Whether a file system keeps its files in memory only: nothing measured there says anything about a disk."""
    run = subprocess.run(["stat", "--file-system", "--format=%T", directory], capture_output=True, text=True)
    return run.stdout.strip() in ("tmpfs", "ramfs")


def written_bytes(pid):
    """What a process has had written to disks since it started."""
    with open(f"/proc/{pid}/io") as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("write_bytes:"))


class Disk:
    """A file of its own in `directory`, written once in full, so that a write changes no metadata; as a log that reuses
    its segments. O_DIRECT, or through the page cache where the file system has none."""

    def __init__(self, directory):
        self.path = os.path.join(directory, f"tokki-bench-disk-{os.getpid()}")
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
        try:
            self.fd, self.is_direct = os.open(self.path, flags | os.O_DIRECT, 0o600), True
        except OSError:
            self.fd, self.is_direct = os.open(self.path, flags, 0o600), False
        self.buffer = mmap.mmap(-1, CHUNK)  # aligned to pages, as O_DIRECT wants
        self.buffer.write(os.urandom(CHUNK))
        self.position = 0
        for _ in range(FILE_BYTES // CHUNK):
            self.write(CHUNK)
        os.fdatasync(self.fd)

    def write(self, size):
        """The next `size` bytes of the file, from its start again at its end; in pieces of at most CHUNK."""
        if self.position + size > FILE_BYTES:
            self.position = 0
        while size > 0:
            with memoryview(self.buffer) as whole, whole[:min(size, CHUNK)] as piece:
                written = os.pwrite(self.fd, piece, self.position)
            self.position += written
            size -= written

    def sequential(self):
        """Bytes per second of 1 MiB writes one after the other, one sync at the end."""
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS:
            self.write(CHUNK)
            count += 1
        os.fdatasync(self.fd)
        return count * CHUNK / (time.perf_counter() - start)

    def synced(self, size):
        """(per second, median us) of: write `size` bytes, a multiple of 4096, and fdatasync."""
        start = before = time.perf_counter()
        times = []
        while before - start < SECONDS:
            self.write(size)
            os.fdatasync(self.fd)
            now = time.perf_counter()
            times.append(now - before)
            before = now
        return len(times) / (before - start), statistics.median(times) * 1e6

    def measure(self, batch):
        """The numbers that rows of the table are compared with; `batch` is Row.batch or None."""
        os.sync()  # what brokers before left to be written, or to be discarded, is not to be paid here
        rate, median_us = self.synced(4096)
        result = {"sequential_bytes_per_s": self.sequential(), "syncs_per_s": rate, "sync_us_p50": median_us}
        if batch:
            messages, size = batch[0], -(-batch[1] // 4096) * 4096
            result["batch_bytes"] = size
            result["batches_per_s"], result["batch_us_p50"] = self.synced(size)
            result["messages_per_s"] = messages * result["batches_per_s"]
        return result

    def close(self):
        os.close(self.fd)
        os.unlink(self.path)
