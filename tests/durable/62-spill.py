# SPDX-License-Identifier: Apache-2.0
# Transient messages that wait on the disk take no more of it than twice what they are, and a reserve. timeout: 240
import os
import random

from durable import *
from harness import *

if not TOKKI:
    skip("looks into TokkiMQ's data directory")

MIB = 1 << 20
OPTIONS = ["--shards", "2", "--queue-memory", "1MiB", "--log-segment-size", "1MiB"]
RESERVE = 8 * MIB + 4 * MIB  # FORMAT.md, section 7: 8 segments, and what is written between two checkpoints
SIZE = 2000
ROUNDS = 20 if "TOKKI_RSS_SLACK_MIB" in os.environ else 60


def spilled(node):
    with os.scandir(os.path.join(node.broker.data, "transient")) as files:
        return sum(map(size_of, files))


def size_of(file):
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it went meanwhile
        return 0


def bounded(node, live, what):
    """The cleaner needs a moment."""
    until(lambda: spilled(node) <= 2 * live + RESERVE, f"{what}: {spilled(node)} octets for {live}", patience=10 * wire.PATIENCE)


def body(n):
    return b"%d:" % n + FILLER[n % 5000 :][: SIZE - len(b"%d:" % n)]


def fill(p, queue, numbers):
    for n in numbers:
        p.send(queue, body(n), delivery_mode=1)
        if n % 200 == 0:
            p.confirm()
    p.confirm()


@check
def one_waits_while_others_move():
    with Node(OPTIONS) as node:
        p = Publisher(node)
        still, moving = p.ch.queue(unique(), exclusive=False), p.ch.queue(unique(), exclusive=False)
        waiting = 0
        for round in range(ROUNDS):
            fill(p, still, range(waiting, waiting + 20))
            waiting += 20
            fill(p, moving, range(1500))
            eq([m.body for m in take(node.channel(), moving)] == list(map(body, range(1500))), True)
        assert ROUNDS * 1500 * SIZE > 8 * RESERVE or ROUNDS < 60, "too little moves for this to mean anything"
        bounded(node, waiting * SIZE, "one that waits")
        eq([m.body for m in take(node.channel(), still)] == list(map(body, range(waiting))), True)


@check
def some_of_everything_stays():
    """A tenth of the messages is unacknowledged for ever; they are spread over the whole spill."""
    with Node(OPTIONS) as node:
        p, dice = Publisher(node), random.Random(SEED)
        queue, many = p.ch.queue(unique(), exclusive=False), ROUNDS * 400
        fill(p, queue, range(many))
        ch = node.channel()
        ch.consume(queue)
        kept = []
        for m in ch.deliveries(many):
            if dice.random() < 0.1:
                kept.append(m)
            else:
                ch.ack(m.delivery_tag)
        until(lambda: spilled(node) <= 2 * len(kept) * SIZE + RESERVE, f"seed {SEED}: room", patience=10 * wire.PATIENCE)
        ch.close()
        until(lambda: p.ch.count(queue) == len(kept), "what comes back")
        eq([m.body for m in take(node.channel(), queue)] == [m.body for m in kept], True)


@check
def mixed_with_kept_ones():
    """In a durable queue: a page in the log and one in the spill, bodies in both. Few of the transient ones stay."""
    with Node(OPTIONS) as node:
        p, many = Publisher(node), ROUNDS * 400
        queue = p.ch.queue(unique(), exclusive=False, durable=True)
        for n in range(many):
            p.send(queue, body(n), delivery_mode=1 + n % 2)
            if n % 200 == 0:
                p.confirm()
        p.confirm()
        ch = node.channel()
        ch.consume(queue)
        got = ch.deliveries(many)
        eq([m.body for m in got] == list(map(body, range(many))), True)
        stays = [n % 20 in (0, 7, 9) for n in range(many)]
        for m, stay in zip(got, stays):
            if not stay:
                ch.ack(m.delivery_tag)
        waiting = sum(stays[::2]) * SIZE
        until(lambda: spilled(node) <= 2 * waiting + RESERVE, f"room: {spilled(node)} octets for {waiting}", patience=10 * wire.PATIENCE)
        ch.close()
        left = [m.body for m, stay in zip(got, stays) if stay]
        until(lambda: p.ch.count(queue) == len(left), "what comes back")
        eq([m.body for m in take(node.channel(), queue)] == left, True)


main()
