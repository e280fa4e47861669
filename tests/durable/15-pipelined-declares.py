# SPDX-License-Identifier: Apache-2.0
# Durable declarations in one pipeline share their syncs: answers keep their order, each is a promise, nothing happens behind an error. timeout: 120
from durable import *
from harness import *


def pipeline(ch, names, **args):
    """One write, so that the broker has all of it at once."""
    frames = [codec.method_frame(ch.number, "queue.declare", queue=name, **{"durable": True, **args}) for name in names]
    ch.c.write(b"".join(frames))


def told(ch, n):
    return [ch.wait("queue.declare-ok").queue for _ in range(n)]


def names_of(n):
    stem = unique()
    return [f"{stem}-{i}" for i in range(n)]


def delete_all(ch, names):
    for name in names:
        ch.rpc("queue.delete", queue=name)


@check
def answers_in_order(ch):
    """New ones, some twice, in one write; then what is not durable, what is passive, and what needs the last name."""
    names = names_of(300)
    pipeline(ch, [n for pair in zip(names, [names[0], *names]) for n in pair])
    other = unique()
    ch.send("queue.declare", queue=other, auto_delete=True)
    ch.send("queue.declare", queue=names[7], passive=True)
    pipeline(ch, names[20:21])
    ch.send("queue.bind", queue="", exchange="amq.direct", routing_key=other)
    eq(told(ch, 603), [*(n for pair in zip(names, [names[0], *names]) for n in pair), other, names[7], names[20]])
    ch.wait("queue.bind-ok")
    ch.publish("amq.direct", other, b"to the last")
    until(lambda: ch.count(names[20]) == 1, "the message")
    delete_all(ch, [*names, other])


@check
def nothing_happens_behind_an_error(ch, other):
    names = names_of(60)
    pipeline(ch, names[:40])
    pipeline(ch, [names[11]], auto_delete=True)
    pipeline(ch, names[40:])
    eq(told(ch, 40), names[:40])
    close = ch.wait("channel.close")
    eq((close.reply_code, "inequivalent arg 'auto_delete'" in close.reply_text), (406, True))
    ch.send("channel.close-ok")
    eq([n for n in names if exists(other, n)], names[:40])
    delete_all(other, names[:40])


@check
def two_connections_declare_the_same():
    a, b = connect().channel(), connect().channel()
    names = names_of(200)
    pipeline(a, names)
    pipeline(b, names[::-1])
    eq((told(a, 200), told(b, 200)), (names, names[::-1]))
    delete_all(a, names)


@check
def the_client_leaves_in_the_middle(ch):
    for _ in range(10):
        names = names_of(200)
        c = connect()
        pipeline(c.channel(), names)
        c.sock.close()
    eq(ch.queue(unique(), exclusive=True, durable=False)[:0], "")
    for name in names:
        ch.send("queue.delete", queue=name, nowait=True)


@after("kill")
def what_was_told_is_there(node):
    if not TOKKI:
        skip("RabbitMQ's catalog reaches the disk a while after the client was told")
    for round in range(10):
        ch = node.channel()
        names = names_of(400)
        pipeline(ch, names)
        sure = told(ch, 40 * round + 1)
        ch = node.again()
        eq([n for n in sure if not exists(ch, n)], [], f"round {round}")


main()
