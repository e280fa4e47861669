# SPDX-License-Identifier: Apache-2.0
# basic.cancel by the client: cancel-ok always, unacked messages stay with the channel; and by the server when the queue goes.
from harness import *


@check
def no_deliveries_after_cancel_ok(ch, ch2):
    queue = ch.queue()
    ch.consume(queue, "t")
    eq(ch.rpc("basic.cancel", consumer_tag="t").consumer_tag, "t")
    ch2.publish("", queue, "x")
    until(lambda: ch2.count(queue) == 1)
    ch.quiet()


@check
def unknown_tag(ch):
    eq(ch.rpc("basic.cancel", consumer_tag="nope").consumer_tag, "nope")
    eq(ch.rpc("basic.cancel", consumer_tag="").consumer_tag, "")


@check
def nowait(ch):
    queue = ch.queue()
    ch.consume(queue, "t")
    ch.send("basic.cancel", consumer_tag="t", nowait=True)
    ch.send("basic.cancel", consumer_tag="nope", nowait=True)
    ch.quiet(queue)
    eq(ch.rpc("queue.declare", queue=queue, passive=True).consumer_count, 0)


@check
def unacked_survive_the_cancel(ch):
    queue = ch.queue()
    ch.consume(queue, "t")
    ch.publish("", queue, "x")
    ch.publish("", queue, "y")
    ch.deliveries(2)
    ch.rpc("basic.cancel", consumer_tag="t")
    eq(ch.count(queue), 0)
    ch.ack(1)
    ch.send("basic.nack", delivery_tag=2, requeue=True)
    got = until(lambda: ch.get(queue))
    eq((got.body, got.redelivered), (b"y", True))


@check
def cancel_of_one_leaves_the_other(ch):
    queue = ch.queue()
    ch.consume(queue, "a")
    ch.consume(queue, "b")
    ch.rpc("basic.cancel", consumer_tag="a")
    for _ in range(4):
        ch.publish("", queue, "x")
    eq({m.consumer_tag for m in ch.deliveries(4)}, {"b"})


@check
def server_cancels_when_the_queue_goes(ch, other):
    queue = other.queue(unique(), exclusive=False)
    ch.consume(queue, "a")
    ch.consume(queue, "b")
    other.rpc("queue.delete", queue=queue)
    got = [ch.wait("basic.cancel") for _ in range(2)]
    eq({(m.consumer_tag, m.nowait) for m in got}, {("a", True), ("b", True)})
    ch.consume(ch.queue(), "a")


@check
def own_deletion_cancels_too(ch):
    queue = ch.queue()
    ch.consume(queue, "t")
    ch.rpc("queue.delete", queue=queue)
    eq(ch.wait("basic.cancel").consumer_tag, "t")


@check
def not_without_the_capability(other):
    ch = connect(capabilities={}).channel()
    queue = other.queue(unique(), exclusive=False)
    ch.consume(queue, "t")
    other.rpc("queue.delete", queue=queue)
    ch.quiet()
    ch.c.end()


@check
def acks_after_the_queue_is_gone(ch, other):
    queue = other.queue(unique(), exclusive=False)
    ch.consume(queue, "t")
    for _ in range(3):
        ch.publish("", queue, "x")
    ch.deliveries(3)
    other.rpc("queue.delete", queue=queue)
    ch.wait("basic.cancel")
    ch.ack(1)
    ch.send("basic.nack", delivery_tag=2, requeue=True)
    ch.ack(0, multiple=True)
    ch.quiet()
    ch.refused(406, "PRECONDITION_FAILED - unknown delivery tag 3", "basic.ack", delivery_tag=3)


main()
