# SPDX-License-Identifier: Apache-2.0
# Dispatch: round robin over the consumers with room, those of the highest x-priority first.
from harness import *


def spread(ch, queue, n):
    """Tags in the order in which n new messages were handed out."""
    tags = []
    for i in range(n):
        ch.publish("", queue, str(i))
        tags.append(ch.delivery().consumer_tag)
    return tags


@check
def round_robin_in_order_of_subscription(ch):
    queue = ch.queue()
    for tag in "abc":
        ch.consume(queue, tag)
    eq(spread(ch, queue, 9), list("abcabcabc"))


@check
def a_new_consumer_joins_the_round(ch):
    queue = ch.queue()
    ch.consume(queue, "a")
    ch.consume(queue, "b")
    eq(spread(ch, queue, 3), list("aba"))
    ch.consume(queue, "c")
    eq(sorted(spread(ch, queue, 6)), list("aabbcc"))


@check
def across_connections(ch, other):
    queue = ch.queue(unique(), exclusive=False, auto_delete=True)
    ch.consume(queue, no_ack=True)
    other.consume(queue, no_ack=True)
    for i in range(100):
        ch.publish("", queue, str(i))
    eq((len(ch.deliveries(50)), len(other.deliveries(50))), (50, 50))


@check
def full_consumers_are_skipped(ch):
    queue = ch.queue()
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(queue, "one")
    ch.rpc("basic.qos", prefetch_count=0)
    ch.consume(queue, "many")
    eq(spread(ch, queue, 6), ["one"] + ["many"] * 5)


@check
def higher_priority_first(ch):
    queue = ch.queue()
    ch.rpc("basic.qos", prefetch_count=2)
    ch.consume(queue, "low", arguments={"x-priority": -5})
    ch.consume(queue, "default")
    ch.consume(queue, "high1", arguments={"x-priority": 10})
    ch.consume(queue, "high2", arguments={"x-priority": Tagged("l", 10)})
    tags = spread(ch, queue, 8)
    eq(sorted(tags[:4]), ["high1"] * 2 + ["high2"] * 2)
    eq(tags[4:], ["default"] * 2 + ["low"] * 2)
    ch.ack(1)
    ch.publish("", queue, "next")
    eq(ch.delivery().consumer_tag, tags[0])


@check
def equal_priorities_take_turns(ch):
    queue = ch.queue()
    for tag in "abc":
        ch.consume(queue, tag, arguments={"x-priority": 7})
    eq(sorted(spread(ch, queue, 6)), list("aabbcc"))


@check
def bad_priority(ch):
    queue = ch.queue()
    for value, kind in ("high", "longstr"), (1.5, "double"), (True, "bool"):
        text = f"PRECONDITION_FAILED - invalid arg 'x-priority' for queue '{queue}' in vhost '/': \"expected integer, got {kind}\""
        ch.refused(406, text, "basic.consume", queue=queue, arguments={"x-priority": value})


@check
def waiting_messages_go_to_whoever_gets_room(ch, ch2):
    queue = ch.queue()
    for channel in ch, ch2:
        channel.rpc("basic.qos", prefetch_count=1)
        channel.consume(queue)
    for i in range(4):
        ch.publish("", queue, str(i))
    first, second = ch.delivery(), ch2.delivery()
    eq({first.body, second.body}, {b"0", b"1"})
    ch2.ack(second.delivery_tag)
    eq(ch2.delivery().body, b"2")
    ch2.ack(2)
    eq(ch2.delivery().body, b"3")


main()
