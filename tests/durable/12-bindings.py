# SPDX-License-Identifier: Apache-2.0
# Bindings between durable ends come back, with keys and arguments; those with an end that goes, go with it. timeout: 240
from durable import *
from harness import *


def durable(ch, name=None):
    return ch.queue(name or unique(), exclusive=False, durable=True)


def exchange(ch, kind="direct", durable=True, **args):
    return ch.exchange(unique(kind), kind, durable=durable, **args)


@after("restart", "kill")
def of_every_type(node):
    ch = node.channel()
    a, b, c = queues = [durable(ch) for _ in range(3)]
    direct, fanout, topic = [exchange(ch, kind) for kind in ("direct", "fanout", "topic")]
    ch.bind(a, direct, "one")
    ch.bind(b, direct, "one")
    ch.bind(c, direct, "")
    ch.bind(a, fanout, "ignored")
    ch.bind(c, fanout)
    ch.bind(a, topic, "*.stock.#")
    ch.bind(b, topic, "#")
    ch.bind(c, topic, "nyse.*")
    ch = node.again()
    eq(routed(ch, direct, "one", queues), {a, b})
    eq(routed(ch, direct, "", queues), {c})
    eq(routed(ch, direct, "two", queues), set())
    eq(routed(ch, fanout, "x", queues), {a, c})
    eq(routed(ch, topic, "nyse.stock", queues), {a, b, c})
    eq(routed(ch, topic, "nyse.stock.ibm", queues), {a, b})
    eq(routed(ch, topic, "", queues), {b})


@after("restart", "kill")
def headers_arguments(node):
    ch = node.channel()
    a, b, c, d = queues = [durable(ch) for _ in range(4)]
    name = exchange(ch, "headers")
    ch.bind(a, name, "", **{"x-match": "all", "n": 1, "s": "text"})
    ch.bind(b, name, "", **{"x-match": "any", "n": Tagged("l", 2**40), "f": 0.5, "t": True})
    ch.bind(c, name, "", **{"table": {"in": ["a", 1, None]}, "x-match": "all"})
    ch.bind(d, name, "", **{"x-match": "all", "there": None})
    ch = node.again()
    for headers, want in (
        ({"n": 1, "s": "text"}, {a}),
        ({"n": 1}, set()),
        ({"n": 2**40}, {b}),
        ({"t": True, "f": 1.0}, {b}),
        ({"table": {"in": ["a", 1, None]}}, {c}),
        ({"table": {"in": ["a", 2, None]}}, set()),
        ({"there": "whatever"}, {d}),
    ):
        eq(routed(ch, name, "", queues, headers=headers), want, str(headers))


@after("restart", "kill")
def several_of_one_pair(node):
    """Each key and argument table is a binding of its own, and can be taken away alone."""
    ch = node.channel()
    queue, name = durable(ch), exchange(ch, "topic")
    for arguments in {}, {}, {"note": 1}, {"note": "1"}:
        ch.bind(queue, name, "k", **arguments)
    ch.bind(queue, name, "other")
    ch = node.again()
    eq(routed(ch, name, "k", [queue]), {queue})
    for arguments, want in ({}, {queue}), ({"note": 2}, {queue}), ({"note": 1}, {queue}), ({"note": "1"}, set()):
        ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="k", arguments=arguments)
        eq(routed(ch, name, "k", [queue]), want, str(arguments))
    ch = node.again()
    eq(routed(ch, name, "k", [queue]), set())
    eq(routed(ch, name, "other", [queue]), {queue})


@after("restart", "kill")
def from_exchange_to_exchange(node):
    ch = node.channel()
    queue = durable(ch)
    first, second, third = exchange(ch, "topic"), exchange(ch, "fanout", internal=True), exchange(ch, "headers")
    ch.rpc("exchange.bind", source=first, destination=second, routing_key="a.#")
    ch.rpc("exchange.bind", source=second, destination=third)
    ch.bind(queue, third, "", **{"x-match": "all", "h": 1})
    ch = node.again()
    eq(routed(ch, first, "a.b", [queue], headers={"h": 1}), {queue})
    eq(routed(ch, first, "b.b", [queue], headers={"h": 1}), set())
    eq(routed(ch, first, "a.b", [queue], headers={"h": 2}), set())
    ch.rpc("exchange.unbind", source=first, destination=second, routing_key="a.#")
    ch = node.again()
    eq(routed(ch, first, "a.b", [queue], headers={"h": 1}), set())
    eq(routed(ch, third, "", [queue], headers={"h": 1}), {queue})


@after("restart", "kill")
def of_predeclared_exchanges(node):
    ch = node.channel()
    queue, key = durable(ch), unique("key")
    for name in "amq.topic", "amq.direct":
        ch.bind(queue, name, key)
    ch.bind(queue, "amq.headers", "", **{"x-match": "all", key: 1})
    name = exchange(ch, "fanout")
    ch.rpc("exchange.bind", source="amq.topic", destination=name, routing_key=key + ".more")
    ch.bind(queue, name)
    ch = node.again()
    for source in "amq.topic", "amq.direct":
        eq(routed(ch, source, key, [queue]), {queue}, source)
        eq(routed(ch, source, key + ".x", [queue]), set(), source)
    eq(routed(ch, "amq.headers", "", [queue], headers={key: 1}), {queue})
    eq(routed(ch, "amq.topic", key + ".more", [queue]), {queue})
    ch.rpc("queue.delete", queue=queue)


@after("restart", "kill")
def with_an_end_that_goes(node):
    """The names come back later, without the bindings."""
    ch = node.channel()
    kept_queue, kept = durable(ch), exchange(ch, "fanout")
    lost_queue, lost = ch.queue(unique(), exclusive=False), exchange(ch, "fanout", durable=False)
    own = ch.queue(unique(), exclusive=True)
    ch.bind(kept_queue, lost)
    ch.bind(lost_queue, kept)
    ch.bind(own, kept)
    ch.rpc("exchange.bind", source=kept, destination=lost)
    ch.rpc("exchange.bind", source=lost, destination=kept)
    ch = node.again()
    eq(routed(ch, kept, "", [kept_queue]), set())
    ch.exchange(lost, "fanout", durable=True)
    for name in lost_queue, own:
        durable(ch, name)
    queues = [kept_queue, lost_queue, own]
    eq((routed(ch, kept, "", queues), routed(ch, lost, "", queues)), (set(), set()))
    ch = node.again()
    eq((routed(ch, kept, "", queues), routed(ch, lost, "", queues)), (set(), set()))


@after("restart", "kill")
def two_hundred_queues_of_one_exchange(node):
    ch = node.channel()
    name, queues = exchange(ch, "direct"), [unique() for _ in range(200)]
    for queue in queues:
        ch.send("queue.declare", queue=queue, durable=True)
        ch.send("queue.bind", queue=queue, exchange=name, routing_key=queue[-2:])
    for _ in queues:
        ch.wait("queue.bind-ok")
    ch = node.again()
    key = queues[0][-2:]
    eq(routed(ch, name, key, queues), {q for q in queues if q.endswith(key)})


main()
