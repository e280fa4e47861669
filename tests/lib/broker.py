# SPDX-License-Identifier: Apache-2.0
"""Brokers that the runner and the tests start, watch and stop: TokkiMQ from its binary, RabbitMQ through an oracle script."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SANITIZER = re.compile(rb"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:")
SLOW = float(os.environ.get("TOKKI_TEST_PATIENCE", "15"))


def free_port():
    """A port nobody listens on; from the range in TOKKI_TEST_PORTS ("first-last") when that is set."""
    span = os.environ.get("TOKKI_TEST_PORTS")
    if not span:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]
    first, last = map(int, span.split("-"))
    offset = os.getpid() + time.time_ns() // 1000
    for i in range(last - first + 1):
        port = first + (offset + i) % (last - first + 1)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError(f"no free port in {span}")


def answers(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


def rss_kib(pid):
    """Resident memory of a process."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class TokkiMQ:
    """One TokkiMQ process with a data directory of its own, which outlives it until remove(); `log_path` holds what it
    wrote to stderr and stdout, over all its starts."""

    def __init__(self, binary=None, options=(), port=None, wait=True, wrapper=(), starts=True):
        self.binary = binary or os.environ["TOKKI_BIN"]
        self.directory = tempfile.mkdtemp(prefix="tokkimq-test-")
        self.data = os.path.join(self.directory, "data")
        self.log_path = os.path.join(self.directory, "broker.log")
        self.port = port or free_port()
        self.options, self.wrapper = list(options), list(wrapper)
        self.process = None
        if starts:
            self.start(wait)

    def command(self):
        return [*self.wrapper, self.binary, "--data-dir", self.data, "--port", str(self.port), *self.options]

    def start(self, wait=True):
        """Starts it (again) on its data directory and port."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if wait:
            self.wait_ready()

    def refused(self, patience=None):
        """Starts it although it should not start: it must end by itself, with a code and a text. Returns the text."""
        result = subprocess.run(
            self.command(), stdin=subprocess.DEVNULL, capture_output=True, timeout=patience or 2 * SLOW
        )
        text = (result.stderr + result.stdout).decode(errors="replace")
        assert result.returncode > 0 and result.stderr, f"ended with {result.returncode}, said {text!r}"
        assert not SANITIZER.search(text.encode()), text
        return text

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self):
        deadline = time.monotonic() + SLOW
        while not answers(self.port):
            if not self.alive() or time.monotonic() > deadline:
                log = self.log().decode(errors="replace")
                self.remove()
                raise RuntimeError(f"{self.binary} did not start listening on {self.port}:\n{log}")
            time.sleep(0.01)  # a process that starts tells nobody; this is the poll of a condition

    def log(self):
        with open(self.log_path, "rb") as log:
            return log.read()

    def kill(self):
        """kill -9: this process and no other; the data directory stays."""
        self.process.kill()
        self.process.wait()

    def halt(self, patience=None, meanwhile=lambda: None):
        """SIGTERM; the data directory stays. `meanwhile` is called while it ends. Returns a list of complaints, empty when
        it ended cleanly."""
        complaints = []
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            meanwhile()
        try:
            code = self.process.wait(patience or 2 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
            complaints.append("did not stop on SIGTERM")
        if code != 0:
            complaints.append(f"ended with exit code {code}")
        log = self.log()
        if SANITIZER.search(log):
            complaints.append("a sanitizer reported:\n" + log[-12000:].decode(errors="replace"))
        elif complaints:
            complaints.append("its log ends with:\n" + log[-3000:].decode(errors="replace"))
        return complaints

    def stop(self, patience=None):
        """SIGTERM, and the data directory goes; returns complaints as halt does."""
        complaints = self.halt(patience)
        self.remove()
        return complaints

    def remove(self):
        if self.alive():
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        complaints = self.stop()
        assert kind or not complaints, "private broker: " + "; ".join(complaints)


class Oracle:
    """A real RabbitMQ. One that runs already under the ORACLE_* settings of the environment is used and left running;
    else a fresh one is started on free ports and removed at the end."""

    def __init__(self, target):
        tools = os.environ.get("TOKKI_ORACLE_DIR") or os.path.join(os.path.dirname(TESTS), "..", "shared", "tools")
        self.script = os.path.join(tools, target + "-oracle")
        self.pid, self.directory = None, None
        if "ORACLE_DIR" in os.environ and "ORACLE_AMQP_PORT" in os.environ and self.call("status", quiet=True) == 0:
            self.port = int(os.environ["ORACLE_AMQP_PORT"])
            return
        self.directory = tempfile.mkdtemp(prefix="tokkimq-oracle-")
        ports = [free_port() for _ in range(4)]
        while len(set(ports)) < 4:
            ports = [free_port() for _ in range(4)]
        for name, port in zip(("AMQP", "HTTP", "DIST", "EPMD"), ports):
            os.environ[f"ORACLE_{name}_PORT"] = str(port)
        os.environ["ORACLE_DIR"], os.environ["ORACLE_NODE"] = self.directory, f"t{os.getpid()}@localhost"
        self.port = ports[0]
        if self.call("start") != 0:
            raise RuntimeError(f"{self.script} start failed")

    def call(self, *arguments, quiet=False):
        output = subprocess.DEVNULL if quiet else None
        return subprocess.call([self.script, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def start(self):
        """Starts it again after halt or kill."""
        if self.call("start", quiet=True) != 0:
            raise RuntimeError(f"{self.script} start failed")

    def halt(self, meanwhile=lambda: None):
        """Stops it; its data stay."""
        meanwhile()
        return [] if self.call("stop", quiet=True) == 0 else [f"{self.script} stop failed"]

    def kill(self):
        """kill -9 of the node that our directory's pid file names."""
        with open(os.path.join(os.environ["ORACLE_DIR"], "node.pid")) as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGKILL)
        while answers(self.port):
            time.sleep(0.01)  # not our child; this is the poll of a condition

    def alive(self):
        return answers(self.port)

    def log(self):
        return b""

    def stop(self):
        if self.directory:
            self.call("stop")
            shutil.rmtree(self.directory, ignore_errors=True)
        return []
