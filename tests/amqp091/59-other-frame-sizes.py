# SPDX-License-Identifier: Apache-2.0
# The bug: the bytes of a large body moved while they were cut for a consumer with smaller frames on another shard, which got others.
import socket

from crowd import sharded_port
from harness import *

ROUNDS, MESSAGES, SIZE = 4, 300, 200000


def body_of(n):
    """Every part tells where it belongs."""
    return b"".join(b"%3d.%3d " % (n, i) for i in range(SIZE // 8))


BODIES = [body_of(n) for n in range(MESSAGES)]


def publish_all(port, queue, frame_max):
    """From a connection that is at home elsewhere: its own queue came first."""
    ch = connect(port=port, frame_max=frame_max).channel()
    ch.queue()
    ch.rpc("confirm.select")
    for body in BODIES:
        ch.publish("", queue, body)
    ch.confirms(MESSAGES)
    ch.c.end()


def slow_consumer(port, queue, frame_max, no_ack):
    """What it gets waits in the broker's output for a while."""
    c = Connection(port=port)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    ch = c.handshake(frame_max=frame_max).channel()
    ch.consume(queue, no_ack=no_ack)
    return ch


def arrive_whole(publisher_frames, consumer_frames, no_ack=True):
    with sharded_port() as port:
        for _ in range(ROUNDS):
            owner = connect(port=port).channel()
            queue = owner.queue(unique(), exclusive=False)
            ch = slow_consumer(port, queue, consumer_frames, no_ack)
            publisher = threading.Thread(target=publish_all, args=[port, queue, publisher_frames], daemon=True)
            publisher.start()
            until(lambda: owner.count(queue) > 0, "more than the output takes")
            for n, want in enumerate(BODIES):
                got = ch.delivery()
                assert got.body == want, f"message {n} is damaged: {len(got.body)} octets, {got.body[:16]!r}..."
            publisher.join()
            ch.c.close()
            owner.rpc("queue.delete", queue=queue)
            owner.c.end()


@check
def smaller():
    arrive_whole(100008, 16384)


@check
def smallest_with_acks():
    arrive_whole(131072, 4096, no_ack=False)


@check
def larger():
    arrive_whole(8192, 131072)


main()
