# SPDX-License-Identifier: Apache-2.0
"""Routing tables as tests: which of a set of bound queues get a message."""
from harness import eq, unique


class Routes:
    """An exchange of some type with one queue per labelled binding, and what each of them got."""

    def __init__(self, ch, kind):
        self.ch, self.exchange, self.queues, self.sent = ch, ch.exchange(unique(kind), kind), {}, 0
        ch.rpc("confirm.select")

    def bind(self, label, key="", **arguments):
        if label not in self.queues:
            self.queues[label] = self.ch.queue()
        self.ch.bind(self.queues[label], self.exchange, key, **arguments)

    def go(self, key="", **props):
        """Labels of the queues that got one copy (a second copy fails)."""
        self.ch.publish(self.exchange, key, "x", props)
        self.sent += 1
        self.ch.confirms(1, self.sent)
        got = {label: self.ch.drain(queue) for label, queue in self.queues.items()}
        assert all(copies in ([], ["x"]) for copies in got.values()), got
        return {label for label, copies in got.items() if copies}

    def check(self, labels, key="", **props):
        eq(self.go(key, **props), set(labels), f"key {key!r} {props}:")
