#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""The six tutorials with amqp091-go."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import build  # noqa: E402
import harness  # noqa: E402
import tutorials  # noqa: E402

# These programs print through the log package: on standard error, the time first.
LOG_TIME = r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d "

STYLE = {
    "hello.sent": " [x] Sent Hello World!",
    "hello.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "hello.received": "Received a message: {m}",
    "task.sent": " [x] Sent {m}",
    "task.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "task.received": "Received a message: {m}",
    "task.done": "Done",
    "logs.sent": " [x] Sent {m}",
    "logs.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "logs.received": " [x] {m}",
    "direct.sent": " [x] Sent {m}",
    "direct.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "direct.received": " [x] {m}",
    "topic.sent": " [x] Sent {m}",
    "topic.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "topic.received": " [x] {m}",
    "rpc.ready": " [*] Awaiting RPC requests",
    "rpc.requesting": " [x] Requesting fib({n})",
    "rpc.served": " [.] fib({n})",
    "rpc.got": " [.] Got {n}",
}

programs = harness.workspace()
go = tutorials.Language(
    lambda program: [str(programs / program)], STYLE, merge_stderr=True, strip=LOG_TIME,
    prepare=lambda: build.compile_programs(sorted((HERE / "tutorials").iterdir()), programs))
tutorials.main(("amqp091-go", go))
