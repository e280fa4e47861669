# SPDX-License-Identifier: Apache-2.0
# queue.bind and unbind: idempotent, exact, refused for missing ends and on the default exchange.
from harness import *

DEFAULT = "ACCESS_REFUSED - operation not permitted on the default exchange"


def routed(ch, exchange, key):
    ch.publish(exchange, key, "probe", mandatory=True)
    ch.publish("amq.direct", "never-bound-" + key, "end", mandatory=True)
    return ch.wait("basic.return").body == b"end" or ch.wait("basic.return") is None


@check
def bind_twice_unbind_once(ch):
    name, queue = ch.exchange(unique()), ch.queue()
    ch.bind(queue, name, "k")
    ch.bind(queue, name, "k")
    assert routed(ch, name, "k")
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="k")
    assert not routed(ch, name, "k")


@check
def unbind_of_nothing(ch):
    queue = ch.queue()
    ch.rpc("queue.unbind", queue=queue, exchange="amq.direct", routing_key="never")
    ch.rpc("queue.unbind", queue="nope", exchange="amq.direct", routing_key="k")
    ch.rpc("queue.unbind", queue=queue, exchange="nope", routing_key="k")


@check
def arguments_are_part_of_the_binding(ch):
    name, queue = ch.exchange(unique()), ch.queue()
    ch.bind(queue, name, "k", a=1)
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="k")
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="k", arguments={"a": 2})
    assert routed(ch, name, "k")
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="k", arguments={"a": 1})
    assert not routed(ch, name, "k")


@check
def nowait(ch):
    name, queue = ch.exchange(unique()), ch.queue()
    ch.send("queue.bind", queue=queue, exchange=name, routing_key="k", nowait=True)
    assert routed(ch, name, "k")
    ch.quiet()
    ch.refused(
        404, "NOT_FOUND - no exchange 'nope' in vhost '/'", "queue.bind", queue=queue, exchange="nope", nowait=True
    )


@check
def missing_ends(ch):
    queue = ch.queue()
    ch.refused(404, "NOT_FOUND - no exchange 'nope' in vhost '/'", "queue.bind", queue=queue, exchange="nope")
    ch.refused(404, "NOT_FOUND - no queue 'nope' in vhost '/'", "queue.bind", queue="nope", exchange="amq.direct")


@check
def default_exchange(ch):
    queue = ch.queue()
    for method in "queue.bind", "queue.unbind":
        ch.refused(403, DEFAULT, method, queue=queue, exchange="", routing_key="k")


@check
def empty_key_and_empty_queue_bind_the_last_name(ch):
    name = ch.queue()
    ch.rpc("queue.bind", exchange="amq.direct")
    assert routed(ch, "amq.direct", name)
    other = ch.queue()
    ch.rpc("queue.bind", queue=other, exchange="amq.direct")
    ch.publish("amq.direct", "", "x")
    eq(until(lambda: ch.get(other)).body, b"x")


@check
def many_keys_one_queue_one_copy(ch):
    name, queue = ch.exchange(unique(), "topic"), ch.queue()
    for key in "a.b", "a.*", "*.b", "#":
        ch.bind(queue, name, key)
    ch.rpc("confirm.select")
    ch.publish(name, "a.b", "x")
    ch.confirms(1)
    eq(ch.drain(queue), ["x"])


@check
def another_connection_routes_by_it_at_once(ch, other):
    name, queue = ch.exchange(unique()), ch.queue()
    for i in range(50):
        ch.bind(queue, name, str(i))
        assert routed(other, name, str(i))
        ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key=str(i))
        assert not routed(other, name, str(i))


main()
