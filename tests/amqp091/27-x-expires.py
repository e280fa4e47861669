# SPDX-License-Identifier: Apache-2.0
# x-expires: a queue nobody uses goes after its time; consumers, gets and redeclares keep it.
from harness import *


def exists(ch, name):
    """Without using the queue: binding it is no use in the sense of x-expires."""
    ch.send("queue.bind", queue=name, exchange="amq.direct", routing_key="x-expires")
    got = ch.wait("queue.bind-ok", "channel.close")
    if got.name == "channel.close":
        ch.send("channel.close-ok")
        ch.open()
    return got.name == "queue.bind-ok"


@check
def unused_queue_goes(ch):
    name = ch.queue(unique(), exclusive=False, arguments={"x-expires": 300})
    started = time.monotonic()
    ch.publish(key=name, body="messages do not keep it")
    until(lambda: not exists(ch, name))
    assert 0.28 < time.monotonic() - started < 3


@check
def consumer_keeps_it(ch):
    name = ch.queue(unique(), exclusive=False, arguments={"x-expires": 300})
    ch.consume(name, "c")
    started = time.monotonic()
    until(lambda: time.monotonic() - started > 0.9)
    assert exists(ch, name)
    ch.rpc("basic.cancel", consumer_tag="c")
    until(lambda: not exists(ch, name))
    assert time.monotonic() - started > 1.1


@check
def gets_and_redeclares_keep_it(ch):
    for use in lambda n: ch.get(n), lambda n: ch.queue(n, exclusive=False, arguments={"x-expires": 400}):
        name = ch.queue(unique(), exclusive=False, arguments={"x-expires": 400})
        started = time.monotonic()
        while time.monotonic() - started < 1.2:
            use(name)
            threading.Event().wait(0.05)
        assert exists(ch, name)
        until(lambda: not exists(ch, name))


@check
def its_bindings_go_too(ch):
    name = ch.queue(unique(), exclusive=False, arguments={"x-expires": 200})
    exchange = ch.exchange(unique(), "fanout", auto_delete=True)
    ch.bind(name, exchange)
    until(lambda: not exists(ch, name))
    ch.refused(
        404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'", "exchange.declare", exchange=exchange, passive=True
    )


main()
