#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""A Celery 5 application: retries, a chord, and a group of 1,000 tasks that outlives killed workers."""

import os
import pathlib
import sys
import uuid

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import harness  # noqa: E402
from harness import Failure  # noqa: E402

TASKS = 1000
RESULT_TIMEOUT_S = 4 * harness.TIMEOUT_S

harness.need_success(["/usr/bin/python3", "-c", "import celery"], hint="python3-celery")
home = harness.workspace()
(home / "done").mkdir()
(home / "results").mkdir()
QUEUE = f"tokki-celery-{uuid.uuid4()}"
os.environ.update(TOKKI_CELERY_DIR=str(home), TOKKI_CELERY_QUEUE=QUEUE,
                  AMQP_URI=harness.URI, PYTHONDONTWRITEBYTECODE="1")

import celery  # noqa: E402
import tasks  # noqa: E402


def start_worker(name, pool, concurrency, **more_environment):
    return harness.Program(
        ["/usr/bin/python3", "-m", "celery", "-A", "tasks", "worker", "--pool", pool,
         "--concurrency", str(concurrency), "--hostname", f"{name}@{QUEUE}", "--loglevel", "INFO"],
        name=f"worker {name}", merge_stderr=True, cwd=HERE,
        env=harness.environment(**more_environment))


class Workers:
    """Three workers, as an operator would start them: two in one process, one with a pool of two."""

    def __init__(self):
        self.all = [start_worker("one", "solo", 1), start_worker("two", "solo", 1),
                    start_worker("three", "prefork", 2)]
        for worker in self.all:
            worker.wait_for(" ready.")


def equal(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, wanted {wanted!r}")


def result_of(what, result):
    try:
        return result.get(timeout=RESULT_TIMEOUT_S)
    except celery.exceptions.TimeoutError:
        raise Failure(f"{what}: no result in {RESULT_TIMEOUT_S:g} s") from None


def ping():
    """Remote control: a broadcast, answered into a queue of the caller's (x-expires on both)."""
    names = [f"{name}@{QUEUE}" for name in ("one", "three", "two")]
    answers = tasks.app.control.ping(destination=names, timeout=harness.TIMEOUT_S, limit=3)
    equal("workers that answer a ping", sorted(name for answer in answers for name in answer), names)


def retries():
    equal("retries of a task that fails twice", result_of("retry", tasks.flaky.delay("a")), 2)
    calls = (home / "flaky-a").read_text(encoding="ascii").count("call")
    equal("calls of a task that fails twice", calls, 3)
    failed = tasks.hopeless.delay()
    equal("error of a task that fails", repr(failed.get(propagate=False, timeout=RESULT_TIMEOUT_S)),
          "ValueError('no way')")


def chord():
    result = celery.chord([tasks.square.s(i) for i in range(20)], tasks.total.s())()
    equal("sum of squares", result_of("chord", result), sum(i * i for i in range(20)))


def done():
    return {int(entry.name) for entry in os.scandir(home / "done")}


def executions_by_pid():
    """How many tasks each process has finished; a task may count twice, after a death."""
    counts = {}
    for entry in os.scandir(home / "done"):
        for pid in pathlib.Path(entry.path).read_text(encoding="ascii").split():
            counts[int(pid)] = counts.get(int(pid), 0) + 1
    return counts


def pool_child(worker):
    """A process of this worker's pool."""
    pid = worker.process.pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    if not children:
        raise Failure(f"{worker.name} has no pool processes")
    return int(children[-1])


def group_with_deaths(workers, broker):
    """kill -9 for a whole worker at a quarter and for a process of a pool at the half."""
    first, _, pooled = workers.all
    group = celery.group(tasks.note.s(i) for i in range(TASKS)).apply_async()
    broker.wait("a quarter of the tasks is done", lambda: len(done()) >= TASKS // 4)
    first.kill()
    finished = len(done())
    if finished >= TASKS:
        raise Failure("the first worker was killed too late: all tasks were done")
    broker.wait("half of the tasks is done", lambda: len(done()) >= TASKS // 2)
    os.kill(pool_child(pooled), 9)
    equal("results of the group", result_of("group", group), list(range(TASKS)))
    equal("tasks that left no file", sorted(set(range(TASKS)) - done()), [])
    counts = executions_by_pid()
    if not counts.get(first.process.pid):
        raise Failure(f"the killed worker had done nothing: {counts}")
    broker.wait("the queue is empty",
                lambda: broker.messages(QUEUE) == 0)


def whole_application():
    broker = harness.Broker()
    workers = Workers()
    for step in (ping, retries, chord, lambda: group_with_deaths(workers, broker)):
        step()
    for worker in workers.all[1:]:  # the warm shutdown: they acknowledge what they have done
        worker.process.terminate()
    for worker in workers.all[1:]:
        worker.finish()
    broker.wait_consumers(QUEUE, 0)
    equal("tasks that nobody acknowledged", broker.messages(QUEUE), 0)
    broker.delete_queue(QUEUE)
    broker.delete_exchange(QUEUE)


def results_over_amqp():
    """The rpc:// backend: results come back through a queue of the caller's."""
    queue = f"{QUEUE}-rpc"
    worker = start_worker("rpc", "solo", 1, TOKKI_CELERY_BACKEND="rpc://", TOKKI_CELERY_QUEUE=queue)
    worker.wait_for(" ready.")
    caller = celery.Celery("caller", broker=harness.URI, backend="rpc://", set_as_current=False)
    results = [caller.send_task("tasks.square", (i,), queue=queue) for i in range(20)]
    for i, result in enumerate(results):
        equal(f"square of {i}", result_of("rpc", result), i * i)
    worker.process.terminate()
    worker.finish()
    broker = harness.Broker()
    broker.delete_queue(queue)
    broker.delete_exchange(queue)


harness.run([(f"celery {celery.__version__}: ping, retries, chord, {TASKS} tasks, killed workers",
              whole_application),
             (f"celery {celery.__version__}: results over AMQP", results_over_amqp)])
