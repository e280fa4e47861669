# SPDX-License-Identifier: Apache-2.0
# Clients that come back after a restart go on where they were: consumers, publishers, transactions, several at a time. timeout: 240
from durable import *
from harness import *


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


@after("restart", "kill")
def consumers_reconnect(node):
    """Every message is delivered until it is acknowledged, over four lives of the broker."""
    p = Publisher(node)
    queue, acknowledged, n = durable(p.ch), set(), 0
    for _ in range(4):
        p = Publisher(node)
        p.put(queue, *map(str, range(n, n + 50)))
        n += 50
        p.ch.rpc("basic.qos", prefetch_count=30)
        p.ch.consume(queue, "worker")
        for m in p.ch.deliveries(25):
            acknowledged.add(int(m.body))
            p.ch.ack(m.delivery_tag)
        p.put(queue, str(n))
        n += 1
        node.again()
    ch = node.channel()
    ch.consume(queue, "worker")  # the tag is free again
    ch.rpc("basic.cancel", consumer_tag="worker")
    node.forget()
    left = [int(body) for body in bodies(node.channel(), queue)]
    eq(left, sorted(set(range(n)) - acknowledged))


@after("restart", "kill")
def two_in_a_row(node):
    """The second restart finds what the first has recovered and nothing has touched."""
    p = Publisher(node)
    name, queues = p.ch.exchange(unique(), "topic", durable=True), [durable(p.ch) for _ in range(5)]
    for i, queue in enumerate(queues):
        p.ch.bind(queue, name, f"#.{i}.#")
    p.put("0.2.4", "even", exchange=name)
    p.put("1.3", "odd", exchange=name)
    for way in "restart", node.way, "kill" if TOKKI else "restart", node.way:
        node.way = way
        ch = node.again()
        eq([ch.count(queue) for queue in queues], [1] * 5)
    eq([bodies(ch, queue) for queue in queues], [["even"], ["odd"]] * 2 + [["even"]])


@after("restart", "kill")
def new_messages_behind_old_ones(node):
    queue = durable(node.channel())
    for life in range(4):
        p = Publisher(node)
        p.put(queue, *[f"{life}.{i}" for i in range(10)])
        node.again()
    eq(bodies(node.channel(), queue), [f"{life}.{i}" for life in range(4) for i in range(10)])


@after("restart", "kill")
def consumer_counts_start_at_nothing(node):
    ch = node.channel()
    queue = durable(ch)
    ch.consume(queue, exclusive=True)
    ch = node.again()
    eq(ch.rpc("queue.declare", queue=queue, passive=True).consumer_count, 0)
    ch.consume(queue, exclusive=True)


@after("restart")
def a_stop_with_everything_open(node):
    """Open transactions, unconfirmed publishes, unacknowledged deliveries, blocked gets: a clean stop is still one."""
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, "1", "2")
    tx, consumer = node.channel(), node.channel()
    tx.rpc("tx.select")
    tx.publish("", queue, "never", PERSISTENT)
    consumer.rpc("basic.qos", prefetch_count=1)
    consumer.consume(queue)
    eq(consumer.delivery().body, b"1")
    p.send(queue, *["perhaps"] * 100)
    got = [(m.body.decode(), m.redelivered) for m in take(node.again(), queue)]
    eq(got[:2], [("1", True), ("2", False)])
    eq(set(got[2:]) - {("perhaps", False)}, set())


main()
