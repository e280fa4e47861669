# SPDX-License-Identifier: Apache-2.0
# exchange.bind and unbind: routing from exchange to exchange, cycles, and the refusals.
from harness import *

DEFAULT = "ACCESS_REFUSED - operation not permitted on the default exchange"


@check
def chain(ch):
    names = [ch.exchange(unique(), "direct") for _ in range(4)]
    for source, destination in zip(names, names[1:]):
        ch.rpc("exchange.bind", source=source, destination=destination, routing_key="k")
    queue = ch.queue()
    ch.bind(queue, names[-1], "k")
    ch.publish(names[0], "k", "x")
    got = until(lambda: ch.get(queue))
    eq((got.body, got.exchange, got.routing_key), (b"x", names[0], "k"))


@check
def each_type_judges_the_key(ch):
    topic, fanout, direct, queue = (
        ch.exchange(unique(), "topic"),
        ch.exchange(unique(), "fanout"),
        ch.exchange(unique()),
        ch.queue(),
    )
    ch.rpc("exchange.bind", source=topic, destination=fanout, routing_key="a.#")
    ch.rpc("exchange.bind", source=fanout, destination=direct, routing_key="ignored")
    ch.bind(queue, direct, "a.b")
    for key in "a.b", "a.c", "b.b", "a.b":
        ch.publish(topic, key, key)
    eq(until(lambda: ch.count(queue) == 2 and ch.drain(queue)), ["a.b", "a.b"])


@check
def cycle_visits_each_queue_once(ch):
    a, b, c = [ch.exchange(unique(), "fanout") for _ in range(3)]
    q1, q2 = ch.queue(), ch.queue()
    for source, destination in (a, b), (b, c), (c, a), (b, a), (a, a):
        ch.rpc("exchange.bind", source=source, destination=destination)
    for exchange in a, b, c:
        ch.bind(q1, exchange)
    ch.bind(q2, c)
    ch.rpc("confirm.select")
    ch.publish(a, body="x")
    ch.confirms(1)
    eq((ch.drain(q1), ch.drain(q2)), (["x"], ["x"]))


@check
def two_ways_to_a_queue_give_one_copy(ch):
    a, b = ch.exchange(unique(), "fanout"), ch.exchange(unique(), "fanout")
    queue = ch.queue()
    ch.rpc("exchange.bind", source=a, destination=b)
    ch.bind(queue, a)
    ch.bind(queue, b)
    ch.rpc("confirm.select")
    ch.publish(a, body="x")
    ch.confirms(1)
    eq(ch.drain(queue), ["x"])


@check
def unbind_is_exact_and_idempotent(ch):
    a, b, queue = ch.exchange(unique()), ch.exchange(unique(), "fanout"), ch.queue()
    ch.bind(queue, b)
    ch.rpc("exchange.bind", source=a, destination=b, routing_key="k")
    ch.rpc("exchange.bind", source=a, destination=b, routing_key="k")
    ch.rpc("exchange.unbind", source=a, destination=b, routing_key="other")
    ch.rpc("exchange.unbind", source=a, destination=b, routing_key="k", arguments={"x": 1})
    ch.publish(a, "k", "1")
    until(lambda: ch.count(queue) == 1)
    ch.rpc("exchange.unbind", source=a, destination=b, routing_key="k")
    ch.rpc("exchange.unbind", source=a, destination=b, routing_key="k")
    ch.publish(a, "k", "2", mandatory=True)
    ch.wait("basic.return")
    eq(ch.drain(queue), ["1"])


@check
def nowait(ch):
    a, b, queue = ch.exchange(unique()), ch.exchange(unique(), "fanout"), ch.queue()
    ch.bind(queue, b)
    ch.send("exchange.bind", source=a, destination=b, routing_key="k", nowait=True)
    ch.publish(a, "k", "1")
    until(lambda: ch.count(queue) == 1)
    ch.send("exchange.unbind", source=a, destination=b, routing_key="k", nowait=True)
    ch.publish(a, "k", "2", mandatory=True)
    ch.wait("basic.return")
    ch.quiet()


@check
def missing_ends(ch):
    name = ch.exchange(unique())
    missing = "NOT_FOUND - no exchange 'nope' in vhost '/'"
    ch.refused(404, missing, "exchange.bind", source="nope", destination=name)
    ch.refused(404, missing, "exchange.bind", source=name, destination="nope")
    ch.rpc("exchange.unbind", source="nope", destination=name)
    ch.rpc("exchange.unbind", source=name, destination="nope")


@check
def default_exchange(ch):
    name = ch.exchange(unique())
    for method in "exchange.bind", "exchange.unbind":
        ch.refused(403, DEFAULT, method, source="", destination=name)
        ch.refused(403, DEFAULT, method, source=name, destination="")


@check
def deleting_the_middle_cuts_the_way(ch):
    a, b, queue = ch.exchange(unique(), "fanout"), ch.exchange(unique(), "fanout"), ch.queue()
    ch.rpc("exchange.bind", source=a, destination=b)
    ch.bind(queue, b)
    ch.publish(a, body="1")
    until(lambda: ch.count(queue) == 1)
    ch.rpc("exchange.delete", exchange=b)
    ch.publish(a, body="2", mandatory=True)
    ch.wait("basic.return")


main()
