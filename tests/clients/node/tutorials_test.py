#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
"""The six tutorials with amqplib, once over its promises and once over its callbacks."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import harness  # noqa: E402
import tutorials  # noqa: E402

STYLE = {
    "hello.sent": " [x] Sent Hello World!",
    "hello.ready": " [*] Waiting for messages in {q}. To exit press CTRL+C",
    "hello.received": " [x] Received {m}",
    "task.sent": " [x] Sent '{m}'",
    "task.ready": " [*] Waiting for messages in {q}. To exit press CTRL+C",
    "task.received": " [x] Received {m}",
    "task.done": " [x] Done",
    "logs.sent": " [x] Sent {m}",
    "logs.ready": " [*] Waiting for messages in amq.gen-<any>. To exit press CTRL+C",
    "logs.received": " [x] {m}",
    "direct.sent": " [x] Sent {k}: '{m}'",
    "direct.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "direct.received": " [x] {k}: '{m}'",
    "topic.sent": " [x] Sent {k}:'{m}'",
    "topic.ready": " [*] Waiting for logs. To exit press CTRL+C",
    "topic.received": " [x] {k}:'{m}'",
    "rpc.ready": " [x] Awaiting RPC requests",
    "rpc.requesting": " [x] Requesting fib({n})",
    "rpc.served": " [.] fib({n})",
    "rpc.got": " [.] Got {n}",
}


def language(api):
    return tutorials.Language(lambda program: ["node", str(HERE / "tutorials" / api / f"{program}.js")],
                              STYLE, rpc_arguments=["30"])


def install():
    harness.build([HERE / "install"])


harness.need_commands("node", "npm", hint="nodejs npm")
promises, callbacks = language("promise"), language("callback")
promises.prepare = install
tutorials.main(("amqplib promises", promises), ("amqplib callbacks", callbacks))
