# SPDX-License-Identifier: Apache-2.0
# kill -9 in the middle of commits: of each transaction all or nothing, over all its queues; all of it when commit-ok came. timeout: 240
import random

from durable import *
from harness import *

if not TOKKI:
    skip("RabbitMQ's transactions are not atomic over several queues")

dice = random.Random(SEED)
print("seed", SEED)
OPTIONS = ["--shards", "2"]


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


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


def run_and_kill(node, transactions, least):
    goal = dice.randrange(least, 10 * least)
    until(lambda: all(t.committed for t in transactions) and sum(t.committed for t in transactions) >= goal, "commits")
    node.down()
    for t in transactions:
        t.end()
    return node.up()


@after("kill", "restart", options=OPTIONS)
def publishes(node):
    for number in range(5):
        ch = node.channel()
        work = [Transactions(node, f"{number}-{k}", [durable(ch) for _ in range(6)]) for k in range(3)]
        ch = run_and_kill(node, work, 20)
        for t in work:
            t.holds(ch)


@after("kill", options=OPTIONS)
def large_ones(node):
    """Each more than a chunk of the log."""
    for number in range(3):
        ch = node.channel()
        work = [Transactions(node, f"{number}-{k}", [durable(ch) for _ in range(6)], filler=20000) for k in range(2)]
        ch = run_and_kill(node, work, 3)
        for t in work:
            t.holds(ch)


@after("kill", "restart", options=OPTIONS)
def moves(node):
    """A message is in the source or in all the targets, never in both and never in none."""
    for number in range(4):
        p = Publisher(node)
        source = durable(p.ch)
        p.put(source, *map(str, range(3000)))
        work = [Transactions(node, str(number), [durable(p.ch) for _ in range(4)], source)]
        ch = run_and_kill(node, work, 20)
        moved = work[0].holds(ch)
        eq([int(body) for body in bodies(ch, source)] == list(range(moved, 3000)), True, f"the rest behind {moved}:")


main()
