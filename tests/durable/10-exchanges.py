# SPDX-License-Identifier: Apache-2.0
# Durable exchanges come back as they were declared; others do not; the predeclared ones are always there. timeout: 240
from durable import *
from harness import *

KINDS = ("direct", "fanout", "topic", "headers")
FLAGS = ({}, {"auto_delete": True}, {"internal": True}, {"auto_delete": True, "internal": True})


def inequivalent(arg, name, received, current):
    return (
        f"PRECONDITION_FAILED - inequivalent arg '{arg}' for exchange '{name}' in vhost '/': "
        f"received {received} but current is {current}"
    )


@after("restart", "kill")
def types_and_flags(node):
    ch, made = node.channel(), {}
    for kind in KINDS:
        for flags in FLAGS:
            made[ch.exchange(unique(kind), kind, durable=True, **flags)] = (kind, flags)
    ch = node.again()
    for name, (kind, flags) in made.items():
        assert exchange_exists(ch, name), name
        ch.exchange(name, kind, durable=True, **flags)
        other = "topic" if kind == "fanout" else "fanout"
        ch.refused(
            406,
            inequivalent("type", name, f"'{other}'", f"'{kind}'"),
            "exchange.declare",
            exchange=name,
            type=other,
            durable=True,
            **flags,
        )
        ch.refused(
            406,
            inequivalent("durable", name, "'false'", "'true'"),
            "exchange.declare",
            exchange=name,
            type=kind,
            **flags,
        )
        for flag in "auto_delete", "internal":
            have = flags.get(flag, False)
            text = inequivalent(flag, name, f"'{str(not have).lower()}'", f"'{str(have).lower()}'")
            ch.refused(
                406, text, "exchange.declare", exchange=name, type=kind, durable=True, **{**flags, flag: not have}
            )


@after("restart", "kill")
def not_durable_ones_go(node):
    ch = node.channel()
    names = [ch.exchange(unique(kind), kind, **flags) for kind in KINDS for flags in FLAGS]
    ch.exchange(unique(), durable=True)  # durable, so that the catalog has something to say
    ch = node.again()
    eq([name for name in names if exchange_exists(ch, name)], [])
    ch.exchange(names[0], "topic", durable=True)  # the name is free


@after("restart", "kill")
def alternate_exchange(node):
    ch = node.channel()
    spare = ch.queue(unique(), exclusive=False, durable=True)
    second = ch.exchange(unique(), "fanout", durable=True)
    first = ch.exchange(unique(), durable=True, arguments={"alternate-exchange": second})
    ch.bind(spare, second)
    ch = node.again()
    eq(routed(ch, first, "nobody", [spare]), {spare})
    ch.refused(
        406,
        inequivalent("alternate-exchange", first, "none", f"the value '{second}' of type 'longstr'"),
        "exchange.declare",
        exchange=first,
        type="direct",
        durable=True,
    )
    ch.exchange(first, durable=True, arguments={"alternate-exchange": second})


@after("restart", "kill")
def internal_stays_internal(node):
    ch = node.channel()
    name = ch.exchange(unique(), "fanout", durable=True, internal=True)
    ch = node.again()
    ch.publish(name, "", "x")
    ch.closed(403, f"ACCESS_REFUSED - cannot publish to internal exchange '{name}' in vhost '/'", "basic.publish")


@after("restart", "kill")
def auto_delete_goes_with_its_last_binding(node):
    ch = node.channel()
    never, bound = [ch.exchange(unique(), durable=True, auto_delete=True) for _ in range(2)]
    queue = ch.queue(unique(), exclusive=False, durable=True)
    for key in "a", "b":
        ch.bind(queue, bound, key)
    ch = node.again()
    assert exchange_exists(ch, never) and exchange_exists(ch, bound)
    for key, left in ("a", True), ("b", False):
        ch.rpc("queue.unbind", queue=queue, exchange=bound, routing_key=key)
        eq(exchange_exists(ch, bound), left)
    ch = node.again()
    eq((exchange_exists(ch, never), exchange_exists(ch, bound)), (True, False))


@after("restart", "kill")
def many_kinds_of_arguments(node):
    """Arguments nobody knows are kept, of every type."""
    ch = node.channel()
    arguments = {
        "x-bool": True,
        "x-small": Tagged("b", -1),
        "x-long": Tagged("l", -(2**40)),
        "x-double": 0.5,
        "x-decimal": Tagged("D", (2, 314)),
        "x-text": "déjà vu",
        "x-none": None,
        "x-time": Tagged("T", 1700000000),
        "x-list": [1, "two", [3.0]],
        "x-table": {"a": {"b": {"c": 1}}},
    }
    name = ch.exchange(unique(), durable=True, arguments=arguments)
    ch = node.again()
    ch.exchange(name, durable=True, arguments=arguments)


@after("restart", "kill")
def predeclared(node):
    node.channel()
    ch = node.again()
    for name, kind in (
        ("amq.direct", "direct"),
        ("amq.fanout", "fanout"),
        ("amq.topic", "topic"),
        ("amq.headers", "headers"),
        ("amq.match", "headers"),
    ):
        ch.exchange(name, kind, durable=True, passive=False)
    queue = ch.queue(unique(), exclusive=False, durable=True)
    ch = node.again()
    eq(routed(ch, "", queue, [queue]), {queue})


@after("restart", "kill")
def odd_names(node):
    ch = node.channel()
    names = [unique("ü") * 3, unique("sp ace/../%2F\t"), unique("x") + "y" * 200, unique("名前")]
    for name in names:
        ch.exchange(name, durable=True)
        ch.queue(name, exclusive=False, durable=True)
    ch = node.again()
    eq([(exchange_exists(ch, n), exists(ch, n)) for n in names], [(True, True)] * 4)


main()
