# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them, and the bench's result as a markdown table."""
import statistics

SCALES = {
    "/s": [(1e6, " M/s"), (1e3, " k/s"), (1, "/s")],
    "ns": [(1e6, " ms"), (1e3, " us"), (1, " ns")],
    "us": [(1e3, " ms"), (1, " us")],
    "s": [(1, " s"), (1e-3, " ms")],
    "bytes": [(1048576, " MiB"), (1024, " KiB"), (1, " B")],
    "bytes/s": [(1e9, " GB/s"), (1e6, " MB/s")],
    "%": [(0.01, " %")],
    "": [(1e6, " M"), (1, "")],
}


def scale_of(value, unit):
    scales = SCALES[unit]
    return next(((factor, suffix) for factor, suffix in scales if abs(value) >= factor), scales[-1])


def format_number(number):
    """Three significant digits."""
    digits = 0 if abs(number) >= 99.95 else 1 if abs(number) >= 9.995 else 2
    return f"{number:.{digits}f}"


def format_value(value, unit):
    """ "6.81 M/s": in the unit that suits the value."""
    factor, suffix = scale_of(value, unit)
    return format_number(value / factor) + suffix


def format_range(value, low, high, unit):
    """ "6.81 [6.50-7.02] M/s", all in the unit that suits the middle."""
    factor, suffix = scale_of(value, unit)
    middle, low, high = (format_number(n / factor) for n in (value, low, high))
    return f"{middle} [{low}-{high}]{suffix}"


def lookup(result, key):
    for part in key.split("."):
        result = result.get(part) if isinstance(result, dict) else None
    return result


def values_of(runs, metric):
    return [v for v in (lookup(run, metric.key) for run in runs) if v is not None]


def median_of(runs, metric):
    values = values_of(runs, metric)
    return statistics.median(values) if values else None


def cell(runs, metrics):
    """ "6.81 [6.50-7.02] M/s, 98.0 [95.1-101] ns": median and range of each metric."""
    parts = []
    for metric in metrics:
        values = values_of(runs, metric)
        if len(values) == 1:
            parts.append(format_value(values[0], metric.unit))
        elif values:
            parts.append(format_range(statistics.median(values), min(values), max(values), metric.unit))
    return ", ".join(parts) or "-"


def goal_cell(row):
    parts = [("" if m.is_higher_better else "<= ") + format_value(m.goal, m.unit)
             for m in row.metrics if m.goal is not None]
    if row.relative_to:
        parts.append(f">= 90 % of {row.relative_to}")
    return ", ".join(parts) or "-"


def is_reached(row, runs, results):
    """Whether the medians meet the row's goals; None without goals or results."""
    verdicts = []
    for metric in row.metrics:
        value = median_of(runs, metric)
        if metric.goal is not None and value is not None:
            verdicts.append(value >= metric.goal if metric.is_higher_better else value <= metric.goal)
    if row.relative_to:
        own = median_of(runs, row.metrics[0])
        other = median_of(results.get(row.relative_to, {}).get("tokkimq", []), row.metrics[0])
        if own is not None and other is not None:
            verdicts.append(own >= 0.9 * other)
    return all(verdicts) if verdicts else None


def ratio_cell(row, tokki, rabbit):
    """How many times better TokkiMQ is, per metric."""
    parts = []
    for metric in row.metrics:
        ours, theirs = median_of(tokki, metric), median_of(rabbit, metric)
        if ours and theirs and ours > 0 and theirs > 0:
            times = ours / theirs if metric.is_higher_better else theirs / ours
            parts.append(f"{times:.0f}x" if times >= 9.95 else f"{times:.1f}x")
    return ", ".join(parts) or "-"


def print_table(rows, results):
    print("| row | load | goal | TokkiMQ | reached | RabbitMQ 3.10.8 | times better |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        result = results.get(row.name)
        if result is None:
            continue
        tokki, rabbit = result.get("tokkimq", []), result.get("rabbitmq", [])
        reached = {True: "yes", False: "no", None: "-"}[is_reached(row, tokki, results)]
        ours = cell(tokki, row.metrics) if tokki else result.get("error", "-")
        print(f"| {row.name} | {row.title} | {goal_cell(row)} | {ours} | {reached} "
              f"| {cell(rabbit, row.metrics)} | {ratio_cell(row, tokki, rabbit)} |")
    for row in rows:
        for note in row.notes if row.name in results else []:
            print(f"\n{row.name}: {note}.", end="")
    print()


def disk_values(row, run):
    """What one run reached beside what the disk could do just before it, by itself; shares are of 1."""
    limits, rate = run["disk"], lookup(run, row.metrics[0].key)
    values = dict(limits)
    if row.batch:
        values["share_of_batches"] = rate / limits["messages_per_s"]
    if "disk_bytes_per_msg" in run:
        values["bytes_per_message"] = run["disk_bytes_per_msg"]
        values["share_of_bytes"] = rate * run["disk_bytes_per_msg"] / limits["sequential_bytes_per_s"]
    return values


DISK_COLUMNS = [
    ("1 MiB writes", [("sequential_bytes_per_s", "bytes/s")]),
    ("4 KiB + fdatasync, median", [("syncs_per_s", "/s"), ("sync_us_p50", "us")]),
    ("the row's window + fdatasync, as messages", [("batch_bytes", "bytes"), ("messages_per_s", "/s")]),
    ("TokkiMQ's share of that", [("share_of_batches", "%")]),
    ("written per message", [("bytes_per_message", "bytes")]),
    ("share of 1 MiB writes", [("share_of_bytes", "%")]),
]


def disk_cell(runs, columns):
    parts = [[run[key] for run in runs if key in run] for key, _ in columns]
    return ", ".join(format_value(statistics.median(values), unit)
                     for values, (_, unit) in zip(parts, columns) if values) or "-"


def print_disk_table(rows, results):
    """The disk's own limits, measured right before each run of a durable row, and how much of them the row reached."""
    measured = [(row, results[row.name]["tokkimq"]) for row in rows
                if row.is_durable and results.get(row.name, {}).get("tokkimq")]
    if not measured:
        return
    print("\n| row | " + " | ".join(title for title, _ in DISK_COLUMNS) + " |")
    print("|---" * (len(DISK_COLUMNS) + 1) + "|")
    for row, runs in measured:
        values = [disk_values(row, run) for run in runs]
        print(f"| {row.name} | " + " | ".join(disk_cell(values, columns) for _, columns in DISK_COLUMNS) + " |")
