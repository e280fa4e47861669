# SPDX-License-Identifier: Apache-2.0
# Contents that announce much and bring little, or more than announced, take no more memory than what was sent. timeout: 90
from guard import Unharmed
from harness import *


def announcing(size, sent):
    c = connect()
    c.channel()
    c.send("basic.publish", 1, exchange="amq.fanout")
    c.write(codec.header_frame(1, size))
    for _ in range(sent // 131064):
        c.write(codec.frame(codec.BODY, 1, bytes(131064)))
    return c


@check
def announced_but_not_sent():
    with Unharmed() as broker:
        waiting = [announcing(128 * 2**20, 0) for _ in range(100)]
        broker.now()
        for c in waiting:
            c.close()


@check
def half_sent():
    with Unharmed(grow_mib=40) as broker:
        waiting = [announcing(100 * 2**20, 2**20) for _ in range(30)]
        broker.now()
        for c in waiting:
            c.close()


@check
def on_every_channel_of_a_connection():
    with Unharmed(grow_mib=10) as broker:
        c = connect()
        for n in range(1, 1001):
            c.send("channel.open", n)
            c.write(
                codec.method_frame(n, "basic.publish")
                + codec.header_frame(n, 10**6)
                + codec.frame(codec.BODY, n, b"z" * 1000)
            )
        broker.now()
        c.close()


@only("tokkimq")
def impossible_sizes():
    with Unharmed():
        for size in 2**29 + 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1:
            c = announcing(size, 0)
            text = f"FRAME_ERROR - content body size {size} exceeds maximum allowed size 536870912"
            c.closes(501, text, ...)


@only("tokkimq")
def longer_than_announced():
    with Unharmed():
        for announced, sent in (0, 1), (3, 4), (131064, 131064):
            c = connect()
            ch = c.channel()
            queue = ch.queue()
            ch.send("basic.publish", routing_key=queue)
            c.write(
                codec.header_frame(1, announced)
                + codec.frame(codec.BODY, 1, b"x" * sent)
                + codec.frame(codec.BODY, 1, b"y")
            )
            close = c.wait(0, "connection.close")
            assert close.reply_code in (501, 505), close
            c.close()


main()
