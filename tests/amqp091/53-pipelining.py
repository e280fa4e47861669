# SPDX-License-Identifier: Apache-2.0
# Methods sent without waiting are answered in order, on each channel by itself, however the octets are cut.
from harness import *


def script(name, channel=1):
    """Declare, bind, publish, get, delete, in one go."""
    frames = [
        ("queue.declare", {"queue": name, "exclusive": True}),
        ("queue.bind", {"queue": name, "exchange": "amq.direct", "routing_key": name}),
        ("basic.publish", {"exchange": "amq.direct", "routing_key": name}),
        ("queue.purge", {"queue": name}),
        ("basic.get", {"queue": name}),
        ("queue.delete", {"queue": name}),
    ]
    raw = b"".join(
        codec.method_frame(channel, m, **args)
        + (codec.content_frames(channel, b"body") if m == "basic.publish" else b"")
        for m, args in frames
    )
    return raw, ["queue.declare-ok", "queue.bind-ok", "queue.purge-ok", "basic.get-empty", "queue.delete-ok"]


@check
def in_one_write(ch):
    raw, answers = script(unique())
    ch.c.write(raw * 50)
    eq([ch.wait().name for _ in range(250)], answers * 50)


@check
def octet_by_octet(ch):
    raw, answers = script(unique())
    for i in range(len(raw)):
        ch.c.write(raw[i : i + 1])
    eq([ch.wait().name for _ in range(5)], answers)


@check
def in_odd_pieces(ch):
    raw, answers = script(unique())
    raw *= 20
    at, step = 0, 1
    while at < len(raw):
        ch.c.write(raw[at : at + step])
        at, step = at + step, step * 7 % 113
    eq([ch.wait().name for _ in range(100)], answers * 20)


@check
def handshake_and_all_in_one_write():
    c = Connection()
    raw, answers = script(unique())
    c.write(
        codec.PROTOCOL_HEADER
        + codec.method_frame(0, "connection.start-ok", mechanism="PLAIN", response="\0guest\0guest", locale="en_US")
        + codec.method_frame(0, "connection.tune-ok", channel_max=2047, frame_max=131072)
        + codec.method_frame(0, "connection.open", virtual_host="/")
        + codec.method_frame(1, "channel.open")
        + raw
    )
    for name in "connection.start", "connection.tune", "connection.open-ok":
        c.wait(0, name)
    eq([c.wait(1).name for _ in range(6)], ["channel.open-ok"] + answers)
    c.end()


@check
def channels_interleaved(c):
    names = [unique() for _ in range(20)]
    for n in range(1, 21):
        c.channel(n)
    scripts = [script(name, n)[0] for n, name in enumerate(names, 1)]
    c.write(b"".join(scripts))
    for n in range(1, 21):
        eq([c.wait(n).name for _ in range(5)], script("x")[1])


@check
def many_declares_in_one_pipeline(ch):
    names = [unique() for _ in range(1000)]
    ch.c.write(b"".join(codec.method_frame(1, "queue.declare", queue=name, exclusive=True) for name in names))
    eq([ch.wait("queue.declare-ok").queue for _ in names], names)


main()
