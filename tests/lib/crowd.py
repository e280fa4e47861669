# SPDX-License-Identifier: Apache-2.0
"""Many clients at once, for the stress tests: a broker with several shards, workers in threads, and an account of every message."""
import collections
import contextlib
import os
import random
import threading
import time

import broker
from harness import TOKKI
from wire import PORT, Closed

SECONDS = float(os.environ.get("TOKKI_STRESS_SECONDS", "12"))
SHARDS = os.environ.get("TOKKI_STRESS_SHARDS", "4")
SEED = int(os.environ.get("TOKKI_SEED", str(time.time_ns() % 10**6)))


@contextlib.contextmanager
def sharded_port():
    """The port of a private broker with several shards (whose log is judged at the end), or of the RabbitMQ under test."""
    print("seed", SEED)
    if not TOKKI:
        yield PORT
        return
    with broker.TokkiMQ(options=["--shards", SHARDS]) as private:
        yield private.port


class Crowd:
    """Threads that all run until the time is over; the first exception of any of them ends all and is raised by `run`."""

    def __init__(self):
        self.threads, self.errors, self.over = [], [], threading.Event()

    def add(self, work, *arguments):
        """work(rng, *arguments) is called once, and loops over `self.going()` itself."""
        rng = random.Random(SEED * 1000 + len(self.threads))
        self.threads.append(threading.Thread(target=self._work, args=[work, rng, *arguments], daemon=True))

    def _work(self, work, rng, *arguments):
        try:
            work(rng, *arguments)
        except Exception as error:
            self.errors.append(error)
            self.over.set()

    def going(self):
        return not self.over.is_set()

    def run(self, seconds=SECONDS):
        for thread in self.threads:
            thread.start()
        self.over.wait(seconds)
        self.over.set()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


class Account:
    """What was confirmed and what was received. A message may come twice only when marked as redelivered."""

    def __init__(self):
        self.lock, self.confirmed, self.received = threading.Lock(), set(), collections.Counter()
        self.unmarked, self.refused = [], set()

    def confirm(self, names):
        with self.lock:
            self.confirmed.update(names)

    def refuse(self, names):
        """Rolled back: must never arrive."""
        with self.lock:
            self.refused.update(names)

    def receive(self, queue, delivery):
        name = (queue, delivery.body.decode())
        with self.lock:
            self.received[name] += 1
            if self.received[name] > 1 and not delivery.redelivered:
                self.unmarked.append(name)

    def balance(self):
        lost = self.confirmed - set(self.received)
        assert not lost, f"{len(lost)} of {len(self.confirmed)} confirmed messages lost, e.g. {sorted(lost)[:5]}"
        assert not self.refused & set(self.received), "rolled back, yet received"
        assert not self.unmarked, f"twice without the redelivered mark: {self.unmarked[:5]}"
        print(f"{len(self.confirmed)} confirmed, {sum(self.received.values())} received")
        assert self.confirmed, "nothing was sent"


class Publisher:
    """A channel with confirms that knows what each confirm stands for."""

    def __init__(self, ch, account):
        self.ch, self.account, self.sent, self.open = ch, account, 0, {}
        ch.rpc("confirm.select")

    def publish(self, exchange, key, body, names, props=None):
        """names: the (queue, body) pairs that a confirm promises."""
        self.sent += 1
        self.open[self.sent] = names
        self.ch.publish(exchange, key, body, props)

    def settle(self, down_to=0):
        """Takes confirms until at most `down_to` are outstanding."""
        while len(self.open) > down_to:
            ack = self.ch.wait("basic.ack")
            tags = [t for t in self.open if t <= ack.delivery_tag] if ack.multiple else [ack.delivery_tag]
            for tag in tags:
                self.account.confirm(self.open.pop(tag))


def allowed(error, *codes):
    """Whether the broker closed with one of these codes."""
    return isinstance(error, Closed) and error.how is not None and error.how.reply_code in codes
