# SPDX-License-Identifier: Apache-2.0
# Methods in the wrong state or that nobody knows: 504 and 503 with their texts.
import struct

from harness import *


def raw_method(channel, class_id, method_id, args=b""):
    return codec.frame(codec.METHOD, channel, struct.pack(">HH", class_id, method_id) + args)


@check
def channel_never_opened(c):
    c.send("basic.qos", channel=3)
    c.closes(504, "CHANNEL_ERROR - expected 'channel.open'", "basic.qos")


@check
def channel_opened_twice(ch):
    ch.kills(504, "CHANNEL_ERROR - second 'channel.open' seen", "channel.open")


UNIMPLEMENTED = "COMMAND_INVALID - unimplemented method"
UNEXPECTED = "CHANNEL_ERROR - unexpected method in connection state running"


@check
def unknown_methods():
    for channel, ids in (1, (60, 199)), (1, (99, 1)), (1, (20, 99)), (0, (10, 99)):
        c = connect()
        c.channel()
        c.write(raw_method(channel, *ids))
        if TOKKI:
            c.closes(503, UNIMPLEMENTED, ...)
        else:
            c.cut()


@check
def server_methods_from_a_client():
    for name in (
        "queue.declare-ok",
        "channel.open-ok",
        "basic.get-empty",
        "tx.select-ok",
        "basic.qos-ok",
        "exchange.bind-ok",
    ):
        c = connect()
        c.channel()
        c.send(name, 1)
        c.closes(503, UNIMPLEMENTED, name)


@check
def connection_methods_on_a_channel():
    for name in "connection.open", "connection.start-ok", "connection.tune-ok", "connection.update-secret":
        connect().channel().kills(503, UNIMPLEMENTED, name)


@check
def wrong_methods_on_channel_0():
    for name in (
        "queue.declare",
        "channel.open",
        "channel.close",
        "basic.qos",
        "connection.start-ok",
        "connection.tune-ok",
        "connection.open",
        "connection.secure-ok",
        "connection.start",
        "connection.close-ok",
    ):
        c = connect()
        c.send(name)
        c.closes(504, UNEXPECTED, name)


@check
def channel_0_with_content(c):
    c.send("basic.publish")
    c.closes(504, UNEXPECTED, "basic.publish")


@check
def anything_before_start_ok():
    c = Connection()
    c.start()
    c.send("connection.open", virtual_host="/")
    c.cut()


@check
def channel_before_open():
    c = Connection()
    c.start()
    c.start_ok()
    c.tune_ok(c.wait(0, "connection.tune"))
    c.send("channel.open", 1)
    c.closes(505, "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>")


main()
