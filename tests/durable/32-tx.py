# SPDX-License-Identifier: Apache-2.0
# commit-ok is a promise for all publishes and acks of the transaction, over all its queues. timeout: 240
from durable import *
from harness import *


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


def transactional(node):
    ch = node.channel()
    ch.rpc("tx.select")
    return ch


@after("restart", "kill", options=["--shards", "2"])
def committed(node):
    ch = transactional(node)
    queues = [durable(ch) for _ in range(8)]
    for i in range(40):
        ch.publish("", queues[i % 8], str(i), PERSISTENT)
    ch.rpc("tx.commit")
    ch = node.again()
    for k, queue in enumerate(queues):
        eq(bodies(ch, queue), [str(i) for i in range(k, 40, 8)])


@after("restart", "kill", options=["--shards", "2"])
def through_a_fanout(node):
    ch = transactional(node)
    name, queues = ch.exchange(unique(), "fanout", durable=True), [durable(ch) for _ in range(20)]
    for queue in queues:
        ch.bind(queue, name)
    for i in range(10):
        ch.publish(name, "", f"{i}" * 5000, PERSISTENT)
        ch.publish(name, "", "transient")
    ch.rpc("tx.commit")
    ch = node.again()
    for queue in queues:
        eq(bodies(ch, queue), [f"{i}" * 5000 for i in range(10)])


@after("restart", "kill")
def not_committed_or_rolled_back(node):
    p, ch = Publisher(node), transactional(node)
    queue = durable(ch)
    p.put(queue, "there")
    ch.publish("", queue, "rolled back", PERSISTENT)
    ch.rpc("tx.rollback")
    ch.publish("", queue, "committed", PERSISTENT)
    ch.rpc("tx.commit")
    ch.publish("", queue, "open", PERSISTENT)
    ch.get(queue, no_ack=False)
    ch.ack(1)
    p.put(queue, "behind")
    eq(bodies(node.again(), queue), ["there", "committed", "behind"])


@after("restart", "kill", options=["--shards", "2"])
def publishes_and_acks_together(node):
    p = Publisher(node)
    source, targets = durable(p.ch), [durable(p.ch) for _ in range(4)]
    p.put(source, *map(str, range(10)))
    ch = transactional(node)
    for _ in range(10):
        ch.get(source, no_ack=False)
    ch.ack(3, multiple=True)
    ch.send("basic.reject", delivery_tag=5)
    for queue in targets:
        ch.publish("", queue, "moved", PERSISTENT)
    ch.rpc("tx.commit")
    ch = node.again()
    eq(bodies(ch, source), ["3", "5", "6", "7", "8", "9"])
    for queue in targets:
        eq(bodies(ch, queue), ["moved"])


@only("tokkimq")
def acks_alone():
    """commit-ok vouches for them too, although an ack has no answer of its own."""
    for way in "restart", "kill":
        with Node(["--shards", "2"], way) as node:
            p = Publisher(node)
            queues = [durable(p.ch) for _ in range(6)]
            ch = transactional(node)
            for queue in queues:
                p.put(queue, *"abc")
                ch.ack(ch.get(queue, no_ack=False).delivery_tag)
            ch.rpc("tx.commit")
            ch = node.again()
            eq([bodies(ch, queue) for queue in queues], [["b", "c"]] * 6)


@after("restart", "kill", options=["--shards", "2"])
def large(node):
    """More than a chunk of the log in one transaction."""
    ch = transactional(node)
    queues = [durable(ch) for _ in range(4)]
    wanted = [bytes([65 + i]) * 700_000 for i in range(8)]
    for i, body in enumerate(wanted):
        ch.publish("", queues[i % 4], body, PERSISTENT)
    ch.rpc("tx.commit")
    ch = node.again()
    for k, queue in enumerate(queues):
        assert [m.body for m in take(ch, queue)] == wanted[k::4], f"queue {k}"


main()
