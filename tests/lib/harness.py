# SPDX-License-Identifier: Apache-2.0
"""What every wire test starts with: `from harness import *`, checks marked with @check, `main()` at the end."""
import inspect
import itertools
import os
import re
import sys
import threading
import time
import traceback

import codec
import wire
from codec import Tagged
from wire import HOST, PATIENCE, PORT, Channel, Closed, Connection, Socket, connect

TARGET = os.environ.get("TOKKI_TARGET", "tokkimq")  # tokkimq, rabbitmq3, rabbitmq4
TOKKI = TARGET == "tokkimq"
SKIPPED = 77

_checks = []
_numbers = itertools.count(1)


def check(function):
    """Marks a function as a check. It gets what its parameters name: `c` a connection, `c2` another,
    `ch` channel 1 of c, `ch2` channel 2 of c, `other` channel 1 of c2."""
    _checks.append(function)
    return function


def only(*targets):
    """A check for some targets only."""
    return check if TARGET in targets else lambda function: function


def unique(stem="q"):
    """A name nobody has used before."""
    return f"{stem}-{os.getpid()}-{next(_numbers)}-{time.time_ns() % 10**9}"


def skip(reason):
    print("skipped:", reason)
    sys.exit(SKIPPED)


def eq(got, want, what=""):
    assert got == want, f"{what} got {got!r}, expected {want!r}"


def until(condition, what="condition", patience=None):
    """Waits for the condition to hold (returns its value); polls, because the broker has nobody to tell us."""
    deadline = time.monotonic() + (patience or PATIENCE)
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true in time"
        threading.Event().wait(0.01)
    return value


def by_target(rabbitmq, tokkimq):
    """The expectation for this target where TokkiMQ differs on purpose: each use has a row in docs/differences.md."""
    return tokkimq if TOKKI else rabbitmq


def _resources(function):
    made = {}

    def connection(name):
        if name not in made:
            made[name] = connect()
        return made[name]

    makers = {
        "c": lambda: connection("c"),
        "c2": lambda: connection("c2"),
        "ch": lambda: connection("c").channel(1),
        "ch2": lambda: connection("c").channel(2),
        "other": lambda: connection("c2").channel(1),
    }
    return [makers[name]() for name in inspect.signature(function).parameters], made


def main():
    """Runs the checks in order and exits; arguments select checks by name."""
    failed = 0
    for function in _checks:
        if sys.argv[1:] and not any(word in function.__name__ for word in sys.argv[1:]):
            continue
        made = {}
        try:
            arguments, made = _resources(function)
            function(*arguments)
        except ConnectionRefusedError:
            failed += 1
            print(f"FAIL {function.__name__}: nobody listens on {HOST}:{PORT} any more, giving up")
            break
        except Exception as error:  # a failed check must not hide the next ones
            failed += 1
            lines = [str(f.lineno) for f in traceback.extract_tb(error.__traceback__) if f.filename == sys.argv[0]]
            print(f"FAIL {function.__name__}, line {' > '.join(lines)}: {type(error).__name__}: {error}")
            if not lines or not isinstance(error, (AssertionError, TimeoutError, Closed)):
                traceback.print_exc(limit=-6, file=sys.stdout)
        finally:
            for connection in made.values():
                connection.close()
    print(f"{len(_checks)} checks, {failed} failed")
    sys.exit(1 if failed else 0)
