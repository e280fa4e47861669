# SPDX-License-Identifier: Apache-2.0
# Garbage at every stage of a connection: random octets, half frames, huge lengths, frames nobody announced.
import random
import struct

from guard import Unharmed, works
from harness import *

SEED = int(os.environ.get("TOKKI_SEED", "1"))
print("seed", SEED)
ROUNDS = 200 if TOKKI else 20


def stages():
    """Connections that have come as far as: nothing, header, start-ok, tune-ok, open, channel, publish, half a body."""
    yield Connection()
    c = Connection()
    c.start()
    yield c
    c = Connection()
    c.start()
    c.start_ok()
    c.wait(0, "connection.tune")
    yield c
    yield connect()
    for raw in (
        b"",
        codec.method_frame(1, "basic.publish"),
        codec.method_frame(1, "basic.publish") + codec.header_frame(1, 100),
    ):
        c = connect()
        c.channel()
        c.write(raw)
        yield c


def send(c, raw):
    """Sends what still can be sent, then hangs up without reading."""
    try:
        c.write(raw)
    except OSError:
        pass
    c.close()


@check
def random_octets():
    rng = random.Random(SEED)
    with Unharmed():
        for _ in range(ROUNDS // 7):
            for c in stages():
                send(c, rng.randbytes(rng.choice((1, 7, 8, 100, 5000))))


@check
def half_frames():
    whole = codec.method_frame(1, "queue.declare", queue="x" * 100, arguments={"a": {"b": [1, 2]}})
    with Unharmed():
        for cut in range(1, len(whole), 1 if TOKKI else 15):
            c = connect()
            c.channel()
            send(c, whole[:cut])


@check
def huge_frame_lengths():
    with Unharmed() as broker:
        open_ones = []
        for size in 2**17, 2**24, 2**31 - 1, 2**31, 2**32 - 1:
            for kind in 1, 2, 3, 8, 77:
                c = connect()
                c.channel()
                c.write(struct.pack(">BHI", kind, 1, size) + b"y" * 100)
                open_ones.append(c)
        broker.now()
        for c in open_ones:
            c.close()


@check
def huge_lengths_inside_a_frame():
    """Strings, tables and arrays that claim more than the frame holds."""
    with Unharmed():
        for table in (
            b"\xff",
            b"\x01aS\xff\xff\xff\xff",
            b"\x01aF\x7f\xff\xff\xff",
            b"\x01aA\xff\xff\xff\xff",
            b"\x01ax\x80\x00\x00\x00",
        ):
            for name in "queue.declare", "basic.consume":
                c = connect()
                c.channel()
                c.send(name, 1, queue="q", arguments=table)
                if TOKKI:
                    c.closes(501, re.compile("^FRAME_ERROR"), ...)
                else:
                    c.close()
        for args in b"\0\0\xff", b"\0\0\x05abc", b"\0\0\x01q\x00\xff\xff\xff\xff":
            c = connect()
            c.channel()
            c.write(codec.frame(codec.METHOD, 1, struct.pack(">HH", 50, 10) + args))
            c.closes(501, re.compile("^FRAME_ERROR"), ...)


@check
def wrong_channels():
    with Unharmed():
        for number in 2, 2047, 2048, 65535:
            c = connect()
            c.channel(1)
            c.send("basic.qos", number)
            c.closes(504, "CHANNEL_ERROR - expected 'channel.open'", "basic.qos")


@check
def deep_nesting():
    """As many tables in tables, and arrays in arrays, as one frame can hold."""

    def nested(tag, depth):
        raw = b""
        for _ in range(depth):
            entry = tag + struct.pack(">I", len(raw)) + raw
            raw = b"\x01a" + entry if tag == b"F" else entry
        return raw if tag == b"F" else b"\x01a" + raw

    with Unharmed():
        for tag, depth in (b"F", 18000), (b"A", 25000), (b"F", 60), (b"A", 60):
            table = nested(tag, depth)
            assert len(table) < 131000
            c = connect()
            c.channel()
            c.send("queue.declare", 1, queue=unique(), exclusive=True, arguments=table)
            answer = c.wait(1) if depth == 60 else None
            assert answer is None or answer.name == "queue.declare-ok", answer
            c.close()
            c = connect()
            ch = c.channel()
            queue = ch.queue()
            ch.bind(queue, "amq.headers", **{"x-match": "any", "a": 1})
            ch.send("basic.publish", exchange="amq.headers")
            c.write(codec.header_frame(1, 0, b"\x20\x00" + struct.pack(">I", len(table)) + table))
            c.close()
            works()


main()
