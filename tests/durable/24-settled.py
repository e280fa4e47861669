# SPDX-License-Identifier: Apache-2.0
# Acknowledged, rejected, got and expired messages do not come back. timeout: 240
# After kill -9 that holds for what was settled before a message that the same queue has confirmed: a queue's log is in its order.
import random

from durable import *
from harness import *


def durable(ch, **args):
    return ch.queue(unique(), exclusive=False, durable=True, **args)


def filled(node, n):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(n)))
    return p, queue


def left(node, p, queue):
    """The queue's messages in the next life, without the fence."""
    p.put(queue, "fence")
    got = bodies(node.again(), queue)
    eq(got.pop(), "fence")
    return [int(body) for body in got]


@after("restart", "kill")
def acknowledged_one_by_one(node):
    p, queue = filled(node, 10)
    p.ch.rpc("basic.qos", prefetch_count=10)
    p.ch.consume(queue)
    for m in p.ch.deliveries(10):
        if int(m.body) % 2:
            p.ch.ack(m.delivery_tag)
    eq(left(node, p, queue), list(range(0, 10, 2)))


@after("restart", "kill")
def acknowledged_together(node):
    p, queue = filled(node, 10)
    for _ in range(8):
        p.ch.get(queue, no_ack=False)
    p.ch.ack(5, multiple=True)
    p.ch.ack(7)
    eq(left(node, p, queue), [5, 7, 8, 9])


@after("restart", "kill")
def rejected(node):
    p, queue = filled(node, 10)
    for _ in range(8):
        p.ch.get(queue, no_ack=False)
    p.ch.send("basic.reject", delivery_tag=1)
    p.ch.send("basic.nack", delivery_tag=4, multiple=True)
    p.ch.send("basic.nack", delivery_tag=6)
    eq(left(node, p, queue), [4, 6, 7, 8, 9])


@after("restart", "kill")
def got_without_acknowledgement(node):
    p, queue = filled(node, 10)
    eq([p.ch.get(queue).body for _ in range(4)], [b"0", b"1", b"2", b"3"])
    eq(left(node, p, queue), list(range(4, 10)))


@after("restart", "kill")
def consumed_without_acknowledgement(node):
    p, queue = filled(node, 1000)
    eq(len(take(p.ch, queue)), 1000)
    p.put(queue, "1000")
    eq(left(node, p, queue), [1000])


@after("restart", "kill")
def delivered_at_once(node):
    """Never in the queue at all: a waiting consumer got them."""
    p = Publisher(node)
    queue, other = durable(p.ch), durable(p.ch)
    p.ch.consume(queue, no_ack=True)
    p.put(queue, *map(str, range(100)))
    p.ch.deliveries(100)
    p.put(other, "fence")
    p.put(queue, "fence")
    ch = node.again()
    eq([b for b in bodies(ch, queue) if b != "fence"], [])
    eq(bodies(ch, other), ["fence"])


@after("restart", "kill")
def expired(node):
    p, queue = filled(node, 2)
    p.put(queue, "short", expiration="50")
    for _ in range(2):
        p.ch.get(queue)
    until(lambda: p.ch.count(queue) == 0)
    eq(left(node, p, queue), [])


@after("restart", "kill")
def settled_at_random(node):
    """Over three lives: some settled, some requeued, some left."""
    dice, p, there = random.Random(SEED), Publisher(node), set(range(600))
    print("seed", SEED)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(600)))
    for _ in range(3):
        for m in [p.ch.get(queue, no_ack=False) for _ in range(len(there) // 2)]:
            what = dice.choice(["ack", "reject", "requeue", "leave", "leave"])
            if what == "ack":
                p.ch.ack(m.delivery_tag)
            elif what != "leave":
                p.ch.send("basic.reject", delivery_tag=m.delivery_tag, requeue=what == "requeue")
            if what in ("ack", "reject"):
                there.discard(int(m.body))
        new = max(there) + 1
        p.put(queue, *map(str, range(new, new + 50)))
        there |= set(range(new, new + 50))
        node.again()
        p = Publisher(node)
    eq([int(body) for body in bodies(p.ch, queue)], sorted(there))


@after("restart", "kill")
def settled_in_an_older_life(node):
    """The settle refers to a message that an earlier process has written."""
    p, queue = filled(node, 100)
    node.again()
    p = Publisher(node)
    for _ in range(50):
        p.ch.ack(p.ch.get(queue, no_ack=False).delivery_tag)
    eq(left(node, p, queue), list(range(50, 100)))


@after("restart")
def nothing_behind_the_last_ack(node):
    """A clean stop has everything, without a fence."""
    p, queue = filled(node, 10)
    for _ in range(10):
        p.ch.ack(p.ch.get(queue, no_ack=False).delivery_tag)
    p.ch.rpc("channel.flow", active=True)
    eq(bodies(node.again(), queue), [])


@only("tokkimq")
def a_lost_ack_is_a_flagged_redelivery():
    for _ in range(5):
        with Node(way="kill") as node:
            p, queue = filled(node, 200)
            p.ch.rpc("basic.qos", prefetch_count=200)
            p.ch.consume(queue)
            tag = p.ch.deliveries(200)[-1].delivery_tag
            p.put(queue, "fence")
            p.ch.ack(tag, multiple=True)
            p.ch.rpc("channel.flow", active=True)
            messages = [m for m in take(node.again(), queue) if m.body != b"fence"]
            eq([m.body for m in messages if not m.redelivered], [])


main()
