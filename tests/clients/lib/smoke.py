# SPDX-License-Identifier: Apache-2.0
"""The deeper test of one client: a program in that language checks and prints "ok - CHECK" lines.

The list of checks is here, so that a program that ends early or forgets one cannot pass.
"""

import harness

CHECKS = (
    "publisher confirms",
    "mandatory return",
    "nack and requeue",
    "prefetch",
    "properties and header types",
    "large bodies",
    "consumer cancel notification",
    "transactions",
    "direct reply-to",
    "channel error",
    "connection error",
)


def main(title, argv, without=(), prepare=None):
    """Runs the program; `without` maps a check that this client cannot do to the reason."""

    def step():
        if prepare:
            prepare()
        program = harness.Program(argv, name=f"{title} smoke program")
        program.expect(*(f"ok - {check}" for check in CHECKS if check not in without))
        program.finish()
        program.expect_nothing_more()

    harness.run([(f"{title}: {len(CHECKS) - len(without)} checks", step)])
