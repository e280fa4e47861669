#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
"""What an amqp091-go application relies on beyond the tutorials (see smoke/smoke.go)."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import build  # noqa: E402
import smoke  # noqa: E402

programs = smoke.harness.workspace()
smoke.main("amqp091-go", [str(programs / "smoke")],
           prepare=lambda: build.compile_programs([HERE / "smoke"], programs))
