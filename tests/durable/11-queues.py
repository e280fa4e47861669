# SPDX-License-Identifier: Apache-2.0
# Durable queues come back as they were declared; others do not. timeout: 240
from durable import *
from harness import *


def durable(ch, name=None, **args):
    return ch.queue(name or unique(), exclusive=False, durable=True, **args)


def inequivalent(arg, name, received, current):
    return (
        f"PRECONDITION_FAILED - inequivalent arg '{arg}' for queue '{name}' in vhost '/': "
        f"received {received} but current is {current}"
    )


@after("restart", "kill")
def as_declared(node):
    ch = node.channel()
    plain, gone = durable(ch), durable(ch, auto_delete=True)
    ch = node.again()
    for name, flag in (plain, False), (gone, True):
        assert exists(ch, name)
        durable(ch, name, auto_delete=flag)
        ch.refused(
            406, inequivalent("durable", name, "'false'", "'true'"), "queue.declare", queue=name, auto_delete=flag
        )
        ch.refused(
            406,
            inequivalent("auto_delete", name, f"'{str(not flag).lower()}'", f"'{str(flag).lower()}'"),
            "queue.declare",
            queue=name,
            durable=True,
            auto_delete=not flag,
        )


@after("restart", "kill")
def arguments(node):
    ch = node.channel()
    args = {"x-message-ttl": 3600000, "x-expires": 7200000, "x-note": "kept"}
    name = durable(ch, arguments=args)
    ch = node.again()
    durable(ch, name, arguments=args)
    for arg in "x-message-ttl", "x-expires":
        ch.refused(
            406,
            inequivalent(arg, name, "'1001'", f"'{args[arg]}'"),
            "queue.declare",
            queue=name,
            durable=True,
            arguments={**args, arg: 1001},
        )
    del args["x-expires"]
    ch.refused(
        406,
        inequivalent("x-expires", name, "none", "the value '7200000' of type 'signedint'"),
        "queue.declare",
        queue=name,
        durable=True,
        arguments=args,
    )


@after("restart", "kill")
def ttl_argument_works(node):
    ch = node.channel()
    name = durable(ch, arguments={"x-message-ttl": 100})
    ch = node.again()
    ch.publish("", name, "x", PERSISTENT)
    until(lambda: ch.count(name) == 0)


@after("restart", "kill")
def expires_argument_works(node):
    """The lease begins anew with the broker; so the queue is there for a while, and then it goes for good."""
    ch = node.channel()
    args = {"x-expires": 2000}
    name, used = durable(ch, arguments=args), durable(ch, arguments=args)
    ch = node.again()
    ch.consume(used)

    def has_binding(queue):  # not a use of the queue
        ch2.send("queue.bind", queue=queue, exchange="amq.direct", routing_key="lease")
        if ch2.wait("queue.bind-ok", "channel.close").name == "channel.close":
            ch2.send("channel.close-ok")
            ch2.open()
            return False
        return True

    ch2 = node.channel()
    assert has_binding(name) and has_binding(used)
    until(lambda: not has_binding(name))
    assert has_binding(used)
    fence = durable(ch)  # durable after the expiry
    ch = node.again()
    eq((exists(ch, name), exists(ch, used), exists(ch, fence)), (False, True, True))


@after("restart", "kill")
def not_durable_ones_go(node):
    ch = node.channel()
    names = [
        ch.queue(unique(), exclusive=False),
        ch.queue(unique(), exclusive=False, auto_delete=True),
        ch.queue(unique(), exclusive=True),
        ch.queue(unique(), exclusive=True, durable=True),
        ch.queue("", exclusive=False),
    ]
    kept = durable(ch)
    ch = node.again()
    eq([exists(ch, name) for name in names], [False] * len(names))
    durable(ch, names[0])  # the names are free
    durable(ch, names[3])
    ch = node.again()
    eq([exists(ch, name) for name in [names[0], names[3], kept]], [True] * 3)


@after("restart", "kill")
def server_named(node):
    ch = node.channel()
    names = [durable(ch, "") for _ in range(3)]
    ch = node.again()
    eq([exists(ch, name) for name in names], [True] * 3)
    assert durable(ch, "") not in names


@after("restart", "kill")
def auto_delete_goes_with_its_consumer(node):
    ch = node.channel()
    never, consumed = [durable(ch, auto_delete=True) for _ in range(2)]
    ch = node.again()
    tag = ch.consume(consumed)
    ch.rpc("basic.cancel", consumer_tag=tag)
    until(lambda: not exists(ch, consumed))
    fence = durable(ch)
    ch = node.again()
    eq((exists(ch, never), exists(ch, consumed), exists(ch, fence)), (True, False, True))


@after("restart", "kill")
def a_thousand(node):
    ch, names = node.channel(), [unique() for _ in range(1000)]
    for name in names:
        ch.send("queue.declare", queue=name, durable=True)
    for name in names:
        eq(ch.wait("queue.declare-ok").queue, name)
    ch = node.again()
    for name in names:
        ch.send("queue.declare", queue=name, passive=True)
    for name in names:
        got = ch.wait("queue.declare-ok")
        eq((got.queue, got.message_count, got.consumer_count), (name, 0, 0))
    for name in names:
        ch.send("queue.delete", queue=name)
    for name in names:
        ch.wait("queue.delete-ok")
    ch = node.again()
    eq([n for n in names[::50] if exists(ch, n)], [])


@after("restart", "kill")
def redeclared_again_and_again(node):
    """One node, four lives."""
    ch, names = node.channel(), []
    for _ in range(4):
        names.append(durable(ch))
        for name in names:
            durable(ch, name)
        ch = node.again()
        eq([exists(ch, name) for name in names], [True] * len(names))


main()
