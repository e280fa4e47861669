# SPDX-License-Identifier: Apache-2.0
# declare-ok and bind-ok are promises: what was told a moment before kill -9 is there. timeout: 240
from durable import *
from harness import *

if not TOKKI:
    skip("RabbitMQ's catalog reaches the disk a while after the client was told")

ROUNDS = 50


def durable(ch, name=None, **args):
    return ch.queue(name or unique(), exclusive=False, durable=True, **args)


@after("kill")
def declared(node):
    names, ch = [], node.channel()
    for _ in range(ROUNDS):
        names.append(durable(ch))
        ch = node.again()
        assert exists(ch, names[-1]), f"round {len(names)}"
    eq([n for n in names if not exists(ch, n)], [])


@check
def bound():
    with Node(way="kill") as node:
        ch, bound_to = node.channel(), {}
        queue = durable(ch)
        for i in range(ROUNDS):
            name = ch.exchange(unique(), "fanout", durable=True)
            if i % 2:
                ch.bind(queue, name)
            else:
                ch.rpc("exchange.bind", source=name, destination=list(bound_to)[-1] if bound_to else "amq.fanout")
            bound_to[name] = bool(i)
            ch = node.again()
            eq(routed(ch, name, "", [queue]), {queue} if bound_to[name] else set(), f"round {i}")


@check
def deleted():
    with Node(way="kill") as node:
        ch = node.channel()
        for i in range(ROUNDS // 2):
            queue, name, kept = durable(ch), ch.exchange(unique(), durable=True), ch.exchange(unique(), durable=True)
            ch.bind(queue, kept, "k")
            if i % 2:
                ch.rpc("queue.delete", queue=queue)
                ch.rpc("exchange.delete", exchange=name)
                ch = node.again()
                eq((exists(ch, queue), exchange_exists(ch, name)), (False, False), f"round {i}")
            else:
                ch.rpc("queue.unbind", queue=queue, exchange=kept, routing_key="k")
                ch = node.again()
                eq(routed(ch, kept, "k", [queue]), set(), f"round {i}")


@check
def told_about_somebody_elses_declare():
    """A second client that declares the same, or sees it, has the same promise."""
    with Node(way="kill") as node:
        for i in range(ROUNDS // 2):
            one, two, name = node.channel(), node.channel(), unique()
            one.send("queue.declare", queue=name, durable=True)
            two.send("queue.declare", queue=name, durable=True)
            two.wait("queue.declare-ok")
            assert exists(node.again(), name), f"round {i}"


@after("kill")
def pipelined_without_waiting(node):
    """One write: declares and binds with nowait, publishes; the confirm vouches for all that it needs."""
    for i in range(20):
        c, queue, name = node.connect(), unique(), unique()
        ch = c.channel()
        ch.rpc("confirm.select")
        raw = codec.method_frame(1, "queue.declare", queue=queue, durable=True, nowait=True)
        raw += codec.method_frame(1, "exchange.declare", exchange=name, type="topic", durable=True, nowait=True)
        raw += codec.method_frame(1, "queue.bind", queue=queue, exchange=name, routing_key="#", nowait=True)
        for n in range(10):
            raw += codec.method_frame(1, "basic.publish", exchange=name if n % 2 else "", routing_key=queue)
            raw += codec.content_frames(1, b"%d" % n, PERSISTENT)
        c.write(raw)
        ch.confirms(10)
        ch = node.again()
        eq(bodies(ch, queue), [str(n) for n in range(10)], f"round {i}")
        eq(routed(ch, name, "any", [queue]), {queue})


@after("kill")
def pipelined_with_answers(node):
    """Ten declares under way: those answered are there, in the order of the answers."""
    for _ in range(10):
        ch, names = node.channel(), [unique() for _ in range(10)]
        ch.c.write(b"".join(codec.method_frame(1, "queue.declare", queue=n, durable=True) for n in names))
        for name in names[:5]:
            eq(ch.wait("queue.declare-ok").queue, name)
        ch = node.again()
        eq([exists(ch, n) for n in names[:5]], [True] * 5)


main()
