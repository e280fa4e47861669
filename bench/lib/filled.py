# SPDX-License-Identifier: Apache-2.0
"""A TokkiMQ that is filled, killed, started and drained, with what it took in memory, disk and time; tokki-perf for all of it."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace

from broker import TokkiMQ


PATIENCE_S = 900  # for one call of tokki-perf


@dataclass
class Load:
    name: str
    title: str
    messages: int
    size: int
    queues: int = 1
    publisher: list[str] = field(default_factory=list)  # flags of tokki-perf
    consumer: list[str] = field(default_factory=list)

    @property
    def is_durable(self):
        return "persistent" in self.publisher

    def of(self, messages):
        return replace(self, messages=max(messages // self.queues, 1) * self.queues)


class Perf:
    """tokki-perf against one broker."""

    def __init__(self, build, port):
        self.path, self.port = os.path.join(build, "tokki-perf"), port

    def command(self, *arguments):
        return [self.path, "-h", f"amqp://guest:guest@127.0.0.1:{self.port}", "--json", "--quiet", "-ad", "false", *map(str, arguments)]

    def run(self, *arguments):
        return json.loads(subprocess.run(self.command(*arguments), stdout=subprocess.PIPE, check=True, timeout=PATIENCE_S).stdout)

    def names(self, load):
        return ["-u", "backlog-1"] if load.queues == 1 else ["-qp", "backlog-%d", "-qpt", load.queues]

    def publish(self, load):
        """Messages per second, until the last was confirmed."""
        each = load.messages // load.queues
        return self.run(*self.names(load), "-x", load.queues, "-y", 0, "-C", each, "-s", load.size, *load.publisher)["published_per_s"]

    def drain(self, load):
        each, durable = load.messages // load.queues, ["-f", "persistent"] if load.is_durable else []
        return self.run(*self.names(load), "-x", 0, "-y", load.queues, "-D", each, *durable, *load.consumer)["consumed_per_s"]

    def begin(self, *arguments):
        """A load beside others; end() it."""
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.DEVNULL)


def end(load):
    load.send_signal(signal.SIGINT)
    if load.wait() != 0:
        raise RuntimeError("a load of tokki-perf failed")


def memory(pid):
    """Resident now and at most, MiB."""
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}


def octets_of(path):
    try:
        return os.lstat(path).st_blocks * 512
    except FileNotFoundError:  # it went meanwhile
        return 0


class Node(TokkiMQ):
    """A TokkiMQ on an empty directory below `data`, killed and removed at the end of the `with`."""

    def __init__(self, build, data, *options):
        super().__init__(os.path.join(build, "tokkimq"), options, starts=False)
        self.data = os.path.join(data, "backlog")
        shutil.rmtree(self.data, ignore_errors=True)
        os.makedirs(data, exist_ok=True)
        self.perf = Perf(build, self.port)
        self.restart()
        self.idle = memory(self.pid)["VmRSS"]

    def __exit__(self, kind, *_):
        if kind:
            sys.stderr.write(self.log()[-2000:].decode(errors="replace"))
        self.remove()

    def remove(self):
        super().remove()
        shutil.rmtree(self.data, ignore_errors=True)

    def restart(self):
        """Seconds from exec to the line that says it serves."""
        size = len(self.log()) if self.process else 0
        began = time.monotonic()
        self.start(wait=False)
        while b"node started" not in self.log()[size:]:
            assert self.process.poll() is None, self.log().decode(errors="replace")
            time.sleep(0.001)
        return time.monotonic() - began

    def peak(self):
        """MiB above the idle node, at most since the start."""
        return memory(self.pid)["VmHWM"] - self.idle

    def forget_cached(self):
        """Drops its files from the page cache."""
        for path in self.files():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)

    def files(self):
        return [os.path.join(where, name) for where, _, names in os.walk(self.data) for name in names]

    def on_disk(self):
        return sum(map(octets_of, self.files()))

    def octets_read(self):
        """{"rchar": by calls, page cache included, sockets not, "read_bytes": from the disk}."""
        with open(f"/proc/{self.pid}/io") as counters:
            return {name: int(value) for name, value in (line.split(":") for line in counters)}
