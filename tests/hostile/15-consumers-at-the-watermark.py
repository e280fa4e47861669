# SPDX-License-Identifier: Apache-2.0
# The bug: at the memory alarm, a pure consumer with more than one request under way counted as a publisher and got no more answers.
from attack import push
from broker import TokkiMQ
from guard import works
from harness import *

if not TOKKI:
    skip("starts a TokkiMQ with a small --memory-limit")

SIZE, QUEUES = 200000, 4


def method(name, **args):
    return codec.method_frame(1, name, **args)


def fill_up(port):
    """Publishers until the alarm holds them all back; returns them and their queues."""
    publishers = []
    for i in range(QUEUES):
        ch = connect(port=port).channel()
        queue = f"alarm-{i}"
        ch.rpc("queue.declare", queue=queue)
        ch.publish("", queue, bytes(SIZE))
        ch.publish("", queue, bytes(SIZE))
        ch.publish("", queue, bytes(SIZE))
        ch.rpc("channel.flow", active=True)
        publishers.append((ch, queue))
    for ch, queue in publishers:
        raw = method("basic.publish", routing_key=queue) + codec.content_frames(1, bytes(SIZE))
        push(ch.c, raw, 200 * 2**20, patience=0.3)
    eq([ch.c.wait(0, "connection.blocked").reason for ch, _ in publishers], ["low on memory"] * QUEUES)
    return publishers


def pipelined(port, queue):
    """Gets, acks and other requests, several at a time, from a connection at home on some shard."""
    ch = connect(port=port).channel()
    ch.queue()
    ch.c.write(method("basic.get", queue=queue) * 3)
    gets = [ch.wait() for _ in range(3)]
    eq([(got.name, len(got.body)) for got in gets], [("basic.get-ok", SIZE)] * 3)
    ch.c.write(
        method("basic.nack", delivery_tag=gets[-1].delivery_tag, multiple=True, requeue=True)
        + method("basic.qos", prefetch_count=1)
        + method("queue.declare", queue=queue, passive=True)
        + method("basic.qos", prefetch_count=2)
        + method("basic.consume", queue=queue, consumer_tag="t")
    )
    for name in "basic.qos-ok", "queue.declare-ok", "basic.qos-ok", "basic.consume-ok":
        ch.wait(name)
    ch.deliveries(2)
    ch.c.end()


@check
def go_on_with_pipelined_requests():
    with TokkiMQ(options=["--shards", "2", "--memory-limit", "16MiB"]) as broker:
        publishers = fill_up(broker.port)
        for _ in range(2):
            for _, queue in publishers:
                pipelined(broker.port, queue)
        for ch, _ in publishers:
            ch.c.close()
        drain(broker.port, [queue for _, queue in publishers])
        works(broker.port)


def drain(port, queues):
    ch = connect(port=port).channel()
    for queue in queues:
        ch.rpc("queue.delete", queue=queue)
    ch.c.end()


main()
