# SPDX-License-Identifier: Apache-2.0
# Exclusive queues: only their connection may use them, 405 for all others, and they go with it.
from harness import *


def locked(name):
    return (
        f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'. It could be originally declared on "
        "another connection or the exclusive property value does not match that of the original declaration."
    )


@check
def others_are_locked_out_of_everything(ch, other):
    name = ch.queue(unique())
    for method in "queue.purge", "queue.delete", "basic.consume", "basic.get":
        other.refused(405, locked(name), method, queue=name)
    other.refused(405, locked(name), "queue.declare", queue=name, exclusive=True)
    other.refused(405, locked(name), "queue.declare", queue=name, passive=True)
    other.refused(405, locked(name), "queue.bind", queue=name, exchange="amq.direct")
    ch.bind(name, "amq.direct", "k")
    other.refused(405, locked(name), "queue.unbind", queue=name, exchange="amq.direct", routing_key="k")
    other.rpc("queue.unbind", queue=name, exchange="amq.direct", routing_key="never bound")


@check
def everybody_may_publish_to_it(ch, other):
    name = ch.queue(unique())
    other.publish(key=name, body="x")
    eq(until(lambda: ch.get(name)).body, b"x")


@check
def all_channels_of_the_connection_may_use_it(ch, ch2):
    name = ch.queue(unique())
    ch2.consume(name)
    ch.publish(key=name, body="x")
    eq(ch2.delivery().body, b"x")
    ch.close()
    ch2.rpc("queue.declare", queue=name, exclusive=True)


@check
def gone_when_the_socket_dies(ch, other):
    name = ch.queue(unique())
    ch.c.close()

    def free():
        other.send("queue.declare", queue=name, passive=True)
        close = other.wait("channel.close")
        other.send("channel.close-ok")
        other.open()
        return close.reply_code == 404

    until(free, "the exclusive queue of a dead connection is deleted")


@check
def its_name_is_free_after_close(ch, other):
    for _ in range(20):
        c = connect()
        name = c.channel().queue("taken-again-" + str(os.getpid()))
        c.end()
        other.queue(name)
        other.rpc("queue.delete", queue=name)


@check
def its_bindings_go_too(ch, other):
    exchange = other.exchange(unique(), "fanout")
    ch.bind(ch.queue(), exchange)
    ch.c.end()
    other.publish(exchange, mandatory=True)
    other.wait("basic.return")
    other.rpc("exchange.delete", exchange=exchange, if_unused=True)


main()
