# SPDX-License-Identifier: Apache-2.0
# purge-ok and delete-ok are promises: nothing of it comes back, not even after kill -9 a moment later. timeout: 240
from durable import *
from harness import *


def durable(ch, name=None):
    return ch.queue(name or unique(), exclusive=False, durable=True)


@after("restart", "kill")
def purged(node):
    p = Publisher(node)
    queue, other = durable(p.ch), durable(p.ch)
    p.put(queue, *map(str, range(500)))
    p.put(other, "other")
    eq(p.ch.rpc("queue.purge", queue=queue).message_count, 500)
    ch = node.again()
    eq((bodies(ch, queue), bodies(ch, other)), ([], ["other"]))


@after("restart", "kill")
def purged_among_others(node):
    """A purge takes what is ready: not what is delivered, and not what comes later."""
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(10)))
    for _ in range(3):
        p.ch.get(queue, no_ack=False)
    eq(p.ch.rpc("queue.purge", queue=queue).message_count, 7)
    p.put(queue, "new 1", "new 2")
    for _ in range(2):
        node.again()
    eq(bodies(node.channel(), queue), ["0", "1", "2", "new 1", "new 2"])


@after("restart", "kill")
def purged_and_settled_later(node):
    """The ack of a message that the purge left alone."""
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(4)))
    tags = [p.ch.get(queue, no_ack=False).delivery_tag for _ in range(2)]
    p.ch.rpc("queue.purge", queue=queue)
    p.ch.ack(tags[0])
    p.put(queue, "fence")
    eq(bodies(node.again(), queue), ["1", "fence"])


@after("restart", "kill")
def purged_in_a_later_life(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(100)))
    ch = node.again()
    eq(ch.rpc("queue.purge", queue=queue).message_count, 100)
    ch = node.again()
    eq(bodies(ch, queue), [])
    p = Publisher(node)
    p.put(queue, "new")
    eq(bodies(node.again(), queue), ["new"])


@after("restart", "kill")
def deleted(node):
    p = Publisher(node)
    queue, other = durable(p.ch), durable(p.ch)
    p.put(queue, *map(str, range(100)))
    p.put(other, "other")
    eq(p.ch.rpc("queue.delete", queue=queue).message_count, 100)
    ch = node.again()
    eq((exists(ch, queue), bodies(ch, other)), (False, ["other"]))
    eq(ch.rpc("queue.declare", queue=queue, durable=True).message_count, 0)


@after("restart", "kill")
def deleted_while_others_have_its_messages(node):
    p = Publisher(node)
    name, one, two = p.ch.exchange(unique(), "fanout", durable=True), durable(p.ch), durable(p.ch)
    for queue in one, two:
        p.ch.bind(queue, name)
    p.put("", *[f"{i}" * 10000 for i in range(10)], exchange=name)
    p.ch.get(one, no_ack=False)
    p.ch.rpc("queue.delete", queue=one)
    for _ in range(2):
        ch = node.again()
    eq(bodies(ch, two), [f"{i}" * 10000 for i in range(10)])


@only("tokkimq")
def round_after_round():
    with Node(way="kill") as node:
        p = Publisher(node)
        queue = durable(p.ch)
        for i in range(20):
            p.put(queue, *[f"{i}"] * 20)
            eq(p.ch.rpc("queue.purge", queue=queue).message_count, 20)
            if i % 3 == 2:
                p.ch.rpc("queue.delete", queue=queue)
            ch = node.again()
            eq(exists(ch, queue), i % 3 != 2, f"round {i}")
            eq(ch.rpc("queue.declare", queue=queue, durable=True).message_count, 0, f"round {i}")
            p = Publisher(node)


main()
