# SPDX-License-Identifier: Apache-2.0
# Connections declare, bind, publish to, consume from and delete the same few names: only the expected refusals. timeout: 150
from crowd import Crowd, allowed, sharded_port
from harness import *

QUEUES = [f"race-q{i}" for i in range(4)]
EXCHANGES = [f"race-x{i}" for i in range(3)]
TYPES = {"race-x0": "direct", "race-x1": "fanout", "race-x2": "topic"}


def step(rng, ch):
    queue, exchange = rng.choice(QUEUES), rng.choice(EXCHANGES)
    key = rng.choice(("a", "a.b", "#"))
    action = rng.randrange(14)
    if action == 0:
        ch.rpc("queue.declare", queue=queue, auto_delete=rng.random() < 0.1)
    elif action == 1:
        ch.rpc("exchange.declare", exchange=exchange, type=TYPES[exchange], auto_delete=rng.random() < 0.5)
    elif action == 2:
        ch.rpc("queue.delete", queue=queue, if_unused=rng.random() < 0.3, if_empty=rng.random() < 0.3)
    elif action == 3:
        ch.rpc("exchange.delete", exchange=exchange, if_unused=rng.random() < 0.5)
    elif action in (4, 5):
        ch.bind(queue, exchange, key)
    elif action == 6:
        ch.rpc("queue.unbind", queue=queue, exchange=exchange, routing_key=key)
    elif action == 7:
        ch.rpc("exchange.bind", source=exchange, destination=rng.choice(EXCHANGES), routing_key=key)
    elif action == 8:
        ch.rpc("exchange.unbind", source=exchange, destination=rng.choice(EXCHANGES), routing_key=key)
    elif action == 9:
        ch.consume(queue, no_ack=rng.random() < 0.5)
    elif action == 10:
        got = ch.get(queue, no_ack=False)
        if got:
            ch.send(rng.choice(("basic.ack", "basic.nack", "basic.reject")), delivery_tag=got.delivery_tag)
    elif action == 11:
        ch.rpc("queue.purge", queue=queue)
    elif action == 12:
        for _ in range(20):
            ch.publish(exchange, key, "x" * rng.choice((0, 10, 3000)), mandatory=rng.random() < 0.5)
    else:
        for _ in range(20):
            ch.publish("", queue, "x")


def racer(crowd, port):
    def work(rng):
        while crowd.going():
            c = connect(port=port)
            ch = c.channel()
            for _ in range(rng.randrange(1, 80)):
                if not crowd.going():
                    break
                try:
                    step(rng, ch)
                    c.methods.clear()
                except Closed as error:
                    if not allowed(error, 404, 406):
                        raise
                    c.methods.clear()
                    ch.send("channel.close-ok")
                    ch.open()
            if rng.random() < 0.3:
                c.close()
            else:
                c.end()

    return work


def owner(crowd, port):
    """Exclusive queues of the shared names' neighbours: come and go with their connection, bound to the shared exchanges."""

    def work(rng):
        while crowd.going():
            c = connect(port=port)
            ch = c.channel()
            for _ in range(5):
                try:
                    queue = ch.queue()
                    ch.consume(queue)
                    ch.bind(queue, rng.choice(EXCHANGES), "#")
                except Closed as error:
                    if not allowed(error, 404):
                        raise
                    c.methods.clear()
                    ch.send("channel.close-ok")
                    ch.open()
            if rng.random() < 0.5:
                c.close()
            else:
                c.end()

    return work


@check
def races():
    with sharded_port() as port:
        crowd = Crowd()
        for _ in range(8):
            crowd.add(racer(crowd, port))
        for _ in range(3):
            crowd.add(owner(crowd, port))
        crowd.run()
        ch = connect(port=port).channel()
        for queue in QUEUES:
            ch.rpc("queue.delete", queue=queue)
        for exchange in EXCHANGES:
            ch.rpc("exchange.delete", exchange=exchange)
        for exchange in EXCHANGES:  # all is as if they had never been
            ch.exchange(exchange, "fanout", auto_delete=True)
            ch.publish(exchange, "a", "x", mandatory=True)
            eq(ch.wait("basic.return").reply_code, 312)
            ch.rpc("exchange.delete", exchange=exchange, if_unused=True)
        ch.c.end()


main()
