# SPDX-License-Identifier: Apache-2.0
"""The six RabbitMQ tutorials as one test, for the programs of any language.

A language says how to start its programs and what they print (a `style`: templates with {m} for
the message, {k} for the routing key, {n} for a number and <any> for text that differs each time;
None for a line which that language's program does not print).
"""

import sys

import harness
from harness import Failure, Program

FIB_30 = 832040


class Language:
    def __init__(self, command, style, rpc_numbers=(30,), rpc_arguments=(), prepare=None,
                 **program_options):
        self.command = command  # (program name) -> list of words
        self.style = style
        self.rpc_numbers = rpc_numbers
        self.rpc_arguments = rpc_arguments
        self.prepare = prepare
        self.program_options = program_options

    def start(self, program, *arguments, name=None):
        return Program(self.command(program) + list(arguments), name=name or program,
                       **self.program_options)

    def send(self, program, *arguments, says=None):
        sender = self.start(program, *arguments)
        sender.finish()
        if says is not None:
            sender.expect(says)
        sender.expect_nothing_more()

    def text(self, key, **values):
        template = self.style[key]
        return None if template is None else template.format(**values)


class Tutorials:
    def __init__(self, language):
        self.language = language
        self.broker = harness.Broker()

    def hello_world(self):
        """A message arrives at once; one sent while no receiver runs waits for the next one."""
        lang = self.language
        self.broker.delete_queue("hello")
        ready = lang.text("hello.ready", q="hello")
        sent = lang.text("hello.sent", m="Hello World!")
        received = lang.text("hello.received", m="Hello World!")
        first = lang.start("receive", name="first receive")
        first.expect(ready)
        self.broker.wait_consumers("hello", 1)
        lang.send("send", says=sent)
        first.expect(received)
        first.kill()
        first.expect_nothing_more()
        self.broker.wait_consumers("hello", 0)
        lang.send("send", says=sent)
        second = lang.start("receive", name="second receive")
        second.expect_any_order(ready, received)  # some programs say it before, some after consume
        second.kill()
        second.expect_nothing_more()

    def _worker(self, name, count):
        worker = self.language.start("worker", name=name)
        worker.expect(self.language.text("task.ready", q="task_queue"))
        self.broker.wait_consumers("task_queue", count)
        return worker

    def _task(self, message):
        self.language.send("new_task", *message.split(),
                           says=self.language.text("task.sent", m=message))

    def work_queues(self):
        """Tasks go to the workers in turn; a worker that dies leaves its task to another."""
        lang = self.language
        self.broker.delete_queue("task_queue")
        workers = [self._worker(f"worker {i + 1}", i + 1) for i in range(2)]
        for i, word in enumerate(("First", "Second", "Third", "Fourth")):
            message = f"{word} message"
            self._task(message)
            workers[i % 2].expect(lang.text("task.received", m=message), lang.text("task.done"))
        self._killed_worker(*workers)

    def _killed_worker(self, first, second):
        """A task of three seconds is in the first worker's hands when kill -9 takes it."""
        lang = self.language
        slow = "Slow task..."
        self._task(slow)
        first.expect(lang.text("task.received", m=slow))
        self._task("Quick task")
        second.expect(lang.text("task.received", m="Quick task"), lang.text("task.done"))
        first.kill()
        second.expect(lang.text("task.received", m=slow), lang.text("task.done"))
        self.broker.wait("the queue is empty with one consumer",
                         lambda: self.broker.consumers("task_queue") == 1
                         and self.broker.messages("task_queue") == 0)
        first.expect_nothing_more()
        second.kill()
        second.expect_nothing_more()

    def publish_subscribe(self):
        """Each of two receivers sees each log line."""
        lang, broker = self.language, self.broker
        broker.delete_exchange("logs")
        receivers = [lang.start("receive_logs", name=f"receive_logs {i}") for i in (1, 2)]
        for receiver in receivers:
            receiver.expect(lang.text("logs.ready"))
            broker.wait("exchange logs exists", lambda: self._exchange_exists("logs"))
            broker.wait_bound(receiver, "logs", "")
        for message in ("info: Hello World!", "warning: The second line"):
            arguments = [] if message == "info: Hello World!" else message.split()
            lang.send("emit_log", *arguments, says=lang.text("logs.sent", m=message))
            for receiver in receivers:
                receiver.expect(lang.text("logs.received", m=message))
        for receiver in receivers:
            broker.settle(receiver, "logs", "")
            receiver.expect_nothing_more()

    def _exchange_exists(self, name):
        try:
            self.broker.channel.exchange_declare(exchange=name, passive=True)
            return True
        except self.broker.pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code != 404:
                raise Failure(f"passive declare of exchange {name}: {error!r}") from None
            self.broker.channel = self.broker.connection.channel()
            return False

    def _receivers(self, program, exchange, bindings):
        """Starts one receiver per (binding keys, probe keys), bound when this returns."""
        kind = "direct" if program == "receive_logs_direct" else "topic"
        started = []
        for keys, probes in bindings:
            receiver = self.language.start(program, *keys, name=f"{program} {' '.join(keys)}")
            receiver.expect(self.language.text(f"{kind}.ready"))
            self.broker.wait(f"exchange {exchange} exists",
                             lambda: self._exchange_exists(exchange))
            for probe in probes:
                self.broker.wait_bound(receiver, exchange, probe)
            started.append((receiver, probes))
        return started

    def _route(self, program, exchange, receivers, cases):
        """Sends each case (key, message, receivers that see it); checks that no other does."""
        kind = "direct" if program == "emit_log_direct" else "topic"
        for key, message, seen_by in cases:
            self.language.send(program, key, *message.split(),
                               says=self.language.text(f"{kind}.sent", k=key, m=message))
            for i in seen_by:
                receivers[i][0].expect(self.language.text(f"{kind}.received", k=key, m=message))
        for receiver, probes in receivers:
            for probe in probes:
                self.broker.settle(receiver, exchange, probe)
            receiver.expect_nothing_more()

    def routing(self):
        """One receiver takes errors only, another every severity."""
        self.broker.delete_exchange("direct_logs")
        receivers = self._receivers("receive_logs_direct", "direct_logs", [
            (["error"], ["error"]),
            (["info", "warning", "error"], ["info", "warning", "error"]),
        ])
        self._route("emit_log_direct", "direct_logs", receivers, [
            ("error", "Run. Run. Or it will explode.", (0, 1)),
            ("info", "All is well", (1,)),
            ("warning", "It gets hot", (1,)),
            ("debug", "Nobody hears this", ()),
        ])

    def topics(self):
        """Patterns with `*` and `#`; a queue that two of its bindings match gets one copy."""
        self.broker.delete_exchange("topic_logs")
        receivers = self._receivers("receive_logs_topic", "topic_logs", [
            (["#"], ["probe"]),
            (["kern.*"], ["kern.probe"]),
            (["*.critical"], ["probe.critical"]),
            (["kern.*", "*.critical"], ["kern.probe", "probe.critical"]),
            (["lazy.#", "*.orange.*"], ["lazy", "probe.orange.probe"]),
        ])
        self._route("emit_log_topic", "topic_logs", receivers, [
            ("kern.critical", "A critical kernel error", (0, 1, 2, 3)),
            ("kern.info", "An event", (0, 1, 3)),
            ("auth.critical", "Someone is at the door", (0, 2, 3)),
            ("kern.disk.critical", "Three words", (0,)),
            ("lazy.orange.male.rabbit", "Four words", (0, 4)),
            ("quick.orange.rabbit", "Three more", (0, 4)),
            ("lazy", "One word", (0, 4)),
        ])

    def rpc(self):
        """The client prints the numbers of Fibonacci that the server worked out."""
        lang = self.language
        self.broker.delete_queue("rpc_queue")
        server = lang.start("rpc_server")
        server.expect(lang.text("rpc.ready"))
        self.broker.wait_consumers("rpc_queue", 1)
        for _ in range(2):
            client = lang.start("rpc_client", *lang.rpc_arguments)
            for n in lang.rpc_numbers:
                for line in (lang.text("rpc.requesting", n=n), lang.text("rpc.got", n=fib(n))):
                    if line is not None:
                        client.expect(line)
                if lang.style["rpc.served"] is not None:
                    server.expect(lang.text("rpc.served", n=n))
            client.finish()
            client.expect_nothing_more()
        server.kill()
        server.expect_nothing_more()


def fib(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


NAMES = ("hello_world", "work_queues", "publish_subscribe", "routing", "topics", "rpc")
assert fib(30) == FIB_30


def main(*languages):
    """`languages` are (title, Language) pairs; words on the command line choose tutorials 1 to 6."""
    lock = harness.lock_names()
    chosen = [int(word) for word in sys.argv[1:]] or range(1, 7)
    steps = []
    try:
        for title, language in languages:
            if language.prepare:
                language.prepare()
            tutorials = Tutorials(language)
            for number in chosen:
                name = NAMES[number - 1]
                steps.append((f"{title}: tutorial {number}, {name.replace('_', ' ')}",
                              getattr(tutorials, name)))
    except Failure as failure:
        print(f"not ok - {failure}")
        sys.exit(1)
    harness.run(steps)
    lock.close()
