# SPDX-License-Identifier: Apache-2.0
# The bug: a body in 100,000 frames of one octet overflowed a count of frames and aborted the broker.
from guard import Unharmed
from harness import *


def publish_cut(ch, queue, body, cut):
    """Publishes a body in frames of `cut` octets, in one write."""
    frames = [codec.frame(codec.BODY, 1, body[i : i + cut]) for i in range(0, len(body), cut)]
    raw = codec.method_frame(1, "basic.publish", routing_key=queue) + codec.header_frame(1, len(body))
    ch.c.write(raw + b"".join(frames))


def comes_back(ch, queue, body, cut):
    publish_cut(ch, queue, body, cut)
    got = until(lambda: ch.get(queue))
    assert got.body == body, f"{len(body)} octets in frames of {cut} came back different"


@check
def one_octet_each(ch):
    queue = ch.queue()
    with Unharmed():
        comes_back(ch, queue, bytes(i % 251 for i in range(100000)), 1)


@check
def around_every_power_of_two(ch):
    """Whatever width a count of frames has."""
    queue = ch.queue()
    for bits in range(1, 17):
        for frames in 2**bits - 1, 2**bits, 2**bits + 1:
            comes_back(ch, queue, bytes(i % 251 for i in range(2 * frames)), 2)


@check
def to_consumers_with_other_frames(ch):
    with Unharmed():
        queue = ch.queue(unique(), exclusive=False, auto_delete=True)
        small = connect(frame_max=4096).channel()
        small.consume(queue, no_ack=True)
        body = bytes(i % 251 for i in range(70000))
        for cut in 1, 7, 1000, 4088, 4089, 69999:
            publish_cut(ch, queue, body, cut)
            got = small.delivery()
            assert got.body == body, f"frames of {cut} octets came back different"
        small.c.end()


@check
def followed_by_small_ones(ch):
    """The next publish starts with a count of its own."""
    queue = ch.queue()
    for n in range(5):
        publish_cut(ch, queue, b"x" * 1000, 1)
        ch.publish("", queue, b"%d" % n)
    eq([len(body) for body in ch.drain(queue)], [1000, 1] * 5)


main()
