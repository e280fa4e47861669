#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""The six tutorials with pika: the seed guides' programs, connection parameters apart."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import tutorials  # noqa: E402

STYLE = {
    "hello.sent": " [x] Sent 'Hello World!'",
    "hello.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "hello.received": " [x] Received b'{m}'",
    "task.sent": " [x] Sent '{m}'",
    "task.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "task.received": " [x] Received b'{m}'",
    "task.done": " [x] Done",
    "logs.sent": " [x] Sent '{m}'",
    "logs.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "logs.received": " [x] b'{m}'",
    "direct.sent": " [x] Sent '{k}':'{m}'",
    "direct.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "direct.received": " [x] '{k}':b'{m}'",
    "topic.sent": " [x] Sent '{k}':'{m}'",
    "topic.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "topic.received": " [x] '{k}':b'{m}'",
    "rpc.ready": " [x] Awaiting RPC requests",
    "rpc.requesting": " [x] Requesting fib({n})",
    "rpc.served": " [.] fib({n})",
    "rpc.got": " [.] Got {n}",
}


def command(program):
    return ["/usr/bin/python3", str(HERE / "tutorials" / f"{program}.py")]


tutorials.main(("pika", tutorials.Language(command, STYLE)))
