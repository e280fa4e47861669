# SPDX-License-Identifier: Apache-2.0
# Transient messages, and everything in queues that are not durable, are gone; what stood between them is in order. timeout: 240
from durable import *
from harness import *


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


@after("restart", "kill")
def transient_messages(node):
    p = Publisher(node)
    queue = durable(p.ch)
    for i in range(100):
        p.send(queue, f"{i}", delivery_mode=(2, 1, None)[i % 3])
    p.confirm()
    eq(bodies(node.again(), queue), [str(i) for i in range(0, 100, 3)])


@after("restart", "kill")
def only_transient_messages(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *["x" * 1000] * 100, delivery_mode=1)
    ch = node.again()
    eq(bodies(ch, queue), [])
    p = Publisher(node)
    p.put(queue, "kept")
    p.put(queue, "not kept", delivery_mode=1)
    eq(bodies(node.again(), queue), ["kept"])


@after("restart", "kill")
def persistent_messages_in_other_queues(node):
    p = Publisher(node)
    name = p.ch.exchange(unique(), "fanout", durable=True)
    kept, lost, own = durable(p.ch), p.ch.queue(unique(), exclusive=False), p.ch.queue()
    for queue in kept, lost, own:
        p.ch.bind(queue, name)
    p.put("", "to all", exchange=name)
    p.put(lost, "to one")
    ch = node.again()
    eq(bodies(ch, kept), ["to all"])
    ch.queue(lost, exclusive=False, durable=True)
    eq(bodies(ch, lost), [])


@after("restart", "kill")
def large_transient_bodies(node):
    p = Publisher(node)
    queue = durable(p.ch)
    for i in range(4):
        p.send(queue, f"{i}" * 2**21, delivery_mode=1 + i % 2)
    p.confirm()
    eq([m.body[:1] for m in take(node.again(), queue)], [b"1", b"3"])


@after("restart", "kill")
def unfinished_contents(node):
    """A publish that never ended is nothing."""
    p = Publisher(node)
    queue = durable(p.ch)
    c = node.connect()
    c.channel()
    p.put(queue, "before")
    c.send("basic.publish", 1, routing_key=queue)
    c.write(codec.header_frame(1, 2**22, PERSISTENT) + codec.frame(codec.BODY, 1, bytes(100000)) * 20)
    c.channel(2)
    p.put(queue, "behind")
    eq(bodies(node.again(), queue), ["before", "behind"])


main()
