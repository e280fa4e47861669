#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
"""The six tutorials with bunny, the Ruby client."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import harness  # noqa: E402
import tutorials  # noqa: E402

STYLE = {
    "hello.sent": " [x] Sent 'Hello World!'",
    "hello.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "hello.received": " [x] Received {m}",
    "task.sent": " [x] Sent {m}",
    "task.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "task.received": " [x] Received '{m}'",
    "task.done": " [x] Done",
    "logs.sent": " [x] Sent {m}",
    "logs.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "logs.received": " [x] {m}",
    "direct.sent": " [x] Sent {k}:{m}",
    "direct.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "direct.received": " [x] {k}:{m}",
    "topic.sent": " [x] Sent {k}:{m}",
    "topic.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "topic.received": " [x] {k}:{m}",
    "rpc.ready": " [x] Awaiting RPC requests",
    "rpc.requesting": " [x] Requesting fib({n})",
    "rpc.served": " [.] fib({n})",
    "rpc.got": " [.] Got {n}",
}

harness.need_commands("ruby", hint="ruby-bunny")
harness.need_success(["ruby", "-e", "require 'bunny'"], hint="ruby-bunny")
ruby = tutorials.Language(
    lambda program: ["ruby", str(HERE / "tutorials" / f"{program}.rb")], STYLE)
tutorials.main(("bunny", ruby))
