# SPDX-License-Identifier: Apache-2.0
"""Rows of bench/backlog about long queues: what they take, how fast they come and go, and what one of many reads."""
from filled import Load, Node, Perf
from limits import disk_limits
from rendered import Rendered

PERSISTENT, WINDOW, ACKS = ["-f", "persistent"], ["-c", "4096"], ["-q", "1000", "-A", "100"]
M = 1_000_000
MEMORY_GOAL, START_GOAL, DRAIN_GOAL, SHARE_GOAL = 150, 1.0, 1e6, 0.7

LONG = [
    Load("persistent-100b", "100 B persistent, one queue", 20 * M, 100, 1, PERSISTENT + WINDOW, ACKS),
    Load("persistent-1k", "1 KiB persistent, one queue", 4 * M, 1024, 1, PERSISTENT + WINDOW, ["-a"]),
    Load("transient-100b", "100 B transient, one queue", 20 * M, 100, 1, WINDOW, ["-a"]),
    Load("100-queues", "1 KiB persistent, 100 queues", 2 * M, 1024, 100, PERSISTENT + ["-c", "100"], ACKS),
]
RATES = [
    Load("rate-persistent-1k", "1 KiB persistent", 4 * M, 1024, 1, PERSISTENT + WINDOW, ["-a"]),
    Load("rate-persistent-100b", "100 B persistent", 10 * M, 100, 1, PERSISTENT + WINDOW, ["-a"]),
    Load("rate-transient-100b", "100 B transient", 10 * M, 100, 1, WINDOW, ["-a"]),
    Load("rate-transient-16b", "16 B transient", 10 * M, 16, 1, WINDOW, ["-a"]),
    Load("rate-acks-1k", "1 KiB persistent, drained with acks", 4 * M, 1024, 1, PERSISTENT + WINDOW, ACKS),
    Load("rate-acks-100b", "100 B persistent, drained with acks", 10 * M, 100, 1, PERSISTENT + WINDOW, ACKS),
]


def long_queue(load, bench):
    """Publish, kill -9, forget the files, start, drain."""
    load = load.of(int(load.messages * bench.share))
    with Node(bench.build, bench.data) as node:
        result = {"messages": load.messages, "in": node.perf.publish(load), "memory": node.peak(), "disk": node.on_disk()}
        if load.is_durable:
            node.kill()
            node.forget_cached()
            result["start"] = node.restart()
        result["out"] = node.perf.drain(load)
        result["memory"] = max(result["memory"], node.peak())
    return result


def rabbitmq(load, bench):
    """A million messages of the load, in and out, without a restart between."""
    load = load.of(min(int(M * bench.share), load.messages))
    perf = Perf(bench.build, bench.oracle.port)
    result = {"in": perf.publish(load), "out": perf.drain(load)}
    for i in range(1, load.queues + 1):
        bench.oracle.call("ctl", "-q", "delete_queue", f"backlog-{i}", quiet=True)
    return result


# ---- rates ----


def goal_in(load, limits):
    """Messages per second to be taken."""
    if not load.is_durable:
        return 1e6
    return min(5e5, SHARE_GOAL * limits["sequential"] / load.size)


def fill_and_drain(load, bench, *options):
    """Rates of both, and the octets that the drain has read by calls."""
    with Node(bench.build, bench.data, *options) as node:
        rate_in = node.perf.publish(load)
        before = node.octets_read()["rchar"]
        rate_out = node.perf.drain(load)
        return rate_in, rate_out, node.octets_read()["rchar"] - before


def rates(load, bench):
    """Filled and drained at once, by the default settings and with all of it in memory."""
    load = load.of(int(load.messages * bench.share))
    limits = disk_limits(bench.data)
    rate_in, rate_out, read = fill_and_drain(load, bench)
    _, from_memory, read_memory = fill_and_drain(load, bench, "--queue-memory=8GiB")
    return {"messages": load.messages, "size": load.size, "limits": limits, "goal": goal_in(load, limits), "in": rate_in,
            "out": rate_out, "read": read, "out_memory": from_memory, "read_memory": read_memory}


# ---- one of a hundred ----

QUEUES, SIZE, MESSAGES, DRAINED = 100, 1024, 2 * M, "backlog-50"


def fill_runs(node, each):
    """100 publishers, each with its queue and 100 messages unconfirmed: runs of a queue's messages lie together."""
    node.perf.publish(Load("", "", each * QUEUES, SIZE, QUEUES, PERSISTENT + ["-c", "100"]))


def fill_in_turn(node, each):
    """One publisher, every message to the next queue: the worst case for whoever reads one queue."""
    publisher = Rendered(node.port, [(f"backlog-{1 + i % QUEUES}", {}, SIZE) for i in range(10 * QUEUES)])
    for _ in range(each // 10):
        publisher.send(4096)
    publisher.settle()
    publisher.close()


FILLS = {"read-runs": ("runs of up to 100", fill_runs), "read-in-turn": ("each message to the next queue", fill_in_turn)}


def read_one(name, bench):
    """Fill 100 queues, kill -9, forget the files, start, forget what the start has read, drain one queue."""
    title, fill = FILLS[name]
    each = max(int(MESSAGES * bench.share) // QUEUES // 10, 1) * 10
    with Node(bench.build, bench.data) as node:
        fill(node, each)
        disk = node.on_disk()
        node.kill()
        node.forget_cached()
        start = node.restart()
        node.forget_cached()
        before = node.octets_read()
        rate = node.perf.run("-u", DRAINED, "-p", "-x", 0, "-y", 1, "-D", each, "-a")["consumed_per_s"]
        read = {name: count - before[name] for name, count in node.octets_read().items()}
    return {"title": title, "messages": each * QUEUES, "disk": disk, "start": start, "drained": each, "rate": rate,
            "asked": read["rchar"], "read": read["read_bytes"], "amplification": read["read_bytes"] / (each * SIZE)}
