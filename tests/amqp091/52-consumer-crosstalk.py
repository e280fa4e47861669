# SPDX-License-Identifier: Apache-2.0
# One connection's effects are there for the others when it was told so; many peers on one queue lose and double nothing.
from harness import *


@check
def what_one_was_told_holds_for_the_other(ch, other):
    for i in range(50):
        queue = ch.queue(unique(), exclusive=False, auto_delete=True)
        exchange = other.exchange(unique(), "fanout", auto_delete=True)
        ch.bind(queue, exchange)
        other.publish(exchange, "", str(i), mandatory=True)
        got = until(lambda: ch.get(queue, no_ack=False))
        eq(got.body, b"%d" % i)
        ch.ack(got.delivery_tag)
        ch.rpc("queue.unbind", queue=queue, exchange=exchange)
        other.refused(
            404,
            f"NOT_FOUND - no exchange '{exchange}' in vhost '/'",
            "exchange.declare",
            exchange=exchange,
            passive=True,
        )
        other.rpc("queue.delete", queue=queue)


@check
def purge_and_count_across(ch, other):
    queue = ch.queue(unique(), exclusive=False, auto_delete=True)
    ch.rpc("confirm.select")
    for i in range(20):
        ch.publish("", queue, "x")
        ch.confirms(1, i + 1)
        eq(other.rpc("queue.purge", queue=queue).message_count, 1)
    other.rpc("queue.delete", queue=queue)


@check
def many_publishers_many_consumers(ch):
    queue = ch.queue(unique(), exclusive=False)
    peers = [connect() for _ in range(6)]
    consumers, publishers = [c.channel() for c in peers[:3]], [c.channel() for c in peers[3:]]
    for consumer in consumers:
        consumer.rpc("basic.qos", prefetch_count=50)
        consumer.consume(queue)
    for n, publisher in enumerate(publishers):
        publisher.rpc("confirm.select")
        for i in range(500):
            publisher.publish("", queue, f"{n}.{i}")
    bodies = []

    deadline = time.monotonic() + PATIENCE

    def collect(consumer):
        while len(bodies) < 1500 and time.monotonic() < deadline:
            try:
                got = consumer.delivery(patience=0.1)
            except TimeoutError:
                continue
            consumer.ack(got.delivery_tag)
            bodies.append(got.body.decode())

    threads = [threading.Thread(target=collect, args=[consumer]) for consumer in consumers]
    for thread in threads:
        thread.start()
    for publisher in publishers:
        publisher.confirms(500)
    for thread in threads:
        thread.join()
    eq(sorted(bodies), sorted(f"{n}.{i}" for n in range(3) for i in range(500)))
    ch.rpc("queue.delete", queue=queue)
    for peer in peers:
        peer.end()


@check
def order_of_one_publisher_holds(ch, other):
    queue = ch.queue(unique(), exclusive=False, auto_delete=True)
    other.consume(queue, no_ack=True)
    for i in range(2000):
        ch.publish("", queue, str(i))
    eq([m.body for m in other.deliveries(2000)], [b"%d" % i for i in range(2000)])


main()
