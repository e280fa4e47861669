# SPDX-License-Identifier: Apache-2.0
# x-message-ttl and the expiration property: messages at the head go when their time is over, zero means now or never.
from harness import *

PREFIX = "PRECONDITION_FAILED - invalid expiration "


def empty(ch, queue):
    return ch.count(queue) == 0


@check
def queue_ttl(ch):
    queue = ch.queue(arguments={"x-message-ttl": 300})
    ch.rpc("confirm.select")
    started = time.monotonic()
    for i in range(3):
        ch.publish("", queue, str(i))
    ch.confirms(3)
    eq(ch.count(queue), 3)
    until(lambda: empty(ch, queue))
    assert 0.28 < time.monotonic() - started < 2
    eq(ch.get(queue), None)


@check
def message_ttl(ch):
    queue = ch.queue()
    ch.rpc("confirm.select")
    started = time.monotonic()
    ch.publish("", queue, "goes", {"expiration": "300"})
    ch.publish("", queue, "stays")
    ch.publish("", queue, "stays longer", {"expiration": "60000"})
    ch.confirms(3)
    until(lambda: ch.count(queue) == 2)
    assert 0.28 < time.monotonic() - started < 2
    got = ch.get(queue)
    eq((got.body, got.props), (b"stays", {}))
    eq(ch.get(queue).props, {"expiration": "60000"})


@check
def the_shorter_of_both(ch):
    queue = ch.queue(arguments={"x-message-ttl": 60000})
    ch.publish("", queue, "x", {"expiration": "100"})
    until(lambda: empty(ch, queue), patience=3)
    queue = ch.queue(arguments={"x-message-ttl": 100})
    ch.publish("", queue, "x", {"expiration": "60000"})
    until(lambda: empty(ch, queue), patience=3)


@check
def expired_is_never_delivered(ch):
    queue = ch.queue()
    ch.rpc("confirm.select")
    for i in range(10):
        ch.publish("", queue, "old", {"expiration": "50"})
    ch.publish("", queue, "new")
    ch.confirms(11)
    until(lambda: ch.count(queue) == 1)
    ch.consume(queue)
    eq(ch.delivery().body, b"new")


@check
def zero_without_a_consumer(ch):
    queue = ch.queue(arguments={"x-message-ttl": 0})
    ch.rpc("confirm.select")
    ch.publish("", queue, "x")
    ch.confirms(1)
    until(lambda: empty(ch, queue))
    plain = ch.queue()
    ch.publish("", plain, "x", {"expiration": "0"})
    ch.confirms(1, 2)
    until(lambda: empty(ch, plain))
    eq((ch.get(queue), ch.get(plain)), (None, None))


@check
def zero_with_a_consumer(ch):
    queue = ch.queue(arguments={"x-message-ttl": 0})
    ch.consume(queue)
    for i in range(10):
        ch.publish("", queue, str(i))
    eq([m.body for m in ch.deliveries(10)], [b"%d" % i for i in range(10)])


@check
def requeued_keeps_its_deadline(ch):
    queue = ch.queue(arguments={"x-message-ttl": 400})
    ch.publish("", queue, "x")
    started = time.monotonic()
    until(lambda: ch.get(queue, no_ack=False))
    until(lambda: time.monotonic() - started > 0.6)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    until(lambda: empty(ch, queue), patience=2)
    eq(ch.get(queue), None)


@check
def unacked_do_not_expire(ch):
    queue = ch.queue(arguments={"x-message-ttl": 100})
    ch.consume(queue, "t")
    ch.publish("", queue, "x")
    got, started = ch.delivery(), time.monotonic()
    until(lambda: time.monotonic() - started > 0.3)
    ch.ack(got.delivery_tag)
    ch.quiet(queue)


@check
def bad_values(ch):
    queue = ch.queue()
    for value, why in (
        ("abc", "no_integer"),
        ("", "no_integer"),
        ("1.5", '{leftover_string,".5"}'),
        ("10x", '{leftover_string,"x"}'),
        ("-1", "{value_negative,-1}"),
        ("315360000001", "{value_too_large,315360000001}"),
        (" 1", "no_integer"),
        ("1 ", '{leftover_string," "}'),
    ):
        ch.publish("", queue, "x", {"expiration": value})
        ch.closed(406, f"{PREFIX}'{value}': {why}", "basic.publish")
    eq(ch.count(queue), 0)


@check
def bad_values_are_refused_even_when_unroutable(ch):
    ch.publish("amq.direct", "nowhere", "x", {"expiration": "abc"})
    ch.closed(406, PREFIX + "'abc': no_integer", "basic.publish")


@check
def good_values(ch):
    queue = ch.queue()
    ch.rpc("confirm.select")
    for value in "315360000000", "+60000", "00060000":
        ch.publish("", queue, value, {"expiration": value})
    ch.confirms(3)
    eq(ch.count(queue), 3)
    eq(ch.get(queue).props, {"expiration": "315360000000"})


@check
def expiry_with_others_behind(ch):
    queue = ch.queue()
    ch.rpc("confirm.select")
    ch.publish("", queue, "blocks")
    ch.publish("", queue, "expired behind it", {"expiration": "50"})
    ch.publish("", queue, "last")
    ch.confirms(3)
    started = time.monotonic()
    until(lambda: time.monotonic() - started > 0.2)
    eq(ch.drain(queue), ["blocks", "last"])


main()
