# SPDX-License-Identifier: Apache-2.0
# Publishers and consumers on many connections cross shards, consumers vanish and requeue: every confirmed message arrives. timeout: 150
from crowd import Account, Crowd, Publisher, sharded_port
from harness import *

QUEUES, PUBLISHERS, CONSUMERS = 8, 6, 8


def publisher(crowd, account, port, exchange, queues):
    def work(rng, n):
        out, i = Publisher(connect(port=port).channel(), account), 0
        while crowd.going():
            i += 1
            body = f"{n}.{i}"
            payload = body + " " * rng.choice((0, 10, 500)) if rng.random() > 0.01 else body + " " * 200000
            if rng.random() < 0.2:
                out.publish(exchange, "all", payload, [(q, payload) for q in queues])
            else:
                queue = rng.choice(queues)
                out.publish("", queue, payload, [(queue, payload)])
            out.settle(down_to=rng.choice((0, 50, 200)))
        out.settle()

    return work


def consumer(crowd, account, port, queues):
    def work(rng):
        while crowd.going():
            c = connect(port=port)
            ch = c.channel()
            ch.rpc("basic.qos", prefetch_count=rng.choice((1, 10, 100)), global_=rng.random() < 0.2)
            tags = {ch.consume(q): q for q in rng.sample(queues, 3)}
            for _ in range(rng.randrange(1, 600)):
                try:
                    got = ch.delivery(patience=0.2)
                except TimeoutError:
                    break
                if rng.random() < 0.05:
                    ch.send("basic.nack", delivery_tag=got.delivery_tag, requeue=True)
                    continue
                account.receive(tags[got.consumer_tag], got)
                ch.ack(got.delivery_tag)
            if rng.random() < 0.5:  # what was not acked comes again; an ack on its way may or may not count
                c.close()
            else:
                c.end()

    return work


def drain(ch, account, queues):
    for queue in queues:
        while (got := ch.get(queue)) is not None:
            account.receive(queue, got)


@check
def nothing_confirmed_is_lost():
    with sharded_port() as port:
        ch = connect(port=port).channel()
        queues = [ch.queue(unique(), exclusive=False) for _ in range(QUEUES)]
        exchange = ch.exchange(unique(), "topic")
        for queue in queues:
            ch.bind(queue, exchange, "#")
        account, crowd = Account(), Crowd()
        for n in range(PUBLISHERS):
            crowd.add(publisher(crowd, account, port, exchange, queues), n)
        for _ in range(CONSUMERS):
            crowd.add(consumer(crowd, account, port, queues))
        crowd.run()
        until(lambda: all(ch.rpc("queue.declare", queue=q, passive=True).consumer_count == 0 for q in queues))
        drain(ch, account, queues)
        account.balance()
        for queue in queues:
            eq(ch.rpc("queue.delete", queue=queue).message_count, 0)
        ch.c.end()


main()
