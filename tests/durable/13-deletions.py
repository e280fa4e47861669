# SPDX-License-Identifier: Apache-2.0
# What was deleted or unbound stays so, and a new object of the same name inherits nothing. timeout: 240
from durable import *
from harness import *


def durable(ch, name=None, **args):
    return ch.queue(name or unique(), exclusive=False, durable=True, **args)


@after("restart", "kill")
def deleted_objects(node):
    ch = node.channel()
    queue, name, other = durable(ch), ch.exchange(unique(), durable=True), ch.exchange(unique(), "fanout", durable=True)
    ch.bind(queue, name, "k")
    ch.rpc("exchange.bind", source=other, destination=name)
    ch = node.again()
    ch.rpc("queue.delete", queue=queue)
    ch.rpc("exchange.delete", exchange=name)
    for _ in range(2):
        ch = node.again()
        eq((exists(ch, queue), exchange_exists(ch, name), exchange_exists(ch, other)), (False, False, True))


@after("restart", "kill")
def deleted_in_the_same_life(node):
    ch = node.channel()
    queue, name = durable(ch), ch.exchange(unique(), durable=True)
    ch.bind(queue, name, "k")
    ch.rpc("exchange.delete", exchange=name)
    ch.rpc("queue.delete", queue=queue)
    ch = node.again()
    eq((exists(ch, queue), exchange_exists(ch, name)), (False, False))


@after("restart", "kill")
def a_new_queue_of_the_name(node):
    """Neither messages nor bindings of the old one."""
    p = Publisher(node)
    queue, name = durable(p.ch), p.ch.exchange(unique(), "fanout", durable=True)
    p.ch.bind(queue, name)
    p.put(queue, "old 1", "old 2")
    eq(p.ch.rpc("queue.delete", queue=queue).message_count, 2)
    durable(p.ch, queue)
    p.put(queue, "new")
    ch = node.again()
    eq(bodies(ch, queue), ["new"])
    eq(routed(ch, name, "", [queue]), set())


@after("restart", "kill")
def a_new_queue_of_the_name_in_a_later_life(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, "old 1", "old 2")
    ch = node.again()
    ch.rpc("queue.delete", queue=queue)
    p = Publisher(node)
    durable(p.ch, queue, arguments={"x-message-ttl": 3600000})
    p.put(queue, "new 1")
    node.again()
    p = Publisher(node)
    p.put(queue, "new 2")
    ch = node.again()
    eq(bodies(ch, queue), ["new 1", "new 2"])
    durable(ch, queue, arguments={"x-message-ttl": 3600000})


@after("restart", "kill")
def a_new_exchange_of_the_name(node):
    ch = node.channel()
    queue, name = durable(ch), ch.exchange(unique(), "fanout", durable=True)
    ch.bind(queue, name)
    ch.rpc("exchange.delete", exchange=name)
    ch.exchange(name, "topic", durable=True)
    ch = node.again()
    eq(routed(ch, name, "k", [queue]), set())
    ch.exchange(name, "topic", durable=True)


@after("restart", "kill")
def a_transient_successor(node):
    """Durable, deleted, then declared not durable: nothing comes back."""
    p = Publisher(node)
    queue, name = durable(p.ch), p.ch.exchange(unique(), durable=True)
    p.put(queue, "old")
    ch = node.again()
    ch.rpc("queue.delete", queue=queue)
    ch.rpc("exchange.delete", exchange=name)
    ch.queue(queue, exclusive=False)
    ch.exchange(name)
    ch = node.again()
    eq((exists(ch, queue), exchange_exists(ch, name)), (False, False))


@after("restart", "kill")
def unbound(node):
    ch = node.channel()
    queue, name, target = durable(ch), ch.exchange(unique(), durable=True), ch.exchange(unique(), durable=True)
    for key in "a", "b":
        ch.bind(queue, name, key)
        ch.rpc("exchange.bind", source=name, destination=target, routing_key=key + key)
        ch.bind(queue, target, key + key)
    ch = node.again()
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="a")
    ch.rpc("exchange.unbind", source=name, destination=target, routing_key="aa")
    ch = node.again()
    eq([key for key in ("a", "b", "aa", "bb") if routed(ch, name, key, [queue])], ["b", "bb"])


@after("restart", "kill")
def deleted_with_its_bindings(node):
    """An exchange takes along the bindings to and from it, which matters to auto-delete exchanges behind it."""
    ch = node.channel()
    source = ch.exchange(unique(), "fanout", durable=True, auto_delete=True)
    middle = ch.exchange(unique(), "fanout", durable=True)
    ch.rpc("exchange.bind", source=source, destination=middle)
    ch.rpc("exchange.delete", exchange=middle)
    assert not exchange_exists(ch, source)
    ch = node.again()
    eq((exchange_exists(ch, source), exchange_exists(ch, middle)), (False, False))


@after("restart", "kill")
def if_unused_and_if_empty_change_nothing(node):
    p = Publisher(node)
    queue, name = durable(p.ch), p.ch.exchange(unique(), durable=True)
    p.ch.bind(queue, name, "k")
    p.put(queue, "x")
    ch = node.channel()
    ch.refused(
        406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty", "queue.delete", queue=queue, if_empty=True
    )
    ch.refused(
        406,
        f"PRECONDITION_FAILED - exchange '{name}' in vhost '/' in use",
        "exchange.delete",
        exchange=name,
        if_unused=True,
    )
    ch = node.again()
    eq(bodies(ch, queue), ["x"])
    eq(routed(ch, name, "k", [queue]), {queue})


@after("restart", "kill")
def declared_and_deleted_many_times(node):
    p = Publisher(node)
    queue, name = unique(), unique()
    for i in range(100):
        durable(p.ch, queue)
        p.ch.exchange(name, durable=True)
        p.ch.bind(queue, name, str(i))
        p.send(queue, f"message {i}")
        p.ch.rpc("queue.delete", queue=queue)
        if i % 2:
            p.ch.rpc("exchange.delete", exchange=name)
    p.confirm()
    durable(p.ch, queue)
    p.ch.exchange(name, durable=True)
    p.ch.bind(queue, name, "last")
    p.put("last", "final", exchange=name)
    ch = node.again()
    eq(bodies(ch, queue), ["final"])
    eq([k for k in ("1", "98", "99", "last") if routed(ch, name, k, [queue])], ["last"])


main()
