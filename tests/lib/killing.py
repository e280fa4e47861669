# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, in rounds on one data directory, with an account of every message: what bench/kill and tests/crash run."""
import collections
import random
import threading
import time

import broker
import wire
from durable import PERSISTENT, Publisher, Stream, Transactions, body_of, origin_of

QUEUES = [f"work-{i}" for i in range(6)]
FAN = [f"fan-{i}" for i in range(3)]
EXCHANGE, PIKA = "kill-fanout", "pika"
OPTIONS = ["--shards", "2", "--log-segment-size", "2MiB"]  # many checkpoints and recycled segments
BACKLOG = 8000  # messages of a queue, then it is purged


class Queue:
    """What one queue may hold and must hold, by (label, number)."""

    def __init__(self, name):
        self.name, self.may, self.must = name, set(), set()

    def sent(self, label, numbers, confirmed):
        self.may |= {(label, n) for n in numbers}
        self.must |= {(label, n) for n in confirmed}

    def taken(self, ids):
        """Acks are on their way: gone or not."""
        self.must -= ids

    def settled(self, ids):
        """Those acks are on the disk: gone for good."""
        self.may -= ids

    def purged(self):
        self.may, self.must = set(), set()

    def check(self, messages, delivered):
        """Compares with what is there, which is the truth from now on. Returns counts, and says what is wrong."""
        found, last, counts = set(), {}, collections.Counter()
        for message in messages:
            label, n = origin_of(message.body)
            if (label, n) not in self.may or (label, n) in found or message.body != body_of(label, n):
                counts["phantoms"] += 1
                print(f"{self.name}: phantom {label}:{n}, {'twice' if (label, n) in found else 'not expected'}")
            elif last.get(label, -1) > n:
                counts["out of order"] += 1
                print(f"{self.name}: {label}:{n} comes behind {last[label]}")
            last[label] = n
            found.add((label, n))
            if (label, n) in delivered:
                counts["redelivered"] += 1
                counts["unflagged"] += not message.redelivered
        lost = self.must - found
        counts["lost"] = len(lost)
        if lost:
            print(f"{self.name}: {len(lost)} of {len(self.must)} are lost: {sorted(lost)[:5]}")
        self.may, self.must = found, set(found)
        return counts


class Consumer(threading.Thread):
    """Consumes one queue and acknowledges in steps, until the broker is gone. Now and then it publishes a message to the
    same queue behind its acks: the log keeps their order, so the confirm tells that those are on the disk."""

    def __init__(self, port, label, queue, step):
        super().__init__(daemon=True)
        self.label, self.queue, self.queues, self.step = label, queue, [queue], step
        self.delivered, self.acked, self.error = set(), set(), None
        self.sent, self.confirmed, self.fences, self.settled = 0, set(), {}, set()
        self.c = wire.connect(port=port)
        self.ch = self.c.channel()
        self.ch.rpc("confirm.select")
        self.ch.rpc("basic.qos", prefetch_count=4 * step)
        self.start()

    def run(self):
        try:
            self.ch.consume(self.queue)
            while True:
                self.take(self.ch.deliveries(self.step))
                self.take_confirms()
        except (wire.Closed, OSError):  # nobody waits longer than a kill takes
            pass
        except Exception as error:  # told to who joins
            self.error = error
        finally:
            self.c.close()

    def take(self, messages):
        ids = [origin_of(m.body) for m in messages]
        assert not self.delivered & set(ids), f"{self.queue}: delivered twice on one channel"
        self.delivered |= set(ids)
        self.acked |= set(ids)
        self.ch.ack(messages[-1].delivery_tag, multiple=True)
        if len(self.fences) < 3:
            self.fences[self.sent + 1] = set(self.acked)
            self.ch.publish("", self.queue, body_of(self.label, self.sent), PERSISTENT)
            self.sent += 1

    def take_confirms(self):
        for ack in [m for m in self.c.methods if m.name == "basic.ack"]:
            self.c.methods.remove(ack)
            for tag in [t for t in self.fences if t == ack.delivery_tag or ack.multiple and t < ack.delivery_tag]:
                self.settled |= self.fences.pop(tag)
                self.confirmed.add(tag - 1)


