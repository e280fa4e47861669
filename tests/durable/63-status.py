# SPDX-License-Identifier: Apache-2.0
# The line of counters that SIGUSR1 asks for: alarms, how often they were set, memory, the disk. timeout: 120
import re
import signal

from durable import *
from harness import *

if not TOKKI:
    skip("TokkiMQ's own signal")


def status(node):
    """The counters by name."""
    before = node.broker.log().count(b"status alarms=")
    node.broker.process.send_signal(signal.SIGUSR1)
    until(lambda: node.broker.log().count(b"status alarms=") > before, "a line")
    line = node.broker.log().decode().rsplit("status alarms=", 1)[1].splitlines()[0]
    return {"alarms": line.split()[0], **{name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", line)}}


@check
def at_rest():
    with Node(["--memory-limit", "64MiB"]) as node:
        ch = node.channel()
        ch.queue(unique(), exclusive=False, durable=True)
        got = status(node)
        eq((got["alarms"], got["connections"], got["queues"], got["memory_alarms"]), ("none", 1, 1, 0))
        eq(got["memory_limit_bytes"], 64 << 20)
        assert got["log_bytes"] > 0, got


@check
def alarms_are_counted():
    """Once set and once cleared: shown, then counted."""
    with Node(["--memory-limit", "8MiB", "--queue-memory", "512MiB"]) as node:
        queue = node.channel().queue(unique(), exclusive=False)
        p = node.channel()
        for _ in range(84):
            p.publish("", queue, FILLER[:100_000])
        until(lambda: status(node)["alarms"] == "memory,", "the alarm")
        ch = node.channel()
        ch.rpc("queue.purge", queue=queue)
        until(lambda: status(node)["alarms"] == "none", "its end")
        assert status(node)["memory_alarms"] >= 1


main()
