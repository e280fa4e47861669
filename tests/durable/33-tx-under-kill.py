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
