# SPDX-License-Identifier: Apache-2.0
"""For tests of what outlives the broker: a node that goes down in some way and comes back, and accounts of what it held."""
import inspect
import os
import random
import threading

import broker
import codec
import wire
from harness import SKIPPED, TARGET, TOKKI, check, eq, skip, unique, until

SEED = int(os.environ.get("TOKKI_SEED", random.randrange(10**9)))
FILLER = random.Random(1).randbytes(1 << 20)
PERSISTENT = {"delivery_mode": 2}
EMPTY = inspect.Signature()


class Node:
    """The broker of one check. TokkiMQ: a private one. RabbitMQ: the run's, hence unique names everywhere; it must have
    been started by the runner or run under the ORACLE_* settings."""

    def __init__(self, options=(), way="restart"):
        self.broker = broker.TokkiMQ(options=options) if TOKKI else broker.Oracle(TARGET)
        self.way, self.connections = way, []

    def connect(self, **handshake):
        self.connections.append(wire.connect(port=self.broker.port, **handshake))
        return self.connections[-1]

    def channel(self):
        """Channel 1 of a new connection."""
        return self.connect().channel()

    def halt(self):
        """A clean stop, with clients that answer when they are told."""
        eq(self.broker.halt(meanwhile=self.say_good_bye if TOKKI else self.forget), [])
        self.forget()

    def say_good_bye(self):
        for connection in self.connections:
            try:
                connection.wait(0, "connection.close")
                connection.send("connection.close-ok")
            except (wire.Closed, ConnectionError):
                pass

    def kill(self):
        self.broker.kill()
        self.forget()

    def forget(self):
        for connection in self.connections:
            connection.close()
        self.connections = []

    def down(self):
        """Goes down in the way of this check."""
        if self.way == "kill":
            self.kill()
        else:
            self.halt()

    def up(self):
        """Comes back; returns a new channel."""
        self.broker.start()
        return self.channel()

    def again(self):
        self.down()
        return self.up()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.forget()
        complaints = []
        if TOKKI:
            complaints = self.broker.stop()
        elif not self.broker.alive():
            self.broker.start()
        assert kind or not complaints, "private broker: " + "; ".join(complaints)


def after(*ways, options=()):
    """Marks a function of a node as a check, once for each way to go down: "restart" (SIGTERM) and "kill" (-9).
    RabbitMQ is only restarted: its catalog and settles reach the disk a while after the client was told."""

    def mark(function):
        for way in ways if TOKKI else [w for w in ways if w != "kill"]:

            def run(way=way):
                with Node(options, way) as node:
                    function(node)

            run.__name__ = f"{function.__name__}_after_{way}"
            run.__signature__ = EMPTY
            check(run)
        return function

    return mark


class Publisher:
    """A channel in confirm mode; persistent messages unless told."""

    def __init__(self, node):
        self.ch = node.channel()
        self.ch.rpc("confirm.select")
        self.sent = self.done = 0

    def send(self, queue, *bodies, exchange="", **props):
        for body in bodies:
            self.ch.publish(exchange, queue, body, {**PERSISTENT, **props})
            self.sent += 1

    def confirm(self):
        """Waits until everything sent is confirmed."""
        self.ch.confirms(self.sent - self.done, self.done + 1)
        self.done = self.sent

    def put(self, queue, *bodies, **args):
        self.send(queue, *bodies, **args)
        self.confirm()


def take(ch, queue):
    """Everything the queue holds, consumed without acknowledgements; ch must not have another consumer."""
    n = ch.count(queue)
    tag = ch.consume(queue, no_ack=True)
    messages = ch.deliveries(n)
    ch.rpc("basic.cancel", consumer_tag=tag)
    eq(ch.count(queue), 0, "left in the queue:")
    return messages


def bodies(ch, queue):
    return [m.body.decode() for m in take(ch, queue)]


def exists(ch, queue):
    """Is there a queue of this name? (Asked on a channel that survives the question.)"""
    return _passive(ch, "queue.declare", queue=queue)


def exchange_exists(ch, exchange):
    return _passive(ch, "exchange.declare", exchange=exchange)


def _passive(ch, method, **args):
    ch.send(method, passive=True, **args)
    try:
        ch.wait(method + "-ok")
        return True
    except wire.Closed as closed:
        if closed.how is None or closed.how.reply_code != 404:
            raise
        ch.closed(404, closed.how.reply_text, method)
        return False


def routed(ch, exchange, key, queues, **props):
    """Those of `queues` that get a message published so; they must be empty before. A queue's second copy fails."""
    if not hasattr(ch, "is_confirming"):
        ch.rpc("confirm.select")
        ch.is_confirming = True
    ch.publish(exchange, key, "probe", props)
    ch.wait("basic.ack")
    got = {queue: ch.drain(queue) for queue in queues}
    assert all(copies in ([], ["probe"]) for copies in got.values()), got
    return {queue for queue, copies in got.items() if copies}


# -- streams of numbered messages, and what must be left of them

SIZES = (16, 100, 16, 1000, 16, 5000, 64, 16, 20000, 300)


