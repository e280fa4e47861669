#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""The six tutorials with RabbitMQ's Java client."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import build  # noqa: E402
import harness  # noqa: E402
import tutorials  # noqa: E402

PROGRAMS = {
    "send": "Send", "receive": "Recv", "new_task": "NewTask", "worker": "Worker",
    "emit_log": "EmitLog", "receive_logs": "ReceiveLogs",
    "emit_log_direct": "EmitLogDirect", "receive_logs_direct": "ReceiveLogsDirect",
    "emit_log_topic": "EmitLogTopic", "receive_logs_topic": "ReceiveLogsTopic",
    "rpc_server": "RPCServer", "rpc_client": "RPCClient",
}

STYLE = {
    "hello.sent": " [x] Sent 'Hello World!'",
    "hello.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "hello.received": " [x] Received '{m}'",
    "task.sent": " [x] Sent '{m}'",
    "task.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "task.received": " [x] Received '{m}'",
    "task.done": " [x] Done",
    "logs.sent": " [x] Sent '{m}'",
    "logs.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "logs.received": " [x] Received '{m}'",
    "direct.sent": " [x] Sent '{k}':'{m}'",
    "direct.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "direct.received": " [x] Received '{k}':'{m}'",
    "topic.sent": " [x] Sent '{k}':'{m}'",
    "topic.ready": " [*] Waiting for messages. To exit press CTRL+C",
    "topic.received": " [x] Received '{k}':'{m}'",
    "rpc.ready": " [x] Awaiting RPC requests",
    "rpc.requesting": " [x] Requesting fib({n})",
    "rpc.served": " [.] fib({n})",
    "rpc.got": " [.] Got '{n}'",
}

classes = harness.workspace()
java = tutorials.Language(
    lambda program: build.run(classes, PROGRAMS[program]), STYLE, rpc_numbers=range(32),
    prepare=lambda: build.compile_programs(sorted((HERE / "tutorials").glob("*.java")), classes))
tutorials.main(("Java client", java))
