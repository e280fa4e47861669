# SPDX-License-Identifier: Apache-2.0
"""The Celery application of the test: late acknowledgements, results in files."""

import os
import pathlib
import time

from celery import Celery

HOME = pathlib.Path(os.environ["TOKKI_CELERY_DIR"])

app = Celery("tokki", broker=os.environ["AMQP_URI"],
             backend=os.environ.get("TOKKI_CELERY_BACKEND", f"file://{HOME / 'results'}"))
app.conf.update(
    task_default_queue=os.environ["TOKKI_CELERY_QUEUE"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
)


@app.task
def note(number):
    """Leaves a file with its number and the process that did it."""
    time.sleep(0.004)  # long enough that a worker dies with tasks in its hands
    with open(HOME / "done" / f"{number}", "a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    return number


@app.task
def square(number):
    return number * number


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=3)
def flaky(self, name):
    """Fails twice, then tells how often it was called."""
    with open(HOME / f"flaky-{name}", "a", encoding="ascii") as file:
        file.write("call\n")
    if self.request.retries < 2:
        raise self.retry(countdown=0.1, exc=RuntimeError("not yet"))
    return self.request.retries


@app.task
def hopeless():
    raise ValueError("no way")
