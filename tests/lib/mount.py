# SPDX-License-Identifier: Apache-2.0
"""File systems of a chosen kind and size that only this test and its brokers see: mounts in a private namespace."""
import os
import subprocess
import tempfile

from harness import skip


class Mount:
    """An empty file system in memory: `kind` "tmpfs" with options like "size=8m", or "ramfs", which knows neither O_DIRECT
    nor fallocate. Programs started by `wrapper` see it at `path`; others see it at `outside`. Skips the check where
    namespaces are not allowed."""

    def __init__(self, kind, options="rw"):
        self.path = tempfile.mkdtemp(prefix="tokkimq-mount-")
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        self.holder = subprocess.Popen(
            ["unshare", *as_root, "--mount", "sh", "-c", 'mount -t "$0" -o "$1" "$0" "$2" && echo && exec sleep 3600']
            + [kind, options, self.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if not self.holder.stdout.readline():
            self.close()
            skip(f"cannot mount a {kind} in a namespace")
        self.outside = f"/proc/{self.holder.pid}/root{self.path}"
        users = ["--user", "--preserve-credentials"] if as_root else []
        self.wrapper = ["nsenter", "--target", str(self.holder.pid), "--mount", *users]

    def free_bytes(self):
        info = os.statvfs(self.outside)
        return info.f_bavail * info.f_frsize

    def fill(self, leave):
        """Takes all but so many octets."""
        with open(os.path.join(self.outside, "ballast"), "ab") as file:
            os.posix_fallocate(file.fileno(), 0, file.tell() + self.free_bytes() - leave)

    def give_back(self):
        os.unlink(os.path.join(self.outside, "ballast"))

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        os.rmdir(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
