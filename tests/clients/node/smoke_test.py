#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""What an amqplib application relies on beyond the tutorials (see smoke.js)."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import harness  # noqa: E402
import smoke  # noqa: E402

harness.need_commands("node", "npm", hint="nodejs npm")
smoke.main("amqplib", ["node", str(HERE / "smoke.js")],
           without={"transactions": "amqplib has no tx methods"},
           prepare=lambda: harness.build([HERE / "install"]))
