# SPDX-License-Identifier: Apache-2.0
# Persistent messages come back in order and bit for bit: properties, headers of every type, exchange, key, body. timeout: 240
from durable import *
from harness import *

EVERY_PROPERTY = {
    "content_type": "text/plain; charset=utf-8",
    "content_encoding": "gzip",
    "delivery_mode": 2,
    "priority": 9,
    "correlation_id": "c" * 255,
    "reply_to": "amq.nobody",
    "expiration": "3600000",
    "message_id": "",
    "timestamp": 2**63 + 1,
    "type": "té",
    "user_id": "guest",
    "app_id": "app",
    "cluster_id": "old",
}
EVERY_TYPE = {
    "bool": True,
    "b": Tagged("b", -128),
    "B": Tagged("B", 255),
    "s": Tagged("s", -32768),
    "u": Tagged("u", 65535),
    "I": Tagged("I", -(2**31)),
    "i": Tagged("i", 2**32 - 1),
    "l": Tagged("l", -(2**63)),
    "f": Tagged("f", 0.25),
    "d": Tagged("d", 1e300),
    "D": Tagged("D", (3, 12345)),
    "S": "text",
    "not utf-8": Tagged("S", b"\xff\0\xfe"),
    "A": [1, "two", [None, True], {"in": 3}],
    "T": Tagged("T", 2**40),
    "F": {"F": {"F": {}}},
    "V": None,
    "x": Tagged("x", bytes(range(256))),
    "": "no name",
    "k" * 128: "long name",
}


def durable(ch, **args):
    return ch.queue(unique(), exclusive=False, durable=True, **args)


@after("restart", "kill")
def properties_and_headers(node):
    p = Publisher(node)
    queue = durable(p.ch)
    sets = [{}, {"headers": {}}, {"headers": EVERY_TYPE}, EVERY_PROPERTY, {**EVERY_PROPERTY, "headers": EVERY_TYPE}]
    sets += [{"headers": {f"h{i}": "v" * 1000 for i in range(100)}}]
    for i, props in enumerate(sets):
        p.put(queue, f"message {i}", **props)
    messages = take(node.again(), queue)
    eq([m.body for m in messages], [b"message %d" % i for i in range(len(sets))])
    for message, props in zip(messages, sets):
        eq(message.raw_props, codec.encode_properties({**PERSISTENT, **props}))
        eq((message.exchange, message.routing_key), ("", queue))


@after("restart", "kill")
def exchange_and_key(node):
    p = Publisher(node)
    queue, name = durable(p.ch), p.ch.exchange(unique("x" * 100), "topic", durable=True)
    keys = ["", "a", "k" * 255, "ключ.é", "b.c"]
    p.ch.bind(queue, name, "#")
    for key in keys:
        p.put(key, key, exchange=name)
    messages = take(node.again(), queue)
    eq([(m.exchange, m.routing_key, m.body.decode()) for m in messages], [(name, key, key) for key in keys])


@after("restart", "kill")
def cc_and_bcc(node):
    p = Publisher(node)
    a, b, c = [durable(p.ch) for _ in range(3)]
    p.put(a, "x", headers={"CC": [b], "BCC": [c], "other": 1})
    ch = node.again()
    for queue in a, b, c:
        (m,) = take(ch, queue)
        eq((m.body, m.routing_key, m.props["headers"]), (b"x", a, {"CC": [b], "other": 1}))


@after("restart", "kill")
def order_of_many(node):
    p = Publisher(node)
    queues = [durable(p.ch) for _ in range(4)]
    for i in range(2000):
        p.send(queues[i % 4], str(i))
    p.confirm()
    ch = node.again()
    for k, queue in enumerate(queues):
        eq(bodies(ch, queue), [str(i) for i in range(k, 2000, 4)])


@after("restart", "kill")
def bodies_of_any_octets(node):
    """Also those that look like frames or like a file of ours."""
    p = Publisher(node)
    queue = durable(p.ch)
    wanted = [bytes(range(256)) * 16, bytes(4096), b"\xff" * 8192, codec.PROTOCOL_HEADER, b"TOKKISEG" * 512]
    wanted += [codec.content_frames(1, b"inner", PERSISTENT)]
    p.put(queue, *wanted)
    eq([m.body for m in take(node.again(), queue)], wanted)


@after("restart", "kill")
def pieces_of_the_log_as_bodies(node):
    """What is on the disk now is published as messages: the log must not take them for its own."""
    if not TOKKI:
        return
    p = Publisher(node)
    queue = durable(p.ch)
    p.put(queue, *[f"first {i}" for i in range(100)])
    pieces = []
    for entry in sorted(os.scandir(node.broker.data), key=lambda entry: entry.name):
        if not entry.is_file():
            continue
        with open(entry.path, "rb") as file:
            raw = file.read(1 << 17)
        pieces += [raw[at : at + 16384] for at in range(0, len(raw), 16384)] + [raw]
    p.put(queue, *pieces)
    p.put(queue, "last")
    got = [m.body for m in take(node.again(), queue)]
    eq(got[:100], [b"first %d" % i for i in range(100)])
    assert got[100:] == pieces + [b"last"], "the pieces are not what they were"


@after("restart", "kill")
def without_confirms_before_a_clean_stop(node):
    """What a channel has done before the stop is kept, confirmed or not; kill -9 may lose it, from the end on."""
    p = Publisher(node)
    queue = durable(p.ch)
    ch = node.channel()
    for i in range(1000):
        ch.publish("", queue, str(i), PERSISTENT)
    until(lambda: ch.count(queue) == 1000)
    got = bodies(node.again(), queue)
    eq(got, [str(i) for i in range(1000 if node.way == "restart" else len(got))])


main()
