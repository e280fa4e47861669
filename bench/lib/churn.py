# SPDX-License-Identifier: Apache-2.0
"""Disk use while much is moved: 100 durable queues, of which one is never consumed. FORMAT.md, section 7, states the bound."""
import threading
import time

import wire
from filled import Node, end
from steady import events

QUEUES, SIZE, OCTETS = 100, 1024, 20_000_000_000
PREFETCH, NAME = 100, "churn-%d"
RECORD = SIZE + 128  # what a message takes in the log, about
RESERVE = 8 * 64 + 2 * 128 << 20  # segments, and what is written between two checkpoints
LOOK_S, REST_S = 0.5, 10


class Watch(threading.Thread):
    """Looks at the disk and at what waits. Messages that come during a look only make the bound smaller than it is."""

    def __init__(self, node):
        super().__init__()
        self.node, self.is_over = node, threading.Event()
        self.channel = wire.connect("127.0.0.1", node.port).channel()
        self.most, self.share = 0, 0.0  # octets on the disk, and of what they may be
        self.start()

    def look(self):
        waiting = sum(self.channel.count(NAME % i) for i in range(1, QUEUES + 1))
        use = self.node.on_disk()
        self.most = max(self.most, use)
        self.share = max(self.share, use / (2 * RECORD * waiting + RESERVE))
        return waiting

    def run(self):
        while not self.is_over.wait(LOOK_S):
            self.look()

    def stop(self):
        self.is_over.set()
        self.join()
        return self.look()


def churn(_, bench):
    """Moves it all; messages under way to consumers are not counted as live."""
    each = int(OCTETS * bench.share) // SIZE // QUEUES
    queues = ["-qp", NAME, "-qpt", QUEUES, "-f", "persistent"]
    with Node(bench.build, bench.data, "--log-level=debug") as node:
        consumers = node.perf.begin(*queues, "-x", 0, "-y", QUEUES - 1, "-q", PREFETCH, "-A", PREFETCH // 2)
        while b"opened" not in node.log():
            time.sleep(0.01)
        node.perf.run(*queues, "-x", 1, "-y", 0, "-C", QUEUES, "-s", SIZE, "-c", 1)  # all queues are there
        watch = Watch(node)
        rate = node.perf.run(*queues, "-x", QUEUES, "-y", 0, "-C", each, "-s", SIZE, "-c", 100)["published_per_s"]
        busy = watch.share
        time.sleep(REST_S)
        waiting = watch.stop()
        end(consumers)
        did = events(node.log())
        return {"octets": each * QUEUES * SIZE, "rate": rate, "live": waiting * SIZE, "most": watch.most, "share": busy,
                "left": node.on_disk(), "memory": node.peak(), **did}
