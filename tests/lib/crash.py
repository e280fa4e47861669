# SPDX-License-Identifier: Apache-2.0
"""For tests of brokers that die in the middle of something: clients that keep exact accounts, and brokers that may not start."""
import os
import random
import subprocess
import threading
import time

import broker
import codec
import wire
from durable import FILLER, PERSISTENT, exchange_exists, exists

LOSSY_EXIT = 86  # src/storage/disk_lossy.h: the cut came
SIZES = (10, 50, 300, 2000, 9000, 30000, 120000)


class Broker(broker.TokkiMQ):
    """A TokkiMQ that may die while it starts. `lossy` needs a test build: (seed, number of the changing disk call in whose
    middle the power goes, or 0 for never)."""

    def __init__(self, options=()):
        super().__init__(options=options, starts=False)

    def begin(self, lossy=None):
        """Starts it. False: it died by a cut before it listened."""
        self.wrapper = ["env", f"TOKKI_LOSSY_DISK={lossy[0]}:{lossy[1]}"] if lossy else []
        self.start(wait=False)
        deadline = time.monotonic() + broker.SLOW
        while not broker.answers(self.port):
            if not self.alive():
                assert self.process.returncode == LOSSY_EXIT and lossy, self.obituary()
                return False
            assert time.monotonic() < deadline, "it neither listens nor ends:\n" + self.obituary()
            time.sleep(0.005)  # a process that starts tells nobody; this is the poll of a condition
        return True

    def obituary(self):
        return f"ended with {self.process.returncode}:\n" + self.log()[-6000:].decode(errors="replace")

    def went_by_cut(self, patience):
        """Waits for the cut; False when it does not come in this time."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        assert code == LOSSY_EXIT, self.obituary()
        return True


# -- accounts

READY, MAYBE = "there", "perhaps"


class Account:
    """What one queue must and may hold, by number; numbers rise in the order of publishing."""

    def __init__(self, name):
        self.name = name
        self.state = {}  # number: READY or MAYBE; what is not here must not be there
        self.delivered = set()
        self.recent = set()  # those delivered of which no later confirm has told that the disk knows
        self.settled = []  # acks sent, likewise
        self.is_taking = False  # a get that needs no ack is under way: one more may be gone
        self.unflagged = 0  # recent ones that came again without their flag: the delivery did not wait for the disk

    def must(self):
        return {n for n, s in self.state.items() if s == READY}

    def gone(self, numbers):
        for n in numbers:
            self.state.pop(n, None)

    def fence(self):
        """What the log holds when a message published now is confirmed."""
        return self, list(self.settled), set(self.recent)

    def passed(self, settled, recent):
        self.gone(settled)
        self.settled = [n for n in self.settled if n not in settled]
        self.recent -= recent

    def check(self, who, messages):
        """What the queue was found to hold after the broker came back is the truth from now on."""
        numbers = [number_of(who, self.name, m) for m in messages]
        assert len(set(numbers)) == len(numbers), f"{self.name}: twice: {twice(numbers)}"
        phantoms = set(numbers) - self.state.keys()
        assert not phantoms, f"{self.name}: {sorted(phantoms)[:9]} must not be there"
        lost = self.must() - set(numbers)
        assert len(lost) <= self.is_taking, f"{self.name}: {sorted(lost)[:9]} are lost ({len(lost)} of {len(self.must())})"
        assert numbers == sorted(numbers), f"{self.name}: out of order: {numbers[:40]}"
        bare = {n for n, m in zip(numbers, messages) if n in self.delivered and not m.redelivered}
        assert bare <= self.recent, f"{self.name}: {sorted(bare)[:9]} were delivered before and are not flagged"
        self.unflagged += len(bare)
        self.state = dict.fromkeys(numbers, READY)
        self.delivered, self.recent = set(numbers), set(numbers)  # the check has seen them
        self.settled, self.is_taking = [], False


def twice(numbers):
    return sorted({n for n in numbers if numbers.count(n) > 1})[:9]


def body_of(number):
    size = SIZES[number * 2654435761 % 97 % len(SIZES)]
    start = number * 7919 % (len(FILLER) - size)
    return b"%d:" % number + FILLER[start : start + size]


def number_of(who, queue, message):
    number = int(message.body.split(b":", 1)[0])
    assert message.body == body_of(number), f"{queue}: another body than {number} had"
    want = {"delivery_mode": 2, "message_id": f"{who}-{number}"}
    assert message.props == want, f"{queue}: properties of {number}: {message.props}"
    return number


class Transaction:
    """Publishes and acks of a commit that was sent and not answered."""

    def __init__(self):
        self.puts, self.takes = [], []  # (account, number)

    def holds(self, found):
        """All or nothing, by {account: numbers}; called before the accounts are settled."""
        there = {n in found[a] for a, n in self.puts}
        there |= {n not in found[a] for a, n in self.takes}
        assert len(there) < 2, (
            f"half a transaction: puts {[(a.name, n, n in found[a]) for a, n in self.puts]}, "
            f"takes {[(a.name, n, n in found[a]) for a, n in self.takes]}"
        )


class Client(threading.Thread):
    """Does random things to two queues of its own until the broker is gone, and knows what must be left of them."""

    def __init__(self, port, who, seed):
        super().__init__(daemon=True)
        self.port, self.who, self.dice = port, who, random.Random(seed)
        self.accounts = [Account(f"{who}-{i}") for i in range(2)]
        self.fanout = f"{who}-fanout"
        self.is_set_up = False
        self.number = 0
        self.objects = {}  # name of a queue (and its exchange and binding): True, False, None (not known)
        self.commit = None  # Transaction under way
        self.error = None
        self.confirmed = self.operations = self.returned = 0

    # -- life
    def run(self):
        try:
            self.work()
        except (wire.Closed, ConnectionError):
            pass
        except Exception as error:  # told to who joins
            self.error = error

    def work(self):
        c = wire.connect(port=self.port)
        try:
            self.open_channels(c)
            while True:
                self.operations += 1
                action = self.dice.choice(self.ACTIONS)
                action(self)
        except OSError:  # writing failed; what the broker said before counts
            while True:
                self.take_confirm()
        finally:
            c.close()

    def open_channels(self, c):
        self.ch, self.tx, self.side = c.channel(1), c.channel(2), c.channel(3)
        self.ch.rpc("confirm.select")
        self.tx.rpc("tx.select")
        self.tag, self.open, self.held = 0, {}, {a: [] for a in self.accounts}
        if not self.is_set_up:
            for account in self.accounts:
                self.side.queue(account.name, exclusive=False, durable=True)
            self.side.exchange(self.fanout, "fanout", durable=True)
            for account in self.accounts:
                self.side.bind(account.name, self.fanout)
            self.is_set_up = True

    def end(self):
        """After the broker went."""
        self.join(wire.PATIENCE)
        assert not self.is_alive(), f"{self.who} still works"
        if self.error:
            raise self.error

    def next_life(self, port):
        """The same client on the broker's next start."""
        client = Client(port, self.who, self.dice.random())
        for name in ("accounts", "number", "objects", "is_set_up", "commit", "confirmed", "operations", "returned"):
            setattr(client, name, getattr(self, name))
        return client

    # -- publishing
    def put(self, accounts, channel=None):
        """One message to these queues. Returns its number."""
        self.number += 1
        number, one = self.number, len(accounts) == 1
        channel = channel or self.ch
        raw = codec.method_frame(
            channel.number,
            "basic.publish",
            exchange="" if one else self.fanout,
            routing_key=accounts[0].name if one else "",
        )
        props = {**PERSISTENT, "message_id": f"{self.who}-{number}"}
        raw += codec.content_frames(channel.number, body_of(number), props, channel.c.frame_max)
        if channel is self.ch:
            self.tag += 1
            for account in accounts:
                account.state[number] = MAYBE
            self.open[self.tag] = number, accounts, [account.fence() for account in accounts]
        channel.c.write(raw)
        return number

    def take_confirm(self):
        ack = self.ch.wait()
        assert ack.name == "basic.ack", ack
        tags = [t for t in self.open if t <= ack.delivery_tag] if ack.multiple else [ack.delivery_tag]
        for tag in tags:
            number, accounts, fenced = self.open.pop(tag)
            self.confirmed += 1
            for account in accounts:
                if account.state.get(number) == MAYBE:
                    account.state[number] = READY
            for account, settled, recent in fenced:
                account.passed(settled, recent)

    def confirm_all(self):
        while self.open:
            self.take_confirm()

    def publish(self):
        for _ in range(self.dice.randrange(1, 30)):
            self.put([self.dice.choice(self.accounts)])
        while len(self.open) > self.dice.randrange(60):
            self.take_confirm()

    def publish_to_both(self):
        for _ in range(self.dice.randrange(1, 6)):
            self.put(self.accounts)

    # -- taking; what was published before on the same connection and is confirmed can be got
    def get(self, account, channel, no_ack=False):
        account.is_taking = no_ack
        message = channel.get(account.name, no_ack)
        account.is_taking = False
        if not message:
            return None
        number = number_of(self.who, account.name, message)
        assert number in account.state, f"{account.name}: got {number}, which is gone"
        if number in account.delivered:
            assert message.redelivered, f"{account.name}: {number} comes again without its flag"
        else:
            account.recent.add(number)
        account.delivered.add(number)
        return number, message.delivery_tag

    def settle(self, account, number):
        """An ack is on its way: the message is gone or not."""
        account.state[number] = MAYBE
        account.settled.append(number)

    def consume(self):
        """Gets and acks, rejects, requeues, or keeps unacknowledged."""
        self.confirm_all()  # else an ack could reach an account that still waits for the confirm
        account = self.dice.choice(self.accounts)
        for _ in range(self.dice.randrange(1, 40)):
            no_ack = self.dice.random() < 0.2
            got = self.get(account, self.side, no_ack)
            if not got:
                return
            number, tag = got
            what = self.dice.random()
            if no_ack:
                self.settle(account, number)
            elif what < 0.7:
                self.settle(account, number)
                self.side.send("basic.ack", delivery_tag=tag)
            elif what < 0.8:
                self.settle(account, number)
                self.side.send("basic.reject", delivery_tag=tag)
            elif what < 0.95:
                self.side.send("basic.reject", delivery_tag=tag, requeue=True)
        # The channel that publishes is another one: its next publish comes after the acks only when they are done.
        self.side.rpc("basic.qos", prefetch_count=0)
        self.side.count(account.name)

    def fence(self):
        for account in self.accounts:
            self.put([account])
        self.confirm_all()

    def recover(self):
        self.side.rpc("basic.recover", requeue=True)

    def purge(self):
        self.confirm_all()
        if self.dice.random() < 0.7:
            return
        account = self.dice.choice(self.accounts)
        self.recover()  # nothing is unacknowledged, so all of it goes
        for number in account.state:
            account.state[number] = MAYBE
        self.side.rpc("queue.purge", queue=account.name)
        account.gone(list(account.state))
        account.settled = []

    # -- transactions
    def transact(self):
        self.confirm_all()
        work = Transaction()
        for account in self.accounts:
            for _ in range(self.dice.randrange(4)):
                got = self.get(account, self.tx)
                if got:
                    work.takes.append((account, got[0]))
                    self.tx.ack(got[1])
        for _ in range(self.dice.randrange(1, 8)):
            accounts = self.dice.choice([[a] for a in self.accounts] + [self.accounts])
            number = self.put(accounts, self.tx)
            work.puts += [(account, number) for account in accounts]
        if self.dice.random() < 0.2:
            self.tx.rpc("tx.rollback")
            self.tx.rpc("basic.recover", requeue=True)
            return
        for account, number in work.puts + work.takes:
            account.state[number] = MAYBE
        self.commit = work
        self.tx.rpc("tx.commit")
        self.commit = None
        for account, number in work.puts:
            account.state[number] = READY
        for account, number in work.takes:
            account.gone([number])

    # -- objects
    def declare(self):
        name = f"{self.who}-{len(self.objects)}-extra"
        self.objects[name] = None
        self.side.queue(name, exclusive=False, durable=True, arguments={"x-note": name})
        self.side.exchange(name, "topic", durable=True)
        self.side.bind(name, name, "a.#")
        self.objects[name] = True

    def delete(self):
        there = [name for name, is_there in self.objects.items() if is_there]
        if not there:
            return
        name = self.dice.choice(there)
        self.put([self.accounts[0]])
        self.side.publish(name, "a.b", b"to be deleted", PERSISTENT)
        self.objects[name] = None
        self.side.rpc("queue.delete", queue=name)
        self.side.rpc("exchange.delete", exchange=name)
        self.objects[name] = False

    ACTIONS = [publish] * 6 + [publish_to_both] * 2 + [consume] * 5 + [fence] * 2
    ACTIONS += [recover, purge, transact, transact, transact, declare, delete]

    # -- after the broker came back
    def stopped(self):
        """The broker has stopped in good order: it knows everything."""
        for account in self.accounts:
            account.recent = set()

    def verify(self, port):
        """Compares with what is there, leaving it there."""
        c = wire.connect(port=port)
        ch = c.channel(1)
        for account in self.accounts:
            if not self.is_set_up and not exists(ch, account.name):
                assert not account.state
        if self.is_set_up:
            self.verify_queues(c, ch)
        for name in self.objects:
            self.verify_object(ch, name)
        c.end()

    def verify_queues(self, c, ch):
        found = {}
        for i, account in enumerate(self.accounts):
            reader = c.channel(10 + i)
            count = reader.count(account.name)
            reader.consume(account.name)
            found[account] = reader.deliveries(count)
        if self.commit:
            self.commit.holds({a: {int(m.body.split(b":", 1)[0]) for m in found[a]} for a in found})
            self.commit = None
        for account in self.accounts:
            self.returned += sum(m.redelivered for m in found[account])
            account.check(self.who, found[account])

    def verify_object(self, ch, name):
        is_there = self.objects[name]
        queue, exchange = exists(ch, name), exchange_exists(ch, name)
        if is_there is None:  # cut while it was made or deleted: make it whole
            ch.queue(name, exclusive=False, durable=True, arguments={"x-note": name})
            ch.exchange(name, "topic", durable=True)
            ch.bind(name, name, "a.#")
            ch.rpc("queue.purge", queue=name)
            self.objects[name] = True
            return
        assert (queue, exchange) == (is_there, is_there), f"{name}: queue {queue}, exchange {exchange}, not {is_there}"
        if not is_there:
            return
        assert ch.count(name) == 0, f"{name} holds {ch.count(name)} messages"
        ch.publish(name, "a.b", b"", {})
        got = ch.get(name)
        assert got, f"the binding of {name} is gone"
