# SPDX-License-Identifier: Apache-2.0
"""Latency of a steady durable load while checkpoints are written and the cleaner works beside it, and while they are not."""
import re
import threading
import time
from dataclasses import dataclass, field

from filled import Load, Node, end
from rendered import Rendered

STEADY = ["-u", "steady", "-f", "persistent", "-s", 1024, "-r", 10000, "-c", 4096, "-q", 1000]
STANDING, STANDING_SIZE = 2_000_000, 100  # messages that wait in another queue: what a checkpoint has to write
QUEUES, SIZE, PERIOD_S = 100, 1024, 0.002  # beside: a message to each queue so often, 50,000 in a second
SECONDS, PATIENCE_S = 20, 60


@dataclass
class Scene:
    title: str
    options: list[str] = field(default_factory=list)  # of the broker
    has_beside: bool = False
    is_durable: bool = True  # what is beside
    consumed: int = QUEUES  # of its queues
    awaits: str | None = None  # before the steady load begins: the key of events() that has to count


OFTEN = ["--log-segment-size=4MiB"]  # a checkpoint is due after 4 segments, at most 128 MiB
SCENES = {
    "steady-alone": Scene("nothing"),
    "steady-checkpoints": Scene("nothing; a checkpoint every 16 MiB", OFTEN),
    "steady-transient": Scene("50,000 msg/s, transient", [], True, False),
    "steady-durable": Scene("50,000 msg/s, durable", [], True, awaits="checkpoints"),
    "steady-durable-checkpoints": Scene("50,000 msg/s, durable; a checkpoint every 16 MiB", OFTEN, True, awaits="checkpoints"),
    "steady-cleaner": Scene("50,000 msg/s, durable, one of its queues never consumed", [], True, True, QUEUES - 1, "cleanings"),
}


class Beside(threading.Thread):
    """The load beside the steady one: little work for this machine but in the broker. Python publishes a rendered batch at a
    time, since tokki-perf would wake up for every message of a hundred slow publishers; its consumers take them."""

    def __init__(self, node, scene):
        super().__init__()
        self.publisher = Rendered(node.port, [(f"beside-{i}", {}, SIZE) for i in range(1, QUEUES + 1)], scene.is_durable)
        share = ["-f", "persistent"] if scene.is_durable else []
        self.consumers = node.perf.begin("-qp", "beside-%d", "-qpt", QUEUES, "-x", 0, "-y", scene.consumed, "-q", 1000, "-A", 50, *share)
        self.is_over, self.failure = threading.Event(), None
        self.start()

    def run(self):
        due = time.monotonic()
        try:
            while not self.is_over.wait(max(due - time.monotonic(), 0)):
                self.publisher.send(40 * QUEUES)
                due += PERIOD_S
        except (OSError, TimeoutError) as error:
            self.failure = error

    def stop(self):
        self.is_over.set()
        self.join()
        self.publisher.connection.close()
        end(self.consumers)
        if self.failure:
            raise self.failure


def events(log):
    """What the node's debug log tells of: checkpoints, rounds of the cleaner that moved something, octets moved."""
    moved = [int(n) for n in re.findall(rb"log cleaned.* moved=(\d+)", log)]
    return {"checkpoints": log.count(b"checkpoint written"), "cleanings": sum(n > 0 for n in moved), "moved": sum(moved)}


def since(node, before):
    now = events(node.log())
    return {name: now[name] - before[name] for name in now}


def await_event(node, name):
    """At work before anything is measured; the counts of the row tell when it never came."""
    before, deadline = events(node.log()), time.monotonic() + PATIENCE_S
    while since(node, before)[name] == 0 and time.monotonic() < deadline:
        time.sleep(0.1)


def measure(node, scene, seconds):
    beside = Beside(node, scene) if scene.has_beside else None
    try:
        if scene.awaits:
            await_event(node, scene.awaits)
        before, began, sent = events(node.log()), time.monotonic(), beside.publisher.sent if beside else 0
        run = node.perf.run(*STEADY, "--warmup", 1, "-z", seconds)
        result = {**since(node, before), "rate": run["consumed_per_s"], "latency": run["latency_us"], "confirm": run["confirm_latency_us"]}
        result["beside"] = (beside.publisher.sent - sent) / (time.monotonic() - began) if beside else 0
    finally:
        if beside:
            beside.stop()
    return result


def steady(name, bench):
    """Latencies in us and what went on meanwhile."""
    scene, seconds = SCENES[name], max(SECONDS * bench.share, 3)
    with Node(bench.build, bench.data, "--log-level=debug", *scene.options) as node:
        messages = int(STANDING * bench.share)
        node.perf.publish(Load("", "", messages, STANDING_SIZE, 1, ["-f", "persistent", "-c", "4096"]))
        return {"title": scene.title, "seconds": seconds, "standing": messages, **measure(node, scene, seconds)}
