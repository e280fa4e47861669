# SPDX-License-Identifier: Apache-2.0
# Message TTL and expiration go on while the broker is down: an absolute time, counted from the publish. timeout: 240
from durable import *
from harness import *

LIFE_MS = 1500


def durable(ch, **args):
    return ch.queue(unique(), exclusive=False, durable=True, **args)


def stays_down(node, published_at):
    """Down until the short-lived messages are past their time."""
    node.down()
    pause = published_at + LIFE_MS / 1000 + 0.1 - time.monotonic()
    if pause > 0:
        threading.Event().wait(pause)
    return node.up()


@after("restart", "kill")
def expiration_runs_while_down(node):
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, "short", expiration=str(LIFE_MS))
    p.put(queue, "long", expiration="3600000")
    p.put(queue, "endless")
    p.put(queue, "short", expiration=str(LIFE_MS))
    started = time.monotonic()
    ch, got = stays_down(node, started), []
    while (m := ch.get(queue)) is not None:  # the count may speak of messages that nobody will get
        got.append(m)
    eq([m.body for m in got if m.body != b"short"], [b"long", b"endless"])
    # Behind one that lives longer, RabbitMQ keeps it until it is at the head and drops it there.
    eq([m.body for m in got if m.body == b"short"], [])
    eq(got[0].props["expiration"], "3600000")


@after("restart", "kill")
def ttl_of_the_queue_runs_while_down(node):
    p = Publisher(node)
    short, long = [durable(p.ch, arguments={"x-message-ttl": ms}) for ms in (LIFE_MS, 3600000)]
    for queue in short, long:
        p.put(queue, "1", "2", "3")
    ch = stays_down(node, time.monotonic())
    eq((bodies(ch, short), bodies(ch, long)), ([], ["1", "2", "3"]))


@after("restart", "kill")
def what_is_left_of_the_time_is_kept(node):
    """There after the restart or not, depending on how long it took; gone soon, and for good."""
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, "x", expiration="2500")
    ch = node.again()
    until(lambda: ch.count(queue) == 0)
    p = Publisher(node)
    p.put(queue, "new")
    eq(bodies(node.again(), queue), ["new"])


@after("restart", "kill")
def expired_ones_do_not_come_back(node):
    p = Publisher(node)
    queue = durable(p.ch, arguments={"x-message-ttl": 50})
    p.put(queue, *["x" * 1000] * 200)
    until(lambda: p.ch.count(queue) == 0)
    for _ in range(2):
        eq(node.again().count(queue), 0)


@after("restart", "kill")
def unacknowledged_past_its_time(node):
    """A delivered message does not expire; back in the queue it does."""
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, "short", expiration=str(LIFE_MS))
    p.ch.get(queue, no_ack=False)
    p.put(queue, "behind")
    eq(bodies(stays_down(node, time.monotonic()), queue), ["behind"])


main()
