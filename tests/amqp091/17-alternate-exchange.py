#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Alternate exchanges: what nothing else takes goes there, mandatory or not."""
from harness import *


def exchange(ch, alternate=None, kind="direct"):
    name = unique("x")
    arguments = {"alternate-exchange": alternate} if alternate is not None else {}
    ch.rpc("exchange.declare", exchange=name, type=kind, auto_delete=False, arguments=arguments)
    return name


@check
def unroutable_messages_go_to_the_alternate(ch):
    spare, kept = ch.queue(), ch.queue()
    second = exchange(ch, kind="fanout")
    first = exchange(ch, second)
    ch.bind(spare, second, "")
    ch.bind(kept, first, "known")
    ch.publish(first, "known", "a")
    ch.publish(first, "other", "b")
    eq(until(lambda: ch.get(kept)).body, b"a")
    eq(until(lambda: ch.get(spare)).body, b"b")
    eq((ch.count(kept), ch.count(spare)), (0, 0))
    for name in first, second:
        ch.rpc("exchange.delete", exchange=name)


@check
def mandatory_is_satisfied_by_the_alternate(ch):
    spare = ch.queue()
    second = exchange(ch, kind="fanout")
    first = exchange(ch, second)
    ch.publish(first, "k", "returned", mandatory=True)
    eq(ch.wait("basic.return").reply_code, 312)
    ch.bind(spare, second, "")
    ch.publish(first, "k", "routed", mandatory=True)
    eq(until(lambda: ch.get(spare)).body, b"routed")
    for name in first, second:
        ch.rpc("exchange.delete", exchange=name)


@check
def a_missing_alternate_drops(ch):
    first = exchange(ch, unique("nowhere"))
    ch.rpc("confirm.select")
    ch.publish(first, "k", "x")
    ch.confirms(1, 1)
    ch.rpc("exchange.delete", exchange=first)


@check
def it_belongs_to_the_declaration(ch, ch2):
    first = exchange(ch, "amq.fanout")
    text = "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '%s' in vhost '/': " % first
    ch2.refused(406, text + "received none but current is the value 'amq.fanout' of type 'longstr'",
                "exchange.declare", exchange=first, type="direct")
    ch2.refused(406, text + "received 'amq.direct' but current is 'amq.fanout'",
                "exchange.declare", exchange=first, type="direct", arguments={"alternate-exchange": "amq.direct"})
    ch.rpc("exchange.delete", exchange=first)


main()
