# SPDX-License-Identifier: Apache-2.0
# Bodies of every size come back bit for bit: none, a frame's worth, a chunk's worth more or less, 20 MiB. timeout: 240
import random

from durable import *
from harness import *

MIB = 1 << 20
FRAME = 131072 - 8
SMALL = [0, 1, 2, 7, 8, 9, 255, 256, 257, 511, 512, 513, 4055, 4056, 4064, 4072, 4088, 4095, 4096, 4097]
FRAMES = [FRAME - 1, FRAME, FRAME + 1, 131071, 131072, 131073, 2 * FRAME, 2 * FRAME + 1]
CHUNKS = [n * MIB + d for n in (1, 2) for d in (-4096, -128, -64, -40, -32, -24, -16, -8, -1, 0, 1, 8, 4096)]


def durable(ch):
    return ch.queue(unique(), exclusive=False, durable=True)


def body(size, number=0):
    """Not compressible and unlike its neighbours."""
    return random.Random(size * 1000 + number).randbytes(size)


def sizes_come_back(node, sizes):
    p = Publisher(node)
    queue = durable(p.ch)
    for i, size in enumerate(sizes):
        p.send(queue, body(size, i), message_id=str(i))
    p.confirm()
    messages = take(node.again(), queue)
    eq([(len(m.body), m.props["message_id"]) for m in messages], [(size, str(i)) for i, size in enumerate(sizes)])
    for i, (m, size) in enumerate(zip(messages, sizes)):
        assert m.body == body(size, i), f"message {i} of {size} octets is not what it was"


@after("restart", "kill")
def small_and_frames(node):
    sizes_come_back(node, SMALL + FRAMES + SMALL[::-1])


@after("restart", "kill")
def around_a_chunk(node):
    """The log cuts bodies in pieces of 1 MiB at most."""
    sizes_come_back(node, CHUNKS)


@after("restart", "kill")
def large_among_small(node):
    sizes_come_back(node, [10, 20 * MIB, 0, 5 * MIB + 3, 100, 100])


@after("restart", "kill")
def one_large_body_in_two_queues(node):
    p = Publisher(node)
    name, queues = p.ch.exchange(unique(), "fanout", durable=True), [durable(p.ch) for _ in range(2)]
    for queue in queues:
        p.ch.bind(queue, name)
    p.put("", body(3 * MIB), exchange=name)
    ch = node.again()
    got = ch.get(queues[0], no_ack=False)
    ch.ack(got.delivery_tag)
    p = Publisher(node)
    p.put(queues[0], "behind")  # and with it the ack is on the disk
    ch = node.again()
    eq(bodies(ch, queues[0]), ["behind"])
    (m,) = take(ch, queues[1])
    assert m.body == body(3 * MIB)


@after("restart", "kill")
def several_channels_at_once(node):
    """Contents of ten channels arrive interleaved, frame by frame."""
    c = node.connect()
    queue = durable(c.channel(1))
    for number in range(2, 12):
        c.channel(number).rpc("confirm.select")
    raws = []
    for number in range(2, 12):
        raw, step = body(MIB, number), 100_000
        c.write(codec.method_frame(number, "basic.publish", routing_key=queue))
        head = codec.header_frame(number, MIB, {**PERSISTENT, "type": str(number)})
        raws.append([head] + [codec.frame(codec.BODY, number, raw[at : at + step]) for at in range(0, MIB, step)])
    for turn in zip(*raws):
        for piece in turn:
            c.write(piece)
    for number in range(2, 12):
        c.wait(number, "basic.ack")
    messages = take(node.again(), queue)
    eq(sorted(int(m.props["type"]) for m in messages), list(range(2, 12)))
    for m in messages:
        assert m.body == body(MIB, int(m.props["type"])), m.props


main()
