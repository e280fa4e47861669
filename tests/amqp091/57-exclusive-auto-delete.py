# SPDX-License-Identifier: Apache-2.0
# The bug: an exclusive auto-delete queue, on its way out because its consumer went, outlived its connection and pointed into it.
from crowd import sharded_port
from harness import *

ROUNDS = 20


def make(port, consumers=1):
    """A connection with such a queue on a channel that has consumers; returns the name too."""
    ch = connect(port=port).channel()
    name = ch.queue(unique(), auto_delete=True)
    for n in range(consumers):
        ch.consume(name, f"t{n}")
    return ch, name


def is_gone(port, name):
    """Refused with 404 (gone) and not 405 (still locked)."""
    ch = connect(port=port).channel()
    ch.send("queue.declare", queue=name, passive=True)
    close = ch.wait("channel.close")
    ch.c.close()
    return close.reply_code == 404


@check
def connection_dropped():
    with sharded_port() as port:
        names = []
        for n in range(ROUNDS):
            ch, name = make(port, consumers=1 + n % 3)
            names.append(name)
            ch.c.close()
        for name in names:
            until(lambda: is_gone(port, name), f"the end of {name}")


@check
def connection_dropped_behind_a_cancel():
    """The queue's end has begun when the connection's does."""
    with sharded_port() as port:
        for _ in range(ROUNDS):
            ch, name = make(port)
            ch.send("basic.cancel", consumer_tag="t0")
            ch.c.close()
            until(lambda: is_gone(port, name), f"the end of {name}")


@check
def connection_dropped_behind_a_channel_close():
    with sharded_port() as port:
        for _ in range(ROUNDS):
            ch, name = make(port)
            ch.send("channel.close", reply_code=200)
            ch.c.close()
            until(lambda: is_gone(port, name), f"the end of {name}")


@check
def gone_at_close_ok():
    with sharded_port() as port:
        for n in range(ROUNDS):
            ch, name = make(port, consumers=1 + n % 3)
            ch.c.end()
            assert is_gone(port, name), f"round {n}: the queue outlived its connection's close-ok"


@check
def gone_at_close_ok_with_others_beside_it():
    """Queues that go for either reason, on a connection that asks for all at once."""
    with sharded_port() as port:
        for n in range(ROUNDS // 2):
            ch, first = make(port)
            names = [first] + [ch.queue(unique(), auto_delete=i % 2 == 0) for i in range(4)]
            for name in names[1::2]:
                ch.consume(name)
            ch.c.end()
            left = [name for name in names if not is_gone(port, name)]
            assert not left, f"round {n}: {left} outlived the connection's close-ok"


main()
