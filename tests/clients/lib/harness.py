# SPDX-License-Identifier: Apache-2.0
"""Runs client programs as a user at a terminal would and checks what they print.

Every program gets a pseudo terminal as its standard output: languages that buffer a pipe flush a
terminal line by line, so the programs stay exactly as the tutorials have them. Nothing here sleeps
for a fixed time: each step waits for a line, or for the broker to report a state.
"""

import atexit
import ctypes
import fcntl
import os
import pathlib
import pty
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback

HOST = os.environ.get("AMQP_HOST", "127.0.0.1")
PORT = int(os.environ.get("AMQP_PORT", "5672"))
URI = os.environ.get("AMQP_URI", f"amqp://guest:guest@{HOST}:{PORT}/%2f")
TARGET = os.environ.get("TOKKI_TARGET", "tokkimq")
TIMEOUT_S = max(30.0, float(os.environ.get("TOKKI_TEST_PATIENCE", "30")))
CLIENTS = pathlib.Path(__file__).resolve().parents[1]

# A line that holds this word answers one of our probes; it is not part of the tutorial's output.
PROBE = "tokki-probe"
SKIPPED = 77


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """An expectation that did not hold; the text is the whole report."""


def skip(reason):
    print(f"skip: {reason}")
    sys.exit(SKIPPED)


def need_commands(*names, hint):
    for name in names:
        if shutil.which(name) is None:
            skip(f"no {name} here (install {hint})")


def need_file(path, hint):
    if not pathlib.Path(path).exists():
        skip(f"no {path} here (install {hint})")


def need_success(argv, hint):
    """Skips unless this probe of an installed library succeeds."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        skip(f"{' '.join(argv)} fails here (install {hint})")


def environment(**more):
    env = dict(os.environ, AMQP_HOST=HOST, AMQP_PORT=str(PORT), AMQP_URI=URI, TERM="dumb")
    env.setdefault("LANG", "C.UTF-8")
    env.setdefault("HOME", tempfile.gettempdir())
    env.update(more)
    return env


def build(argv, **kwargs):
    """Runs a compiler or installer; its whole output is the report when it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **kwargs)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stdout}")