def body_of(label, number):
    """The body of a stream's message: says whose it is, and the rest follows from that."""
    head = b"%s:%d:" % (label.encode(), number)
    size = 200_000 if number % 97 == 96 else SIZES[number % len(SIZES)]
    start = number * 7919 % (len(FILLER) - size)
    return head + FILLER[start : start + size]


def origin_of(body):
    label, number, _ = body.split(b":", 2)
    return label.decode(), int(number)


class Stream(threading.Thread):
    """Publishes message n to queue n modulo their number (or to an exchange that knows the way) until the connection
    ends; keeps which were confirmed."""

    def __init__(self, node, label, queues, window=200, exchange=""):
        super().__init__(daemon=True)
        self.label, self.queues, self.window, self.exchange = label, queues, window, exchange
        self.ch = node.channel()
        self.ch.rpc("confirm.select")
        node.connections.remove(self.ch.c)  # this thread closes it
        self.sent, self.open, self.confirmed, self.error = 0, set(), set(), None
        self.start()

    def burst(self):
        raw = b""
        for n in range(self.sent, self.sent + 10):
            key = self.queues[n % len(self.queues)]
            raw += codec.method_frame(1, "basic.publish", exchange=self.exchange, routing_key=key)
            raw += codec.content_frames(1, body_of(self.label, n), PERSISTENT)
        self.open.update(range(self.sent, self.sent + 10))
        self.sent += 10
        self.ch.c.write(raw)

    def collect(self):
        ack = self.ch.wait()
        assert ack.name == "basic.ack", ack
        number = ack.delivery_tag - 1
        done = {n for n in self.open if n <= number} if ack.multiple else {number}
        assert done <= self.open, f"{self.label}: {ack} confirms what is not open"
        self.open -= done
        self.confirmed |= done

    def run(self):
        try:
            try:
                while True:
                    while len(self.open) < self.window:
                        self.burst()
                    self.collect()
            except OSError:  # writing failed; what the broker said before counts
                while True:
                    self.collect()
        except wire.Closed:
            pass
        except Exception as error:  # told to who joins
            self.error = error
        finally:
            self.ch.c.close()

    def end(self):
        """After the broker went down."""
        self.join(wire.PATIENCE)
        assert not self.is_alive(), f"{self.label} still publishes"
        if self.error:
            raise self.error


def account(ch, streams, excused=frozenset()):
    """Every confirmed message is in its queue, once, whole and in order, but for the excused (label, number) pairs, and
    nothing that was not published. Returns what was there: {(label, number): message}."""
    by_label, found = {s.label: s for s in streams}, {}
    for queue in sorted({q for s in streams for q in s.queues}):
        last = {}
        for message in take(ch, queue):
            label, n = origin_of(message.body)
            stream = by_label[label]
            assert n < stream.sent and stream.queues[n % len(stream.queues)] == queue, f"phantom {label}:{n} in {queue}"
            assert message.body == body_of(label, n), f"{label}:{n} has another body"
            assert (label, n) not in found, f"{label}:{n} is there twice"
            assert last.get(label, -1) < n, f"{label}:{n} behind {last[label]}"
            last[label], found[label, n] = n, message
    for s in streams:
        lost = {(s.label, n) for n in s.confirmed} - found.keys() - excused
        assert not lost, f"{len(lost)} of {len(s.confirmed)} confirmed messages are lost: {sorted(lost)[:5]}"
    return found


class Transactions(threading.Thread):
    """Transaction after transaction: number n to every target and, if there is a source, the ack of its message n."""

    def __init__(self, node, label, targets, source=None, filler=100):
        super().__init__(daemon=True)
        self.label, self.targets, self.source, self.filler = label, targets, source, filler
        self.ch, self.begun, self.committed, self.error = node.channel(), 0, 0, None
        node.connections.remove(self.ch.c)
        self.start()

    def one(self):
        n = self.begun
        if self.source:
            m = self.ch.get(self.source, no_ack=False)
            eq(m.body, b"%d" % n)
            self.ch.ack(m.delivery_tag)
        self.begun += 1
        props = {**PERSISTENT, "type": f"{self.label}/{n}"}
        for queue in self.targets:
            self.ch.publish("", queue, bytes(self.filler * (1 + n % 50)), props)
        self.ch.rpc("tx.commit")
        self.committed += 1

    def run(self):
        try:
            self.ch.rpc("tx.select")
            while True:
                self.one()
        except (wire.Closed, ConnectionError):
            pass
        except Exception as error:  # told to who joins
            self.error = error
        finally:
            self.ch.c.close()

    def end(self):
        self.join(wire.PATIENCE)
        assert not self.is_alive(), "still commits"
        if self.error:
            raise self.error

    def holds(self, ch):
        """The same numbers in all targets, in order: those committed, and perhaps the one under way."""
        got = []
        for queue in self.targets:
            types = [m.props["type"].split("/") for m in take(ch, queue)]
            got.append([int(n) for label, n in types if label == self.label])
        have = [list(range(n)) for n in (self.committed, self.begun)]
        assert (
            got[0] in have
        ), f"{self.committed} of {self.begun} were committed, there are {len(got[0])}: {got[0][-3:]}"
        for queue, numbers in zip(self.targets, got):
            assert numbers == got[0], f"{queue} has {len(numbers)} transactions, {self.targets[0]} {len(got[0])}"
        return len(got[0])
