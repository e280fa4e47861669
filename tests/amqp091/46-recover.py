# SPDX-License-Identifier: Apache-2.0
# basic.recover: everything unacked of the channel is queued again; requeue=false is not implemented.
from harness import *


@check
def all_unacked_come_again(ch):
    queue = ch.queue()
    ch.consume(queue)
    for i in range(5):
        ch.publish("", queue, str(i))
    ch.deliveries(5)
    ch.ack(2)
    ch.rpc("basic.recover", requeue=True)
    eq(
        [(m.body, m.redelivered, m.delivery_tag) for m in ch.deliveries(4)],
        [(b"%d" % i, True, tag) for i, tag in zip((0, 2, 3, 4), (6, 7, 8, 9))],
    )


@check
def old_tags_are_unknown_afterwards(ch):
    queue = ch.queue()
    ch.publish("", queue, "x")
    until(lambda: ch.get(queue, no_ack=False))
    ch.rpc("basic.recover", requeue=True)
    ch.refused(406, "PRECONDITION_FAILED - unknown delivery tag 1", "basic.ack", delivery_tag=1)


@check
def gets_are_recovered_too(ch):
    queue = ch.queue()
    ch.publish("", queue, "x")
    until(lambda: ch.get(queue, no_ack=False))
    ch.rpc("basic.recover", requeue=True)
    eq(until(lambda: ch.get(queue)).redelivered, True)


@check
def asynchronous_form(ch):
    queue = ch.queue()
    ch.publish("", queue, "x")
    until(lambda: ch.get(queue, no_ack=False))
    ch.send("basic.recover-async", requeue=True)
    until(lambda: ch.get(queue))
    ch.quiet()


@check
def other_channels_keep_theirs(ch, ch2):
    queue = ch.queue()
    ch.publish("", queue, "x")
    until(lambda: ch2.get(queue, no_ack=False))
    ch.rpc("basic.recover", requeue=True)
    eq(ch.count(queue), 0)


@check
def nothing_to_recover(ch):
    ch.rpc("basic.recover", requeue=True)


@check
def without_requeue(ch):
    ch.kills(540, "NOT_IMPLEMENTED - requeue=false", "basic.recover", requeue=False)


@check
def without_requeue_asynchronous():
    connect().channel().kills(540, "NOT_IMPLEMENTED - requeue=false", "basic.recover-async", requeue=False)


main()
