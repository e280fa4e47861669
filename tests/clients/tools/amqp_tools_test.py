#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A shell user's day with amqp-tools: declare, publish, get, consume, delete, and what errors say."""

import os
import pathlib
import subprocess
import sys
import uuid

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import harness  # noqa: E402
from harness import Failure  # noqa: E402

QUEUE = f"tokki-amqp-tools-{uuid.uuid4()}"


def tool(name, *arguments, uri=harness.URI, stdin=b"", status=0):
    """Runs amqp-NAME and returns its standard output, or its error text when it has to fail."""
    command = [f"amqp-{name}", f"--url={uri}", *arguments]
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=harness.TIMEOUT_S, check=False)
    if done.returncode != status:
        raise Failure(f"{' '.join(command)}: status {done.returncode}, wanted {status}; "
                      f"printed {done.stdout!r} {done.stderr!r}")
    return done.stdout if status in (0, 2) else done.stderr


def equal(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, wanted {wanted!r}")


def publish_and_get():
    equal("declare", tool("declare-queue", "-d", "-q", QUEUE), f"{QUEUE}\n".encode())
    equal("get from the empty queue", tool("get", "-q", QUEUE, status=2), b"")
    tool("publish", "-r", QUEUE, "-p", "-C", "text/plain", "-H", "color: blue", "-b", "Hello World!")
    equal("get", tool("get", "-q", QUEUE), b"Hello World!")
    large = bytes(i % 251 for i in range(1 << 20))
    tool("publish", "-r", QUEUE, stdin=large)
    equal("a body of 1 MiB came back equal", tool("get", "-q", QUEUE) == large, True)


def consume():
    tool("publish", "-r", QUEUE, "-l", stdin=b"one\ntwo\nthree\n")
    equal("two messages, acknowledged", tool("consume", "-q", QUEUE, "-p", "1", "-c", "2", "cat"),
          b"one\ntwo\n")
    # the command fails, so the message goes back; it reads its input, else amqp-consume gets SIGPIPE
    tool("consume", "-q", QUEUE, "-c", "1", "grep", "no such text")
    equal("the third is still there", tool("consume", "-q", QUEUE, "-A", "-c", "1", "cat"),
          b"three\n")
    equal("the queue is empty", tool("get", "-q", QUEUE, status=2), b"")


def fanout_consumer():
    """amqp-consume with an exchange: a queue of its own, bound, consumed until the count."""
    broker = harness.Broker()
    broker.probe_end = "\n"
    command = ["amqp-consume", f"--url={harness.URI}", "-e", "amq.topic", "-r", f"{QUEUE}.#", "-A",
               "cat"]
    consumer = harness.Program(command, name="amqp-consume", merge_stderr=True)
    # it says "Server provided queue name: ..." first; lines are what `cat` prints then
    consumer.expect("Server provided queue name: amq.gen-<any>")
    broker.wait_bound(consumer, "amq.topic", f"{QUEUE}.probe")
    tool("publish", "-e", "amq.topic", "-r", f"{QUEUE}.a.b", "-b", "to the topic\n")
    consumer.expect("to the topic")
    consumer.kill()


def errors():
    equal("delete", tool("delete-queue", "-q", QUEUE), b"0\n")
    for arguments, text in (
            (("get", "-q", QUEUE), f"404, message: NOT_FOUND - no queue '{QUEUE}' in vhost '/'"),
            (("publish", "-e", QUEUE, "-r", "x", "-b", "x"),
             f"404, message: NOT_FOUND - no exchange '{QUEUE}' in vhost '/'")):
        got = tool(*arguments, status=1).decode()
        if f"server channel error {text}" not in got:
            raise Failure(f"amqp-{arguments[0]} says {got!r}, wanted ...{text!r}")
    address = f"{harness.HOST}:{harness.PORT}"
    for uri, text in (
            (f"amqp://guest:wrong@{address}/%2f",
             "403, message: ACCESS_REFUSED - Login was refused using authentication mechanism "
             "PLAIN. For details see the broker logfile."),
            (f"amqp://guest:guest@{address}/none",
             "530, message: NOT_ALLOWED - vhost none not found")):
        got = tool("get", "-q", QUEUE, uri=uri, status=1).decode()
        if f"server connection error {text}" not in got:
            raise Failure(f"amqp-get says {got!r}, wanted ...{text!r}")


harness.need_commands("amqp-publish", "amqp-get", hint="amqp-tools")
os.environ["LC_ALL"] = "C.UTF-8"
harness.run([("amqp-tools: declare, publish, get", publish_and_get),
             ("amqp-tools: consume", consume),
             ("amqp-tools: consume from an exchange", fanout_consumer),
             ("amqp-tools: delete and errors", errors)])