def end_with_parent():
    """In the child: the kernel ends it when this test is killed before it can clean up."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """One running client program. Only processes started here are ever ended, by their own id."""

    running = []

    def __init__(self, argv, name=None, merge_stderr=False, strip=None, env=None, cwd=None):
        self.name = name or pathlib.Path(argv[-1]).name
        self.strip = re.compile(strip) if strip else None
        self.lines = queue.Queue()
        self.history = []
        self.errors = []
        self.probes = set()
        ours, theirs = pty.openpty()
        mode = termios.tcgetattr(theirs)
        mode[1] &= ~termios.OPOST  # no "\r\n" for "\n"
        termios.tcsetattr(theirs, termios.TCSANOW, mode)
        self.process = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=theirs,
            stderr=theirs if merge_stderr else subprocess.PIPE, env=env or environment(), cwd=cwd,
            start_new_session=True, preexec_fn=end_with_parent)
        os.close(theirs)
        self.readers = [threading.Thread(target=self._read, args=(ours, self._line), daemon=True)]
        if not merge_stderr:
            error_fd = os.dup(self.process.stderr.fileno())
            self.process.stderr.close()
            self.readers.append(
                threading.Thread(target=self._read, args=(error_fd, self.errors.append),
                                 daemon=True))
        for reader in self.readers:
            reader.start()
        Program.running.append(self)

    def _read(self, fd, deliver):
        rest = b""
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:  # EIO: the last process that held the terminal is gone
                data = b""
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                deliver(line.decode("utf-8", "replace").rstrip("\r"))
        if rest:
            deliver(rest.decode("utf-8", "replace"))
        os.close(fd)
        if deliver == self._line:
            self.lines.put(None)

    def _line(self, line):
        if self.strip:
            line = self.strip.sub("", line)
        self.history.append(line)
        found = re.search(PROBE + r"-\d+", line)
        if found:
            self.probes.add(found.group())
        else:
            self.lines.put(line)

    def report(self):
        text = [f"--- {self.name} (pid {self.process.pid}, exit {self.process.poll()}) printed:"]
        text += ["  | " + line for line in self.history[-40:]]
        text += ["  ! " + line for line in self.errors[-40:]]
        return "\n".join(text)

    def next_line(self, what):
        try:
            line = self.lines.get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise Failure(f"{self.name}: nothing printed in {TIMEOUT_S:g} s, wanted {what}") from None
        if line is None:
            self.lines.put(None)
            raise Failure(f"{self.name}: ended, wanted {what}")
        return line

    def expect(self, *wanted):
        """The next lines are exactly these; `<any>` inside a line stands for any text."""
        for line in wanted:
            pattern = ".*".join(re.escape(part) for part in line.split("<any>"))
            got = self.next_line(repr(line))
            if not re.fullmatch(pattern, got):
                raise Failure(f"{self.name}: wanted {line!r}, got {got!r}")

    def wait_for(self, part):
        """Reads lines up to the first one that holds this text (for programs that log a lot)."""
        while part not in self.next_line(f"a line with {part!r}"):
            pass

    def expect_any_order(self, *wanted):
        """The next lines are these, in any order (no <any> here)."""
        got = [self.next_line(repr(wanted)) for _ in wanted]
        if sorted(got) != sorted(wanted):
            raise Failure(f"{self.name}: wanted {wanted!r} in any order, got {got!r}")

    def expect_nothing_more(self):
        try:
            line = self.lines.get_nowait()
        except queue.Empty:
            return
        if line is not None:
            raise Failure(f"{self.name}: printed {line!r}, wanted nothing more")

    def finish(self, status=0):
        """Waits for the program to end by itself with this status."""
        try:
            got = self.process.wait(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: still running after {TIMEOUT_S:g} s") from None
        for reader in self.readers:
            reader.join(timeout=TIMEOUT_S)
        if got != status:
            raise Failure(f"{self.name}: ended with status {got}, wanted {status}")

    def kill(self, sig=signal.SIGKILL):
        """Ends the program and what it started (it leads a session of its own)."""
        try:
            os.killpg(self.process.pid, sig)
        except ProcessLookupError:
            pass
        self.process.wait()
        for reader in self.readers:
            reader.join(timeout=1)

    @classmethod
    def kill_all(cls):
        for program in cls.running:
            program.kill()
        cls.running.clear()


class Broker:
    """Set-up and waiting, over a connection of its own (pika)."""

    def __init__(self):
        try:
            import pika  # here, so that a missing package is a skip
        except ImportError:
            skip("no pika here (install python3-pika)")
        self.pika = pika
        parameters = pika.URLParameters(URI)
        parameters.heartbeat = 0  # nobody services this connection while programs run
        try:
            self.connection = pika.BlockingConnection(parameters)
        except pika.exceptions.AMQPConnectionError as error:
            raise Failure(f"cannot connect to the broker at {HOST}:{PORT}: {error!r}") from None
        self.channel = self.connection.channel()
        self.probe_count = 0
        self.probe_end = ""  # a line end, for a program that prints bodies and nothing else

    def consumers(self, name):
        """Number of consumers of a queue; None while there is no such queue."""
        try:
            return self.channel.queue_declare(queue=name, passive=True).method.consumer_count
        except self.pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code != 404:
                raise Failure(f"passive declare of {name}: {error!r}") from None
            self.channel = self.connection.channel()
            return None

    def messages(self, name):
        return self.channel.queue_declare(queue=name, passive=True).method.message_count

    def delete_queue(self, *names):
        for name in names:
            self.channel.queue_delete(queue=name)

    def delete_exchange(self, *names):
        for name in names:
            self.channel.exchange_delete(exchange=name)

    def wait(self, what, condition):
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise Failure(f"waited {TIMEOUT_S:g} s in vain: {what}")
            time.sleep(0.01)

    def wait_consumers(self, name, count):
        self.wait(f"queue {name} has {count} consumer(s)", lambda: self.consumers(name) == count)

    def _probe(self, exchange, key):
        self.probe_count += 1
        text = f"{PROBE}-{self.probe_count}"
        self.channel.basic_publish(exchange=exchange, routing_key=key, body=text + self.probe_end)
        return text

    def wait_bound(self, program, exchange, key):
        """Waits until what is published with this key reaches the program."""
        sent = set()
        next_probe = [0.0]

        def reached():
            if time.monotonic() >= next_probe[0]:
                sent.add(self._probe(exchange, key))
                next_probe[0] = time.monotonic() + 0.2
            return bool(program.probes & sent)

        self.wait(f"{program.name} is bound to {exchange} with {key!r}", reached)

    def settle(self, program, exchange, key):
        """Waits until the program has printed all that was published so far: a queue is in order."""
        text = self._probe(exchange, key)
        self.wait(f"{program.name} prints {text}", lambda: text in program.probes)


def lock_names():
    """The tutorials fix their queue names: two tests on one broker would mix, so they take turns."""
    path = pathlib.Path(tempfile.gettempdir()) / f"tokki-tutorials-{PORT}.lock"
    handle = open(path, "w", encoding="ascii")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def workspace():
    """A directory for what this test builds; it goes when the test ends."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tokki-clients-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def run(steps):
    """Runs (name, function) pairs, reports each, and exits 0 or 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the clean-up below happens
    failed = 0
    try:
        for name, step in steps:
            started = time.monotonic()
            try:
                step()
                print(f"ok - {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except Exception as error:  # a client's own exception fails this step only
                failed += 1
                text = error if isinstance(error, Failure) else traceback.format_exc()
                print(f"not ok - {name}: {text}", flush=True)
                for program in Program.running:
                    print(program.report(), flush=True)
            finally:
                Program.kill_all()
    finally:
        Program.kill_all()
    sys.exit(1 if failed else 0)
