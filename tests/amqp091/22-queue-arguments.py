# SPDX-License-Identifier: Apache-2.0
# Queue arguments: bad values are refused with their texts; features that TokkiMQ does not have yet are refused by name.
from harness import *


def invalid(name, arg, why):
    return re.compile(
        "^" + re.escape(f"PRECONDITION_FAILED - invalid arg '{arg}' for queue '{name}' in vhost '/': {why}") + "$"
    )


def bad(ch, arg, value, why):
    name = unique()
    ch.refused(406, invalid(name, arg, why), "queue.declare", queue=name, exclusive=True, arguments={arg: value})


@check
def x_expires(ch):
    bad(ch, "x-expires", 0, "{value_zero,0}")
    bad(ch, "x-expires", -1, "{value_negative,-1}")
    bad(ch, "x-expires", "1000", '"expected integer, got longstr"')
    bad(ch, "x-expires", True, '"expected integer, got bool"')
    bad(ch, "x-expires", Tagged("l", 315360000001), "{value_too_large,315360000001}")
    ch.queue(unique(), arguments={"x-expires": Tagged("l", 315360000000)})


@check
def x_message_ttl(ch):
    bad(ch, "x-message-ttl", -1, "{value_negative,-1}")
    bad(ch, "x-message-ttl", "10", '"expected integer, got longstr"')
    bad(ch, "x-message-ttl", 1.5, '"expected integer, got double"')
    bad(ch, "x-message-ttl", Tagged("l", 315360000001), "{value_too_large,315360000001}")
    for tag in "bBsuIil":
        ch.queue(unique(), arguments={"x-message-ttl": Tagged(tag, 100)})
    ch.queue(unique(), arguments={"x-message-ttl": 0})


@check
def every_type_has_its_name(ch):
    for value, kind in (
        (None, "void"),
        ([1], "array"),
        ({"a": 1}, "table"),
        (Tagged("f", 1.0), "float"),
        (Tagged("T", 1), "timestamp"),
        (Tagged("D", (1, 2)), "decimal"),
    ):
        bad(ch, "x-message-ttl", value, f'"expected integer, got {kind}"')


@check
def x_queue_type(ch):
    bad(ch, "x-queue-type", "nope", "\"unsupported queue type 'nope'\"")
    bad(ch, "x-queue-type", 1, "{unacceptable_type,signedint}")


@check
def unknown_arguments_are_taken(ch):
    ch.queue(unique(), arguments={"x-what": {"nested": [1, "two", None]}, "y": 1.5})


LATER = {
    "x-dead-letter-exchange": "amq.fanout",
    "x-max-length": 10,
    "x-max-length-bytes": 1000,
    "x-overflow": "reject-publish",
    "x-max-priority": 5,
    "x-single-active-consumer": True,
}


@only("tokkimq")
def arguments_of_later_features(ch):
    for arg, value in LATER.items():
        close = (
            connect()
            .channel()
            .kills(
                540,
                re.compile("^NOT_IMPLEMENTED - .*" + re.escape(arg)),
                "queue.declare",
                queue=unique(),
                arguments={arg: value},
            )
        )
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "k"}
    connect().channel().kills(
        540, re.compile("^NOT_IMPLEMENTED - .*x-dead-letter-"), "queue.declare", queue=unique(), arguments=arguments
    )


@only("tokkimq")
def queue_types_of_later_features():
    for kind in "quorum", "stream":
        connect().channel().kills(
            540,
            re.compile("^NOT_IMPLEMENTED - .*x-queue-type"),
            "queue.declare",
            queue=unique(),
            durable=True,
            arguments={"x-queue-type": kind},
        )


@only("tokkimq")
def a_refused_argument_creates_nothing(ch):
    name = unique()
    connect().channel().kills(
        540, re.compile("x-max-length"), "queue.declare", queue=name, arguments={"x-max-length": 1}
    )
    ch.refused(404, f"NOT_FOUND - no queue '{name}' in vhost '/'", "queue.declare", queue=name, passive=True)


main()
