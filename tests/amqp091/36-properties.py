# SPDX-License-Identifier: Apache-2.0
# All properties and all field-table types come out as they went in; unreadable ones are refused.
import struct

from harness import *

ALL = {
    "content_type": "text/plain",
    "content_encoding": "gzip",
    "headers": {"k": "v"},
    "delivery_mode": 2,
    "priority": 255,
    "correlation_id": "c" * 255,
    "reply_to": "back",
    "expiration": "60000",
    "message_id": "",
    "timestamp": 2**63 + 5,
    "type": "t",
    "user_id": "guest",
    "app_id": "ünï",
    "cluster_id": "cluster",
}
TABLE = {
    "t": True,
    "b": Tagged("b", -128),
    "B": Tagged("B", 255),
    "s": Tagged("s", -32768),
    "u": Tagged("u", 65535),
    "I": Tagged("I", -(2**31)),
    "i": Tagged("i", 2**32 - 1),
    "l": Tagged("l", -(2**63)),
    "f": Tagged("f", 0.5),
    "d": Tagged("d", -1e300),
    "D": Tagged("D", (3, 12345)),
    "S": Tagged("S", "text"),
    "S0": Tagged("S", ""),
    "SB": Tagged("S", b"\xff\x00"),
    "A": [],
    "A2": [1, "x", [None, {"y": 2.5}]],
    "T": Tagged("T", 2**40),
    "F": {},
    "F2": {"deep": {"er": {"est": Tagged("x", b"\x00\x01")}}},
    "V": None,
    "x": Tagged("x", b"\x00\xff"),
    "": "empty name",
    "n" * 255: 1,
}


def through(ch, props, body=b"x"):
    queue = ch.queue()
    ch.publish("", queue, body, props)
    return until(lambda: ch.get(queue))


def retyped(value):
    """The value as the decoder tells it with types on."""
    if not isinstance(value, Tagged):
        value = Tagged(codec.tag_of(value), value)
    if value.tag == "F":
        return Tagged("F", {k: retyped(v) for k, v in value.value.items()})
    if value.tag == "A":
        return Tagged("A", [retyped(v) for v in value.value])
    return value


@check
def all_fourteen(ch):
    eq(through(ch, ALL).props, ALL)


@check
def each_alone(ch):
    for name, value in ALL.items():
        eq(through(ch, {name: value}).props, {name: value})


@check
def none_at_all(ch):
    eq(through(ch, {}).props, {})


@check
def all_table_types(ch):
    got = through(ch, {"headers": TABLE})
    headers = codec.decode_properties(got.raw_props, typed=True)["headers"]
    for name, value in TABLE.items():
        eq(headers.pop(name), retyped(value), name)
    eq(headers, {})


@check
def order_of_headers_is_kept(ch):
    names = [f"k{i}" for i in (5, 3, 9, 1, 7)]
    eq(list(through(ch, {"headers": {n: 1 for n in names}}).props["headers"]), names)


@check
def tag_L_is_an_int64(ch):
    got = through(ch, {"headers": {"v": Tagged("L", -5)}})
    value = codec.decode_properties(got.raw_props, typed=True)["headers"]["v"]
    assert value.tag in "lL" and value.value == -5, value


@check
def properties_survive_requeue_and_consume(ch):
    queue = ch.queue()
    ch.publish("", queue, b"body", ALL)
    until(lambda: ch.get(queue, no_ack=False))
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.consume(queue)
    got = ch.delivery()
    eq((got.props, got.body), (ALL, b"body"))


@check
def user_id_must_be_true(ch):
    ch.publish("", "x", "x", {"user_id": "somebody"})
    ch.closed(
        406,
        "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'",
        "basic.publish",
    )


def broken(ch, raw):
    """A publish whose property octets are `raw`: the broker must not pass it on, and must not fall over."""
    ch.send("basic.publish", routing_key="x")
    ch.c.write(codec.header_frame(1, 0, raw))


@check
def unreadable_properties(ch):
    for raw in (b"", b"\x80\x00", b"\x80\x00\x05ab", b"\x20\x00\xff\xff\xff\xff", b"\x00\x00extra", b"\xff\xff"):
        c = connect()
        broken(c.channel(), raw)
        try:
            close = c.wait(0, "connection.close", patience=5)
            assert close.reply_code in (501, 502, 505, 541), close
        except Closed as end:
            assert end.how is None and not TOKKI, f"{raw!r}: {end}"
        c.close()


main()
