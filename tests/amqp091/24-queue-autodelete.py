# SPDX-License-Identifier: Apache-2.0
# Auto-delete queues go when their last consumer does, and stay as long as they never had one.
from harness import *


def exists(ch, name):
    ch.send("queue.declare", queue=name, passive=True)
    got = ch.wait("queue.declare-ok", "channel.close")
    if got.name == "channel.close":
        ch.send("channel.close-ok")
        ch.open()
    return got.name == "queue.declare-ok"


def made(ch):
    return ch.queue(unique(), exclusive=False, auto_delete=True)


@check
def stays_without_consumers(ch, other):
    name = made(ch)
    ch.publish(key=name, body="x")
    until(lambda: ch.get(name))
    ch.close()
    assert exists(other, name)
    other.rpc("queue.delete", queue=name)


@check
def goes_with_the_last_cancel(ch):
    name = made(ch)
    ch.consume(name, "a")
    ch.consume(name, "b")
    ch.rpc("basic.cancel", consumer_tag="a")
    assert exists(ch, name)
    ch.rpc("basic.cancel", consumer_tag="b")
    assert not exists(ch, name)


@check
def goes_with_the_channel(ch, other):
    name = made(ch)
    ch.consume(name)
    ch.close()
    assert not exists(other, name)


@check
def goes_with_the_connection(ch, other):
    name = made(other)
    ch.consume(name)
    ch.c.end()
    assert not exists(other, name)


@check
def goes_with_the_dead_socket(ch, other):
    name = made(other)
    ch.consume(name)
    ch.c.close()
    until(lambda: not exists(other, name))


@check
def messages_do_not_keep_it(ch, ch2):
    name = made(ch)
    ch.consume(name, "a", no_ack=False)
    for _ in range(3):
        ch.publish(key=name, body="x")
    ch.deliveries(3)
    ch.rpc("basic.cancel", consumer_tag="a")
    assert not exists(ch2, name)
    ch.ack(3, multiple=True)
    ch.rpc("channel.flow", active=True)


main()
