# SPDX-License-Identifier: Apache-2.0
# basic.consume: tags, order, exclusive consumers, refusals, nowait.
from harness import *


@check
def deliveries_in_order(ch, ch2):
    queue = ch.queue()
    for i in range(50):
        ch.publish("", queue, f"before {i}")
    tag = ch2.consume(queue, "mine")
    eq(tag, "mine")
    for i in range(50):
        ch.publish("", queue, f"after {i}")
    for i in range(100):
        got = ch2.delivery()
        eq(
            (got.body.decode(), got.delivery_tag, got.consumer_tag, got.redelivered, got.exchange, got.routing_key),
            (f"{'before' if i < 50 else 'after'} {i % 50}", i + 1, "mine", False, "", queue),
        )


@check
def server_named_tags(ch):
    queue = ch.queue()
    tags = {ch.consume(queue) for _ in range(10)}
    eq(len(tags), 10)
    for tag in tags:
        assert re.fullmatch(r"amq\.ctag-[A-Za-z0-9_-]{22}", tag), tag


@check
def consume_ok_comes_before_the_first_delivery(ch):
    queue = ch.queue()
    ch.rpc("confirm.select")
    ch.publish("", queue, "x")
    ch.confirms(1)
    ch.send("basic.consume", queue=queue)
    eq(ch.wait().name, "basic.consume-ok")
    eq(ch.wait().name, "basic.deliver")


@check
def nowait(ch):
    queue = ch.queue()
    ch.send("basic.consume", queue=queue, consumer_tag="t", nowait=True)
    ch.publish("", queue, "x")
    eq(ch.wait().consumer_tag, "t")


@check
def nowait_without_a_tag(ch):
    queue = ch.queue()
    ch.send("basic.consume", queue=queue, nowait=True)
    ch.publish("", queue, "x")
    got = ch.wait()
    eq((got.name, got.consumer_tag[:9]), ("basic.deliver", "amq.ctag-"))


@check
def tag_in_use(ch):
    queue = ch.queue()
    ch.consume(queue, "t")
    ch.kills(530, "NOT_ALLOWED - attempt to reuse consumer tag 't'", "basic.consume", queue=queue, consumer_tag="t")


@check
def tag_is_free_after_cancel_and_on_other_channels(ch, ch2):
    queue = ch.queue()
    ch.consume(queue, "t")
    ch2.consume(queue, "t")
    ch.rpc("basic.cancel", consumer_tag="t")
    ch.consume(queue, "t")


@check
def missing_queue(ch):
    ch.refused(404, "NOT_FOUND - no queue 'nope' in vhost '/'", "basic.consume", queue="nope")


@check
def exclusive_consumer(ch, ch2):
    queue = ch.queue()
    text = f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"
    ch.consume(queue, "only", exclusive=True)
    ch2.refused(403, text, "basic.consume", queue=queue)
    ch2.refused(403, text, "basic.consume", queue=queue, exclusive=True)
    ch.publish("", queue, "x")
    ch.delivery()
    ch.rpc("basic.cancel", consumer_tag="only")
    ch2.consume(queue)


@check
def exclusive_needs_to_be_first(ch, ch2):
    queue = ch.queue()
    ch.consume(queue, "first")
    ch2.refused(
        403,
        f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use",
        "basic.consume",
        queue=queue,
        exclusive=True,
    )
    ch.publish("", queue, "x")
    ch.delivery()


@check
def exclusive_ends_with_its_channel(ch, ch2):
    queue = ch.queue()
    ch.consume(queue, exclusive=True)
    ch.close()
    ch2.consume(queue, exclusive=True)


@check
def get_beside_an_exclusive_consumer(ch, ch2):
    queue = ch.queue()
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(queue, exclusive=True)
    for i in range(2):
        ch.publish("", queue, str(i))
    ch.delivery()
    eq(until(lambda: ch2.get(queue)).body, b"1")


@check
def no_local_is_ignored(ch):
    queue = ch.queue()
    ch.consume(queue, no_local=True)
    ch.publish("", queue, "own")
    eq(ch.delivery().body, b"own")


@check
def no_ack_messages_are_gone(ch, ch2):
    queue = ch.queue()
    ch.consume(queue, no_ack=True)
    for _ in range(10):
        ch.publish("", queue, "x")
    ch.deliveries(10)
    ch.close()
    eq(ch2.count(queue), 0)


@check
def many_consumers_on_one_channel(ch):
    queues = [ch.queue() for _ in range(100)]
    tags = {queue: ch.consume(queue) for queue in queues}
    for queue in queues:
        ch.publish("", queue, queue)
    for got in ch.deliveries(100):
        eq(got.consumer_tag, tags[got.body.decode()])


@check
def unknown_arguments_are_taken(ch):
    queue = ch.queue()
    ch.consume(queue, arguments={"x-whatever": 1, "y": {"z": None}})


main()
