# SPDX-License-Identifier: Apache-2.0
# Peers that send and never read: their output is bounded, others do not notice. timeout: 120
import select

from guard import Unharmed, pings
from harness import *

MESSAGES, SIZE = 20000, 2048


def push(c, raw, limit, patience=1.0):
    """Writes raw again and again without reading, until the broker stops taking it or `limit` octets; returns how many went."""
    c.sock.setblocking(False)
    sent = 0
    while sent < limit and select.select([], [c.sock], [], patience)[1]:
        try:
            sent += c.sock.send(raw[sent % len(raw) :])
        except BlockingIOError:
            pass
    c.sock.settimeout(PATIENCE)
    return sent


@check
def consumer_that_never_reads(ch, other):
    with Unharmed(grow_mib=2 * MESSAGES * SIZE // 2**20) as broker:
        slow = connect().channel()
        queue = ch.queue(unique(), exclusive=False)
        slow.consume(queue, no_ack=True)
        ch.rpc("confirm.select")
        one = codec.method_frame(1, "basic.publish", routing_key=queue) + codec.content_frames(1, bytes(SIZE))
        for _ in range(MESSAGES // 1000):
            ch.c.write(one * 1000)
        ch.confirms(MESSAGES)
        broker.now()
        assert pings() < 2, "a normal client has to wait"
        if TOKKI:  # what its socket cannot take stays in the queue
            assert ch.count(queue) > MESSAGES // 3, ch.count(queue)
        got = 0
        while got < 1000:  # it wakes up and gets what it is owed, in order
            slow.delivery()
            got += 1
        slow.c.close()
        ch.rpc("queue.delete", queue=queue)


@check
def other_consumers_of_the_same_queue_go_on(ch, other):
    """The one that does not read keeps what went to it; the other one gets the rest."""
    queue = ch.queue(unique(), exclusive=False)
    slow, fast = connect().channel(), other
    for channel in slow, fast:
        channel.rpc("basic.qos", prefetch_count=500)
        channel.consume(queue)
    one = codec.method_frame(1, "basic.publish", routing_key=queue) + codec.content_frames(1, bytes(SIZE))
    for _ in range(10):
        ch.c.write(one * 1000)
    for _ in range(9500):
        fast.ack(fast.delivery().delivery_tag)
    slow.c.close()
    for _ in range(500):
        fast.ack(fast.delivery().delivery_tag)
    eq(ch.count(queue), 0)
    ch.rpc("queue.delete", queue=queue)


@check
def requests_whose_answers_nobody_reads(ch):
    with Unharmed(grow_mib=32) as broker:
        c = connect()
        queue = c.channel().queue()
        raw = codec.method_frame(1, "basic.get", queue=queue)
        sent = push(c, raw * 1000, 200 * 2**20 if TOKKI else 2**20)
        broker.now()
        assert not TOKKI or sent < 200 * 2**20, "the broker took 200 MiB of requests without getting rid of an answer"
        assert pings() < 2
        c.inbox.clear()
        for _ in range(min(sent // len(raw), 20000)):  # all it was asked is answered, in order
            eq(c.next_method(time.monotonic() + PATIENCE).name, "basic.get-empty")
        c.close()


@check
def returns_that_nobody_reads():
    with Unharmed(grow_mib=64) as broker:
        c = connect()
        c.channel()
        raw = codec.method_frame(1, "basic.publish", exchange="amq.direct", routing_key="nowhere", mandatory=True)
        push(c, (raw + codec.content_frames(1, bytes(10000))) * 100, 400 * 2**20 if TOKKI else 2**20)
        broker.now()
        assert pings() < 2
        c.close()


@check
def large_messages_to_a_stalled_reader(ch):
    with Unharmed(grow_mib=120) as broker:
        slow = connect().channel()
        queue = ch.queue(unique(), exclusive=False)
        slow.consume(queue, no_ack=True)
        for _ in range(6):
            ch.publish("", queue, bytes(8 * 2**20))
        broker.now()
        assert pings() < 2
        slow.c.close()
        ch.rpc("queue.delete", queue=queue)


main()
