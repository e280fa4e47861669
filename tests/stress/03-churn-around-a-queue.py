# SPDX-License-Identifier: Apache-2.0
# Connections come and go around a durable stream of messages; transactions and questions (direct reply-to) cross it. timeout: 150
import time

from crowd import Account, Crowd, Publisher, sharded_port
from harness import *

PSEUDO = "amq.rabbitmq.reply-to"


def steady_publisher(crowd, account, port, queue):
    def work(rng, n):
        out, i = Publisher(connect(port=port).channel(), account), 0
        while crowd.going():
            i += 1
            body = f"s{n}.{i}"
            out.publish("", queue, body, [(queue, body)], {"delivery_mode": 2})
            out.settle(down_to=100)
        out.settle()

    return work


def transactor(crowd, account, port, queue):
    """Commits or rolls back batches; the committed ones are as good as confirmed."""

    def work(rng, n):
        i = 0
        while crowd.going():
            c = connect(port=port)
            ch = c.channel()
            ch.rpc("tx.select")
            for _ in range(10):
                bodies = [f"t{n}.{i}.{k}" for k in range(rng.randrange(1, 20))]
                i += 1
                for body in bodies:
                    ch.publish("", queue, body)
                if rng.random() < 0.3:
                    ch.rpc("tx.rollback")
                    account.refuse((queue, body) for body in bodies)
                else:
                    ch.rpc("tx.commit")
                    account.confirm((queue, body) for body in bodies)
            c.end()

    return work


def passer_by(crowd, account, port, queue):
    """Takes some, keeps some unacked, leaves in one of several ways."""

    def work(rng):
        while crowd.going():
            c = connect(port=port)
            ch = c.channel()
            for _ in range(rng.randrange(1, 30)):
                got = ch.get(queue, no_ack=False)
                if got and rng.random() < 0.7:
                    account.receive(queue, got)
                    ch.ack(got.delivery_tag)
            way = rng.randrange(3)
            if way == 0:
                c.close()
            elif way == 1:
                ch.close()
                c.end()
            else:
                ch.rpc("basic.recover", requeue=True)
                c.end()

    return work


def consumer(crowd, account, port, queue):
    def work(rng):
        ch = connect(port=port).channel()
        ch.rpc("basic.qos", prefetch_count=200)
        ch.consume(queue)
        last, pending = 0, 0
        while crowd.going():
            try:
                got = ch.delivery(patience=0.2)
            except TimeoutError:
                continue
            account.receive(queue, got)
            last, pending = got.delivery_tag, pending + 1
            if pending >= rng.randrange(1, 100):
                ch.ack(last, multiple=True)
                pending = 0
        if pending:
            ch.ack(last, multiple=True)
        ch.c.end()

    return work


def responder(crowd, port, queue):
    def work(rng):
        ch = connect(port=port).channel()
        ch.consume(queue, no_ack=True)
        while crowd.going():
            try:
                got = ch.delivery(patience=0.2)
            except TimeoutError:
                continue
            ch.publish("", got.props["reply_to"], got.body)
        ch.c.end()

    return work


def answer(crowd, ch):
    """The next delivery; None when the crowd is dispersing and nobody answers any more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        going = crowd.going()
        try:
            return ch.delivery(patience=0.5)
        except TimeoutError:
            if not going:
                return None
            assert time.monotonic() < deadline, "no answer came in time"


def asker(crowd, port, queue):
    def work(rng):
        while crowd.going():
            c = connect(port=port)
            ch = c.channel()
            ch.consume(PSEUDO, no_ack=True)
            for i in range(rng.randrange(1, 50)):
                ch.publish("", queue, str(i), {"reply_to": PSEUDO})
                got = answer(crowd, ch)
                if got is None:
                    break  # the responder has gone home
                eq(got.body, b"%d" % i)
            ch.publish("", queue, "left before the answer", {"reply_to": PSEUDO})
            c.close()

    return work


@check
def churn():
    with sharded_port() as port:
        ch = connect(port=port).channel()
        queue, questions = ch.queue(unique(), exclusive=False, durable=True), ch.queue(unique(), exclusive=False)
        account, crowd = Account(), Crowd()
        for n in range(3):
            crowd.add(steady_publisher(crowd, account, port, queue), n)
        for n in range(2):
            crowd.add(transactor(crowd, account, port, queue), n)
        for _ in range(3):
            crowd.add(passer_by(crowd, account, port, queue))
        for _ in range(2):
            crowd.add(consumer(crowd, account, port, queue))
            crowd.add(asker(crowd, port, questions))
        crowd.add(responder(crowd, port, questions))
        crowd.run()
        until(lambda: ch.rpc("queue.declare", queue=queue, passive=True).consumer_count == 0)
        settled = [0, -1]  # requeues of vanished connections may still be on their way
        while settled[-1] != settled[-2]:
            while (got := ch.get(queue)) is not None:
                account.receive(queue, got)
            settled.append(sum(account.received.values()))
            ch.count(queue)
        account.balance()
        for name in queue, questions:
            ch.rpc("queue.delete", queue=name)
        ch.c.end()


main()
