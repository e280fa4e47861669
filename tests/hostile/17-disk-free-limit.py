# SPDX-License-Identifier: Apache-2.0
# Less free space than --disk-free-limit: publishers are blocked (low on disk), consumers go on; with room again all goes on. timeout: 60
import select

from broker import TokkiMQ
from durable import PERSISTENT
from harness import *
from mount import Mount

if not TOKKI:
    skip("starts TokkiMQ with its option")


def blocked_reason(ch):
    return ch.c.wait(0, "connection.blocked").reason


@check
def a_limit_that_nothing_meets():
    with TokkiMQ(options=["--disk-free-limit", "1000000GB"]) as broker:
        until(lambda: b"disk resource limit alarm set" in broker.log(), "the alarm in the log")
        ch, other = connect(port=broker.port).channel(), connect(port=broker.port).channel()
        queue = ch.queue(exclusive=False)
        ch.publish(key=queue)
        eq(blocked_reason(ch), "low on disk")
        eq(other.rpc("queue.declare", queue=queue, passive=True).consumer_count, 0)  # who publishes nothing is not concerned


@check
def room_goes_and_comes():
    """Nothing that was accepted is lost, and consumers get what is there meanwhile."""
    with Mount("tmpfs", "size=96m") as mount:
        options = ["--disk-free-limit", "40MiB", "--log-segment-size", "1MiB"]
        with TokkiMQ(options=options, wrapper=mount.wrapper, starts=False) as broker:
            broker.data = mount.path + "/data"
            broker.start()
            ch, reader = connect(port=broker.port).channel(), connect(port=broker.port).channel()
            queue = reader.queue("kept", exclusive=False, durable=True)
            ch.rpc("confirm.select")
            ch.publish(key=queue, body=b"1", props=PERSISTENT)
            ch.wait("basic.ack")
            mount.fill(30 << 20)
            until(lambda: b"disk resource limit alarm set" in broker.log(), "the alarm in the log")
            ch.publish(key="nowhere")  # it is the publish that tells the broker whom to block
            eq(blocked_reason(ch), "low on disk")
            ch.publish(key=queue, body=b"2", props=PERSISTENT)
            eq(reader.get(queue).body, b"1")
            while select.select([ch.c.sock], [], [], 0.3)[0]:
                assert ch.wait("basic.ack").delivery_tag < 3, "a blocked publisher got an answer"
            eq(reader.get(queue), None)
            mount.give_back()
            ch.c.wait(0, "connection.unblocked")
            until(lambda: ch.wait("basic.ack").delivery_tag == 3, "the confirm")
            eq(reader.get(queue).body, b"2")
            assert b"disk resource limit alarm cleared" in broker.log()


main()
