#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a librabbitmq application relies on beyond the tutorials (see smoke.c)."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import build  # noqa: E402
import harness  # noqa: E402
import smoke  # noqa: E402

programs = harness.workspace()
smoke.main("librabbitmq", [str(programs / "smoke")],
           prepare=lambda: build.compile_programs([HERE / "smoke.c"], programs))
