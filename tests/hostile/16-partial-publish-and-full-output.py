# SPDX-License-Identifier: Apache-2.0
# The bug: a connection with most of a large publish read and its output filled by a large delivery aborted the broker at the rest.
import socket

from attack import push
from broker import TokkiMQ
from guard import works
from harness import *

if not TOKKI:
    skip("starts a TokkiMQ of its own")

BIG, BODY = 60_000_000, bytes(i % 251 for i in range(260000))


def consumer_and_publisher(port):
    """Consumes on channel 1 with a small window, publishes on channel 2."""
    c = Connection(port=port)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    c.handshake()
    return c, c.channel(1), c.channel(2)


def fill_output(port, queue):
    """The delivery of a large message, which the consumer does not read, is queued when its confirm is here."""
    ch = connect(port=port).channel()
    ch.rpc("confirm.select")
    ch.publish("", queue, bytes(BIG))
    ch.confirms(1)
    ch.c.end()


def cut_at(rest):
    """A publish with large properties, whose last `rest` octets and a repetition follow when the output is full."""
    with TokkiMQ(options=["--shards", "2"]) as broker:
        owner = connect(port=broker.port).channel()
        target = owner.queue("target", exclusive=False)
        c, ch, out = consumer_and_publisher(broker.port)
        big = ch.queue("big", exclusive=False)
        ch.consume(big, no_ack=True)
        out.rpc("confirm.select")
        publish = codec.method_frame(2, "basic.publish", routing_key=target)
        publish += codec.content_frames(2, BODY, {"headers": {"h": "y" * 120000}})
        c.write(publish[:-rest])
        works(broker.port)
        works(broker.port)
        fill_output(broker.port, big)
        last = publish[-rest:] + publish + publish
        sent = push(c, last, len(last), patience=0.3)
        works(broker.port)
        eq(len(ch.delivery().body), BIG)
        c.write(last[sent:])
        out.confirms(3)
        for _ in range(3):
            assert owner.get(target).body == BODY, "came out different"
        c.end()
        owner.rpc("queue.delete", queue=target)
        owner.rpc("queue.delete", queue=big)


@check
def in_the_last_frame():
    cut_at(10)


@check
def in_the_middle():
    cut_at(100000)


@check
def before_the_body():
    cut_at(len(BODY) + 30000)


main()
