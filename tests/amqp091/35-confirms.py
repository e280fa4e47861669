# SPDX-License-Identifier: Apache-2.0
# Publisher confirms: numbered from 1 per channel, each once, coalesced or not, for every fate of a message.
from harness import *


@check
def numbered_from_one(ch, ch2):
    queue = ch.queue()
    for channel in ch, ch2:
        channel.rpc("confirm.select")
        channel.publish("", queue, "x")
        eq(channel.wait("basic.ack").delivery_tag, 1)
    ch.publish("", queue, "y")
    eq(ch.wait("basic.ack").delivery_tag, 2)


@check
def select_twice_keeps_counting(ch):
    ch.rpc("confirm.select")
    ch.publish("", "nowhere")
    ch.confirms(1)
    ch.rpc("confirm.select")
    ch.publish("", "nowhere")
    ch.confirms(1, 2)


@check
def nowait(ch):
    ch.send("confirm.select", nowait=True)
    ch.publish("", "nowhere")
    ch.confirms(1)
    ch.quiet()


@check
def publishes_before_select_do_not_count(ch):
    queue = ch.queue()
    for _ in range(3):
        ch.publish("", queue)
    ch.rpc("confirm.select")
    ch.publish("", queue)
    ch.confirms(1)
    ch.quiet(queue)


@check
def every_fate_is_confirmed(ch):
    transient, durable = ch.queue(), ch.queue(unique(), exclusive=False, durable=True)
    exchange = ch.exchange(unique(), "fanout")
    for queue in transient, durable:
        ch.bind(queue, exchange)
    ch.rpc("confirm.select")
    sent = 0
    for target in ("", transient), ("", durable), ("", "nowhere"), (exchange, ""), ("amq.topic", "unbound"):
        for mode in 1, 2, None:
            for body in b"", b"x", b"x" * 200000:
                ch.publish(*target, body, {"delivery_mode": mode})
                sent += 1
    ch.confirms(sent)
    eq((ch.count(transient), ch.count(durable)), (18, 18))
    ch.rpc("queue.delete", queue=durable)


@check
def consumed_without_ack_is_confirmed_too(ch, ch2):
    queue = ch.queue()
    ch2.consume(queue, no_ack=True)
    ch.rpc("confirm.select")
    for i in range(100):
        ch.publish("", queue, str(i))
    ch.confirms(100)
    eq([m.body.decode() for m in ch2.deliveries(100)], [str(i) for i in range(100)])


@check
def ten_thousand(ch):
    queue = ch.queue()
    ch.rpc("confirm.select")
    one = codec.method_frame(1, "basic.publish", routing_key=queue) + codec.content_frames(1, b"0123456789abcdef")
    for _ in range(10):
        ch.c.write(one * 1000)
    ch.confirms(10000)
    eq(ch.count(queue), 10000)


@check
def an_error_closes_instead_of_nacking(ch):
    ch.rpc("confirm.select")
    ch.publish("nope", "x")
    ch.closed(404, "NOT_FOUND - no exchange 'nope' in vhost '/'", "basic.publish")


@check
def deleted_queue_still_confirms(ch, ch2):
    ch.rpc("confirm.select")
    for n in range(1, 51):
        queue = ch2.queue()
        ch.publish("", queue, "x")
        ch2.send("queue.delete", queue=queue, nowait=True)
        ch.confirms(1, n)


main()
