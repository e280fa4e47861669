# SPDX-License-Identifier: Apache-2.0
# Positions survive: requeued messages, long backlogs, many lives, another number of shards. timeout: 300
import random

from durable import *
from harness import *


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


@after("restart", "kill")
def requeued_messages_keep_their_places(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(20)))
    tags = [p.ch.get(queue, no_ack=False).delivery_tag for _ in range(10)]
    for i in 7, 2, 5:
        p.ch.send("basic.nack", delivery_tag=tags[i], requeue=True)
    p.put(queue, "20")
    eq(bodies(node.again(), queue), [str(i) for i in range(21)])


@after("restart", "kill")
def open_deliveries_go_back_to_their_places(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *map(str, range(10)))
    node.again()
    p = Publisher(node)
    p.ch.rpc("basic.qos", prefetch_count=4)
    p.ch.consume(queue)
    p.ch.deliveries(4)
    p.put(queue, *map(str, range(10, 15)))
    eq(bodies(node.again(), queue), [str(i) for i in range(15)])


@after("restart", "kill")
def twenty_thousand(node):
    p = Publisher(node)
    queue = durable(p.ch)
    for first in range(0, 20000, 1000):
        p.send(queue, *[f"{i}" for i in range(first, first + 1000)])
        p.confirm()
    for _ in range(2):
        ch = node.again()
        eq(ch.count(queue), 20000)
    got = bodies(ch, queue)
    eq(got == [str(i) for i in range(20000)], True, f"in order, {got[:3]} ... {got[-3:]}:")


@after("restart", "kill")
def in_and_out_over_many_lives(node):
    dice, model, n = random.Random(SEED), [], 0
    print("seed", SEED)
    queue = durable(node.channel())
    for life in range(8 if TOKKI else 3):
        p = Publisher(node)
        for _ in range(dice.randrange(1, 4)):
            new = [str(i) for i in range(n, n + dice.randrange(1, 100))]
            n += len(new)
            for _ in range(dice.randrange(len(model) + 1)):
                m = p.ch.get(queue, no_ack=False)
                eq(m.body.decode(), model.pop(0), f"life {life}")
                p.ch.ack(m.delivery_tag)
            p.put(queue, *new)
            model += new
        node.again()
    eq(bodies(node.channel(), queue), model)


@only("tokkimq")
def another_number_of_shards():
    """Which shard keeps a queue is nothing that the disk knows."""
    with Node(["--shards", "2"]) as node:
        p = Publisher(node)
        name, queues = p.ch.exchange(unique(), "fanout", durable=True), [durable(p.ch) for _ in range(8)]
        for queue in queues:
            p.ch.bind(queue, name)
        for n, shards in enumerate(("1", "3", "2", "4", "1")):
            p.put("", *[f"{n}.{i}" for i in range(20)], exchange=name)
            node.broker.options = ["--shards", shards]
            node.way = ("restart", "kill")[n % 2]
            node.again()
            p = Publisher(node)
        for queue in queues:
            eq(bodies(p.ch, queue), [f"{n}.{i}" for n in range(5) for i in range(20)])


main()
