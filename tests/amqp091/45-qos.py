# SPDX-License-Identifier: Apache-2.0
# basic.qos: a limit for each new consumer or for the whole channel, counted across ack, nack and multiple.
from harness import *


def filled(ch, n):
    queue = ch.queue()
    ch.rpc("confirm.select")
    for i in range(n):
        ch.publish("", queue, str(i))
    ch.confirms(n)
    return queue


def exactly(ch, n, queue):
    """n deliveries and not one more."""
    got = ch.deliveries(n)
    ch.quiet(queue)
    return got


@check
def per_consumer(ch):
    queue = filled(ch, 10)
    ch.rpc("basic.qos", prefetch_count=2)
    ch.consume(queue, "a")
    exactly(ch, 2, queue)
    ch.consume(queue, "b")
    eq({m.consumer_tag for m in exactly(ch, 2, queue)}, {"b"})
    ch.ack(1)
    eq(exactly(ch, 1, queue)[0].consumer_tag, "a")
    ch.ack(4)
    eq(exactly(ch, 1, queue)[0].consumer_tag, "b")


@check
def applies_to_new_consumers_only(ch):
    queue = filled(ch, 10)
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(queue, "a")
    exactly(ch, 1, queue)
    ch.rpc("basic.qos", prefetch_count=3)
    ch.quiet(queue)
    ch.consume(queue, "b")
    exactly(ch, 3, queue)
    ch.ack(1)
    eq(exactly(ch, 1, queue)[0].consumer_tag, "a")


@check
def nack_reject_and_multiple_free_places(ch):
    queue = filled(ch, 20)
    ch.rpc("basic.qos", prefetch_count=4)
    ch.consume(queue)
    exactly(ch, 4, queue)
    ch.ack(3, multiple=True)
    exactly(ch, 3, queue)
    ch.send("basic.nack", delivery_tag=6, multiple=True, requeue=False)
    exactly(ch, 3, queue)
    ch.send("basic.reject", delivery_tag=8, requeue=False)
    exactly(ch, 1, queue)
    ch.ack(0, multiple=True)
    exactly(ch, 4, queue)


@check
def requeued_messages_come_again(ch):
    queue = filled(ch, 3)
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(queue)
    exactly(ch, 1, queue)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    eq([(m.body, m.redelivered) for m in exactly(ch, 1, queue)], [(b"0", True)])


@check
def zero_is_no_limit(ch):
    queue = filled(ch, 300)
    ch.rpc("basic.qos", prefetch_count=1)
    ch.rpc("basic.qos", prefetch_count=0)
    ch.consume(queue)
    ch.deliveries(300)


@check
def no_ack_consumers_are_not_limited(ch):
    queue = filled(ch, 50)
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(queue, no_ack=True)
    ch.deliveries(50)


@check
def whole_channel(ch):
    q1, q2 = filled(ch, 5), filled(ch.c.channel(2), 5)
    ch.rpc("basic.qos", prefetch_count=3, global_=True)
    ch.consume(q1, "a")
    ch.consume(q2, "b")
    exactly(ch, 3, q1)
    ch.quiet(q2)
    ch.ack(2, multiple=True)
    exactly(ch, 2, q1)
    ch.quiet(q2)


@check
def whole_channel_applies_at_once(ch):
    queue = filled(ch, 10)
    ch.rpc("basic.qos", prefetch_count=2, global_=True)
    ch.consume(queue)
    exactly(ch, 2, queue)
    ch.rpc("basic.qos", prefetch_count=5, global_=True)
    exactly(ch, 3, queue)
    ch.rpc("basic.qos", prefetch_count=1, global_=True)
    ch.ack(4, multiple=True)
    ch.quiet(queue)
    ch.ack(5)
    exactly(ch, 1, queue)
    ch.rpc("basic.qos", prefetch_count=0, global_=True)
    exactly(ch, 4, queue)


@check
def both_limits(ch):
    queue = filled(ch, 10)
    ch.rpc("basic.qos", prefetch_count=2)
    ch.rpc("basic.qos", prefetch_count=3, global_=True)
    ch.consume(queue, "a")
    exactly(ch, 2, queue)
    ch.consume(queue, "b")
    exactly(ch, 1, queue)


@check
def unlimited_then_whole_channel_limit(ch):
    queue = filled(ch, 4)
    ch.consume(queue, "a")
    ch.deliveries(4)
    ch.rpc("basic.qos", prefetch_count=2, global_=True)
    for i in range(4):
        ch.publish("", queue, "more")
    ch.confirms(4, 5)
    ch.quiet(queue)
    ch.ack(0, multiple=True)
    exactly(ch, 2, queue)


@check
def limits_do_not_cross_channels(ch, ch2):
    queue = filled(ch, 10)
    ch.rpc("basic.qos", prefetch_count=1, global_=True)
    ch.consume(queue)
    exactly(ch, 1, queue)
    ch2.rpc("basic.qos", prefetch_count=2)
    ch2.consume(queue)
    ch2.deliveries(2)
    ch2.quiet(queue)


@check
def largest_count(ch):
    queue = filled(ch, 5)
    ch.rpc("basic.qos", prefetch_count=65535)
    ch.consume(queue)
    ch.deliveries(5)


@check
def prefetch_size(ch):
    ch.kills(540, "NOT_IMPLEMENTED - prefetch_size!=0 (1000)", "basic.qos", prefetch_size=1000)


@check
def cancelled_consumers_unacked_keep_their_places_in_the_channel_limit(ch):
    queue = filled(ch, 5)
    ch.rpc("basic.qos", prefetch_count=2, global_=True)
    ch.consume(queue, "a")
    exactly(ch, 2, queue)
    ch.rpc("basic.cancel", consumer_tag="a")
    ch.consume(queue, "b")
    ch.quiet(queue)
    ch.ack(1)
    exactly(ch, 1, queue)


main()
