# SPDX-License-Identifier: Apache-2.0
# Requeued messages return to their original position and are marked as redelivered.
from harness import *


def filled(ch, n):
    queue = ch.queue()
    ch.rpc("confirm.select")
    for i in range(n):
        ch.publish("", queue, str(i))
    ch.confirms(n)
    return queue


def rest(ch, queue):
    """(body, redelivered) of all that is left."""
    got = []
    while (m := ch.get(queue)) is not None:
        got.append((m.body.decode(), m.redelivered))
    return got


@check
def one_back_to_the_head(ch):
    queue = filled(ch, 3)
    ch.get(queue, no_ack=False)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    eq(rest(ch, queue), [("0", True), ("1", False), ("2", False)])


@check
def holes_are_filled_in_order(ch):
    queue = filled(ch, 8)
    for _ in range(6):
        ch.get(queue, no_ack=False)
    for tag in 5, 2, 4, 1:
        ch.send("basic.reject", delivery_tag=tag, requeue=True)
    eq(rest(ch, queue), [("0", True), ("1", True), ("3", True), ("4", True), ("6", False), ("7", False)])


@check
def by_channel_close(ch, ch2):
    queue = filled(ch, 5)
    ch.rpc("basic.qos", prefetch_count=3)
    ch.consume(queue)
    ch.deliveries(3)
    ch.ack(2)
    ch.deliveries(1)
    ch.close()
    eq(rest(ch2, queue), [("0", True), ("2", True), ("3", True), ("4", False)])


@check
def by_two_channels_merge_by_position(ch, ch2):
    queue = filled(ch, 6)
    for i in range(6):
        (ch, ch2)[i % 2].get(queue, no_ack=False)
    third = ch.c.channel(3)
    ch2.close()
    ch.close()
    eq(rest(third, queue), [(str(i), True) for i in range(6)])


@check
def redelivered_to_a_consumer(ch, ch2):
    queue = filled(ch, 2)
    ch.consume(queue, "c")
    eq([(m.body, m.redelivered) for m in ch.deliveries(2)], [(b"0", False), (b"1", False)])
    ch.rpc("basic.cancel", consumer_tag="c")
    ch.send("basic.nack", delivery_tag=2, multiple=True, requeue=True)
    ch2.consume(queue)
    eq([(m.body, m.redelivered) for m in ch2.deliveries(2)], [(b"0", True), (b"1", True)])


@check
def again_and_again(ch):
    queue = filled(ch, 1)
    ch.consume(queue)
    for i in range(1, 101):
        got = ch.delivery()
        eq((got.delivery_tag, got.redelivered), (i, i > 1))
        ch.send("basic.reject", delivery_tag=i, requeue=True)


@check
def new_messages_stay_behind(ch):
    queue = filled(ch, 2)
    ch.get(queue, no_ack=False)
    ch.publish("", queue, "new")
    ch.wait("basic.ack")
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    eq(rest(ch, queue), [("0", True), ("1", False), ("new", False)])


@check
def a_thousand_in_a_mess(ch):
    queue = filled(ch, 1000)
    for _ in range(1000):
        ch.send("basic.get", queue=queue)
    for _ in range(1000):
        ch.wait("basic.get-ok")
    for tag in sorted(range(1, 1001), key=lambda t: t * 7919 % 1009):
        ch.send("basic.nack", delivery_tag=tag, requeue=tag % 3 > 0)
    until(lambda: ch.count(queue) == 667)
    eq([body for body, _ in rest(ch, queue)], [str(t - 1) for t in range(1, 1001) if t % 3 > 0])


main()
