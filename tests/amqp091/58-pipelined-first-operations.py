# SPDX-License-Identifier: Apache-2.0
# The bug: a connection moved to the shard of its first queue while an operation before it was under way, and a reply was lost.
from crowd import sharded_port
from harness import *

CONNECTIONS = 24


def replies_come_in_order(pipeline):
    """pipeline(name) gives (method, arguments, reply or None) that fresh connections send as their first, in one write."""
    with sharded_port() as port:
        channels = [connect(port=port).channel() for _ in range(CONNECTIONS)]
        for ch in channels:
            steps = pipeline(unique())
            ch.c.write(b"".join(codec.method_frame(1, name, **args) for name, args, _ in steps))
            want = [reply for _, _, reply in steps if reply]
            got = [ch.wait().name for _ in want]
            if TOKKI:
                eq(got, want)
            else:  # RabbitMQ's queue sends consume-ok itself, so later replies of the channel may overtake it
                eq(sorted(got), sorted(want))
            ch.quiet()
        for ch in channels:
            ch.c.end()


def declare_exchange(name, nowait=False):
    args = {"exchange": name, "type": "fanout", "nowait": nowait}
    return "exchange.declare", args, None if nowait else "exchange.declare-ok"


def declare_queue(name, nowait=False):
    return "queue.declare", {"queue": name, "nowait": nowait}, None if nowait else "queue.declare-ok"


def qos(n):
    return "basic.qos", {"prefetch_count": n}, "basic.qos-ok"


@check
def exchange_then_queue():
    replies_come_in_order(lambda n: [declare_exchange(n), declare_queue(n), qos(5), declare_queue(n + "-2"), qos(7)])


@check
def exchange_without_reply_then_queue():
    replies_come_in_order(lambda n: [declare_exchange(n, nowait=True), declare_queue(n)])


@check
def queues_only():
    replies_come_in_order(lambda n: [declare_queue(n), declare_queue(n + "-2", nowait=True), declare_queue(n + "-3")])


@check
def bind_consume_get():
    def pipeline(name):
        return [
            declare_exchange(name),
            declare_queue(name, nowait=True),
            ("queue.bind", {"queue": name, "exchange": name}, "queue.bind-ok"),
            ("basic.get", {"queue": name}, "basic.get-empty"),
            ("basic.consume", {"queue": name}, "basic.consume-ok"),
            qos(1),
            ("exchange.delete", {"exchange": name}, "exchange.delete-ok"),
            ("queue.delete", {"queue": name, "nowait": True}, "basic.cancel"),
        ]

    replies_come_in_order(pipeline)


@check
def with_a_second_channel():
    """What another channel has under way keeps the connection where it is."""
    with sharded_port() as port:
        for _ in range(CONNECTIONS):
            c, name = connect(port=port), unique()
            channels = [c.channel(n) for n in (1, 2, 3)]
            c.write(
                b"".join(
                    codec.method_frame(ch.number, method, **args)
                    for i, ch in enumerate(channels)
                    for method, args, _ in (declare_exchange(f"{name}-{i}"), declare_queue(f"{name}-{i}"), qos(1))
                )
            )
            for ch in channels:
                eq([ch.wait().name for _ in range(3)], ["exchange.declare-ok", "queue.declare-ok", "basic.qos-ok"])
            c.end()


main()
