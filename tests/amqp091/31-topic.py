# SPDX-License-Identifier: Apache-2.0
# Topic exchanges: `*` is one word, `#` any number of words, and empty words are words.
from harness import *
from routing import Routes

PATTERNS = [
    "",
    "#",
    "*",
    "*.*",
    "#.#",
    "*.#",
    "#.*",
    "a",
    "a.b",
    "a.*",
    "*.b",
    "a.#",
    "#.b",
    "a.#.b",
    "a.*.b",
    "#.a.#",
    "*.a.*",
    "a..b",
    ".",
    "a.",
    ".a",
    "a.#.#",
    "#.*.#",
    "a*",
    "a.b*",
    "##",
    "*.*.*",
    "#.a.*.b",
    "A",
]


def matches(pattern, key):
    """The rule, written as plainly as possible."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(matches(pattern[1:], key[i:]) for i in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and matches(pattern[1:], key[1:])


def words(text):
    return text.split(".") if text else []


KEYS = [
    "",
    "a",
    "b",
    "A",
    "aa",
    "a.b",
    "a.c",
    "b.a",
    "a.b.c",
    "a.x.b",
    "a.x.y.b",
    "x.a",
    "x.a.y",
    "..",
    ".",
    "a.",
    ".a",
    "a..b",
    "a.*",
    "#",
    "*",
    "a*",
    "a.b*",
    "##",
    "x.a.y.b",
    "a.a",
    "a.a.a",
    "...",
    "a.b.a.b",
    "long." * 40 + "end",
]


@check
def against_the_rule(ch):
    routes = Routes(ch, "topic")
    for pattern in PATTERNS:
        routes.bind(pattern, pattern)
    for key in KEYS:
        routes.check({p for p in PATTERNS if matches(words(p), words(key))}, key)


@check
def unbinding_takes_only_that_pattern(ch):
    routes = Routes(ch, "topic")
    patterns = ["a.b.c", "a.b.*", "a.#", "#", "a.*.c", "#.c"]
    for pattern in patterns:
        routes.bind(pattern, pattern)
    while patterns:
        routes.check(patterns, "a.b.c")
        pattern = patterns.pop(0)
        ch.rpc("queue.unbind", queue=routes.queues[pattern], exchange=routes.exchange, routing_key=pattern)
    routes.check(set(), "a.b.c")


@check
def one_queue_with_many_patterns_gets_one_copy(ch):
    routes = Routes(ch, "topic")
    for pattern in "#", "a.#", "*.b", "a.b", "#.b.#":
        routes.bind("q", pattern)
    routes.check({"q"}, "a.b")


@check
def a_thousand_patterns(ch):
    routes = Routes(ch, "topic")
    queue = ch.queue()
    routes.queues["q"] = queue
    ch.c.write(
        b"".join(
            codec.method_frame(
                1,
                "queue.bind",
                queue=queue,
                exchange=routes.exchange,
                nowait=True,
                routing_key=f"sensor.{i}.*.temperature",
            )
            for i in range(1000)
        )
    )
    for i in 0, 1, 500, 999:
        routes.check({"q"}, f"sensor.{i}.x.temperature")
    routes.check(set(), "sensor.1000.x.temperature")
    routes.check(set(), "sensor.1.temperature")


main()
