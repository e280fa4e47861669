# SPDX-License-Identifier: Apache-2.0
# Messages up to 128 MiB pass; larger ones are refused on the channel. timeout: 120
from harness import *

LIMIT = 134217728


def publish(ch, queue, size):
    ch.send("basic.publish", routing_key=queue)
    ch.c.write(codec.header_frame(1, size))
    frame = codec.frame(codec.BODY, 1, bytes(131064))
    for _ in range(size // 131064):
        ch.c.write(frame)
    if size % 131064:
        ch.c.write(codec.frame(codec.BODY, 1, bytes(size % 131064)))


@check
def at_the_limit(ch):
    queue = ch.queue()
    publish(ch, queue, LIMIT)
    got = until(lambda: ch.get(queue))
    eq(len(got.body), LIMIT)


@check
def one_more(ch):
    queue = ch.queue()
    publish(ch, queue, LIMIT + 1)
    ch.closed(
        406,
        re.compile(r"^PRECONDITION_FAILED - message size 134217729 is larger than (configured )?max size 134217728$"),
        "basic.publish",
    )
    eq(ch.count(queue), 0)


main()
