#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a php-amqplib application relies on beyond the tutorials (see smoke.php)."""

import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import harness  # noqa: E402
import smoke  # noqa: E402

harness.need_commands("php", hint="php-cli")
harness.need_success(["php", "-r", "require 'PhpAmqpLib/autoload.php';"], hint="php-amqplib")
smoke.main("php-amqplib", ["php", "-d", "memory_limit=256M", str(HERE / "smoke.php")])
