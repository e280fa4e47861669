# SPDX-License-Identifier: Apache-2.0
# A backlog larger than the memory for it waits on the disk, and nobody can tell: order, flags, counts, restarts. timeout: 300
import random
import time

from durable import *
from harness import *

if not TOKKI:
    skip("makes TokkiMQ's memory for messages small")

OPTIONS = ["--shards", "2", "--queue-memory", "1MiB", "--log-segment-size", "1MiB"]
SANITIZED = "TOKKI_RSS_SLACK_MIB" in os.environ  # slower; and its own memory says nothing
MANY = 3000 if SANITIZED else 10000


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


def paged(function):
    """A check with a node that pages out."""

    def run():
        with Node(OPTIONS) as node:
            function(node)

    run.__name__ = function.__name__
    run.__signature__ = EMPTY
    return check(run)


def numbered(n):
    return b"%d:" % n + FILLER[: 50 + n * 37 % 500]


def fill(p, queues, numbers, **props):
    """The same messages into each queue, in turns."""
    for first in range(numbers.start, numbers.stop, 500):
        for queue in queues:
            p.send(queue, *map(numbered, range(first, min(first + 500, numbers.stop))), **props)
        p.confirm()


def number_of(message):
    n = int(message.body.split(b":", 1)[0])
    assert message.body == numbered(n), f"message {n} is not what was published"
    return n


def numbers(messages):
    return [number_of(m) for m in messages]


def same(got, want, what=""):
    got, want = list(got), list(want)
    if got != want:
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        raise AssertionError(
            f"{what} {len(got)} instead of {len(want)}, from {at} on: {got[at:at + 5]} instead of {want[at:at + 5]}"
        )


@paged
def in_order(node):
    """With and without acknowledgements, with prefetches from one to unlimited."""
    p = Publisher(node)
    queues = [durable(p.ch) for _ in range(4)]
    fill(p, queues, range(MANY))
    for queue, prefetch in zip(queues, (None, 0, 1000, 7)):
        ch, want = node.channel(), MANY if prefetch != 7 else 1000
        eq(ch.count(queue), MANY)
        if prefetch:
            ch.rpc("basic.qos", prefetch_count=prefetch)
        ch.consume(queue, no_ack=prefetch is None)
        for n in range(want):
            m = ch.delivery()
            eq((number_of(m), m.redelivered), (n, False))
            if prefetch and (n + 1) % min(prefetch, 100) == 0:
                ch.ack(m.delivery_tag, multiple=True)
        if prefetch == 0:
            ch.ack(0, multiple=True)
        if want == MANY:
            until(lambda: ch.count(queue) == 0, "the queue to be empty")


