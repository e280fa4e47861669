#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""The second seed guide's URL program, and what CTRL+C does to the first tutorial's receiver."""

import pathlib
import signal
import sys
import uuid

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import harness  # noqa: E402


def start(path):
    return harness.Program(["/usr/bin/python3", str(HERE / path)])


def url_program():
    broker = harness.Broker()
    queue = f"tokki-cafe-{uuid.uuid4()}"
    broker.delete_exchange("cafe.topic")
    broker.channel.exchange_declare(exchange="cafe.topic", exchange_type="topic")
    broker.channel.queue_declare(queue=queue, exclusive=True)
    broker.channel.queue_bind(queue=queue, exchange="cafe.topic", routing_key="order.coffee.*")
    start("guide/publish.py").finish()
    broker.wait("the message arrives", lambda: broker.messages(queue) == 1)
    _, _, body = broker.channel.basic_get(queue, auto_ack=True)
    if body != b"hello world":
        raise harness.Failure(f"the queue holds {body!r}")
    broker.delete_exchange("cafe.topic")


def interrupted_receiver():
    """The program leaves without closing its connection: the broker drops the consumer."""
    broker = harness.Broker()
    broker.delete_queue("hello")
    receiver = start("tutorials/receive.py")
    receiver.expect(" [*] Waiting for messages. To exit press CTRL+C")
    broker.wait_consumers("hello", 1)
    receiver.process.send_signal(signal.SIGINT)
    receiver.expect("Interrupted")
    receiver.finish()
    broker.wait_consumers("hello", 0)


lock = harness.lock_names()
harness.run([("pika: the second guide's URL program", url_program),
             ("pika: CTRL+C ends the receiver", interrupted_receiver)])
