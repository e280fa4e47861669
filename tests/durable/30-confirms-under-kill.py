# SPDX-License-Identifier: Apache-2.0
# kill -9 in the middle of publishing: every confirmed message is there, once, whole and in order, and no other. timeout: 300
import random

from durable import *
from harness import *

ROUNDS = 4 if TOKKI else 1
dice = random.Random(SEED)
print("seed", SEED)


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


def goes_down_in_a_stream(node, rounds, connections, queues):
    """Each round: some publishers at full speed, the end at a random point, the account; the queues are used again."""
    names = [durable(node.channel()) for _ in range(queues)]
    for number in range(rounds):
        mine = [[q for i, q in enumerate(names) if i % connections == k] + names[:1] for k in range(connections)]
        streams = [Stream(node, f"{number}/{k}", mine[k]) for k in range(connections)]
        goal = dice.randrange(100, 4000)
        until(lambda: sum(len(s.confirmed) for s in streams) >= goal, f"{goal} confirms")
        node.down()
        for s in streams:
            s.end()
        account(node.up(), streams)


@after("kill", "restart", options=["--shards", "1"])
def one_shard(node):
    goes_down_in_a_stream(node, ROUNDS, 3, 6)


@after("kill", "restart", options=["--shards", "2"])
def two_shards(node):
    goes_down_in_a_stream(node, ROUNDS, 4, 8)


@after("kill", options=["--shards", "2"])
def at_the_first_confirm(node):
    """Fresh queues, and the end as soon as anything was confirmed."""
    for number in range(8):
        ch = node.channel()
        streams = [Stream(node, f"{number}/{k}", [durable(ch) for _ in range(3)], window=50) for k in range(2)]
        until(lambda: any(s.confirmed for s in streams), "a confirm")
        node.down()
        for s in streams:
            s.end()
        account(node.up(), streams)


@after("kill", options=["--shards", "2"])
def two_ends_in_a_row(node):
    """The second kill -9 comes while the first is being recovered from, or just after."""
    ch = node.channel()
    streams = [Stream(node, f"s{k}", [durable(ch) for _ in range(3)]) for k in range(2)]
    until(lambda: sum(len(s.confirmed) for s in streams) >= 3000, "confirms")
    node.down()
    for s in streams:
        s.end()
    for _ in range(5):
        node.broker.start(wait=False)
        threading.Event().wait(dice.random() * 0.03)
        node.broker.kill()
    account(node.up(), streams)


@after("kill", options=["--shards", "2"])
def every_message_to_all_queues(node):
    """A confirm of a message that went to several queues speaks for all of them, and so for both shards."""
    ch = node.channel()
    name, queues = ch.exchange(unique(), "fanout", durable=True), [durable(ch) for _ in range(5)]
    for queue in queues:
        ch.bind(queue, name)
    for number in range(ROUNDS):
        s = Stream(node, str(number), queues, exchange=name)
        goal = dice.randrange(50, 1500)
        until(lambda: len(s.confirmed) >= goal, f"{goal} confirms")
        node.down()
        s.end()
        ch = node.up()
        for queue in queues:
            got = [(m.body, origin_of(m.body)) for m in take(ch, queue)]
            numbers = [n for _, (_, n) in got]
            eq(numbers == sorted(set(numbers)), True, "in order and once:")
            assert s.confirmed <= set(numbers), f"{queue} lacks {sorted(s.confirmed - set(numbers))[:5]}"
            assert not numbers or numbers[-1] < s.sent, "a phantom"
            assert all(body == body_of(label, n) for body, (label, n) in got), "another body"


main()
