# SPDX-License-Identifier: Apache-2.0
# Starting on a taken port, stopping under load, starting again at once: clear words, codes and frames. timeout: 120
import signal
import subprocess
import tempfile

from broker import TokkiMQ, free_port
from guard import works
from harness import *

if not TOKKI:
    skip("starts TokkiMQ brokers")

SHUTDOWN = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"


@check
def banner_and_speed():
    started = time.monotonic()
    with TokkiMQ() as broker:
        assert time.monotonic() - started < 0.2 * PATIENCE, "start-up"
        until(lambda: b"node started" in broker.log(), "the banner")  # it accepts connections before that
        log = broker.log().decode()
        assert "TokkiMQ" in log and str(broker.port) in log and broker.directory in log, log


@check
def taken_port():
    with TokkiMQ() as broker, tempfile.TemporaryDirectory() as data:
        second = subprocess.run(
            [broker.binary, "--data-dir", data, "--port", str(broker.port)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert second.returncode not in (0, -6, -11), second
        text = (second.stderr + second.stdout).decode().lower()
        assert str(broker.port) in text and ("in use" in text or "taken" in text), text
        works(broker.port)


@check
def bad_options():
    for options in (
        ["--port", "70000"],
        ["--port", "x"],
        ["--no-such-option"],
        ["--shards", "0"],
        ["--memory-limit", "lots"],
    ):
        with tempfile.TemporaryDirectory() as data:
            result = subprocess.run(
                [os.environ["TOKKI_BIN"], "--data-dir", data, *options],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE,
            )
            assert result.returncode not in (0, -6, -11) and result.stderr, (options, result)


@check
def clients_are_told_at_the_end():
    for number in signal.SIGTERM, signal.SIGINT:
        broker = TokkiMQ()
        idle, busy, silent = connect(port=broker.port), connect(port=broker.port), Socket(port=broker.port)
        ch = busy.channel()
        queue = ch.queue()
        ch.consume(queue)
        for _ in range(100):
            ch.publish("", queue, "x" * 1000)
        ch.delivery()
        broker.process.send_signal(number)
        idle.closes(320, SHUTDOWN)
        busy.closes(320, SHUTDOWN)
        silent.read_to_end()
        eq(broker.stop(), [])


@check
def ends_although_a_client_does_not_answer():
    broker = TokkiMQ()
    deaf = connect(port=broker.port)
    slow = connect(port=broker.port).channel()
    queue = slow.queue()
    slow.consume(queue, no_ack=True)
    for _ in range(1000):
        slow.publish("", queue, "x" * 10000)
    eq(broker.stop(), [])
    deaf.close()


@check
def same_port_at_once():
    port = free_port()
    for _ in range(3):
        with TokkiMQ(port=port):
            works(port)
            connect(port=port)  # left open: the broker closes first, its socket goes through TIME_WAIT


@check
def port_from_the_environment():
    port = free_port()
    os.environ["RABBITMQ_NODE_PORT"] = str(port)
    with tempfile.TemporaryDirectory() as data:
        process = subprocess.Popen(
            [os.environ["TOKKI_BIN"], "--data-dir", data],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        del os.environ["RABBITMQ_NODE_PORT"]
        try:
            until(lambda: answers(port), "listening on RABBITMQ_NODE_PORT")
            works(port)
        finally:
            process.terminate()
            eq(process.wait(PATIENCE), 0)


def answers(port):
    from broker import answers as listening

    return listening(port)


@check
def log_to_a_file():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "tokki.log")
        with TokkiMQ(options=["--log", path]) as broker:
            works(broker.port)
        with open(path) as log:
            assert log.read().strip()


main()
