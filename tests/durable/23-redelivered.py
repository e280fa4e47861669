# SPDX-License-Identifier: Apache-2.0
# The redelivered flag after a restart: set for what was delivered before. After kill -9 it may be set for more. timeout: 240
from durable import *
from harness import *


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


def holds(node, queue, *wanted):
    """Bodies and flags, of a clean stop exactly; after kill -9 flags may be set that need not be."""
    got = [(m.body.decode(), m.redelivered) for m in take(node.channel(), queue)]
    if node.way == "kill":
        got = [(body, flag and (body, True) in wanted) for body, flag in got]
    eq(got, list(wanted))


def numbered(first, n, flag):
    return [(str(i), flag) for i in range(first, first + n)]


def fence(p, queue):
    """The order of the log is that of the queue: with this message all before it is on the disk."""
    p.put(queue, "fence")


@after("restart", "kill")
def got_and_not_acknowledged(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(6)))
    for _ in range(3):
        eq(p.ch.get(queue, no_ack=False).redelivered, False)
    fence(p, queue)
    node.again()
    holds(node, queue, *numbered(0, 3, True), *numbered(3, 3, False), ("fence", False))


@after("restart", "kill")
def delivered_and_not_acknowledged(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(50)))
    p.ch.rpc("basic.qos", prefetch_count=20)
    p.ch.consume(queue)
    p.ch.deliveries(20)
    fence(p, queue)
    node.again()
    holds(node, queue, *numbered(0, 20, True), *numbered(20, 30, False), ("fence", False))


@after("restart", "kill")
def never_delivered(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(10)))
    for _ in range(2):
        node.again()
    holds(node, queue, *numbered(0, 10, False))


@after("restart", "kill")
def requeued(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(6)))
    for _ in range(4):
        p.ch.get(queue, no_ack=False)
    p.ch.send("basic.reject", delivery_tag=2, requeue=True)
    p.ch.send("basic.nack", delivery_tag=4, requeue=True)
    p.ch.ack(1)
    fence(p, queue)
    node.again()
    holds(node, queue, *numbered(1, 3, True), *numbered(4, 2, False), ("fence", False))


@after("restart", "kill")
def the_flag_stays(node):
    """Over restarts in which nobody looks, and when the next life delivers more."""
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(6)))
    p.ch.get(queue, no_ack=False)
    fence(p, queue)
    for _ in range(2):
        node.again()
    p = Publisher(node)
    first, second = [p.ch.get(queue, no_ack=False) for _ in range(2)]
    assert first.redelivered and (node.way == "kill" or not second.redelivered), (first, second)
    fence(p, queue)
    node.again()
    holds(node, queue, *numbered(0, 2, True), *numbered(2, 4, False), ("fence", False), ("fence", False))


@after("restart", "kill")
def of_a_message_in_two_queues(node):
    """The flag belongs to the queue, not to the message."""
    p = Publisher(node)
    name, one, two = p.ch.exchange(unique(), "fanout", durable=True), durable(p.ch), durable(p.ch)
    for queue in one, two:
        p.ch.bind(queue, name)
    p.put("", "0", exchange=name)
    p.ch.get(one, no_ack=False)
    fence(p, one)
    node.again()
    holds(node, one, ("0", True), ("fence", False))
    holds(node, two, ("0", False))


main()
