# SPDX-License-Identifier: Apache-2.0
# basic.get: messages in order with the count of those left, get-empty, acknowledged or not.
from harness import *


def filled(ch, n):
    queue = ch.queue()
    ch.rpc("confirm.select")
    for i in range(n):
        ch.publish("", queue, str(i))
    ch.confirms(n)
    return queue


@check
def in_order_with_counts(ch):
    queue = filled(ch, 5)
    for i in range(5):
        got = ch.get(queue)
        eq(
            (got.body, got.message_count, got.delivery_tag, got.redelivered, got.exchange, got.routing_key),
            (b"%d" % i, 4 - i, i + 1, False, "", queue),
        )
    eq(ch.rpc("basic.get", queue=queue).cluster_id, "")


@check
def no_ack_is_gone_and_ack_is_held(ch, ch2):
    queue = filled(ch, 2)
    ch.get(queue, no_ack=True)
    eq(ch.get(queue, no_ack=False).delivery_tag, 2)
    eq(ch2.get(queue), None)
    ch.ack(2)
    ch.quiet(queue)
    ch.close()
    eq(ch2.count(queue), 0)


@check
def unacked_returns_with_the_channel(ch, ch2):
    queue = filled(ch, 2)
    ch.get(queue, no_ack=False)
    ch.get(queue, no_ack=False)
    ch.close()
    got = [ch2.get(queue), ch2.get(queue)]
    eq([(m.body, m.redelivered) for m in got], [(b"0", True), (b"1", True)])


@check
def no_ack_get_cannot_be_acked(ch):
    queue = filled(ch, 1)
    tag = ch.get(queue).delivery_tag
    ch.refused(406, f"PRECONDITION_FAILED - unknown delivery tag {tag}", "basic.ack", delivery_tag=tag)


@check
def prefetch_does_not_limit_get(ch):
    queue = filled(ch, 5)
    ch.rpc("basic.qos", prefetch_count=1)
    for _ in range(5):
        assert ch.get(queue, no_ack=False)


@check
def missing_queue(ch):
    ch.refused(404, "NOT_FOUND - no queue 'nope' in vhost '/'", "basic.get", queue="nope")


@check
def get_takes_what_consumers_left(ch, ch2):
    queue = filled(ch, 3)
    ch2.rpc("basic.qos", prefetch_count=1)
    ch2.consume(queue)
    eq(ch2.delivery().body, b"0")
    eq(ch.get(queue).body, b"1")


@check
def tags_count_gets_and_deliveries_together(ch):
    queue = filled(ch, 2)
    eq(ch.get(queue, no_ack=False).delivery_tag, 1)
    ch.consume(queue)
    eq(ch.delivery().delivery_tag, 2)
    other = filled(ch.c.channel(2), 1)
    eq(ch.get(other, no_ack=True).delivery_tag, 3)


main()
