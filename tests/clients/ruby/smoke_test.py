#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a bunny application relies on beyond the tutorials (see smoke.rb)."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import harness  # noqa: E402
import smoke  # noqa: E402

harness.need_commands("ruby", hint="ruby-bunny")
harness.need_success(["ruby", "-e", "require 'bunny'"], hint="ruby-bunny")
smoke.main("bunny", ["ruby", str(HERE / "smoke.rb")])
