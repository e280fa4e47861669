# SPDX-License-Identifier: Apache-2.0
# queue.declare: counts, passive, nowait, server-named, reserved names, "last declared" and who sees the queue when.
from harness import *


def missing(name):
    return f"NOT_FOUND - no queue '{name}' in vhost '/'"


@check
def counts(ch):
    name = unique()
    ok = ch.rpc("queue.declare", queue=name, exclusive=True)
    eq((ok.queue, ok.message_count, ok.consumer_count), (name, 0, 0))
    for body in "abc":
        ch.publish(key=name, body=body)
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(name)
    ch.consume(name)
    ch.deliveries(2)
    ok = ch.rpc("queue.declare", queue=name, exclusive=True)
    eq((ok.queue, ok.message_count, ok.consumer_count), (name, 1, 2))


@check
def passive(ch, other):
    name = other.queue(unique(), exclusive=False, auto_delete=True)
    ok = ch.rpc(
        "queue.declare", queue=name, passive=True, durable=True, auto_delete=False, arguments={"x-expires": "nonsense"}
    )
    eq((ok.queue, ok.message_count, ok.consumer_count), (name, 0, 0))
    ch.refused(404, missing("nope"), "queue.declare", queue="nope", passive=True)
    ch.refused(404, missing("amq.nope"), "queue.declare", queue="amq.nope", passive=True)
    ch.rpc("queue.delete", queue=name)


@check
def nowait(ch):
    name = unique()
    ch.send("queue.declare", queue=name, exclusive=True, nowait=True)
    ch.send("queue.declare", queue=name, passive=True, nowait=True)
    eq(ch.count(name), 0)
    ch.quiet()
    ch.refused(404, missing("nope"), "queue.declare", queue="nope", passive=True, nowait=True)


@check
def server_named(ch):
    names = {ch.queue("") for _ in range(20)}
    eq(len(names), 20)
    for name in names:
        assert re.fullmatch(r"amq\.gen-[A-Za-z0-9_-]{22}", name), name
    name = ch.queue("", exclusive=False, auto_delete=True)
    assert name.startswith("amq.gen-")
    ch.rpc("queue.delete", queue=name)


@check
def server_named_with_nowait(ch):
    ch.send("queue.declare", queue="", exclusive=True, nowait=True)
    ch.rpc("queue.bind", queue="", exchange="amq.fanout")
    ch.publish("amq.fanout", "", "x")
    until(lambda: ch.get(""))


@check
def redeclare_of_a_server_name(ch):
    name = ch.queue()
    eq(ch.count(name), 0)
    ch.refused(
        403,
        f"ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'",
        "queue.declare",
        queue=name,
        exclusive=True,
    )


@check
def reserved_names(ch):
    for name in "amq.x", "amq.gen-mine", "amq.":
        ch.refused(
            403, f"ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'", "queue.declare", queue=name
        )


@check
def last_declared_queue(ch, ch2):
    text = "NOT_FOUND - no previously declared queue"
    ch.refused(404, missing(""), "queue.declare", queue="", passive=True)  # the one method that does not mean the last
    for method in "queue.purge", "queue.delete", "basic.consume", "basic.get":
        ch.refused(404, text, method)
    ch.refused(404, text, "queue.bind", exchange="amq.direct")
    ch.refused(404, text, "queue.unbind", exchange="amq.direct", routing_key="k")
    first, name = ch.queue(), ch.queue()
    ch.rpc("queue.bind", exchange="amq.direct")
    ch.publish("amq.direct", name, "x")
    eq(until(lambda: ch.get("")).body, b"x")
    ch.publish(key=name, body="y")
    until(lambda: ch.count(name) == 1)
    eq(ch.rpc("queue.purge").message_count, 1)
    ch2.refused(404, text, "basic.get", queue="")
    ch.rpc("queue.declare", queue=first, passive=True)  # counts as declared
    ch.rpc("queue.delete")
    ch2.refused(404, missing(first), "queue.declare", queue=first, passive=True)
    ch2.rpc("queue.declare", queue=name, passive=True)
    ch.refused(404, missing(first), "basic.get")


@check
def last_declared_is_forgotten_with_the_channel(ch):
    ch.queue()
    ch.close()
    ch.open()
    ch.refused(404, "NOT_FOUND - no previously declared queue", "basic.get")


@check
def line_ends_are_stripped(ch):
    name = unique()
    eq(ch.queue(f"\r\n{name[:2]}\n{name[2:]}\r"), name)
    eq(ch.count(name), 0)
    ch.rpc("queue.bind", queue=name + "\n", exchange="amq.fanout\r")
    ch.rpc("queue.unbind", queue=name + "\n", exchange="amq.fanout\r")
    ch.refused(404, missing("\n" + name), "queue.purge", queue="\n" + name)
    ch.rpc("queue.delete", queue=name + "\r\n")
    ch.refused(404, missing(name), "queue.declare", queue=name, passive=True)


@check
def long_and_odd_names(ch):
    for name in unique() + "n" * 200, unique("spaces and / % *"), unique("grüße-日本"), unique("'"), unique("AMQ."):
        eq(ch.queue(name), name)
        ch.publish(key=name, body="x")
        eq(until(lambda: ch.get(name)).routing_key, name)


@check
def other_connections_see_it_at_once(ch, other):
    for _ in range(50):
        name = ch.queue(unique(), exclusive=False, auto_delete=True)
        eq(other.count(name), 0)
        other.rpc("queue.delete", queue=name)
        ch.refused(404, missing(name), "queue.declare", queue=name, passive=True)


main()
