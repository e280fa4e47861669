# SPDX-License-Identifier: Apache-2.0
# Frames that are wrong as such: too large, bad end octet, unknown type, content where a method is due and the reverse.
import struct

from harness import *


def declared_then(raw):
    """A connection with an open channel that then sends raw."""
    c = connect()
    c.channel()
    c.write(raw)
    return c


@check
def frame_too_large():
    raw = struct.pack(">BHI", 1, 1, 131073) + b"x" * 16
    declared_then(raw).closes(501, "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,131073,131064}")


@check
def eight_octets_more_are_tolerated(ch):
    name = ch.queue()
    ch.send("basic.publish", routing_key=name)
    body = b"x" * 131072
    ch.c.write(codec.header_frame(1, len(body)) + codec.frame(codec.BODY, 1, body))
    eq(until(lambda: ch.get(name)).body, body)


@check
def wrong_end_octet():
    text = "FRAME_ERROR - type 1, all octets = <<0,20,0,40>>: {invalid_frame_end_marker,0}"
    declared_then(codec.frame(codec.METHOD, 1, struct.pack(">HH", 20, 40))[:-1] + b"\0").closes(501, text)


@check
def long_frames_show_their_first_16_octets():
    text = "FRAME_ERROR - type 4, first 16 octets = <<{}>>: unknown_frame"
    declared_then(codec.frame(4, 1, b"abcdefghijklmnopqrst")).closes(501, text.format('"abcdefghijklmnop"'))
    octets = r",\s*".join(str(i) for i in range(128, 144))  # Erlang folds long lines
    declared_then(codec.frame(4, 1, bytes(range(128, 150)))).closes(501, re.compile("^" + text.format(octets) + "$"))


@check
def unknown_frame_type():
    for kind in 0, 4, 5, 7, 9, 255:
        text = f'FRAME_ERROR - type {kind}, all octets = <<"abc">>: unknown_frame'
        declared_then(codec.frame(kind, 1, b"abc")).closes(501, text)
    declared_then(codec.frame(4, 0, b"abc")).closes(501, 'FRAME_ERROR - type 4, all octets = <<"abc">>: unknown_frame')


@check
def empty_method_frame():
    declared_then(codec.frame(codec.METHOD, 1, b"")).closes(
        501, "FRAME_ERROR - type 1, all octets = <<>>: unknown_frame"
    )


@check
def method_with_arguments_missing():
    raw = codec.frame(codec.METHOD, 1, struct.pack(">HHH", 50, 10, 0))
    declared_then(raw).closes(501, "FRAME_ERROR - cannot decode <<0,0>>", "queue.declare")


@check
def method_with_octets_too_many():
    raw = codec.frame(codec.METHOD, 1, struct.pack(">HH", 90, 10) + b"more")
    declared_then(raw).closes(501, "FRAME_ERROR - cannot decode <<109,111,114,101>>", "tx.select")


@check
def content_without_publish():
    for raw in codec.header_frame(1, 0), codec.frame(codec.BODY, 1, b"abc"):
        declared_then(raw).closes(505, "UNEXPECTED_FRAME - expected method frame, got non method frame instead")


PUBLISH = codec.method_frame(1, "basic.publish")


@check
def anything_instead_of_the_header():
    text = "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead"
    for raw in codec.method_frame(1, "tx.select"), codec.frame(codec.BODY, 1, b"abc"):
        declared_then(PUBLISH + raw).closes(505, text, "basic.publish")


@check
def anything_instead_of_the_body():
    text = "UNEXPECTED_FRAME - expected content body, got non content body frame instead"
    for raw in codec.method_frame(1, "tx.select"), codec.header_frame(1, 5):
        declared_then(PUBLISH + codec.header_frame(1, 5) + raw).closes(505, text, "basic.publish")


@check
def header_of_another_class():
    text = "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead"
    declared_then(PUBLISH + codec.header_frame(1, 5, class_id=50)).closes(505, text, "basic.publish")


@only("tokkimq")  # 3.10 waits for a length that can never be reached
def body_longer_than_announced():
    declared_then(PUBLISH + codec.header_frame(1, 3) + codec.frame(codec.BODY, 1, b"abcd")).closes(
        505, re.compile("^UNEXPECTED_FRAME"), ...
    )


@only("tokkimq")  # 3.10 waits for the octets; later versions refuse the header
def announced_body_beyond_the_protocol_limit():
    text = "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912"
    declared_then(PUBLISH + codec.header_frame(1, 536870913)).closes(501, text, ...)


@check
def content_frames_on_channel_0():
    header = codec.header_frame(0, 1)
    declared_then(header).closes(505, "UNEXPECTED_FRAME - type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,1,0,0>>")
    declared_then(codec.frame(codec.BODY, 0, b"abc")).closes(505, 'UNEXPECTED_FRAME - type 3, all octets = <<"abc">>')
    declared_then(codec.frame(codec.HEADER, 1, b"abc")).closes(
        501, 'FRAME_ERROR - type 2, all octets = <<"abc">>: unknown_frame'
    )


@check
def interleaved_channels(ch, ch2):
    q1, q2 = ch.queue(), ch2.queue()
    frames = [
        [
            codec.method_frame(n, "basic.publish", routing_key=q),
            codec.header_frame(n, 4),
            codec.frame(codec.BODY, n, b"ab"),
            codec.frame(codec.BODY, n, b"cd"),
        ]
        for n, q in ((1, q1), (2, q2))
    ]
    ch.c.write(b"".join(a + b for a, b in zip(*frames)))
    eq([until(lambda: ch.get(q)).body for q in (q1, q2)], [b"abcd", b"abcd"])


@check
def bad_tables_in_a_method():
    for table in b"\x01aQ", b"\x05a", b"\x01aS\0\0\0\x09x", b"\x01aF\xff\xff\xff\xff":
        args = codec.encode_args("queue.declare", {"queue": "x", "arguments": table})
        c = declared_then(codec.frame(codec.METHOD, 1, struct.pack(">HH", 50, 10) + args))
        if TOKKI:
            c.closes(501, re.compile("^FRAME_ERROR"), ...)
        else:
            c.cut()


@check
def shortstr_that_is_not_utf_8():
    bad = b"\xff\xfe"
    for name, field in (
        ("queue.declare", "queue"),
        ("exchange.declare", "type"),
        ("queue.bind", "routing_key"),
        ("basic.get", "queue"),
        ("basic.consume", "consumer_tag"),
        ("basic.cancel", "consumer_tag"),
        ("channel.close", "reply_text"),
    ):
        declared_then(codec.method_frame(1, name, **{field: bad})).closes(
            501, "FRAME_ERROR - Malformed UTF-8 in shortstr"
        )


main()
