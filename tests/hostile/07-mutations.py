# SPDX-License-Identifier: Apache-2.0
# Valid sessions with random damage (TOKKI_SEED repeats one, TOKKI_ROUNDS asks for more). timeout: 180
import random
import socket

from guard import Unharmed
from harness import *

SEED = int(os.environ.get("TOKKI_SEED", str(time.time_ns() % 10**6)))
ROUNDS = int(os.environ.get("TOKKI_ROUNDS", "5000" if TOKKI else "15"))
print("seed", SEED)

HEADERS = {"a": 1, "b": "x", "c": [1, {"d": None}], "e": Tagged("D", (2, 5)), "f": 1.5, "CC": ["q2"]}


def session():
    """The frames of a client that does a bit of everything, each on its own."""

    def m(name, channel=1, **args):
        return codec.method_frame(channel, name, **args)

    def publish(**args):
        return [m("basic.publish", **args)] + [
            codec.header_frame(1, 5, {"headers": HEADERS, "expiration": "1000", "reply_to": "q"}),
            codec.frame(codec.BODY, 1, b"hello"),
        ]

    yield from [
        codec.PROTOCOL_HEADER,
        m(
            "connection.start-ok",
            0,
            client_properties={"capabilities": {"basic.nack": True}},
            mechanism="PLAIN",
            response="\0guest\0guest",
            locale="en_US",
        ),
        m("connection.tune-ok", 0, channel_max=100, frame_max=8192, heartbeat=30),
        m("connection.open", 0, virtual_host="/"),
        m("channel.open"),
        m("channel.open", 2),
        m("confirm.select"),
        m("tx.select", 2),
    ]
    yield from [
        m("exchange.declare", exchange="mutant", type="topic", auto_delete=True, arguments={"x": 1}),
        m("queue.declare", queue="mutant-q", exclusive=True, arguments={"x-expires": 60000, "x-message-ttl": 1000}),
        m("queue.declare", queue="", exclusive=True),
        m("queue.bind", exchange="mutant", routing_key="#.a.*", arguments={"k": "v"}),
        m("exchange.bind", source="mutant", destination="amq.fanout", routing_key="x.#"),
        m("basic.qos", prefetch_count=3),
        m("basic.consume", queue="mutant-q", consumer_tag="t", arguments={"x-priority": 5}),
        m("basic.consume", queue="amq.rabbitmq.reply-to", no_ack=True),
    ]
    for key in "b.a.c", "x.a.y", "":
        yield from publish(exchange="mutant", routing_key=key, mandatory=True)
    yield from publish(routing_key="mutant-q")
    yield from [
        m("basic.ack", delivery_tag=1),
        m("basic.nack", delivery_tag=0, multiple=True, requeue=True),
        m("basic.recover", requeue=True),
        m("basic.get", queue="mutant-q"),
        m("basic.publish", 2, routing_key="mutant-q"),
        codec.header_frame(2, 0),
        m("tx.commit", 2),
        codec.frame(codec.HEARTBEAT, 0, b""),
        m("basic.cancel", consumer_tag="t"),
        m("queue.purge", queue="mutant-q"),
        m("queue.unbind", queue="mutant-q", exchange="mutant"),
        m("queue.delete", queue="mutant-q", if_unused=True),
        m("exchange.delete", exchange="mutant"),
        m("channel.close", reply_code=200),
        m("connection.close", 0, reply_code=200),
    ]


def damaged_frame(rng, frame):
    raw, at = bytearray(frame), rng.randrange(len(frame))
    kind = rng.randrange(6)
    if kind == 0:
        raw[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        raw[at] = rng.choice((0, 1, 127, 128, 255))
    elif kind == 2:
        del raw[at : at + rng.randrange(1, 9)]
    elif kind == 3:
        raw[at:at] = rng.randbytes(rng.randrange(1, 9))
    elif kind == 4:
        raw[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"))
    return bytes(raw)


def damaged(rng):
    frames = list(session())
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        # Rarely in the handshake: damage there ends the session before anything interesting.
        i = rng.randrange(len(frames)) if rng.random() < 0.2 or len(frames) < 5 else rng.randrange(4, len(frames))
        action = rng.randrange(8)
        if action == 0:
            frames[i] = b""
        elif action == 1:
            frames.insert(i, frames[rng.randrange(len(frames))])
        elif action == 2:
            j = rng.randrange(len(frames))
            frames[i], frames[j] = frames[j], frames[i]
        elif action == 3:
            frames = frames[: i + 1]
        else:
            frames[i] = damaged_frame(rng, frames[i] or b"\0")
    return b"".join(frames)


@check
def damaged_sessions():
    rng = random.Random(SEED)
    with Unharmed():
        for n in range(ROUNDS):
            raw = damaged(rng)
            c = Socket()
            try:
                c.write(raw)
                c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            try:
                c.read_to_end(20)
            except TimeoutError:
                raise AssertionError(
                    f"round {n} of seed {SEED}: the broker keeps a connection whose peer is gone"
                ) from None
            finally:
                c.close()


main()
