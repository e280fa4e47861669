# SPDX-License-Identifier: Apache-2.0
# The bug: a reset right behind a pipelined declare freed the connection that the operation under way still pointed to.
from attack import reset
from crowd import sharded_port
from guard import works
from harness import *


def method(name, **args):
    return codec.method_frame(1, name, **args)


def started(port):
    """As far as tune; the rest of the handshake is part of the pipeline."""
    c = Connection(port=port)
    c.start()
    c.start_ok()
    c.wait(0, "connection.tune")
    return c


OPENING = (
    codec.method_frame(0, "connection.tune-ok", channel_max=2047, frame_max=131072)
    + codec.method_frame(0, "connection.open", virtual_host="/")
    + codec.method_frame(1, "channel.open")
)


def pipelines(name):
    """Operations that other shards take part in."""
    declare = method("queue.declare", queue=name, auto_delete=True)
    return [
        declare,
        method("queue.declare", queue=name, exclusive=True) + method("basic.consume", queue=name),
        declare + method("basic.consume", queue=name) + method("queue.delete", queue=name),
        method("exchange.declare", exchange=name, type="fanout", auto_delete=True)
        + declare
        + method("queue.bind", queue=name, exchange=name),
        declare + method("basic.publish", routing_key=name) + codec.content_frames(1, b"x" * 1000),
        declare + method("basic.get", queue=name, no_ack=False) + method("basic.recover", requeue=True),
    ]


def attack(port, step):
    for _ in range(15):
        for pipeline in pipelines(unique()):
            step(port, pipeline)
    works(port)


@check
def behind_the_handshake():
    def step(port, pipeline):
        c = started(port)
        c.write(OPENING + pipeline)
        reset(c)

    with sharded_port() as port:
        attack(port, step)


@check
def on_an_open_channel():
    def step(port, pipeline):
        c = connect(port=port)
        c.channel()
        c.write(pipeline)
        reset(c)

    with sharded_port() as port:
        attack(port, step)


@check
def behind_a_close():
    """The connection is waiting for its own operations when the reset comes."""

    def step(port, pipeline):
        c = connect(port=port)
        c.channel()
        c.write(pipeline + codec.method_frame(0, "connection.close", reply_code=200))
        reset(c)

    with sharded_port() as port:
        attack(port, step)


main()
