# SPDX-License-Identifier: Apache-2.0
# queue.declare of an existing name: what must be equal, with the texts, and what is not compared.
from harness import *


def inequivalent(name, arg, received, current):
    return f"PRECONDITION_FAILED - inequivalent arg '{arg}' for queue '{name}' in vhost '/': received {received} but current is {current}"


def locked(name):
    return (
        f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'. It could be originally declared on "
        "another connection or the exclusive property value does not match that of the original declaration."
    )


@check
def equal_redeclares(ch):
    for flags in {}, {"durable": True}, {"auto_delete": True}, {"durable": True, "auto_delete": True}:
        name = ch.queue(unique(), exclusive=False, **flags)
        ch.queue(name, exclusive=False, **flags)
        ch.rpc("queue.delete", queue=name)
    name = ch.queue(unique())
    ch.queue(name)
    ch.queue(name, durable=True)  # durable means nothing for an exclusive queue


@check
def flags_differ(ch):
    name = ch.queue(unique(), exclusive=False)
    for flag in "durable", "auto_delete":
        ch.refused(406, inequivalent(name, flag, "'true'", "'false'"), "queue.declare", queue=name, **{flag: True})
    ch.rpc("queue.delete", queue=name)
    name = ch.queue(unique(), exclusive=False, durable=True, auto_delete=True)
    ch.refused(406, inequivalent(name, "durable", "'false'", "'true'"), "queue.declare", queue=name)
    ch.refused(406, inequivalent(name, "auto_delete", "'false'", "'true'"), "queue.declare", queue=name, durable=True)
    ch.rpc("queue.delete", queue=name)


@check
def exclusive_flag_differs(ch):
    name = ch.queue(unique(), exclusive=False)
    ch.refused(405, locked(name)[:255], "queue.declare", queue=name, exclusive=True)
    ch.rpc("queue.delete", queue=name)
    name = ch.queue(unique())
    ch.refused(405, locked(name), "queue.declare", queue=name, exclusive=False)


@check
def arguments_differ(ch):
    name = ch.queue(unique(), arguments={"x-message-ttl": 1000})
    ch.queue(name, arguments={"x-message-ttl": Tagged("l", 1000)})
    ch.queue(name, arguments={"x-message-ttl": Tagged("s", 1000), "x-unknown": 1})
    ch.refused(
        406,
        inequivalent(name, "x-message-ttl", "'1001'", "'1000'"),
        "queue.declare",
        queue=name,
        exclusive=True,
        arguments={"x-message-ttl": 1001},
    )
    ch.refused(
        406,
        inequivalent(name, "x-message-ttl", "none", "the value '1000' of type 'signedint'"),
        "queue.declare",
        queue=name,
        exclusive=True,
    )
    name = ch.queue(unique())
    ch.refused(
        406,
        inequivalent(name, "x-message-ttl", "the value '10' of type 'long'", "none"),
        "queue.declare",
        queue=name,
        exclusive=True,
        arguments={"x-message-ttl": Tagged("l", 10)},
    )
    ch.refused(
        406,
        inequivalent(name, "x-expires", "the value '10000' of type 'signedint'", "none"),
        "queue.declare",
        queue=name,
        exclusive=True,
        arguments={"x-expires": 10000},
    )


@check
def unknown_arguments_are_not_compared(ch):
    name = ch.queue(unique(), arguments={"x-mine": 1, "plain": "text"})
    ch.queue(name, arguments={"x-mine": "2"})
    ch.queue(name)


@check
def classic_is_the_default_type(ch):
    name = ch.queue(unique(), arguments={"x-queue-type": "classic"})
    ch.queue(name)
    name = ch.queue(unique())
    ch.queue(name, arguments={"x-queue-type": "classic"})


main()
