# SPDX-License-Identifier: Apache-2.0
# exchange.delete: idempotent, if-unused, what may not be deleted, and that bindings go with it.
from harness import *


def gone(ch, name):
    ch.refused(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'", "exchange.declare", exchange=name, passive=True)


@check
def delete_and_delete_again(ch):
    name = ch.exchange(unique())
    ch.rpc("exchange.delete", exchange=name)
    gone(ch, name)
    ch.rpc("exchange.delete", exchange=name)
    ch.rpc("exchange.delete", exchange="never-there", if_unused=True)


@check
def nowait(ch):
    name = ch.exchange(unique())
    ch.send("exchange.delete", exchange=name, nowait=True)
    gone(ch, name)
    ch.quiet()


@check
def if_unused(ch):
    name, queue = ch.exchange(unique()), ch.queue()
    ch.bind(queue, name, "k")
    text = f"PRECONDITION_FAILED - exchange '{name}' in vhost '/' in use"
    ch.refused(406, text, "exchange.delete", exchange=name, if_unused=True)
    ch.rpc("queue.unbind", queue=queue, exchange=name, routing_key="k")
    ch.rpc("exchange.delete", exchange=name, if_unused=True)
    gone(ch, name)


@check
def being_a_destination_is_no_use(ch):
    source, name = ch.exchange(unique()), ch.exchange(unique())
    ch.rpc("exchange.bind", destination=name, source=source, routing_key="k")
    ch.rpc("exchange.delete", exchange=name, if_unused=True)
    gone(ch, name)
    ch.rpc("exchange.delete", exchange=source, if_unused=True)


@check
def bindings_go_with_it(ch):
    name, queue = ch.exchange(unique(), "fanout"), ch.queue()
    ch.bind(queue, name)
    ch.rpc("exchange.delete", exchange=name)
    ch.exchange(name, "fanout")
    ch.publish(name, mandatory=True)
    eq(ch.wait("basic.return").reply_code, 312)


@check
def what_may_not_be_deleted(ch):
    ch.refused(403, "ACCESS_REFUSED - operation not permitted on the default exchange", "exchange.delete", exchange="")
    for name in "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace", "amq.nope":
        text = f"ACCESS_REFUSED - deletion of system exchange '{name}' in vhost '/' not allowed"
        ch.refused(403, text, "exchange.delete", exchange=name)


main()
