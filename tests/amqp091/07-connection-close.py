# SPDX-License-Identifier: Apache-2.0
# connection.close: the handshake, what is ignored after it, and that exclusive queues are gone before close-ok.
from harness import *


@check
def close_ok_then_the_end(c):
    c.channel(1)
    c.channel(2)
    c.end()


@check
def frames_behind_close_are_ignored(c, other):
    ch = c.channel()
    name = unique()
    c.write(
        codec.method_frame(0, "connection.close", reply_code=200, reply_text="bye")
        + codec.method_frame(1, "queue.declare", queue=name)
        + codec.method_frame(5, "basic.qos")
    )
    c.wait(0, "connection.close-ok")
    other.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'", "queue.declare", queue=name, passive=True)


@check
def exclusive_queues_are_gone_before_close_ok(ch, other):
    name = ch.queue(unique())
    other.refused(405, re.compile("^RESOURCE_LOCKED"), "queue.declare", queue=name, passive=True)
    ch.c.end()
    other.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'", "queue.declare", queue=name, passive=True)


@check
def unacked_messages_return_before_close_ok(ch, other):
    name = other.queue(unique(), exclusive=False, auto_delete=True)
    ch.publish(key=name, body="x")
    until(lambda: ch.get(name, no_ack=False))
    eq(other.count(name), 0)
    ch.c.end()
    eq(other.count(name), 1)
    other.rpc("queue.delete", queue=name)


@check
def after_the_broker_closed_only_close_ok_counts(ch, other):
    name = unique()
    ch.send("basic.publish", immediate=True)
    ch.c.write(codec.content_frames(1, b""))
    ch.send("queue.declare", queue=name)
    ch.c.wait(0, "connection.close")
    ch.send("queue.declare", queue=name)
    ch.c.send("connection.close-ok")
    ch.c.drops()
    other.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'", "queue.declare", queue=name, passive=True)


@check
def crossing_close_is_answered(ch):
    ch.send("basic.publish", immediate=True)
    ch.c.write(codec.content_frames(1, b""))
    ch.c.wait(0, "connection.close")
    ch.c.send("connection.close", reply_code=200, reply_text="bye")
    ch.c.wait(0, "connection.close-ok")


main()
