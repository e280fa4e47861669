# SPDX-License-Identifier: Apache-2.0
"""Compiles Go programs against Debian's client library, without the module system."""

import os
import tempfile

import harness

SOURCES = "/usr/share/gocode"


def compile_programs(packages, directory):
    """Compiles each package folder into `directory`; skips the test when Go or the library is missing."""
    harness.need_commands("go", hint="golang-go")
    harness.need_file(f"{SOURCES}/src/github.com/rabbitmq/amqp091-go",
                      "golang-github-rabbitmq-amqp091-go-dev")
    env = dict(os.environ, GO111MODULE="off", GOPATH=SOURCES, GOFLAGS="")
    env.setdefault("HOME", tempfile.gettempdir())
    for package in packages:
        harness.build(["go", "build", "-o", f"{directory}/{package.name}"], cwd=package, env=env)
