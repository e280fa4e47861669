# SPDX-License-Identifier: Apache-2.0
# The same broker seen by a real client, pika: publish with confirms, returns, consume, acks, cancel, errors as exceptions.
from harness import *

try:
    import pika
except ImportError:
    skip("pika is not installed")


def connection():
    return pika.BlockingConnection(pika.ConnectionParameters(HOST, PORT, heartbeat=30, blocked_connection_timeout=30))


@check
def publish_and_consume():
    with connection() as c:
        ch = c.channel()
        ch.confirm_delivery()
        queue = ch.queue_declare("", exclusive=True).method.queue
        for i in range(100):
            ch.basic_publish(
                "", queue, b"%d" % i, pika.BasicProperties(delivery_mode=2, headers={"i": i}), mandatory=True
            )
        ch.basic_qos(prefetch_count=10)
        got = []
        for method, props, body in ch.consume(queue, inactivity_timeout=PATIENCE):
            assert method, "no delivery in time"
            got.append((int(body), props.headers["i"], props.delivery_mode))
            ch.basic_ack(method.delivery_tag)
            if len(got) == 100:
                break
        eq(ch.cancel(), 0)
        eq(got, [(i, i, 2) for i in range(100)])


@check
def unroutable_is_an_exception():
    with connection() as c:
        ch = c.channel()
        ch.confirm_delivery()
        try:
            ch.basic_publish("", unique(), b"x", mandatory=True)
            raise AssertionError("routed")
        except pika.exceptions.UnroutableError as error:
            eq(error.messages[0].method.reply_code, 312)


@check
def channel_errors_are_exceptions():
    with connection() as c:
        ch = c.channel()
        try:
            ch.queue_declare("nope", passive=True)
            raise AssertionError("found")
        except pika.exceptions.ChannelClosedByBroker as error:
            eq((error.reply_code, error.reply_text), (404, "NOT_FOUND - no queue 'nope' in vhost '/'"))
        c.channel().queue_declare("", exclusive=True)


@check
def wrong_password_is_an_exception():
    parameters = pika.ConnectionParameters(HOST, PORT, credentials=pika.PlainCredentials("guest", "wrong"))
    try:
        pika.BlockingConnection(parameters)
        raise AssertionError("logged in")
    except pika.exceptions.ProbableAuthenticationError as error:
        assert "ACCESS_REFUSED" in str(error), error


main()
