# SPDX-License-Identifier: Apache-2.0
# Headers exchanges: x-match all, any, all-with-x, any-with-x; void stands for "is present".
from harness import *
from routing import Routes


@check
def all_is_the_default(ch):
    routes = Routes(ch, "headers")
    routes.bind("default", a=1, b="x")
    routes.bind("all", a=1, b="x", **{"x-match": "all"})
    routes.bind("any", a=1, b="x", **{"x-match": "any"})
    routes.check({"default", "all", "any"}, headers={"a": 1, "b": "x", "more": True})
    routes.check({"any"}, headers={"a": 1})
    routes.check({"any"}, headers={"a": 2, "b": "x"})
    routes.check(set(), headers={"a": 2, "b": "X", "c": 1})
    routes.check(set(), headers={})
    routes.check(set())


@check
def the_key_does_not_matter(ch):
    routes = Routes(ch, "headers")
    routes.bind("q", "some key", a=1)
    routes.check({"q"}, "another key", headers={"a": 1})


@check
def empty_arguments(ch):
    routes = Routes(ch, "headers")
    routes.bind("default")
    routes.bind("all", **{"x-match": "all"})
    routes.bind("any", **{"x-match": "any"})
    routes.bind("all-with-x", **{"x-match": "all-with-x"})
    routes.bind("any-with-x", **{"x-match": "any-with-x"})
    routes.check({"default", "all", "all-with-x"}, headers={"a": 1})
    routes.check({"default", "all", "all-with-x"})


@check
def void_means_present(ch):
    routes = Routes(ch, "headers")
    routes.bind("q", a=None)
    for value in 1, "x", None, {"t": 1}, False:
        routes.check({"q"}, headers={"a": value})
    routes.check(set(), headers={"b": 1})


@check
def x_keys_count_only_with_x(ch):
    routes = Routes(ch, "headers")
    for match in "all", "any", "all-with-x", "any-with-x":
        routes.bind(match, **{"x-match": match, "x-key": 1, "plain": 1})
    routes.check({"all", "any", "any-with-x"}, headers={"plain": 1})
    routes.check({"any-with-x"}, headers={"x-key": 1})
    routes.check({"all", "any", "all-with-x", "any-with-x"}, headers={"plain": 1, "x-key": 1})


# Values in one row are equal for RabbitMQ: numbers compare by value whatever their type, nothing else crosses types
# (an empty table and an empty array are the same to it).
EQUAL = [
    [Tagged(tag, 7) for tag in "bBsuIilLTfd"],
    [-1, Tagged("d", -1.0), Tagged("l", -1)],
    [True],
    [False],
    [0, 0.0],
    [1],
    ["7", Tagged("x", b"7")],
    [""],
    ["true"],
    [Tagged("D", (0, 7))],
    [Tagged("D", (1, 70))],
    [{"a": 1}],
    [{"a": Tagged("l", 1)}],
    [{"a": 2}],
    [[1]],
    [[1, 2]],
    [{}, []],
    [0.1],
    [Tagged("f", 0.5), 0.5],
]


@check
def what_values_are_equal(ch):
    routes, rows = Routes(ch, "headers"), {}
    for row, values in enumerate(EQUAL):
        for i, value in enumerate(values):
            rows[row, i] = value
            routes.bind((row, i), v=value)
    for (row, _), value in rows.items():
        routes.check({label for label in rows if label[0] == row}, headers={"v": value})


@check
def invalid_x_match(ch):
    queue = ch.queue()
    expected = "expected all, any, all-with-x, or any-with-x"
    for value, what in (
        ("some", 'value <<"some">>; ' + expected),
        ("", "value <<>>; " + expected),
        ("ALL", 'value <<"ALL">>; ' + expected),
        (1, "type signedint (value 1); expected longstr"),
        (True, "type bool (value true); expected longstr"),
    ):
        ch.refused(
            406,
            "PRECONDITION_FAILED - Invalid x-match field " + what,
            "queue.bind",
            queue=queue,
            exchange="amq.headers",
            arguments={"x-match": value},
        )


@check
def same_arguments_twice_and_unbind(ch):
    routes = Routes(ch, "headers")
    routes.bind("q", a=1, b=2)
    routes.bind("q", b=2, a=1)
    routes.check({"q"}, headers={"a": 1, "b": 2})
    ch.rpc("queue.unbind", queue=routes.queues["q"], exchange=routes.exchange, arguments={"b": 2, "a": 1})
    routes.check(set(), headers={"a": 1, "b": 2})


main()
