# SPDX-License-Identifier: Apache-2.0
# 2,000 connections that come and vanish at every stage, politely or by reset, leave nothing behind. timeout: 180
import socket
import struct

from guard import Unharmed
from harness import *

TOTAL, BATCH = 2000 if TOKKI else 400, 100


def busy(exclusive_only):
    """A connection with queues, consumers, unacked messages and a half content."""
    c = connect()
    ch = c.channel()
    queue = ch.queue()
    ch.bind(queue, "amq.topic", "storm.#")
    ch.consume(queue)
    ch.publish("", queue, "x" * 1000)
    ch.delivery()
    if not exclusive_only:
        ch.consume(ch.queue(unique("storm"), exclusive=False, auto_delete=True))
    c.write(
        codec.method_frame(1, "basic.publish", exchange="amq.topic", routing_key="storm.x")
        + codec.header_frame(1, 10)
        + b"\x03"
    )
    return c


def comer(i):
    stage = i % 7
    if stage < 3:
        c = Connection()
        if stage == 1:
            c.write(codec.PROTOCOL_HEADER)
        if stage == 2:
            c.start()
            c.start_ok()
        return c
    if stage == 3:
        return connect()
    return busy(stage < 6)


def vanish(c, how):
    if how == 0:  # a reset instead of an orderly end
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == 1:
        c.sock.shutdown(socket.SHUT_WR)
    c.close()


@check
def storm():
    with Unharmed():
        for start in range(0, TOTAL, BATCH):
            peers = [comer(i) for i in range(start, start + BATCH)]
            for i, c in enumerate(peers):
                vanish(c, i % 3)


@check
def nothing_is_left_behind(ch):
    ch.publish("amq.topic", "storm.x", "x", mandatory=True)
    until(lambda: ch.wait("basic.return"))


@check
def health_checks():
    """Connections closed before the first octet."""
    with Unharmed():
        for _ in range(TOTAL):
            Socket().close()


main()
