# SPDX-License-Identifier: Apache-2.0
"""Mixed expirations in one queue: the memory they take, how late they go, and when the queue is empty."""
import bisect
import itertools
import random
import time

from filled import Node
from rendered import Rendered

MESSAGES, SIZE, BATCH, WINDOW = 10_000_000, 100, 4000, 8000
SHORTEST_MS, LONGEST_MS = 1000, 120_000
LOOK_S, PATIENCE_S, QUEUE = 0.2, 60, "expiring"


class Clock:
    """When the messages of all batches are due, by the millisecond since the first."""

    def __init__(self, expirations):
        self.expirations, self.begins = expirations, []

    def add(self, at):
        self.begins.append(at)

    def due(self):
        """[n]: messages due by n ms after the first batch."""
        first, last = self.begins[0], self.last()
        counts = [0] * (int((last - first) * 1000) + 2)
        for begin in self.begins:
            offset = int((begin - first) * 1000)
            for expiration in self.expirations:
                counts[offset + expiration] += 1
        return list(itertools.accumulate(counts))

    def last(self):
        return self.begins[-1] + max(self.expirations) / 1000

    def latest(self, looks):
        """The greatest lag in s: at each look, how long ago the first message was due that is still there."""
        due, worst = self.due(), 0.0
        for at, gone in looks:
            if gone < due[-1]:
                first_left = self.begins[0] + bisect.bisect_right(due, gone) / 1000
                worst = max(worst, at - first_left)
        return worst


def fill(publisher, clock, batches):
    """Publishes all; looks at the queue meanwhile: [(time, messages gone)]. At a look nothing is under way, so the count is exact."""
    looks, next_look = [], time.monotonic() + LOOK_S
    for _ in range(batches):
        clock.add(time.monotonic())
        publisher.send(WINDOW)
        if time.monotonic() >= next_look:
            looks.append(look(publisher))
            next_look = time.monotonic() + LOOK_S
    return [*looks, look(publisher)]


def look(publisher):
    publisher.settle()
    count = publisher.count(QUEUE)
    return time.monotonic(), publisher.sent - count


def watch(publisher, last, looks):
    """Looks until the queue is empty, closely at the end; returns what is left if it never is."""
    while True:
        looks.append(look(publisher))
        at, gone = looks[-1]
        if gone == publisher.sent or at > last + PATIENCE_S:
            return publisher.sent - gone
        time.sleep(min(LOOK_S, max(last - at - 0.1, 0.005)))


def mixed_ttls(_, bench):
    dice = random.Random(1)
    batches, longest = max(int(MESSAGES * bench.share) // BATCH, 1), max(int(LONGEST_MS * bench.share), 2 * SHORTEST_MS)
    expirations = [dice.randint(SHORTEST_MS, longest) for _ in range(BATCH)]
    with Node(bench.build, bench.data) as node:
        publisher = Rendered(node.port, [(QUEUE, {"expiration": str(n)}, SIZE) for n in expirations])
        clock, began = Clock(expirations), time.monotonic()
        looks = fill(publisher, clock, batches)
        seconds = time.monotonic() - began
        waiting = publisher.sent - looks[-1][1]
        left = watch(publisher, clock.last(), looks)
        result = {"messages": publisher.sent, "longest": longest / 1000, "in": publisher.sent / seconds, "waiting": waiting,
                  "memory": node.peak(), "left": left, "empty": looks[-1][0] - clock.last(), "late": clock.latest(looks)}
        publisher.close()
    return result
