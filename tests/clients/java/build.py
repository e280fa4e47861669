# SPDX-License-Identifier: Apache-2.0
"""Compiles Java programs against Debian's client library."""

import harness

JARS = ("/usr/share/java/amqp-client.jar", "/usr/share/java/slf4j-api.jar",
        "/usr/share/java/slf4j-nop.jar")


def compile_programs(sources, directory):
    """Compiles the sources into `directory`; skips the test when the compiler or library is missing."""
    harness.need_commands("java", "javac", hint="default-jdk-headless")
    for jar in JARS:
        harness.need_file(jar, "librabbitmq-client-java")
    harness.build(["javac", "-Xlint:all,-processing,-try", "-cp", ":".join(JARS), "-d",
                   str(directory), *map(str, sources)])


def run(directory, program):
    """The words that start a compiled program; small settings, since many start on two cores."""
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp",
            ":".join((str(directory),) + JARS), program]
