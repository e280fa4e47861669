# SPDX-License-Identifier: Apache-2.0
# Internal exchanges take no client's messages; auto-delete exchanges go with their last binding.
from harness import *


def exists(ch, name):
    ch.send("exchange.declare", exchange=name, passive=True)
    got = ch.wait("exchange.declare-ok", "channel.close")
    if got.name == "channel.close":
        ch.send("channel.close-ok")
        ch.open()
    return got.name == "exchange.declare-ok"


@check
def internal_refuses_publishes(ch):
    name = ch.exchange(unique(), "fanout", internal=True)
    ch.publish(name, body="x")
    ch.closed(403, f"ACCESS_REFUSED - cannot publish to internal exchange '{name}' in vhost '/'", "basic.publish")


@check
def internal_is_reached_through_another(ch):
    front, name, queue = ch.exchange(unique(), "fanout"), ch.exchange(unique(), "fanout", internal=True), ch.queue()
    ch.rpc("exchange.bind", source=front, destination=name)
    ch.bind(queue, name)
    ch.publish(front, body="x")
    eq(until(lambda: ch.get(queue)).body, b"x")


@check
def auto_delete_after_the_last_unbind(ch):
    name, queue = ch.exchange(unique(), auto_delete=True), ch.queue()
    assert exists(ch, name)
    ch.bind(queue, name, "a")
    ch.bind(queue, name, "b")
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="a")
    assert exists(ch, name)
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="b")
    assert not exists(ch, name)


@check
def auto_delete_when_the_bound_queue_goes(ch):
    name, queue = ch.exchange(unique(), auto_delete=True), ch.queue()
    ch.bind(queue, name)
    ch.rpc("queue.delete", queue=queue)
    assert not exists(ch, name)


@check
def auto_delete_when_the_owner_of_the_bound_queue_goes(ch, other):
    name = other.exchange(unique(), auto_delete=True)
    ch.bind(ch.queue(), name)
    ch.c.end()
    assert not exists(other, name)


@check
def unbind_of_what_was_never_bound_keeps_it(ch):
    name, queue = ch.exchange(unique(), auto_delete=True), ch.queue()
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="a")
    assert exists(ch, name)


@check
def being_a_destination_does_not_count(ch):
    source, name = ch.exchange(unique()), ch.exchange(unique(), auto_delete=True)
    ch.rpc("exchange.bind", source=source, destination=name)
    ch.rpc("exchange.unbind", source=source, destination=name)
    assert exists(ch, name)


@check
def auto_delete_cascades(ch):
    a, b, queue = (
        ch.exchange(unique(), "fanout", auto_delete=True),
        ch.exchange(unique(), "fanout", auto_delete=True),
        ch.queue(),
    )
    ch.rpc("exchange.bind", source=a, destination=b)
    ch.bind(queue, b)
    ch.rpc("queue.unbind", queue=queue, exchange=b)
    assert not exists(ch, b)
    assert not exists(ch, a)


@check
def deleting_the_destination_exchange_counts(ch):
    a, b = ch.exchange(unique(), auto_delete=True), ch.exchange(unique())
    ch.rpc("exchange.bind", source=a, destination=b)
    ch.rpc("exchange.delete", exchange=b)
    assert not exists(ch, a)


main()
