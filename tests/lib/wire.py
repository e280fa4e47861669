# SPDX-License-Identifier: Apache-2.0
"""A raw AMQP 0-9-1 client: sends whatever a test wants and says exactly what came back. Every wait has a deadline."""
import os
import select
import socket
import struct
import time

import codec
from codec import BODY, CONTENT, HEADER, HEARTBEAT, IDS, METHOD, NAMES

HOST = os.environ.get("AMQP_HOST", "127.0.0.1")
PORT = int(os.environ.get("AMQP_PORT", "5672"))
PATIENCE = float(os.environ.get("TOKKI_TEST_PATIENCE", "15"))  # seconds before a test gives up waiting

CAPABILITIES = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}


class Closed(Exception):
    """The broker closed the channel or the connection; `.how` is its close method, None when only the socket ended."""

    def __init__(self, how):
        super().__init__(f"closed by the broker: {how}")
        self.how = how


class Method:
    """A received method: its arguments are attributes; content methods also have props, raw_props and body."""

    def __init__(self, name, channel, args):
        self.name, self.channel = name, channel
        self.__dict__.update(args)

    def __repr__(self):
        shown = {k: v for k, v in vars(self).items() if k not in ("name", "raw_props")}
        return f"{self.name} {str(shown)[:400]}"


