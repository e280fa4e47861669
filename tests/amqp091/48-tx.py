# SPDX-License-Identifier: Apache-2.0
# tx: publishes and acks wait for commit; rollback drops publishes and restores acks; modes do not mix.
from harness import *


@check
def publishes_wait_for_commit(ch, ch2):
    queue = ch.queue()
    ch.rpc("tx.select")
    for i in range(3):
        ch.publish("", queue, str(i))
    ch.quiet(queue)
    eq(ch2.count(queue), 0)
    ch.rpc("tx.commit")
    eq(ch2.drain(queue), ["0", "1", "2"])


@check
def rollback_drops_publishes(ch):
    queue = ch.queue()
    ch.rpc("tx.select")
    ch.publish("", queue, "dropped")
    ch.rpc("tx.rollback")
    ch.publish("", queue, "kept")
    ch.rpc("tx.commit")
    eq(ch.drain(queue), ["kept"])


@check
def acks_wait_for_commit(ch):
    queue = ch.queue()
    ch.publish("", queue, "x")
    until(lambda: ch.get(queue, no_ack=False))
    ch.rpc("tx.select")
    ch.ack(1)
    ch2 = ch.c.channel(2)
    ch.close()
    eq(ch2.drain(queue), ["x"])


@check
def acks_of_a_committed_transaction_hold(ch, ch2):
    queue = ch.queue()
    ch.publish("", queue, "x")
    until(lambda: ch.get(queue, no_ack=False))
    ch.rpc("tx.select")
    ch.ack(1)
    ch.rpc("tx.commit")
    ch.close()
    eq(ch2.drain(queue), [])


@check
def rollback_restores_acks(ch):
    queue = ch.queue()
    for i in range(3):
        ch.publish("", queue, str(i))
    ch.rpc("tx.select")
    for _ in range(3):
        until(lambda: ch.get(queue, no_ack=False))
    ch.ack(2)
    ch.send("basic.nack", delivery_tag=3, requeue=True)
    ch.rpc("tx.rollback")
    eq(ch.count(queue), 0)
    ch.ack(2)
    ch.ack(1)
    ch.ack(3)
    ch.rpc("tx.commit")
    ch2 = ch.c.channel(2)
    ch.close()
    eq(ch2.drain(queue), [])


@check
def acked_twice_in_one_transaction(ch):
    queue = ch.queue()
    ch.publish("", queue, "x")
    ch.rpc("tx.select")
    until(lambda: ch.get(queue, no_ack=False))
    ch.ack(1)
    ch.refused(406, "PRECONDITION_FAILED - unknown delivery tag 1", "basic.ack", delivery_tag=1)


@check
def nacks_wait_for_commit(ch):
    queue = ch.queue()
    ch.publish("", queue, "x")
    ch.rpc("tx.select")
    until(lambda: ch.get(queue, no_ack=False))
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.quiet(queue)
    eq(ch.count(queue), 0)
    ch.rpc("tx.commit")
    eq(until(lambda: ch.get(queue)).redelivered, True)


@check
def select_twice_and_empty_commits(ch):
    queue = ch.queue()
    ch.rpc("tx.select")
    ch.publish("", queue, "x")
    ch.rpc("tx.select")
    ch.rpc("tx.commit")
    ch.rpc("tx.commit")
    ch.rpc("tx.rollback")
    eq(ch.drain(queue), ["x"])


@check
def commit_and_rollback_without_select(ch):
    for method in "tx.commit", "tx.rollback":
        ch.refused(406, "PRECONDITION_FAILED - channel is not transactional", method)


@check
def modes_do_not_mix(ch):
    ch.rpc("confirm.select")
    ch.refused(406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode", "tx.select")
    ch.rpc("tx.select")
    ch.refused(406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode", "confirm.select")


@check
def mandatory_returns_at_commit(ch):
    ch.rpc("tx.select")
    ch.publish("", "nowhere", "x", mandatory=True)
    ch.send("tx.commit")
    order = [ch.wait().name, ch.wait().name]
    eq(order, ["basic.return", "tx.commit-ok"])


@check
def missing_exchange_closes_at_the_publish(ch):
    ch.rpc("tx.select")
    ch.publish("nope", "k", "x")
    ch.closed(404, "NOT_FOUND - no exchange 'nope' in vhost '/'", "basic.publish")


@check
def close_is_a_rollback(ch, ch2):
    queue = ch.queue()
    ch.rpc("tx.select")
    ch.publish("", queue, "x")
    ch.close()
    eq(ch2.count(queue), 0)


@check
def to_many_queues(ch):
    exchange = ch.exchange(unique(), "fanout")
    queues = [ch.queue() for _ in range(10)]
    for queue in queues:
        ch.bind(queue, exchange)
    ch.rpc("tx.select")
    for i in range(100):
        ch.publish(exchange, "", str(i))
    ch.rpc("tx.commit")
    for queue in queues:
        eq(ch.drain(queue), [str(i) for i in range(100)])


@check
def deliveries_go_on_inside(ch):
    queue = ch.queue()
    ch.rpc("tx.select")
    ch.rpc("basic.qos", prefetch_count=1)
    ch.consume(queue)
    other = ch.c.channel(2)
    for i in range(2):
        other.publish("", queue, str(i))
    eq(ch.delivery().body, b"0")
    ch.ack(1)
    ch.quiet(queue)
    ch.rpc("tx.commit")
    eq(ch.delivery().body, b"1")


main()
