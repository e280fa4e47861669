# SPDX-License-Identifier: Apache-2.0
# One write per body: a message in a thousand durable queues is on the disk (and in memory) once. timeout: 240
import hashlib
import subprocess

from broker import rss_kib
from durable import *
from harness import *

if not TOKKI:
    skip("looks into TokkiMQ's data directory")

MIB = 1 << 20
QUEUES = 1000
SEGMENT_MIB = 16


def segment_options():
    """Small segments when the binary has the option, so that what is reserved ahead does not hide what is written."""
    usage = subprocess.run([os.environ["TOKKI_BIN"], "--help"], capture_output=True, text=True, timeout=wire.PATIENCE)
    return ["--log-segment-size", f"{SEGMENT_MIB}MiB"] if "--log-segment-size" in usage.stdout else []


# Segments are reserved one or two ahead of what is written, in full; without the option they may have 256 MiB.
RESERVED_MIB = 3 * SEGMENT_MIB if segment_options() else 3 * 256


def allocated(directory):
    """What du says: blocks, so that a file's holes do not count."""
    total = 0
    for folder, _, files in os.walk(directory):
        for name in files:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:  # recycled meanwhile
                pass
    return total


def fanned_out(node):
    ch = node.channel()
    name, queues = ch.exchange(unique(), "fanout", durable=True), [unique() for _ in range(QUEUES)]
    for queue in queues:
        ch.send("queue.declare", queue=queue, durable=True)
        ch.send("queue.bind", queue=queue, exchange=name)
    for _ in queues:
        ch.wait("queue.bind-ok")
    return name, queues


@after("restart", "kill", options=["--shards", "2", *segment_options()])
def large_message(node):
    p = Publisher(node)
    name, queues = fanned_out(node)
    body = FILLER[:MIB]
    before, size = allocated(node.broker.data), rss_kib(node.broker.pid)
    p.put("", body, exchange=name)
    grown = allocated(node.broker.data) - before
    assert grown < (8 + RESERVED_MIB) * MIB, f"the data directory grew by {grown >> 20} MiB"
    assert rss_kib(node.broker.pid) - size < 64 * 1024 or SANITIZED, "memory grew with the queues"
    p.put("", "behind", exchange=name)
    ch = node.again()
    assert rss_kib(node.broker.pid) - size < 192 * 1024 or SANITIZED, "the recovered bodies are not shared"
    for queue in queues[:: QUEUES // 7]:
        first, second = take(ch, queue)
        assert first.body == body and second.body == b"behind", queue
    grown = allocated(node.broker.data) - before
    assert grown < (16 + RESERVED_MIB) * MIB, f"the data directory grew by {grown >> 20} MiB"


@after("kill", options=["--shards", "2", *segment_options()])
def it_lives_as_long_as_its_last_queue(node):
    """Taken from all queues but one, and that one deleted last."""
    p = Publisher(node)
    name, queues = fanned_out(node)
    p.put("", FILLER[:MIB], exchange=name)
    for queue in queues[1:-1]:
        p.ch.send("queue.delete", queue=queue)
    for _ in queues[1:-1]:
        p.ch.wait("queue.delete-ok")
    got = p.ch.get(queues[0], no_ack=False)
    p.ch.ack(got.delivery_tag)
    p.put(queues[0], "fence")
    ch = node.again()
    eq(bodies(ch, queues[0]), ["fence"])
    for _ in range(2):
        ch = node.again()
    (m,) = take(ch, queues[-1])
    eq(hashlib.sha256(m.body).digest(), hashlib.sha256(FILLER[:MIB]).digest())


SANITIZED = "TOKKI_RSS_SLACK_MIB" in os.environ  # a sanitizer's own memory says nothing
main()
