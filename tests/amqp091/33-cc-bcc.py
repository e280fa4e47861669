# SPDX-License-Identifier: Apache-2.0
# CC and BCC headers add routing keys; BCC is taken out before delivery; each queue still gets one copy.
from harness import *


@check
def cc_and_bcc(ch):
    a, b, c = ch.queue(unique("a")), ch.queue(unique("b")), ch.queue(unique("c"))
    ch.publish("", a, "x", {"headers": {"CC": [b, a], "BCC": [c, a, b], "other": 1}})
    for queue in a, b, c:
        got = until(lambda: ch.get(queue))
        eq((got.body, got.routing_key, got.props["headers"]), (b"x", a, {"CC": [b, a], "other": 1}))
        eq(ch.count(queue), 0)


@check
def only_bcc_leaves_an_empty_table(ch):
    a = ch.queue()
    ch.publish("", "nowhere", "x", {"headers": {"BCC": [a]}, "content_type": "t"})
    got = until(lambda: ch.get(a))
    eq((got.routing_key, got.props), ("nowhere", {"headers": {}, "content_type": "t"}))


@check
def cc_makes_it_routable(ch):
    a = ch.queue()
    ch.publish("", "nowhere", "x", {"headers": {"CC": [a]}}, mandatory=True)
    until(lambda: ch.get(a))
    ch.quiet()


@check
def with_a_topic_exchange(ch):
    a, b = ch.queue(), ch.queue()
    ch.bind(a, "amq.topic", "cc.*")
    ch.bind(b, "amq.topic", "bcc.#")
    ch.publish("amq.topic", "main", "x", {"headers": {"CC": ["cc.1"], "BCC": ["bcc.1.2"]}})
    eq([until(lambda: ch.get(q)).body for q in (a, b)], [b"x", b"x"])


@check
def not_an_array(ch):
    for header in "CC", "BCC":
        text = 'PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"%s",longstr}' % header
        ch.publish("", "x", "x", {"headers": {header: "a"}})
        ch.closed(406, text, "basic.publish")


@check
def items_that_are_not_strings_are_skipped(ch):
    a = ch.queue()
    ch.publish("", "nowhere", "x", {"headers": {"CC": [1, a, None]}})
    until(lambda: ch.get(a))


main()
