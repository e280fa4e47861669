# SPDX-License-Identifier: Apache-2.0
"""For hostile tests: after whatever was done to it, the broker serves a normal client and is as large as it was."""
import os
import time

import broker
import wire
from harness import TOKKI, eq, unique, until

PID = os.environ.get("TOKKI_PID") if TOKKI else None
SLACK_KIB = 1024 * int(os.environ.get("TOKKI_RSS_SLACK_MIB", "64"))  # what may stay: allocators keep some of the peak


def works(port=None):
    """A normal client does its round within the deadlines."""
    c = wire.connect(port=port)
    ch = c.channel()
    queue = ch.queue(unique("guard"))
    ch.publish("", queue, "still here")
    eq(until(lambda: ch.get(queue)).body, b"still here")
    c.end()


class Unharmed:
    """Around an attack: `with Unharmed(): ...` checks the normal client, the size and the open files afterwards.
    grow_mib: how much the broker may hold while the attack is still going on (checked by `now()`)."""

    def __init__(self, grow_mib=0, pid=None, port=None):
        self.pid, self.port, self.grow = pid or PID, port, 1024 * grow_mib

    def __enter__(self):
        works(self.port)
        if self.pid:
            self.size, self.files = broker.rss_kib(self.pid), broker.open_files(self.pid)
        return self

    def now(self):
        """In the middle: served, and not above the size that this attack is worth."""
        works(self.port)
        if self.pid:
            size = broker.rss_kib(self.pid)
            assert size <= self.size + self.grow + SLACK_KIB, f"grew from {self.size} to {size} KiB"

    def __exit__(self, kind, *_):
        if kind:
            return
        works(self.port)
        if self.pid:
            limit = self.size + SLACK_KIB
            until(
                lambda: broker.rss_kib(self.pid) <= limit,
                f"shrinking to {limit} KiB (started at {self.size}, is {broker.rss_kib(self.pid)})",
            )
            until(
                lambda: broker.open_files(self.pid) <= self.files + 2,
                f"closing the files of the attack (had {self.files})",
            )


def pings(port=None, seconds=1.0):
    """The longest publish-get round trip of a normal client during this time."""
    c = wire.connect(port=port)
    ch = c.channel()
    queue = ch.queue()
    ch.consume(queue, no_ack=True)
    longest, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        ch.publish("", queue, "ping")
        ch.delivery()
        longest = max(longest, time.monotonic() - started)
    c.end()
    return longest
