# SPDX-License-Identifier: Apache-2.0
# At the memory watermark publishers are blocked (and told), consumers go on; drained, all goes on and nothing is lost. timeout: 120
import select

from broker import TokkiMQ
from guard import works
from harness import *

if not TOKKI:
    skip("starts a TokkiMQ with a small --memory-limit")

SIZE = 16384


class Publisher:
    """Publishes numbered messages as fast as the broker takes them, with confirms, and counts what went out whole."""

    def __init__(self, port, queue):
        self.c = connect(port=port)
        self.ch = self.c.channel()
        self.ch.rpc("confirm.select")
        self.queue, self.sent, self.rest = queue, 0, b""
        self.c.sock.setblocking(False)

    def push(self):
        """Writes once if the socket takes it within 0.3 s; False when it does not."""
        if not select.select([], [self.c.sock], [], 0.3)[1]:
            return False
        if not self.rest:
            self.sent += 1
            body = b"%d " % self.sent
            self.rest = codec.method_frame(1, "basic.publish", routing_key=self.queue) + codec.content_frames(
                1, body.ljust(SIZE)
            )
        try:
            self.rest = self.rest[self.c.sock.send(self.rest) :]
        except BlockingIOError:
            pass
        return True

    def until_stuck(self, limit):
        while self.push():
            assert self.sent < limit, f"{limit} messages of {SIZE} octets and never blocked"

    def finish(self):
        """Sends the rest of the message that was cut by the block."""
        self.c.write(self.rest)
        self.rest = b""


@check
def block_drain_unblock():
    with TokkiMQ(options=["--memory-limit", "64MiB", "--queue-memory", "4GiB"]) as broker:
        consumer = connect(port=broker.port).channel()
        queue = consumer.queue(unique(), exclusive=False)
        idle = connect(port=broker.port).channel()
        deaf = connect(port=broker.port, capabilities={}).channel()
        publisher = Publisher(broker.port, queue)
        publisher.until_stuck(limit=8 * 64 * 2**20 // SIZE)
        eq(publisher.c.wait(0, "connection.blocked").reason, "low on memory")
        idle.quiet()
        eq([m for m in idle.c.methods if m.channel == 0], [])
        late = connect(port=broker.port).channel()  # a new publisher is blocked at its first try
        late.publish("", queue, "late")
        eq(late.c.wait(0, "connection.blocked").reason, "low on memory")
        deaf.publish("", queue, "deaf")
        consumer.rpc("basic.qos", prefetch_count=100)
        consumer.consume(queue)
        finisher = threading.Thread(target=publisher.finish)
        finisher.start()
        want = {b"%d" % i for i in range(1, publisher.sent + 1)} | {b"late", b"deaf"}
        seen = set()
        while seen != want:
            got = consumer.delivery()
            word = got.body.split()[0]
            assert word in want and word not in seen, word
            seen.add(word)
            consumer.ack(got.delivery_tag)
        finisher.join()
        publisher.c.wait(0, "connection.unblocked")
        late.c.wait(0, "connection.unblocked")
        publisher.ch.confirms(publisher.sent)
        assert not [m for m in deaf.c.methods if m.channel == 0]
        assert not [m for m in idle.c.methods if m.channel == 0]
        publisher.ch.publish("", queue, "after")
        eq(consumer.delivery().body, b"after")
        works(broker.port)


@check
def size_stays_near_the_limit():
    from broker import rss_kib

    with TokkiMQ(options=["--memory-limit", "96MiB", "--queue-memory", "4GiB"]) as broker:
        queue = connect(port=broker.port).channel().queue(unique(), exclusive=False)
        publishers = [Publisher(broker.port, queue) for _ in range(8)]
        for publisher in publishers:
            publisher.until_stuck(limit=10**5)
        if "TOKKI_RSS_SLACK_MIB" not in os.environ:  # a sanitizer's own memory says nothing
            assert rss_kib(broker.pid) < 160 * 1024, rss_kib(broker.pid)
        for publisher in publishers:
            publisher.c.close()


main()
