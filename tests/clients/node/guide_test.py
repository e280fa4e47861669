#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""The third seed guide's amqplib programs: settings from the environment, one message across."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import harness  # noqa: E402

QUEUE = "tokki-guide-3"


def guide():
    harness.build([HERE / "install"])
    broker = harness.Broker()
    broker.delete_queue(QUEUE)
    env = harness.environment(MQ_NAME="guest", MQ_PASSWORD="guest", QUEUE_NAME=QUEUE)
    receiver = harness.Program(["node", str(HERE / "guide" / "receive.js")], env=env)
    broker.wait_consumers(QUEUE, 1)
    for _ in range(2):
        sender = harness.Program(["node", str(HERE / "guide" / "send.js")], env=env)
        sender.expect("Make connection", "Send message to MQ : Hello")
        receiver.expect("Recieved : Hello")
        sender.finish()
    receiver.kill()
    receiver.expect_nothing_more()
    broker.delete_queue(QUEUE)


harness.need_commands("node", "npm", hint="nodejs npm")
harness.run([("amqplib: the third guide", guide)])
