#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
"""What an application of RabbitMQ's Java client relies on beyond the tutorials (see Smoke.java)."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import build  # noqa: E402
import smoke  # noqa: E402

classes = smoke.harness.workspace()
smoke.main("Java client", build.run(classes, "Smoke"),
           prepare=lambda: build.compile_programs([HERE / "Smoke.java"], classes))
