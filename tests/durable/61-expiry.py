# SPDX-License-Identifier: Apache-2.0
# Messages expire at their time wherever they stand: behind others, on the disk, after a restart. timeout: 240
import time

from durable import *
from harness import *

if not TOKKI:
    skip("RabbitMQ drops expired messages only at the head of a queue")

OPTIONS = ["--shards", "2", "--queue-memory", "1MiB", "--log-segment-size", "1MiB"]
MANY = 2000 if "TOKKI_RSS_SLACK_MIB" in os.environ else 8000
LIVES = [None, 1500, 60_000, 4000]  # ms, in turns


def durable(ch, **args):
    return ch.queue(unique(), exclusive=False, durable=True, **args)


def body(n):
    return b"%d:" % n + FILLER[: n % 700]


def fill(p, queue, count, **props):
    """One of each life after the other."""
    for n in range(count):
        life = LIVES[n % len(LIVES)]
        p.send(queue, body(n), **props, **({"expiration": str(life)} if life else {}))
        if n % 500 == 499:
            p.confirm()
    p.confirm()


def whose(count, *lives):
    return [body(n) for n in range(count) if LIVES[n % len(LIVES)] in lives]


def expect_count(ch, queue, want):
    until(lambda: ch.count(queue) <= want, f"{queue} to have {want} messages", patience=10 * wire.PATIENCE)
    eq(ch.count(queue), want)


def mixed(node, **props):
    p = Publisher(node)
    queue = durable(p.ch)
    fill(p, queue, MANY, **props)
    expect_count(p.ch, queue, MANY // 2)
    got = [m.body for m in take(node.channel(), queue)]
    eq(got == whose(MANY, None, 60_000), True)


@check
def kept_ones():
    with Node(OPTIONS) as node:
        mixed(node)


@check
def transient_ones():
    with Node(OPTIONS) as node:
        mixed(node, delivery_mode=1)


@after("restart", "kill", options=OPTIONS)
def after_a_start(node):
    """The pages' times are not known at a start."""
    p = Publisher(node)
    queue = durable(p.ch)
    fill(p, queue, MANY)
    ch = node.again()
    expect_count(ch, queue, MANY // 2)
    eq(node.again().count(queue), MANY // 2)
    eq([m.body for m in take(node.channel(), queue)] == whose(MANY, None, 60_000), True)


@check
def unacknowledged_ones_do_not():
    """... before they come back."""
    with Node(OPTIONS) as node:
        p = Publisher(node)
        queue = durable(p.ch)
        ch = node.channel()
        ch.rpc("basic.qos", prefetch_count=1000)
        tag = ch.consume(queue)
        fill(p, queue, 2000)
        got = ch.deliveries(1000)
        eq([m.body for m in got] == [body(n) for n in range(1000)], True)
        expect_count(p.ch, queue, 500)
        ch.rpc("basic.cancel", consumer_tag=tag)
        ch.send("basic.nack", delivery_tag=got[499].delivery_tag, multiple=True, requeue=True)
        expect_count(p.ch, queue, 500 + 250)
        ch.close()
        expect_count(p.ch, queue, 1000)
        eq([m.body for m in take(node.channel(), queue)] == whose(2000, None, 60_000), True)


@check
def at_their_time():
    """A burst that expires together behind one that does not: not before its time, and soon after it."""
    with Node(OPTIONS) as node:
        p = Publisher(node)
        queue = durable(p.ch)
        p.put(queue, "first")
        started = time.monotonic()
        p.put(queue, *[b"x" * 100] * 1000, expiration="1500")
        ended = time.monotonic()
        count = p.ch.count(queue)
        while time.monotonic() < started + 1.45:
            eq(count, 1001)
            count = p.ch.count(queue)
        until(lambda: p.ch.count(queue) == 1, "the burst to go")
        print(f"# gone {1000 * (time.monotonic() - ended) - 1500:.0f} ms after the last one's time")


main()
