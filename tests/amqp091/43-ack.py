# SPDX-License-Identifier: Apache-2.0
# ack, nack and reject: single and multiple, unknown tags, tag 0, and what happens to the message.
from harness import *


def consumer(ch, n, **consume):
    """A queue whose n messages are all delivered to ch and unacked."""
    queue = ch.queue()
    ch.consume(queue, "t", **consume)
    for i in range(1, n + 1):
        ch.publish("", queue, str(i))
    eq([m.delivery_tag for m in ch.deliveries(n)], list(range(1, n + 1)))
    return queue


def left_after_close(ch, queue):
    """What comes back when the channel closes: the messages that were not settled."""
    ch2 = ch.c.channel(9)
    ch.close()
    return ch2.drain(queue)


def unknown(tag):
    return f"PRECONDITION_FAILED - unknown delivery tag {tag}"


@check
def single_acks_in_any_order(ch):
    queue = consumer(ch, 5)
    for tag in 3, 1, 5:
        ch.ack(tag)
    eq(left_after_close(ch, queue), ["2", "4"])


@check
def multiple_ack(ch):
    queue = consumer(ch, 5)
    ch.ack(2)
    ch.ack(4, multiple=True)
    eq(left_after_close(ch, queue), ["5"])


@check
def tag_zero_multiple_is_all(ch):
    queue = consumer(ch, 5)
    ch.ack(0, multiple=True)
    eq(left_after_close(ch, queue), [])


@check
def tag_zero_multiple_with_nothing_outstanding(ch):
    ch.ack(0, multiple=True)
    ch.send("basic.nack", delivery_tag=0, multiple=True, requeue=True)
    ch.quiet()


@check
def unknown_tags(ch):
    queue = ch.queue()
    for tag in 1, 7, 2**63:
        ch.refused(406, unknown(tag), "basic.ack", delivery_tag=tag)
        ch.refused(406, unknown(tag), "basic.nack", delivery_tag=tag)
        ch.refused(406, unknown(tag), "basic.reject", delivery_tag=tag)
        ch.refused(406, unknown(tag), "basic.ack", delivery_tag=tag, multiple=True)
        ch.refused(406, unknown(tag), "basic.nack", delivery_tag=tag, multiple=True)
    ch.refused(406, unknown(0), "basic.ack", delivery_tag=0)
    ch.refused(406, unknown(0), "basic.reject", delivery_tag=0)
    ch.count(queue)


@check
def twice(ch):
    for method in "basic.ack", "basic.nack", "basic.reject":
        ch.close()
        ch.open()
        queue = consumer(ch, 2)
        ch.ack(1)
        ch.refused(406, unknown(1), method, delivery_tag=1)
        eq(ch.drain(queue), ["2"])


@check
def multiple_of_a_settled_tag(ch):
    queue = consumer(ch, 4)
    ch.ack(3)
    ch.rpc("basic.cancel", consumer_tag="t")
    ch.refused(406, unknown(3), "basic.ack", delivery_tag=3, multiple=True)
    eq(ch.drain(queue), ["1", "2", "4"])


@check
def multiple_beyond_the_last(ch):
    consumer(ch, 3)
    ch.refused(406, unknown(4), "basic.ack", delivery_tag=4, multiple=True)


@check
def multiple_twice(ch):
    consumer(ch, 3)
    ch.ack(3, multiple=True)
    ch.refused(406, unknown(3), "basic.ack", delivery_tag=3, multiple=True)


@check
def tags_of_another_channel_are_unknown(ch, ch2):
    consumer(ch, 1)
    ch2.refused(406, unknown(1), "basic.ack", delivery_tag=1)


@check
def reject_drops_or_requeues(ch):
    queue = consumer(ch, 3)
    ch.rpc("basic.cancel", consumer_tag="t")
    ch.send("basic.reject", delivery_tag=1, requeue=False)
    ch.send("basic.reject", delivery_tag=2, requeue=True)
    got = until(lambda: ch.get(queue))
    eq((got.body, got.redelivered, ch.get(queue)), (b"2", True, None))


@check
def nack_drops_or_requeues(ch):
    queue = consumer(ch, 6)
    ch.rpc("basic.cancel", consumer_tag="t")
    ch.send("basic.nack", delivery_tag=2, multiple=True, requeue=False)
    ch.send("basic.nack", delivery_tag=4, requeue=True)
    eq(until(lambda: ch.drain(queue)), ["4"])
    ch.send("basic.nack", delivery_tag=0, multiple=True, requeue=True)
    eq(until(lambda: ch.drain(queue)), ["3", "5", "6"])


@check
def acks_across_queues_of_one_channel(ch):
    queues = [ch.queue() for _ in range(3)]
    for queue in queues:
        ch.consume(queue)
    for i in range(9):
        ch.publish("", queues[i % 3], str(i))
    ch.deliveries(9)
    ch.ack(7, multiple=True)
    left = []
    ch2 = ch.c.channel(2)
    ch.close()
    for queue in queues:
        left += ch2.drain(queue)
    eq(len(left), 2)


main()
