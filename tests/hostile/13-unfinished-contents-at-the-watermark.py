# SPDX-License-Identifier: Apache-2.0
# The bug: contents that never end did not count as memory, and who sent them was not held back at the watermark.
from attack import push, reset
from broker import TokkiMQ, rss_kib
from guard import works
from harness import *

if not TOKKI:
    skip("starts a TokkiMQ with a small --memory-limit")

LIMIT_MIB = 32


def unfinished(number, size, queue):
    """The beginning of a content of 120 MiB (less than what is refused at sight)."""
    return (
        codec.method_frame(number, "basic.publish", routing_key=queue)
        + codec.header_frame(number, 120 * 2**20)
        + codec.frame(codec.BODY, number, bytes(131064)) * (size // 131064)
    )


def bounded(broker, taken, in_sockets):
    """taken: octets that went out, of which the kernels may hold `in_sockets`."""
    assert taken < 2 * LIMIT_MIB * 2**20 + in_sockets, f"took {taken >> 20} MiB with a limit of {LIMIT_MIB} MiB"
    if "TOKKI_RSS_SLACK_MIB" not in os.environ:  # a sanitizer's own memory says nothing
        assert rss_kib(broker.pid) < 3 * LIMIT_MIB * 1024, rss_kib(broker.pid)


def held_back(make_raw):
    """A connection that sends this is read until near the limit, and told so; all goes with it, and others go on."""
    with TokkiMQ(options=["--shards", "2", "--memory-limit", f"{LIMIT_MIB}MiB", "--queue-memory", "4GiB"]) as broker:
        c = connect(port=broker.port)
        raw = make_raw(c)
        bounded(broker, push(c, raw, len(raw)), 16 * 2**20)
        eq(c.wait(0, "connection.blocked").reason, "low on memory")
        reset(c)
        works(broker.port)


@check
def on_one_channel():
    def make_raw(c):
        return unfinished(1, 118 * 2**20, c.channel().queue())

    held_back(make_raw)


@check
def one_that_leaves_in_good_order():
    """A held back publisher was not read, so its FIN went unseen, its content stayed, and the alarm with it. (It stops
    sending when told, with next to nothing in its socket: behind a full one no FIN can arrive.)"""
    with TokkiMQ(options=["--shards", "2", "--memory-limit", f"{LIMIT_MIB}MiB", "--queue-memory", "4GiB"]) as broker:
        c = connect(port=broker.port)
        raw = unfinished(1, (LIMIT_MIB + 8) * 2**20, c.channel().queue())
        taken = push(c, raw, (LIMIT_MIB - 10) * 2**20)  # well below: blocks that are only begun count too
        while not blocked(c):
            taken += push(c, raw[taken:], 32 * 2**10)
            assert taken < len(raw), "took all of it and said nothing"
        c.close()
        works(broker.port)


def blocked(c):
    try:
        c.wait(0, "connection.blocked", patience=0.005)
    except TimeoutError:
        return False
    return True


@check
def on_many_channels():
    def make_raw(c):
        queue = c.channel().queue()
        for number in range(2, 42):
            c.channel(number)
        return b"".join(unfinished(number, 3 * 2**20, queue) for number in range(2, 42))

    held_back(make_raw)


@check
def on_many_connections():
    """All of them together come to little more than the limit."""
    with TokkiMQ(options=["--shards", "2", "--memory-limit", f"{LIMIT_MIB}MiB", "--queue-memory", "4GiB"]) as broker:
        connections, taken = [connect(port=broker.port) for _ in range(10)], 0
        for c in connections:
            c.channel()
            raw = unfinished(1, 30 * 2**20, "nobody")
            taken += push(c, raw, len(raw), patience=0.3)
        bounded(broker, taken, len(connections) * 8 * 2**20)
        for c in connections:
            reset(c)
        works(broker.port)


main()
