# SPDX-License-Identifier: Apache-2.0
# mandatory: unroutable messages come back whole, before their confirm. immediate is not implemented.
from harness import *

PROPS = {
    "content_type": "text/plain",
    "headers": {"a": 1, "n": {"x": [1, "2"]}},
    "delivery_mode": 2,
    "priority": 3,
    "message_id": "m",
}


@check
def returned_whole(ch):
    ch.publish("amq.direct", "nowhere", "hello", PROPS, mandatory=True)
    got = ch.wait("basic.return")
    eq(
        (got.reply_code, got.reply_text, got.exchange, got.routing_key, got.body),
        (312, "NO_ROUTE", "amq.direct", "nowhere", b"hello"),
    )
    eq(got.props, PROPS)


@check
def routed_does_not_return(ch):
    queue = ch.queue()
    ch.publish("", queue, "x", mandatory=True)
    ch.quiet(queue)


@check
def without_mandatory_it_is_dropped(ch):
    ch.publish("amq.direct", "nowhere", "x")
    ch.quiet()


@check
def return_before_confirm(ch):
    ch.rpc("confirm.select")
    queue = ch.queue()
    for i in range(20):
        ch.publish("", "nowhere" if i % 2 else queue, str(i), mandatory=True)
    unconfirmed, returned = set(range(1, 21)), set()
    while unconfirmed:
        got = ch.wait("basic.return", "basic.ack")
        if got.name == "basic.return":
            returned.add(int(got.body) + 1)
            assert int(got.body) + 1 in unconfirmed, f"{got.body} was confirmed before it was returned"
        else:
            unconfirmed -= {t for t in unconfirmed if t == got.delivery_tag or got.multiple and t <= got.delivery_tag}
    eq(returned, set(range(2, 21, 2)))


@check
def large_and_empty_bodies_return(ch):
    for body in b"", b"z" * 300000:
        ch.publish("amq.fanout", "", body, mandatory=True)
        got = ch.wait("basic.return")
        assert got.body == body, len(got.body)


@check
def immediate(ch):
    for mandatory in False, True:
        c = connect().channel()
        c.publish("", "x", "x", immediate=True, mandatory=mandatory)
        c.c.closes(540, "NOT_IMPLEMENTED - immediate=true", "basic.publish")


@check
def bcc_is_taken_out_of_returns_too(ch):
    ch.publish("amq.direct", "nowhere", "x", {"headers": {"BCC": ["nope"]}}, mandatory=True)
    got = ch.wait("basic.return")
    eq((got.routing_key, got.props), ("nowhere", {"headers": {}}))


main()
