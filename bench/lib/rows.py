# SPDX-License-Identifier: Apache-2.0
"""What the bench measures: one row per load, with its goal and how tokki-perf is called for it."""
from dataclasses import dataclass, field


@dataclass
class Metric:
    """One number of a result. `goal` is what TokkiMQ is to reach; None: shown for information."""

    key: str  # in tokki-perf's JSON, "a.b" for nested ones, or what Row.derive adds
    unit: str  # "/s", "ns", "us", "s", "bytes" or "": how format_value() prints it
    goal: float | None = None
    is_higher_better: bool = False


@dataclass
class Row:
    name: str
    title: str
    arguments: list[str]  # for tokki-perf; "{z}" becomes the seconds of a run
    metrics: list[Metric]
    rabbit_arguments: list[str] | None = None  # where RabbitMQ would take minutes; default: the same
    has_rabbit: bool = True
    baseline: list[str] | None = None  # a second call before, whose numbers derive() subtracts
    derive: object = None  # function(result, baseline result) -> extra numbers
    runs_once: bool = False  # on RabbitMQ: the row is long, or leaves a large state behind
    counts_allocations: bool = False
    relative_to: str | None = None  # goal: at least 90 % of that row's first metric
    is_durable: bool = False  # wants a real disk, whose limits are measured beside every run
    batch: tuple[int, int] | None = None  # (messages, bytes of their bodies) the publisher sends before it must wait
    queue: str | None = None  # outlives a run and is deleted on RabbitMQ; a TokkiMQ is fresh anyway
    notes: list[str] = field(default_factory=list)


def rate(goal=None):
    return Metric("consumed_per_s", "/s", goal, True)


def confirmed(goal=None):
    return Metric("confirmed_per_s", "/s", goal, True)


def cpu(goal_ns=None):
    return Metric("server_cpu_ns_per_msg", "ns", goal_ns)


def timed(*arguments):
    return [*arguments, "--warmup", "{warmup}", "-z", "{z}"]


QUEUE = "bench.durable"


def durable(name, title, window, size, metrics, *consumer):
    """A row of persistent messages with confirms in a durable queue; without arguments for a consumer there is none, and
    the backlog stays in memory: the run is kept short."""
    load = ["-u", QUEUE, "--auto-delete", "false", "-f", "persistent", "-s", str(size), "-c", str(window)]
    seconds = ["--warmup", "{warmup}", "-z", "{z}" if consumer else "{z_backlog}"]
    return Row(name, title, [*load, *(consumer or ("-y", "0")), *seconds], metrics,
               is_durable=True, batch=(window, window * size), queue=QUEUE)


def route_ns(result, baseline):
    """CPU time that 100,000 bindings add to a message: both runs deliver every message exactly once."""
    return {"route_ns": result["server_cpu_ns_per_msg"] - baseline["server_cpu_ns_per_msg"]}


def per_million(result, _):
    """Allocations of a whole run, set-up included, spread over its messages."""
    return {"allocations_per_million": result["allocations"] * 1e6 / max(result["consumed_total"], 1)}


ROWS = [
    Row("16b-noack", "16 B, transient, no-ack", timed("-a"), [rate(6e6), cpu(120)]),
    Row("16b-confirm", "16 B, confirms (window 4096), acks (prefetch 1000)",
        timed("-c", "4096", "-q", "1000", "-A", "250"), [rate(3.5e6), cpu(170)]),
    Row("1k-noack", "1 KiB, no-ack", timed("-s", "1024", "-a"), [rate(1.4e6), cpu(600)]),
    Row("16k-noack", "16 KiB, no-ack", timed("-s", "16384", "-a"), [rate(100e3), cpu(8000)]),
    Row("closed-loop", "closed loop: 1 outstanding, confirm + ack, cycles/s",
        timed("-c", "1", "-q", "1", "-A", "1"), [rate(15e3), cpu(30000)]),
    Row("10x10x10", "10 publishers, 10 queues, 10 consumers, 16 B",
        timed("-x", "10", "-y", "10", "-qp", "bench-%d", "-qpt", "10", "-a"), [rate(), cpu()],
        relative_to="16b-noack"),
    Row("fanout-10", "fanout to 10 queues, 16 B, deliveries/s",
        timed("-y", "10", "-t", "fanout", "-e", "bench.fanout", "-a"), [rate(8e6), cpu(100)]),
    Row("latency-10k", "latency at 10,000 msg/s, 16 B: p99, median",
        timed("-r", "10000", "-a"),
        [Metric("latency_us.p99", "us", 500), Metric("latency_us.p50", "us")]),
    Row("topic-100k", "topic exchange, 100,000 bindings, uncached keys: CPU per route",
        timed("-u", "bench.topic", "-a", "--topic-bindings", "100000"),
        [Metric("route_ns", "ns", 300), rate()],
        baseline=timed("-u", "bench.topic", "-a", "--topic-bindings", "0"), derive=route_ns,
        has_rabbit=False),
    Row("declare-10k", "declare 10,000 queues in one pipeline", ["--declare-queues", "10000"],
        [Metric("declare_seconds", "s", 1.0), Metric("server_bytes_per_queue", "bytes")],
        rabbit_arguments=["--declare-queues", "2000"], runs_once=True,
        notes=["RabbitMQ declares 2,000; its seconds are scaled to 10,000"],
        derive=lambda r, _: {"declare_seconds": r["declare_seconds"] * 10000 / r["queues"]}),
    Row("idle-19k", "19,000 idle connections: memory of each",
        ["--connections", "19000", "-z", "1"],
        [Metric("server_bytes_per_connection", "bytes", 4096),
         Metric("connections_per_s", "/s", None, True)],
        rabbit_arguments=["--connections", "2000", "-z", "1"], runs_once=True,
        notes=["RabbitMQ holds 2,000"]),
    durable("durable-1", "1 KiB, persistent, confirms, 1 outstanding: confirms/s, CPU, median wait", 1, 1024,
            [confirmed(5e3), cpu(), Metric("confirm_latency_us.p50", "us")]),
    durable("durable-256", "1 KiB, persistent, confirms, 256 outstanding", 256, 1024,
            [confirmed(300e3), cpu(2500)]),
    durable("durable-4096", "1 KiB, persistent, 4096 outstanding, consumer (prefetch 1000, acks by 250)", 4096, 1024,
            [rate(400e3), cpu()], "-q", "1000", "-A", "250"),
    durable("durable-16b", "16 B, persistent, 4096 outstanding, consumer (prefetch 1000, acks by 250)", 4096, 16,
            [rate(1.5e6), cpu()], "-q", "1000", "-A", "250"),
    Row("durable-declare", "declare 20,000 durable queues in one pipeline", ["--declare-queues", "20000", "-f", "persistent"],
        [Metric("declared_per_s", "/s", 20e3, True), Metric("server_cpu_us_per_declare", "us")],
        rabbit_arguments=["--declare-queues", "1000", "-f", "persistent"], runs_once=True, is_durable=True,
        notes=["RabbitMQ declares 1,000"]),
    Row("allocations", "heap allocations per million messages (16 B, confirms + acks)",
        timed("-c", "4096", "-q", "1000", "-A", "250"),
        [Metric("allocations_per_million", "", 100)],
        counts_allocations=True, derive=per_million, has_rabbit=False),
]
