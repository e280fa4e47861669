# SPDX-License-Identifier: Apache-2.0
# Direct exchanges compare keys exactly, fanouts do not look, the default exchange knows every queue by its name.
from harness import *
from routing import Routes


@check
def direct(ch):
    routes = Routes(ch, "direct")
    for key in "a", "A", "", "a.*", "#", "k" * 255:
        routes.bind(key, key)
    routes.bind("both", "a")
    routes.bind("both", "b")
    routes.check({"a", "both"}, "a")
    routes.check({"both"}, "b")
    for key in "A", "", "a.*", "#", "k" * 255:
        routes.check({key}, key)
    routes.check(set(), "a.b")
    routes.check(set(), "k" * 254)


@check
def fanout(ch):
    routes = Routes(ch, "fanout")
    routes.check(set(), "a")
    routes.bind("1", "a")
    routes.bind("1", "b")
    routes.bind("2")
    routes.check({"1", "2"}, "whatever")
    routes.check({"1", "2"}, "")


@check
def default_exchange(ch):
    name = ch.queue(unique("with.dots #*"))
    ch.publish("", name, "x", mandatory=True)
    got = until(lambda: ch.get(name))
    eq((got.exchange, got.routing_key, got.body), ("", name, b"x"))
    ch.publish("", name + "x", "y", mandatory=True)
    eq(ch.wait("basic.return").body, b"y")


@check
def amq_exchanges_route(ch):
    for exchange, key in ("amq.direct", "k"), ("amq.fanout", ""), ("amq.topic", "a.k"):
        queue = ch.queue()
        ch.bind(queue, exchange, key)
        ch.publish(exchange, key, "x")
        until(lambda: ch.get(queue))


@check
def keys_in_any_script(ch):
    queue = ch.queue()
    for key in "grüße", "日本語", "\0", "\u20ac" * 85:
        ch.bind(queue, "amq.direct", key)
        ch.publish("amq.direct", key, "x")
        eq(until(lambda: ch.get(queue)).routing_key, key)


@check
def published_keys_need_not_be_text(ch):
    queue = ch.queue()
    ch.bind(queue, "amq.fanout")
    ch.publish("amq.fanout", b"\xff\x00\xfe", "x")
    eq(until(lambda: ch.get(queue)).routing_key, b"\xff\x00\xfe")


@check
def publish_to_a_missing_exchange(ch):
    ch.publish("nope", "k", "x")
    ch.closed(404, "NOT_FOUND - no exchange 'nope' in vhost '/'", "basic.publish")


main()
