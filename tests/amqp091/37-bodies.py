# SPDX-License-Identifier: Apache-2.0
# Bodies: empty, exactly at the frame limit, over many frames, cut up oddly, and between peers of different frame_max.
from harness import *


def pattern(n):
    return (b"0123456789abcdef" * (n // 16 + 1))[:n]


@check
def sizes_around_the_frame_limit(ch):
    queue = ch.queue()
    limit = 131072 - 8
    for size in 0, 1, limit - 1, limit, limit + 1, 2 * limit, 2 * limit + 1:
        ch.publish("", queue, pattern(size))
        got = until(lambda: ch.get(queue))
        assert got.body == pattern(size), (size, len(got.body))
        eq(got.frames, -(-size // limit), f"body frames for {size}")


@check
def an_empty_body_has_no_body_frame(ch):
    queue = ch.queue()
    ch.publish("", queue, b"")
    eq(until(lambda: ch.get(queue)).frames, 0)


@check
def publisher_cuts_as_it_likes(ch):
    queue, body = ch.queue(), pattern(1000)
    for step in 1, 7, 999:
        frames = [codec.frame(codec.BODY, 1, body[i : i + step]) for i in range(0, len(body), step)]
        ch.send("basic.publish", routing_key=queue)
        ch.c.write(codec.header_frame(1, len(body)) + b"".join(frames))
        eq(until(lambda: ch.get(queue)).body, body)


@check
def empty_body_frames_in_between(ch):
    queue = ch.queue()
    ch.send("basic.publish", routing_key=queue)
    empty = codec.frame(codec.BODY, 1, b"")
    ch.c.write(
        codec.header_frame(1, 2) + empty + codec.frame(codec.BODY, 1, b"a") + empty + codec.frame(codec.BODY, 1, b"b")
    )
    eq(until(lambda: ch.get(queue)).body, b"ab")


@check
def small_frames_to_large_and_back(ch):
    small = connect(frame_max=4096).channel()
    queue, body = ch.queue(unique(), exclusive=False, auto_delete=True), pattern(300000)
    small.publish("", queue, body)
    got = until(lambda: ch.get(queue))
    assert got.body == body
    eq(got.frames, -(-300000 // 131064))
    ch.publish("", queue, body)
    got = until(lambda: small.get(queue))
    assert got.body == body
    eq(got.frames, -(-300000 // 4088))
    ch.rpc("queue.delete", queue=queue)


@check
def large_headers_with_large_bodies(ch):
    queue = ch.queue()
    props = {"headers": {f"k{i}": "v" * 1000 for i in range(100)}}
    ch.publish("", queue, pattern(200000), props)
    got = until(lambda: ch.get(queue))
    eq(got.props, props)
    assert got.body == pattern(200000)


@check
def ten_megabytes(ch):
    queue, body = ch.queue(), pattern(10 * 2**20 + 3)
    ch.publish("", queue, body)
    assert until(lambda: ch.get(queue)).body == body


@check
def contents_of_many_channels_at_once(c):
    queue = c.channel(1).queue()
    frames = []
    for n in range(2, 42):
        c.channel(n)
        frames.append(
            [codec.method_frame(n, "basic.publish", routing_key=queue), codec.header_frame(n, 6)]
            + [codec.frame(codec.BODY, n, b"%02d" % n)] * 3
        )
    c.write(b"".join(b"".join(step) for step in zip(*frames)))
    ch = Channel(c, 1)
    until(lambda: ch.count(queue) == 40)
    eq(sorted(ch.drain(queue)), sorted("%02d" % n * 3 for n in range(2, 42)))


@check
def unfinished_content_goes_with_its_channel(ch):
    queue = ch.queue()
    ch2 = ch.c.channel(2)
    ch2.send("basic.publish", routing_key=queue)
    ch.c.write(codec.header_frame(2, 10) + codec.frame(codec.BODY, 2, b"half"))
    ch.c.close()
    connect().end()


main()
