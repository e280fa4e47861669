# SPDX-License-Identifier: Apache-2.0
# The bug: with a qos of the whole channel, what was sent back to a queue on another shard was overtaken by what came behind it.
import struct

from crowd import sharded_port
from harness import *

QUEUES, MESSAGES = 4, 1500


def fill(port, queue, n=MESSAGES):
    ch = connect(port=port).channel()
    ch.rpc("queue.declare", queue=queue)
    ch.rpc("confirm.select")
    for i in range(n):
        ch.publish("", queue, struct.pack(">I", i))
    ch.confirms(n)
    ch.c.end()


def consumer_at_home_elsewhere(port, prefetch):
    """Its own queue comes first, so that its connection stays where it is."""
    ch = connect(port=port).channel()
    ch.queue()
    ch.rpc("basic.qos", prefetch_count=prefetch, global_=True)
    return ch


def number(delivery):
    return struct.unpack(">I", delivery.body)[0]


def in_order(prefetch, step=1):
    """Takes every queue through a limit of the channel, acking `step` deliveries at a time."""
    with sharded_port() as port:
        for _ in range(QUEUES):
            queue = unique()
            fill(port, queue)
            ch = consumer_at_home_elsewhere(port, prefetch)
            ch.consume(queue)
            for n in range(MESSAGES):
                got = ch.delivery()
                eq(number(got), n, "out of order:")
                if (n + 1) % step == 0:
                    ch.ack(got.delivery_tag, multiple=True)
            ch.rpc("queue.delete", queue=queue)
            ch.c.end()


def publish_one_by_one(port, queue):
    """Many writes, so that what is on its way between the shards does not come all at once."""
    ch = connect(port=port).channel()
    for i in range(MESSAGES):
        ch.publish("", queue, struct.pack(">I", i))
    ch.rpc("channel.flow", active=True)
    ch.c.end()


@check
def while_they_are_published():
    with sharded_port() as port:
        for prefetch in (1, 2, 3, 10) * 2:
            owner = connect(port=port).channel()
            queue = owner.queue(unique(), exclusive=False)
            ch = consumer_at_home_elsewhere(port, prefetch)
            ch.consume(queue)
            publisher = threading.Thread(target=publish_one_by_one, args=[port, queue], daemon=True)
            publisher.start()
            for n in range(MESSAGES):
                got = ch.delivery()
                eq(number(got), n, f"out of order with a limit of {prefetch}:")
                ch.ack(got.delivery_tag)
            publisher.join()
            ch.rpc("queue.delete", queue=queue)
            ch.c.end()
            owner.c.end()


@check
def one_at_a_time():
    in_order(1)


@check
def three_at_a_time():
    in_order(3)


@check
def many_acked_together():
    in_order(50, step=25)


@check
def several_queues_share_the_limit():
    with sharded_port() as port:
        queues = [unique() for _ in range(QUEUES)]
        for queue in queues:
            fill(port, queue, 500)
        ch = consumer_at_home_elsewhere(port, 5)
        of, last = {ch.consume(q): q for q in queues}, dict.fromkeys(queues, -1)
        for _ in range(500 * QUEUES):
            got = ch.delivery()
            queue = of[got.consumer_tag]
            eq(number(got), last[queue] + 1, "out of order:")
            last[queue] += 1
            ch.ack(got.delivery_tag)
        eq(set(last.values()), {499})
        for queue in queues:
            ch.rpc("queue.delete", queue=queue)
        ch.c.end()


@check
def never_above_the_limit():
    """Nothing is acked: exactly the limit arrives, and a cancel brings the rest back in order."""
    with sharded_port() as port:
        for _ in range(QUEUES):
            queue = unique()
            fill(port, queue, 300)
            ch = consumer_at_home_elsewhere(port, 7)
            tag = ch.consume(queue)
            eq([number(d) for d in ch.deliveries(7)], list(range(7)))
            ch.quiet(queue)
            ch.rpc("basic.cancel", consumer_tag=tag)
            ch.c.end()
            reader = connect(port=port).channel()
            until(lambda: reader.count(queue) == 300)
            eq([number(reader.get(queue)) for _ in range(300)], list(range(300)))
            reader.rpc("queue.delete", queue=queue)
            reader.c.end()


main()