class Socket:
    """A TCP connection with deadlines on everything."""

    def __init__(self, host=None, port=None):
        self.sock = socket.create_connection((host or HOST, port or PORT), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inbox = bytearray()

    def write(self, raw):
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(raw)

    def fill(self, deadline):
        """Reads some bytes; False at the end of the stream."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            raise TimeoutError("the broker said nothing in time")
        try:
            raw = self.sock.recv(1 << 20)
        except ConnectionError:
            return False
        self.inbox += raw
        return bool(raw)

    def read(self, n, deadline):
        """Exactly n bytes, or None when the stream ended before."""
        while len(self.inbox) < n:
            if not self.fill(deadline):
                return None
        raw = bytes(self.inbox[:n])
        del self.inbox[:n]
        return raw

    def read_to_end(self, patience=None):
        """Everything until the broker closes the socket."""
        deadline = time.monotonic() + (patience or PATIENCE)
        while self.fill(deadline):
            pass
        return bytes(self.inbox)

    def close(self):
        self.sock.close()


class Connection(Socket):
    """A connection; `connect()` does the handshake, without it the test drives every step."""

    def __init__(self, host=None, port=None):
        super().__init__(host, port)
        self.frame_max, self.received_at, self.heartbeats = 131072, time.monotonic(), 0
        self.methods, self.partial = [], {}  # arrived methods nobody asked for yet; unfinished contents by channel
        self.handshake_seen = {}

    # -- sending
    def send(self, name, channel=0, **args):
        self.write(codec.method_frame(channel, name, **args))

    # -- receiving
    def read_frame(self, deadline):
        head = self.read(7, deadline)
        if head is None:
            raise Closed(None)
        kind, channel, size = struct.unpack(">BHI", head)
        raw = self.read(size + 1, deadline)
        if raw is None:
            raise Closed(None)
        assert raw[-1:] == codec.END, f"frame without end octet: {head!r}"
        assert (
            size <= self.frame_max - 8 or not self.frame_max
        ), f"frame of {size} octets, frame_max is {self.frame_max}"
        self.received_at = time.monotonic()
        return kind, channel, raw[:-1]

    def take_frame(self, kind, channel, raw):
        """One frame; returns a Method when it completes one."""
        if kind == HEARTBEAT:
            assert channel == 0 and raw == b""
            self.heartbeats += 1
            return None
        if kind == METHOD:
            assert channel not in self.partial, "a method inside a content"
            name = NAMES[struct.unpack(">HH", raw[:4])]
            method = Method(name, channel, codec.decode_args(name, raw[4:]))
            method.raw = raw[4:]
            if name not in CONTENT:
                return method
            self.partial[channel] = [method, None]
            return None
        method, size = self.partial[channel]
        if kind == HEADER:
            class_id, weight, size = struct.unpack(">HHQ", raw[:12])
            assert (class_id, weight) == (60, 0), (class_id, weight)
            method.raw_props, method.body, method.frames = raw[12:], bytearray(), 0
            method.props = codec.decode_properties(raw[12:])
            self.partial[channel][1] = size
        else:
            assert kind == BODY and raw, f"frame type {kind}, {len(raw)} octets"
            method.body += raw
            method.frames += 1
        if len(method.body) < size:
            return None
        assert len(method.body) == size, "the body is longer than announced"
        method.body = bytes(method.body)
        del self.partial[channel]
        return method

    def next_method(self, deadline):
        while True:
            method = self.take_frame(*self.read_frame(deadline))
            if method:
                return method

    def wait(self, channel, *names, patience=None):
        """The next method on `channel` that is one of `names` (any when none is given), leaving others where they are.
        A close that nobody asked for raises Closed; a TimeoutError says what else came."""
        deadline = time.monotonic() + (PATIENCE if patience is None else patience)
        looked_at = 0
        while True:
            for method in self.methods[looked_at:]:
                if method.channel == channel and (method.name in names or not names):
                    self.methods.remove(method)
                    return method
                if method.name == "connection.close" or method.name == "channel.close" and method.channel == channel:
                    raise Closed(method)
            looked_at = len(self.methods)
            try:
                self.methods.append(self.next_method(deadline))
            except TimeoutError:
                raise TimeoutError(f"waited for {names} on channel {channel}, have {self.methods}") from None

    def rpc(self, name, channel=0, **args):
        self.send(name, channel, **args)
        ok = {"basic.get": ("basic.get-ok", "basic.get-empty")}.get(name, (name + "-ok",))
        return self.wait(channel, *ok)

    # -- life
    def start(self, header=codec.PROTOCOL_HEADER):
        self.write(header)
        return self.wait(0, "connection.start")

    def start_ok(
        self, user="guest", password="guest", mechanism="PLAIN", response=None, capabilities=None, **properties
    ):
        capabilities = CAPABILITIES if capabilities is None else capabilities
        if response is None:
            response = f"\0{user}\0{password}"
        self.send(
            "connection.start-ok",
            client_properties={"product": "wire test", "capabilities": capabilities, **properties},
            mechanism=mechanism,
            response=response,
            locale="en_US",
        )

    def tune_ok(self, tune, frame_max=None, channel_max=None, heartbeat=0):
        args = {
            "frame_max": tune.frame_max if frame_max is None else frame_max,
            "channel_max": tune.channel_max if channel_max is None else channel_max,
            "heartbeat": heartbeat,
        }
        self.send("connection.tune-ok", **args)
        self.frame_max = args["frame_max"]

    def handshake(self, vhost="/", frame_max=None, channel_max=None, heartbeat=0, **start_ok):
        self.server = self.start()
        self.start_ok(**start_ok)
        self.tune = self.wait(0, "connection.tune")
        self.tune_ok(self.tune, frame_max, channel_max, heartbeat)
        self.rpc("connection.open", virtual_host=vhost)
        return self

    def channel(self, number=1):
        return Channel(self, number).open()

    def closes(self, code, text, method=None, patience=None):
        """The broker closes the connection with this code, text and method; then the socket ends."""
        try:
            close = self.wait(0, "connection.close", patience=patience)
        except Closed as end:
            raise AssertionError(f"expected {code} {text!r} on the connection, got {end}") from None
        check_close(close, code, text, method)
        self.send("connection.close-ok")
        self.drops()
        return close

    def cut(self):
        """The broker ends the stream without a frame, as RabbitMQ does with peers it does not trust yet (after 3 s)."""
        deadline = time.monotonic() + PATIENCE
        try:
            frame = self.read_frame(deadline)
        except Closed:
            return self.close()
        raise AssertionError(f"expected the end of the stream, got {frame}")

    def drops(self, patience=None):
        """The socket ends; whatever comes before is thrown away."""
        self.read_to_end(patience)
        self.close()

    def end(self):
        """Closes politely; at close-ok the broker has done it all, and the socket is ours to close."""
        self.rpc("connection.close", reply_code=200, reply_text="bye")
        self.close()


def check_close(close, code, text, method):
    """`text` may be a compiled pattern; `method` None stands for 0/0, ... for any."""
    ids = (close.class_id, close.method_id)
    got = (close.reply_code, close.reply_text, ids)
    want = (code, text, ids if method is ... else IDS[method] if method else (0, 0))
    if hasattr(text, "search"):
        assert (got[0], got[2]) == (want[0], want[2]) and text.search(got[1]), f"closed with {got}, expected {want}"
    else:
        assert got == want, f"closed with {got}, expected {want}"


class Channel:
    """A channel; methods that fail on purpose go through `refused` (channel error) and `kills` (connection error)."""

    def __init__(self, connection, number):
        self.c, self.number = connection, number

    def open(self):
        self.c.rpc("channel.open", self.number)
        return self

    def close(self):
        self.c.rpc("channel.close", self.number, reply_code=200, reply_text="bye")

    def send(self, name, **args):
        self.c.send(name, self.number, **args)

    def rpc(self, name, **args):
        return self.c.rpc(name, self.number, **args)

    def wait(self, *names, patience=None):
        return self.c.wait(self.number, *names, patience=patience)

    def closed(self, code, text, method):
        """The broker closes this channel so; answers, and opens the same number again."""
        try:
            close = self.c.wait(self.number, "channel.close")
        except Closed as end:
            raise AssertionError(f"expected {code} {text!r} on the channel, got {end}") from None
        self.send("channel.close-ok")
        check_close(close, code, text, method)
        self.c.methods = [m for m in self.c.methods if m.channel != self.number]
        return self.open()

    def refused(self, code, text, name, **args):
        self.send(name, **args)
        return self.closed(code, text, name)

    def kills(self, code, text, name, **args):
        self.send(name, **args)
        return self.c.closes(code, text, name)

    # -- shorthands
    def queue(self, queue="", exclusive=True, **args):
        """Declares a queue (server-named and exclusive unless told) and returns its name."""
        return self.rpc("queue.declare", queue=queue, exclusive=exclusive, **args).queue

    def exchange(self, name, kind="direct", **args):
        self.rpc("exchange.declare", exchange=name, type=kind, **args)
        return name

    def bind(self, queue, exchange, key="", **arguments):
        self.rpc("queue.bind", queue=queue, exchange=exchange, routing_key=key, arguments=arguments)

    def publish(self, exchange="", key="", body=b"", props=None, mandatory=False, immediate=False):
        raw = codec.method_frame(
            self.number, "basic.publish", exchange=exchange, routing_key=key, mandatory=mandatory, immediate=immediate
        )
        self.c.write(raw + codec.content_frames(self.number, codec.octets(body), props, self.c.frame_max))

    def get(self, queue, no_ack=True):
        """A message, or None when the queue is empty."""
        got = self.rpc("basic.get", queue=queue, no_ack=no_ack)
        return got if got.name == "basic.get-ok" else None

    def drain(self, queue):
        """Takes every message of the queue; returns the bodies."""
        bodies = []
        while (got := self.get(queue)) is not None:
            bodies.append(got.body.decode())
        return bodies

    def consume(self, queue, tag="", no_ack=False, **args):
        return self.rpc("basic.consume", queue=queue, consumer_tag=tag, no_ack=no_ack, **args).consumer_tag

    def delivery(self, patience=None):
        return self.wait("basic.deliver", patience=patience)

    def deliveries(self, n):
        return [self.delivery() for _ in range(n)]

    def ack(self, tag, multiple=False):
        self.send("basic.ack", delivery_tag=tag, multiple=multiple)

    def count(self, queue):
        return self.rpc("queue.declare", queue=queue, passive=True).message_count

    def confirms(self, n, first=1):
        """Waits until n publishes from number `first` on are acked; coalesced or not, each exactly once."""
        left = set(range(first, first + n))
        while left:
            ack = self.wait("basic.ack")
            covered = {t for t in left if t <= ack.delivery_tag} if ack.multiple else {ack.delivery_tag}
            assert covered <= left and covered, f"{ack} confirms nothing outstanding, left {sorted(left)[:5]}"
            left -= covered

    def quiet(self, queue=None):
        """Asserts that nothing unasked arrives: two round trips through the queue (or one channel.flow) give it time to."""
        for _ in range(2):
            if queue is None:
                self.rpc("channel.flow", active=True)
            else:
                self.rpc("queue.declare", queue=queue, passive=True)
        stray = [m for m in self.c.methods if m.channel == self.number]
        assert not stray, f"unexpected {stray}"


def connect(host=None, port=None, **handshake):
    connection = Connection(host, port)
    try:
        return connection.handshake(**handshake)
    except BaseException:
        connection.close()
        raise
