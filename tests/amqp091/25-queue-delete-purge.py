# SPDX-License-Identifier: Apache-2.0
# queue.delete and queue.purge: counts, conditions, nowait, idempotence.
from harness import *


def filled(ch, n, **args):
    name = ch.queue(unique(), **args)
    ch.rpc("confirm.select")
    for i in range(n):
        ch.publish(key=name, body=str(i))
    ch.confirms(n)
    return name


@check
def delete_tells_the_count(ch):
    eq(ch.rpc("queue.delete", queue=filled(ch, 5)).message_count, 5)


@check
def delete_of_nothing(ch):
    eq(ch.rpc("queue.delete", queue="nope").message_count, 0)
    eq(ch.rpc("queue.delete", queue="nope", if_empty=True, if_unused=True).message_count, 0)
    eq(ch.rpc("queue.delete", queue="amq.nope").message_count, 0)


@check
def delete_nowait(ch):
    name = filled(ch, 1)
    ch.send("queue.delete", queue=name, nowait=True)
    ch.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'", "queue.declare", queue=name, passive=True)
    ch.quiet()


@check
def if_unused(ch):
    name = filled(ch, 0)
    ch.consume(name, "c")
    ch.refused(
        406, f"PRECONDITION_FAILED - queue '{name}' in vhost '/' in use", "queue.delete", queue=name, if_unused=True
    )
    eq(ch.rpc("queue.delete", queue=name, if_unused=True).message_count, 0)


@check
def if_empty(ch):
    name = filled(ch, 1)
    ch.refused(
        406, f"PRECONDITION_FAILED - queue '{name}' in vhost '/' not empty", "queue.delete", queue=name, if_empty=True
    )
    ch.get(name)
    eq(ch.rpc("queue.delete", queue=name, if_empty=True).message_count, 0)


@check
def both_conditions(ch):
    name = filled(ch, 1)
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(name, "c")
    ch.delivery()
    ch.refused(406, re.compile("in use$"), "queue.delete", queue=name, if_unused=True, if_empty=True)


@check
def unacked_do_not_count_as_content(ch):
    name = filled(ch, 1)
    ch.get(name, no_ack=False)
    eq(ch.rpc("queue.delete", queue=name, if_empty=True).message_count, 0)


@check
def bindings_go_with_it(ch):
    name = filled(ch, 0)
    ch.bind(name, "amq.direct", name)
    ch.rpc("queue.delete", queue=name)
    ch.queue(name)
    ch.publish("amq.direct", name, mandatory=True)
    ch.wait("basic.return")


@check
def purge(ch):
    name = filled(ch, 5)
    ch.get(name, no_ack=False)
    eq(ch.rpc("queue.purge", queue=name).message_count, 4)
    eq(ch.rpc("queue.purge", queue=name).message_count, 0)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    eq(until(lambda: ch.get(name)).body, b"0")


@check
def purge_nowait(ch):
    name = filled(ch, 5)
    ch.send("queue.purge", queue=name, nowait=True)
    eq(ch.count(name), 0)
    ch.quiet()


@check
def purge_of_nothing(ch):
    ch.refused(404, "NOT_FOUND - no queue 'nope' in vhost '/'", "queue.purge", queue="nope")


@check
def purge_of_ten_thousand(ch):
    name = ch.queue()
    ch.rpc("confirm.select")
    one = codec.method_frame(1, "basic.publish", routing_key=name) + codec.content_frames(1, b"x")
    for _ in range(10):
        ch.c.write(one * 1000)
    ch.confirms(10000)
    eq(ch.rpc("queue.purge", queue=name).message_count, 10000)


main()
