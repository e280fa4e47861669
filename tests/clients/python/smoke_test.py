#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a pika application relies on beyond the tutorials."""

import datetime
import decimal
import pathlib
import sys
import uuid

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import harness  # noqa: E402
from harness import Failure  # noqa: E402
from smoke import CHECKS  # noqa: E402

try:
    import pika
except ImportError:
    harness.skip("no pika here (install python3-pika)")


def equal(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, wanted {wanted!r}")


class Checks:
    def __init__(self):
        self.connection = pika.BlockingConnection(pika.URLParameters(harness.URI))

    def queue(self, channel):
        """An exclusive queue with a name of its own."""
        name = f"tokki-pika-{uuid.uuid4()}"
        channel.queue_declare(queue=name, exclusive=True)
        return name

    def publisher_confirms(self):
        channel = self.connection.channel()
        queue = self.queue(channel)
        channel.confirm_delivery()
        for i in range(100):
            channel.basic_publish("", queue, str(i))  # returns once confirmed
        count = channel.queue_declare(queue=queue, passive=True).method.message_count
        equal("messages after 100 confirms", count, 100)
        channel.close()

    def mandatory_return(self):
        channel = self.connection.channel()
        channel.confirm_delivery()
        try:
            channel.basic_publish("amq.direct", "tokki-nowhere", b"lost", mandatory=True)
        except pika.exceptions.UnroutableError as error:
            returned = error.messages[0]
            equal("returned", (returned.method.reply_code, returned.method.reply_text,
                               returned.method.exchange, returned.method.routing_key,
                               returned.body),
                  (312, "NO_ROUTE", "amq.direct", "tokki-nowhere", b"lost"))
        else:
            raise Failure("an unroutable mandatory message was confirmed without a return")
        channel.close()

    def nack_and_requeue(self):
        channel = self.connection.channel()
        queue = self.queue(channel)
        for body in ("a", "b", "c"):
            channel.basic_publish("", queue, body)

        def get():
            method, _, body = channel.basic_get(queue)
            return method and (body, method.redelivered, method.delivery_tag)

        equal("first get", get(), (b"a", False, 1))
        equal("second get", get(), (b"b", False, 2))
        channel.basic_nack(1, requeue=True)
        equal("get after requeue", get(), (b"a", True, 3))
        channel.basic_reject(2, requeue=False)
        channel.basic_nack(3, multiple=True, requeue=False)
        equal("last message", get(), (b"c", False, 4))
        channel.basic_ack(4)
        equal("get from the empty queue", get(), None)
        channel.close()

    def prefetch(self):
        channel = self.connection.channel()
        queue = self.queue(channel)
        for i in range(5):
            channel.basic_publish("", queue, str(i))
        channel.basic_qos(prefetch_count=2)
        got = []
        channel.basic_consume(queue, lambda _c, m, _p, body: got.append((m.delivery_tag, body)))
        while len(got) < 2:
            self.connection.process_data_events(time_limit=1)
        count = channel.queue_declare(queue=queue, passive=True).method.message_count
        equal("ready messages behind a prefetch of 2", (len(got), count), (2, 3))
        channel.basic_ack(1)
        while len(got) < 3:
            self.connection.process_data_events(time_limit=1)
        equal("third message", got[2], (3, b"2"))
        channel.close()

    def properties_and_header_types(self):
        channel = self.connection.channel()
        queue = self.queue(channel)
        headers = {  # no negative int64: pika 1.2 reads one back as unsigned
            "true": True, "false": False, "small": 7, "negative": -7, "int32": 2**31 - 1,
            "int64": 2**40, "decimal": decimal.Decimal("3.14"),
            "time": datetime.datetime(2026, 11, 21, 10, 0, 0), "text": "grüße 한국어", "empty": "",
            "bytes": b"\x00\xff", "none": None, "list": [1, "two", [3.0 == 3, None], {"four": 4}],
            "table": {"inner": {"deep": "value"}, "empty": {}}, "": "empty key",
        }
        properties = pika.BasicProperties(
            content_type="text/plain", content_encoding="utf-8", headers=headers, delivery_mode=2,
            priority=9, correlation_id="c-1", reply_to="r-1", expiration="60000",
            message_id="m-1", timestamp=1700000000, type="t-1", user_id="guest", app_id="a-1",
            cluster_id="k-1")
        channel.basic_publish("", queue, b"body", properties)
        _, got, body = channel.basic_get(queue, auto_ack=True)
        equal("body", body, b"body")
        for key, value in vars(properties).items():
            equal(f"property {key}", getattr(got, key), value)
        channel.close()

    def large_bodies(self):
        channel = self.connection.channel()
        queue = self.queue(channel)
        channel.confirm_delivery()
        for size in (0, 1, 1 << 20, 5 << 20):
            sent = bytes(i % 251 for i in range(1009)) * (size // 1009 + 1)
            channel.basic_publish("", queue, sent[:size])
            _, _, body = channel.basic_get(queue, auto_ack=True)
            if body != sent[:size]:
                raise Failure(f"a body of {size} octets came back with {len(body)}, or changed")
        channel.close()

    def consumer_cancel_notification(self):
        channel, other = self.connection.channel(), self.connection.channel()
        queue = self.queue(channel)
        cancelled = []
        channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
        tag = channel.basic_consume(queue, lambda *_: None)
        other.queue_delete(queue)
        while not cancelled:
            self.connection.process_data_events(time_limit=1)
        equal("cancelled consumer", cancelled, [tag])
        channel.close()
        other.close()

    def transactions(self):
        channel = self.connection.channel()
        queue = self.queue(channel)

        def count():
            return channel.queue_declare(queue=queue, passive=True).method.message_count

        channel.tx_select()
        channel.basic_publish("", queue, "kept")
        equal("messages before the commit", count(), 0)
        channel.tx_commit()
        equal("messages after the commit", count(), 1)
        channel.basic_publish("", queue, "dropped")
        channel.tx_rollback()
        equal("messages after the rollback", count(), 1)
        channel.close()

    def direct_reply_to(self):
        asking, serving = self.connection.channel(), self.connection.channel()
        queue = self.queue(serving)
        answers = []
        asking.basic_consume("amq.rabbitmq.reply-to", lambda _c, _m, _p, body: answers.append(body),
                             auto_ack=True)
        asking.basic_publish("", queue, b"question",
                             pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
        method = None
        while method is None:  # published on the other channel: no order between the two
            method, properties, _ = serving.basic_get(queue, auto_ack=True)
        serving.basic_publish("", properties.reply_to, b"answer")
        while not answers:
            self.connection.process_data_events(time_limit=1)
        equal("answers", answers, [b"answer"])
        asking.close()
        serving.close()

    def channel_error(self):
        channel = self.connection.channel()
        name = f"tokki-missing-{uuid.uuid4()}"
        try:
            channel.queue_declare(queue=name, passive=True)
            raise Failure(f"a passive declare of {name} succeeded")
        except pika.exceptions.ChannelClosedByBroker as error:
            equal("channel error", (error.reply_code, error.reply_text),
                  (404, f"NOT_FOUND - no queue '{name}' in vhost '/'"))
        channel = self.connection.channel()  # the connection is still good
        self.queue(channel)
        channel.close()

    def connection_error(self):
        channel = self.connection.channel()
        try:
            channel.basic_qos(prefetch_size=1)
            raise Failure("a prefetch size was accepted")
        except pika.exceptions.ConnectionClosedByBroker as error:
            equal("connection error", (error.reply_code, error.reply_text),
                  (540, "NOT_IMPLEMENTED - prefetch_size!=0 (1)"))


checks = Checks()
harness.run([(f"pika: {check}", getattr(checks, check.replace(" ", "_").replace("-", "_")))
             for check in CHECKS])