class PikaPublisher(threading.Thread):
    """A publisher of the most used library: one message at a time, each confirmed."""

    def __init__(self, port, label):
        super().__init__(daemon=True)
        import pika

        self.label, self.queues, self.sent, self.confirmed, self.error = label, [PIKA], 0, set(), None
        self.lost_connection = (pika.exceptions.AMQPError, OSError)
        self.properties = pika.BasicProperties(delivery_mode=2)
        self.connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.start()

    def run(self):
        try:
            while True:
                n = self.sent
                self.sent += 1
                body = body_of(self.label, n)
                self.channel.basic_publish("", PIKA, body, self.properties, mandatory=True)
                self.confirmed.add(n)
        except self.lost_connection:
            pass
        except Exception as error:  # told to who joins
            self.error = error

    def end(self):
        self.join(wire.PATIENCE)
        assert not self.is_alive(), f"{self.label} still publishes"
        if self.error:
            raise self.error


class Port:
    """What Stream, Publisher and Transactions want of a node."""

    def __init__(self, port):
        self.port, self.connections = port, []

    def channel(self):
        self.connections.append(wire.connect(port=self.port))
        return self.connections[-1].channel()

    def close(self):
        for connection in self.connections:
            connection.close()


class Rounds:
    """The broker, its queues and the sums of all rounds."""

    def __init__(self, seed, binary=None, options=(), has_pika=True):
        self.dice, self.has_pika = random.Random(seed), has_pika
        self.broker = broker.TokkiMQ(binary, [*OPTIONS, *options])
        self.queues = {name: Queue(name) for name in [*QUEUES, *FAN, PIKA]}
        self.sums, self.number, self.slowest_start = collections.Counter(), 0, 0
        with wire_channel(self.broker.port) as ch:
            for name in self.queues:
                ch.queue(name, exclusive=False, durable=True)
            ch.exchange(EXCHANGE, "fanout", durable=True)
            for name in FAN:
                ch.bind(name, EXCHANGE)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        complaints = self.broker.halt() if self.broker.alive() else []
        if kind or self.is_wrong():
            print("data directory:", self.broker.data, "(kept)")
            self.broker.alive() and self.broker.kill()
        else:
            self.broker.remove()
        assert kind or not complaints, "; ".join(complaints)

    def is_wrong(self):
        return any(self.sums[what] for what in ("lost", "phantoms", "out of order"))

    # -- one round
    def run(self, seconds):
        """Load, kill -9, start, account. Returns the round's counts."""
        self.number += 1
        node, counts = Port(self.broker.port), collections.Counter()
        streams, consumers, transactions = self.begin(node)
        time.sleep(seconds)
        self.broker.kill()
        for worker in [*streams, *transactions]:
            worker.end()
        delivered = self.end_consumers(consumers, counts)
        node.close()
        for stream in [*streams, *consumers]:
            counts["confirmed"] += len(stream.confirmed)
            self.note(stream)
        for consumer in consumers:
            self.queues[consumer.queue].taken(consumer.acked)
            self.queues[consumer.queue].settled(consumer.settled)
            counts["settled"] += len(consumer.settled)
        counts["start ms"] = self.start_again(counts)
        self.verify(delivered, transactions, counts)
        self.sums += counts
        self.slowest_start = max(self.slowest_start, counts["start ms"])
        return counts

    def begin(self, node):
        n = self.number
        ch = node.channel()
        streams = [Stream(node, f"{n}/{k}", QUEUES[k::2], window=self.dice.choice((1, 50, 500))) for k in range(2)]
        streams.append(Stream(node, f"{n}/all", QUEUES, window=200))
        streams.append(Stream(node, f"{n}/fan", FAN, exchange=EXCHANGE))
        if self.has_pika:
            streams.append(PikaPublisher(node.port, f"{n}/pika"))
        transactions = []
        for k in range(2):
            targets = [ch.queue(f"tx-{n}-{k}-{i}", exclusive=False, durable=True) for i in range(3)]
            source = ch.queue(f"tx-{n}-{k}-source", exclusive=False, durable=True)
            Publisher(node).put(source, *map(str, range(2000)))
            transactions.append(Transactions(node, f"{n}-{k}", targets, source))
        taken = self.dice.sample(QUEUES, 4) + self.dice.sample(FAN, 1) + [PIKA]
        return (
            streams,
            [Consumer(node.port, f"{n}/behind-{name}", name, self.dice.choice((1, 10, 100))) for name in taken],
            transactions,
        )

    def end_consumers(self, consumers, counts):
        delivered = {}
        for consumer in consumers:
            consumer.join(wire.PATIENCE)
            assert not consumer.is_alive(), f"the consumer of {consumer.queue} still works"
            if consumer.error:
                raise consumer.error
            delivered[consumer.queue] = consumer.delivered
            counts["acknowledged"] += len(consumer.acked)
        return delivered

    def note(self, stream):
        queues = [self.queues[name] for name in stream.queues]
        for i, queue in enumerate(queues):
            mine = (0, 1) if stream.queues == FAN else (i, len(queues))
            numbers = range(mine[0], stream.sent, mine[1])
            queue.sent(stream.label, numbers, stream.confirmed.intersection(numbers))

    def start_again(self, counts):
        """Sometimes it is killed again while it recovers."""
        while self.dice.random() < 0.25:
            self.broker.start(wait=False)
            time.sleep(self.dice.random() * 0.1)
            self.broker.kill()
            counts["killed in recovery"] += 1
        began = time.monotonic()
        self.broker.start(wait=False)
        with wire_channel(self.broker.port, until=began + broker.SLOW):
            return round(1000 * (time.monotonic() - began))

    # -- the account
    def verify(self, delivered, transactions, counts):
        for name, queue in self.queues.items():
            with wire_channel(self.broker.port) as ch:
                n = ch.count(name)
                ch.consume(name)
                messages = ch.deliveries(n)
                counts += queue.check(messages, delivered.get(name, set()))
            if n > BACKLOG or self.dice.random() < 0.1:
                self.purge(queue)
        for work in transactions:
            self.verify_transactions(work, counts)

    def purge(self, queue):
        with wire_channel(self.broker.port) as ch:
            # The reader before is gone, and what it held is back, when the queue is as full as it was.
            until_count(ch, queue.name, len(queue.must))
            ch.rpc("queue.purge", queue=queue.name)
        queue.purged()

    def verify_transactions(self, work, counts):
        """Of each all or nothing, all of it when commit-ok came."""
        with wire_channel(self.broker.port) as ch:
            left = ch.count(work.source)
            try:
                moved = work.holds(ch)
                assert left == 2000 - moved, f"{moved} transactions have moved a message, {left} of 2000 are left"
            except AssertionError as error:
                print(error)
                counts["lost"] += 1
            counts["confirmed"] += work.committed * len(work.targets)
            counts["acknowledged"] += work.committed
            counts["committed"] += work.committed
            for name in [*work.targets, work.source]:
                ch.rpc("queue.delete", queue=name)

    def summary(self):
        parts = [f"{self.sums[name]} {name}" for name in ("confirmed", "acknowledged")]
        parts += [f"{name} {self.sums[name]}" for name in ("lost", "phantoms", "out of order", "redelivered")]
        return f"{self.number} rounds: " + ", ".join(parts)


class wire_channel:
    """Channel 1 of a connection that ends with the block."""

    def __init__(self, port, until=0):
        while True:
            try:
                self.c = wire.connect(port=port)
                return
            except (ConnectionError, wire.Closed):
                if time.monotonic() > until:
                    raise
                time.sleep(0.003)  # a process that starts tells nobody; this is the poll of a condition

    def __enter__(self):
        return self.c.channel()

    def __exit__(self, *_):
        self.c.close()


def until_count(ch, queue, n):
    deadline = time.monotonic() + wire.PATIENCE
    while ch.count(queue) != n:
        assert time.monotonic() < deadline, f"{queue} holds {ch.count(queue)} messages, not {n}"