@paged
def all_of_it_unacknowledged(node):
    """A channel has everything, acknowledges some out of order, and closes: the rest comes back, in its order."""
    p = Publisher(node)
    queue = durable(p.ch)
    fill(p, [queue], range(MANY))
    ch, dice = node.channel(), random.Random(SEED)
    ch.consume(queue)
    tags = {number_of(m): m.delivery_tag for m in ch.deliveries(MANY)}
    same(tags, range(MANY))
    settled = dice.sample(range(MANY), MANY // 5)
    for n in settled:
        if dice.random() < 0.5:
            ch.ack(tags[n])
        else:
            ch.send("basic.reject", delivery_tag=tags[n], requeue=False)
    eq(p.ch.count(queue), 0)
    fill(p, [queue], range(MANY, MANY + 300))
    got = numbers(ch.deliveries(300))
    same(got, range(MANY, MANY + 300))
    ch.close()
    left = sorted(set(range(MANY + 300)) - set(settled))
    until(lambda: p.ch.count(queue) == len(left), "what comes back")
    fill(p, [queue], range(MANY + 300, MANY + 400))
    messages = take(node.channel(), queue)
    same(numbers(messages), [*left, *range(MANY + 300, MANY + 400)], f"seed {SEED}:")
    same([m.redelivered for m in messages], [n < MANY + 300 for n in numbers(messages)])


@paged
def back_out_of_order(node):
    """Gets and requeues at random: the lowest place is always the next."""
    p, dice = Publisher(node), random.Random(SEED)
    queue, other = durable(p.ch), durable(p.ch)
    fill(p, [queue, other], range(3000))
    ready, mine, seen = list(range(3000)), {}, set()
    ch = node.channel()
    for step in range(3000):
        if dice.random() < 0.6 or not mine:
            m = ch.get(queue, no_ack=False)
            n = number_of(m)
            eq((n, m.redelivered), (ready[0], ready[0] in seen), f"seed {SEED}, step {step}")
            mine[ready.pop(0)] = m.delivery_tag
        elif dice.random() < 0.7:
            n = dice.choice(list(mine))
            ch.send("basic.nack", delivery_tag=mine.pop(n), requeue=True)
            ready = sorted(ready + [n])
            seen.add(n)
        else:
            ch.send("basic.ack", delivery_tag=mine.pop(dice.choice(list(mine))))
    eq(ch.count(queue), len(ready))
    ch.send("basic.nack", delivery_tag=0, multiple=True, requeue=True)
    same(numbers(take(ch, queue)), sorted(ready + list(mine)))
    same(numbers(take(ch, other)), range(3000))


@paged
def several_gets_at_once(node):
    """Each client that asks gets one, in the order of the queue; what comes next is not lost."""
    p = Publisher(node)
    queue, other = durable(p.ch), durable(p.ch)
    fill(p, [queue, other], range(3000))
    clients = [node.channel() for _ in range(5)]
    got = []
    for round in range(20):
        for ch in clients:
            for _ in range(10):
                ch.send("basic.get", queue=queue, no_ack=True)
        for ch in clients:
            mine = [number_of(ch.wait("basic.get-ok", "basic.get-empty")) for _ in range(10)]
            eq(mine, sorted(mine))
            got += mine
    same(sorted(got), range(1000))
    same(numbers(take(p.ch, queue)), range(1000, 3000))


@paged
def a_queue_goes_while_a_get_waits(node):
    p = Publisher(node)
    for round in range(10):
        queue, other = durable(p.ch), durable(p.ch)
        fill(p, [queue, other], range(1000))
        clients = [node.channel() for _ in range(4)]
        for ch in clients:
            ch.send("basic.get", queue=queue, no_ack=True)
        p.ch.rpc("queue.delete", queue=queue)
        for ch in clients:
            try:
                ch.wait("basic.get-ok")
            except wire.Closed as closed:
                eq(closed.how.reply_code, 404)
        p.ch.rpc("queue.delete", queue=other)
        node.connections = node.connections[:1]


@paged
def a_stop_while_gets_wait(node):
    p = Publisher(node)
    queues = [durable(p.ch) for _ in range(10)]
    fill(p, queues, range(500))
    for queue in queues:
        for _ in range(3):
            node.channel().send("basic.get", queue=queue, no_ack=False)
    ch = node.again()
    for queue in queues:
        same(numbers(take(ch, queue)), range(500))


@paged
def purged_and_deleted(node):
    p = Publisher(node)
    a, b = durable(p.ch), durable(p.ch)
    fill(p, [a, b], range(MANY))
    ch = node.channel()
    ch.rpc("basic.qos", prefetch_count=200)
    ch.consume(a)
    tags = [m.delivery_tag for m in ch.deliveries(200)]
    eq(p.ch.rpc("queue.purge", queue=a).message_count, MANY - 200)
    fill(p, [a], range(MANY, MANY + 1000))
    ch.send("basic.nack", delivery_tag=tags[99], multiple=True, requeue=True)
    ch.close()
    same(numbers(take(p.ch, a)), [*range(200), *range(MANY, MANY + 1000)])
    eq(p.ch.rpc("queue.delete", queue=b).message_count, MANY)
    ch = node.again()
    eq((exists(ch, a), exists(ch, b)), (True, False))
    eq(ch.count(a), 0)


@after("restart", "kill", options=OPTIONS)
def there_again(node):
    """Some of it settled, some with a client, some paged out, some come back."""
    p = Publisher(node)
    queues = [durable(p.ch) for _ in range(3)]
    fill(p, queues, range(MANY // 2))
    ch = node.channel()
    ch.rpc("basic.qos", prefetch_count=700)
    ch.consume(queues[0])
    tags = [m.delivery_tag for m in ch.deliveries(700)]
    for tag in tags[:600:3]:
        ch.ack(tag)
    eq(len(ch.deliveries(200)), 200)
    gone = set(range(0, 600, 3))
    left = [n for n in range(MANY // 2) if n not in gone]
    p = None
    for life in range(2):
        node.again()
    p = Publisher(node)
    fill(p, queues, range(MANY // 2, MANY // 2 + 500))
    ch = node.again()
    messages = take(ch, queues[0])
    same(sorted(set(numbers(messages)) - gone), left + [*range(MANY // 2, MANY // 2 + 500)])
    same(numbers(messages), sorted(numbers(messages)))
    eq(all(m.redelivered for m in messages if number_of(m) < 900), True)
    for queue in queues[1:]:
        same(numbers(take(ch, queue)), range(MANY // 2 + 500))


@after("restart", "kill", options=OPTIONS)
def one_message_in_several_queues(node):
    p = Publisher(node)
    name, queues = p.ch.exchange(unique(), "fanout", durable=True), [durable(p.ch) for _ in range(5)]
    for queue in queues:
        p.ch.bind(queue, name)
    for first in range(0, 2000, 250):
        p.send("", *map(numbered, range(first, first + 250)), exchange=name)
        p.confirm()
    same(numbers(take(p.ch, queues[0])), range(2000))
    ch = node.again()
    for queue in queues[1:]:
        same(numbers(take(ch, queue)), range(2000))


def churn(node):
    """The log goes round: what nobody needs any more is given back."""
    p = Publisher(node)
    queue = durable(p.ch)
    for _ in range(30):
        p.put(queue, *[FILLER[:100_000]] * 10)
        take(node.channel(), queue)


@after("restart", "kill", options=OPTIONS)
def large_ones_in_two_queues(node):
    """Bodies of 1 MiB are chains of records; they stay where they are while the log goes on, over restarts."""
    p = Publisher(node)
    name, queues = p.ch.exchange(unique(), "fanout", durable=True), [durable(p.ch) for _ in range(2)]
    for queue in queues:
        p.ch.bind(queue, name)
    large = [b"%d:" % n + FILLER[n:] for n in range(20)]
    p.put("", *large, exchange=name)
    p.put(queues[1], b"single" + FILLER)
    node.again()
    churn(node)
    ch = node.again()
    same([m.body == large[n] for n, m in enumerate(take(ch, queues[0]))], [True] * 20)
    churn(node)
    ch.consume(queues[1])
    same([m.body for m in ch.deliveries(21)], [*large, b"single" + FILLER])
    ch = node.again()
    same([m.body for m in take(ch, queues[1])], [*large, b"single" + FILLER])


@paged
def expiry_of_what_is_out(node):
    p = Publisher(node)
    queue, kept = durable(p.ch), durable(p.ch)
    fill(p, [queue, kept], range(2000), expiration="60000")
    own = p.ch.queue(unique(), exclusive=False, durable=True, arguments={"x-message-ttl": 1500})
    fill(p, [own], range(1000))
    eq(p.ch.count(kept), 2000)
    until(lambda: p.ch.count(own) == 0, "all to expire", patience=10 * wire.PATIENCE)
    short = durable(p.ch)
    fill(p, [short], range(1000), expiration="300")
    fill(p, [short], range(1000, 1200))
    until(lambda: p.ch.count(short) == 200, "those that expire to go", patience=10 * wire.PATIENCE)
    same(numbers(take(node.channel(), short)), range(1000, 1200))
    same(numbers(take(node.channel(), queue)), range(2000))


def peak_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) >> 10


@paged
def memory_is_bounded(node):
    """300 MB through a broker, with a consumer that has all of it; then the same with one that is slow."""
    if SANITIZED:
        return
    p = Publisher(node)
    queue, before = durable(p.ch), peak_mib(node.broker.pid)
    for n in range(300):
        p.put(queue, *[FILLER[:10_000]] * 100)
    ch = node.channel()
    ch.consume(queue)
    for _ in range(30000):
        eq(len(ch.delivery().body), 10_000)
    ch.close()
    until(lambda: p.ch.count(queue) == 30000, "all to come back")
    ch = node.channel()
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(queue)
    for _ in range(500):
        ch.ack(ch.delivery().delivery_tag)
    grown = peak_mib(node.broker.pid) - before
    assert grown < 110, f"memory grew by {grown} MiB"


main()
