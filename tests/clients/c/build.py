# SPDX-License-Identifier: Apache-2.0
"""Compiles librabbitmq programs for these tests."""

import os
import pathlib
import subprocess

import harness

# Debian 13's <amqp.h> is a #warning that the header has moved, and users' programs still include it.
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Werror", "-Wno-error=cpp"]


def compile_programs(sources, directory):
    """Compiles each source into `directory`; skips the test when the compiler or library is missing."""
    compiler = os.environ.get("CC", "cc")
    harness.need_commands(compiler, "pkg-config", hint="gcc pkg-config")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "librabbitmq"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if flags.returncode != 0:
        harness.skip("no librabbitmq here (install librabbitmq-dev)")
    for source in sources:
        target = pathlib.Path(directory) / pathlib.Path(source).stem
        harness.build([compiler, "-std=gnu17", "-O1", *WARNINGS, str(source), "-o", str(target),
                       *flags.stdout.split()])
