# SPDX-License-Identifier: Apache-2.0
# Direct reply-to: the pseudo queue amq.rabbitmq.reply-to, its rewritten names, and all its refusals.
from harness import *

PSEUDO = "amq.rabbitmq.reply-to"


def requester(ch):
    """A channel that waits for replies, and a queue to send requests to."""
    ch.consume(PSEUDO, "replies", no_ack=True)
    return ch.queue(unique(), exclusive=False, auto_delete=True)


def asked(ch, other, queue):
    """Sends a request over ch; returns the reply-to that the responder on `other` sees."""
    ch.publish("", queue, "question", {"reply_to": PSEUDO, "correlation_id": "7"})
    got = until(lambda: other.get(queue))
    eq((got.body, got.props["correlation_id"]), (b"question", "7"))
    return got.props["reply_to"]


@check
def question_and_answer(ch, other):
    queue = requester(ch)
    reply_to = asked(ch, other, queue)
    assert reply_to.startswith(PSEUDO + "."), reply_to
    for i in range(3):
        other.publish("", reply_to, str(i), {"correlation_id": "7", "headers": {"n": i}})
    for i in range(3):
        got = ch.delivery()
        eq(
            (got.consumer_tag, got.exchange, got.routing_key, got.redelivered, got.body, got.props),
            ("replies", "", reply_to, False, b"%d" % i, {"correlation_id": "7", "headers": {"n": i}}),
        )
    ch.rpc("queue.delete", queue=queue)


@check
def answer_from_the_same_channel(ch):
    queue = requester(ch)
    reply_to = asked(ch, ch, queue)
    ch.publish("", reply_to, "self", mandatory=True)
    eq(ch.delivery().body, b"self")
    ch.rpc("queue.delete", queue=queue)


@check
def name_stays_the_same_for_the_consumer(ch, other):
    queue = requester(ch)
    eq(asked(ch, other, queue), asked(ch, other, queue))
    ch.rpc("queue.delete", queue=queue)


@check
def names_of_channels_differ(ch, ch2, other):
    queue = requester(ch)
    ch2.consume(PSEUDO, no_ack=True)
    assert asked(ch, other, queue) != asked(ch2, other, queue)
    ch.rpc("queue.delete", queue=queue)


@check
def must_be_no_ack(ch):
    ch.refused(406, "PRECONDITION_FAILED - reply consumer cannot acknowledge", "basic.consume", queue=PSEUDO)


@check
def one_per_channel(ch):
    ch.consume(PSEUDO, no_ack=True)
    ch.refused(406, "PRECONDITION_FAILED - reply consumer already set", "basic.consume", queue=PSEUDO, no_ack=True)


@check
def cancel_and_consume_again(ch, other):
    queue = requester(ch)
    reply_to = asked(ch, other, queue)
    eq(ch.rpc("basic.cancel", consumer_tag="replies").consumer_tag, "replies")
    other.publish("", reply_to, "late")
    ch.quiet(queue)
    ch.consume(PSEUDO, "replies", no_ack=True)
    other.publish("", asked(ch, other, queue), "again")
    eq(ch.delivery().body, b"again")
    ch.rpc("queue.delete", queue=queue)


@check
def request_without_a_consumer(ch):
    ch.publish("", "x", "question", {"reply_to": PSEUDO})
    ch.closed(406, "PRECONDITION_FAILED - fast reply consumer does not exist", "basic.publish")


@check
def other_reply_tos_are_left_alone(ch, other):
    queue = requester(ch)
    for name in "my-queue", PSEUDO + ".made.up", "":
        ch.publish("", queue, "q", {"reply_to": name})
        eq(until(lambda: other.get(queue)).props["reply_to"], name)
    ch.rpc("queue.delete", queue=queue)


@check
def declare_tells_whether_it_lives(ch, other):
    queue = requester(ch)
    reply_to = asked(ch, other, queue)
    for passive in False, True:
        ok = other.rpc("queue.declare", queue=reply_to, passive=passive)
        eq((ok.queue, ok.message_count, ok.consumer_count), (reply_to, 0, 1))
    ch.close()

    def gone():
        other.send("queue.declare", queue=reply_to, passive=True)
        got = other.wait("queue.declare-ok", "channel.close")
        if got.name == "channel.close":
            eq((got.reply_code, got.reply_text), (404, f"NOT_FOUND - no queue '{reply_to}' in vhost '/'"))
            other.send("channel.close-ok")
            other.open()
        return got.name == "channel.close"

    until(gone)
    other.rpc("queue.delete", queue=queue)


@check
def declare_of_the_bare_name(ch):
    ok = ch.rpc("queue.declare", queue=PSEUDO)
    eq((ok.queue, ok.message_count, ok.consumer_count), (PSEUDO, 0, 1))


@check
def answers_to_the_gone_are_dropped(ch, other):
    queue = requester(ch)
    reply_to = asked(ch, other, queue)
    ch.c.end()
    other.rpc("confirm.select")
    for i in range(3):
        other.publish("", reply_to, "too late")
    other.confirms(3)
    other.rpc("queue.delete", queue=queue)


@check
def made_up_names_route_nowhere(ch):
    ch.publish("", PSEUDO + ".g2dkAA5mb28", "x", mandatory=True)
    eq(ch.wait("basic.return").reply_code, 312)
    ch.publish("", PSEUDO, "x", mandatory=True)
    eq(ch.wait("basic.return").reply_code, 312)


@check
def confirms_count_requests_and_answers(ch, other):
    ch.rpc("confirm.select")
    other.rpc("confirm.select")
    queue = requester(ch)
    reply_to = asked(ch, other, queue)
    ch.confirms(1)
    other.publish("", reply_to, "a", mandatory=True)
    other.confirms(1)
    eq(ch.delivery().body, b"a")
    ch.rpc("queue.delete", queue=queue)


@check
def get_from_it(ch):
    ch.consume(PSEUDO, no_ack=True)
    ch.refused(404, f"NOT_FOUND - no queue '{PSEUDO}' in vhost '/'", "basic.get", queue=PSEUDO)


@check
def thousand_questions(ch, other):
    queue = requester(ch)
    other.consume(queue, no_ack=True)
    for i in range(1000):
        ch.publish("", queue, str(i), {"reply_to": PSEUDO, "correlation_id": str(i)})
    for _ in range(1000):
        question = other.delivery()
        other.publish(
            "", question.props["reply_to"], question.body, {"correlation_id": question.props["correlation_id"]}
        )
    eq([ch.delivery().body for _ in range(1000)], [b"%d" % i for i in range(1000)])


main()
