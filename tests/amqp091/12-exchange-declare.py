# SPDX-License-Identifier: Apache-2.0
# exchange.declare: the predeclared set, new ones, passive, nowait, equivalence, reserved names and unknown types.
from harness import *

TYPES = ["direct", "fanout", "topic", "headers"]


def inequivalent(name, arg, received, current):
    return f"PRECONDITION_FAILED - inequivalent arg '{arg}' for exchange '{name}' in vhost '/': received '{received}' but current is '{current}'"


@check
def predeclared_exchanges(ch):
    for name in "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace":
        ch.rpc("exchange.declare", exchange=name, type="", passive=True)
    for kind in TYPES:
        ch.rpc("exchange.declare", exchange="amq." + kind, type=kind, durable=True)
    ch.rpc("exchange.declare", exchange="amq.match", type="headers", durable=True)
    ch.rpc("exchange.declare", exchange="amq.rabbitmq.trace", type="topic", durable=True, internal=True)


@check
def declare_all_types_twice(ch):
    for kind in TYPES:
        name = ch.exchange(unique(), kind)
        ch.exchange(name, kind)
        ch.rpc("exchange.delete", exchange=name)


@check
def passive_ignores_all_but_the_name(ch):
    name = ch.exchange(unique(), "fanout", auto_delete=True)
    ch.rpc("exchange.declare", exchange=name, type="nonsense", passive=True, durable=True, internal=True)


@check
def passive_missing(ch):
    ch.refused(404, "NOT_FOUND - no exchange 'nope' in vhost '/'", "exchange.declare", exchange="nope", passive=True)


@check
def nowait(ch):
    name = unique()
    ch.send("exchange.declare", exchange=name, type="topic", nowait=True)
    ch.send("exchange.declare", exchange=name, passive=True, nowait=True)
    ch.rpc("exchange.declare", exchange=name, type="topic")
    ch.quiet()
    ch.refused(
        406,
        inequivalent(name, "type", "fanout", "topic"),
        "exchange.declare",
        exchange=name,
        type="fanout",
        nowait=True,
    )


@check
def other_properties_are_refused(ch):
    name = ch.exchange(unique(), "direct")
    ch.refused(406, inequivalent(name, "type", "fanout", "direct"), "exchange.declare", exchange=name, type="fanout")
    for flag in "durable", "auto_delete", "internal":
        ch.refused(
            406,
            inequivalent(name, flag, "true", "false"),
            "exchange.declare",
            exchange=name,
            type="direct",
            **{flag: True},
        )
    name = ch.exchange(unique(), "direct", durable=True, auto_delete=True, internal=True)
    for flag in "durable", "auto_delete", "internal":
        flags = {"durable": True, "auto_delete": True, "internal": True, flag: False}
        ch.refused(
            406, inequivalent(name, flag, "false", "true"), "exchange.declare", exchange=name, type="direct", **flags
        )
    ch.rpc("exchange.delete", exchange=name)


@check
def unknown_arguments_are_not_compared(ch):
    name = ch.exchange(unique(), arguments={"x-mine": 1, "other": "text"})
    ch.exchange(name)
    ch.exchange(name, arguments={"x-mine": 2})


@check
def unknown_type(ch):
    for kind in "nonsense", "directly", "x-" + unique():
        name = unique()
        if TOKKI:
            ch.refused(
                406,
                f"PRECONDITION_FAILED - unknown exchange type '{kind}'",
                "exchange.declare",
                exchange=name,
                type=kind,
            )
        else:
            connect().channel().kills(
                503, f"COMMAND_INVALID - unknown exchange type '{kind}'", "exchange.declare", exchange=name, type=kind
            )


@check
def empty_type(ch):
    text = re.compile(" - (unknown|invalid) exchange type ''$")
    if TOKKI:
        ch.refused(406, text, "exchange.declare", exchange=unique())
    else:
        ch.kills(503, text, "exchange.declare", exchange=unique())


@check
def unknown_type_on_an_existing_name(ch):
    name = ch.exchange(unique())
    if TOKKI:
        ch.refused(
            406, "PRECONDITION_FAILED - unknown exchange type 'nope'", "exchange.declare", exchange=name, type="nope"
        )
    else:
        ch.kills(503, "COMMAND_INVALID - unknown exchange type 'nope'", "exchange.declare", exchange=name, type="nope")


@check
def default_exchange(ch):
    text = "ACCESS_REFUSED - operation not permitted on the default exchange"
    ch.refused(403, text, "exchange.declare", exchange="", type="direct", durable=True)
    ch.refused(403, text, "exchange.declare", exchange="", passive=True)


@check
def reserved_names(ch):
    for name in "amq.x", "amq.", "amq.direct2":
        text = f"ACCESS_REFUSED - exchange name '{name}' contains reserved prefix 'amq.*'"
        ch.refused(403, text, "exchange.declare", exchange=name, type="direct")
    for name in "amq", "AMQ.x", "x.amq.":
        ch.exchange(unique(name))


@check
def existing_reserved_name_is_compared(ch):
    ch.refused(
        406,
        inequivalent("amq.direct", "durable", "false", "true"),
        "exchange.declare",
        exchange="amq.direct",
        type="direct",
    )


@check
def line_ends_are_stripped(ch):
    name = unique()
    ch.exchange(f"\r{name[:3]}\n{name[3:]}\r\n", "fanout")
    ch.rpc("exchange.declare", exchange=name, passive=True)
    ch.rpc("exchange.delete", exchange=name + "\n")
    ch.refused(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'", "exchange.declare", exchange=name, passive=True)


@check
def long_and_odd_names(ch):
    for name in unique() + "n" * 200, unique("spaces and / % *"), unique("grüße-日本"), unique("'quote"):
        ch.exchange(name, "fanout")
        ch.rpc("exchange.declare", exchange=name, passive=True)
        ch.rpc("exchange.delete", exchange=name)


@check
def other_connections_see_it_at_once(ch, other):
    for _ in range(50):
        name = ch.exchange(unique())
        other.rpc("exchange.declare", exchange=name, passive=True)
        other.rpc("exchange.delete", exchange=name)
        ch.refused(
            404, f"NOT_FOUND - no exchange '{name}' in vhost '/'", "exchange.declare", exchange=name, passive=True
        )


main()
