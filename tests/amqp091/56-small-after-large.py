# SPDX-License-Identifier: Apache-2.0
# The bug: a small publish that repeated an earlier one took the route of the large publish between them, which had gone elsewhere.
from harness import *


def large(ch, ch2, exchange="", key="", mandatory=False):
    """A content that the broker has to gather: another channel speaks in its middle."""
    ch.send("basic.publish", exchange=exchange, routing_key=key, mandatory=mandatory)
    ch.c.write(codec.header_frame(1, 200000) + codec.frame(codec.BODY, 1, b"l" * 100000))
    ch2.rpc("channel.flow", active=True)
    ch.c.write(codec.frame(codec.BODY, 1, b"l" * 100000))


def sizes(ch, queue):
    return [len(body) for body in ch.drain(queue)]


@check
def to_another_queue(ch, ch2):
    a, b = ch.queue(), ch.queue()
    for _ in range(3):
        ch.publish("", a, "s")
        ch2.rpc("channel.flow", active=True)
        large(ch, ch2, "", b)
        ch2.rpc("channel.flow", active=True)
    ch.publish("", a, "s")
    eq(sizes(ch, a), [1] * 4, "the small ones")
    eq(sizes(ch, b), [200000] * 3, "the large ones")


@check
def to_another_exchange(ch, ch2):
    a, b = ch.queue(), ch.queue()
    direct, fanout = ch.exchange(unique(), auto_delete=True), ch.exchange(unique(), "fanout", auto_delete=True)
    ch.bind(a, direct, "key")
    ch.bind(b, fanout)
    ch.publish(direct, "key", "s")
    large(ch, ch2, fanout, "key")
    ch.publish(direct, "key", "s")
    large(ch, ch2, "", b)
    ch.publish(direct, "key", "s")
    eq(sizes(ch, a), [1] * 3, "the small ones")
    eq(sizes(ch, b), [200000] * 2, "the large ones")


@check
def to_nowhere(ch, ch2):
    """The large one is returned, the small one after it is not."""
    a = ch.queue()
    ch.rpc("confirm.select")
    ch.publish("", a, "s")
    large(ch, ch2, "", unique(), mandatory=True)
    ch.publish("", a, "s")
    ch.confirms(3)
    eq(len(ch.wait("basic.return").body), 200000)
    eq(sizes(ch, a), [1, 1])


@check
def in_one_write(ch):
    """The same without help, as a client does it: the large one needs several reads."""
    a, b = ch.queue(), ch.queue()
    ch.publish("", a, "s")
    ch.publish("", b, bytes(300000))
    ch.rpc("channel.flow", active=True)
    ch.publish("", a, "s")
    eq(sizes(ch, a), [1, 1])
    eq(sizes(ch, b), [300000])


main()
