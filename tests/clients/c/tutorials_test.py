#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""The six tutorials with librabbitmq, compiled from C."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import build  # noqa: E402
import harness  # noqa: E402
import tutorials  # noqa: E402

STYLE = {
    "hello.sent": " [x] Sent 'Hello World!'",
    "hello.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "hello.received": " [x] Received '{m}'",
    "task.sent": " [x] Sent '{m}'",
    "task.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "task.received": " [x] Received '{m}'",
    "task.done": " [x] Done",
    "logs.sent": " [x] Sent '{m}'",
    "logs.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "logs.received": " [x] '{m}'",
    "direct.sent": " [x] Sent '{k}':'{m}'",
    "direct.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "direct.received": " [x] '{k}':'{m}'",
    "topic.sent": " [x] Sent '{k}':'{m}'",
    "topic.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "topic.received": " [x] '{k}':'{m}'",
    "rpc.ready": " [x] Awaiting RPC requests",
    "rpc.requesting": " [x] Requesting fib({n})",
    "rpc.served": " [.] fib({n})",
    "rpc.got": " [.] Got {n}",
}

programs = harness.workspace()
c = tutorials.Language(
    lambda program: [str(programs / program)], STYLE,
    prepare=lambda: build.compile_programs(sorted((HERE / "tutorials").glob("*.c")), programs))
tutorials.main(("librabbitmq", c))
