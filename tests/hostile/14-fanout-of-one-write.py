# SPDX-License-Identifier: Apache-2.0
# The bug: one read of small publishes to an exchange with 1,000 queues was worked off at once: others waited, memory passed its limit.
from attack import push, reset
from broker import TokkiMQ, rss_kib
from guard import works
from harness import *

if not TOKKI:
    skip("starts a TokkiMQ with a small --memory-limit")

QUEUES, LIMIT_MIB = 1000, 96


def bound_queues(ch, exchange):
    ch.exchange(exchange, "fanout")
    raw = b""
    for i in range(QUEUES):
        raw += codec.method_frame(1, "queue.declare", queue=f"f{i}", nowait=True)
        raw += codec.method_frame(1, "queue.bind", queue=f"f{i}", exchange=exchange, nowait=True)
    ch.c.write(raw)
    ch.rpc("channel.flow", active=True)


def slowest_round(port, going):
    """The longest that a client which publishes nothing (so that no alarm concerns it) has to wait meanwhile."""
    longest = 0.0
    while going():
        started = time.monotonic()
        ch = connect(port=port).channel()
        ch.rpc("basic.get", queue=ch.queue())
        ch.c.end()
        longest = max(longest, time.monotonic() - started)
    return longest


@check
def others_are_served_and_memory_is_bounded():
    with TokkiMQ(options=["--shards", "2", "--memory-limit", f"{LIMIT_MIB}MiB", "--queue-memory", "4GiB"]) as broker:
        ch = connect(port=broker.port).channel()
        bound_queues(ch, "fan")
        before = rss_kib(broker.pid)
        one = codec.method_frame(1, "basic.publish", exchange="fan") + codec.content_frames(1, b"")
        pusher = threading.Thread(target=push, args=[ch.c, one * 5000, 5000 * len(one), 0.5])
        pusher.start()
        longest = slowest_round(broker.port, pusher.is_alive)
        pusher.join()
        assert longest < 2, f"another client had to wait for {longest:.1f} s"
        eq(ch.c.wait(0, "connection.blocked").reason, "low on memory")
        if "TOKKI_RSS_SLACK_MIB" not in os.environ:  # a sanitizer's own memory says nothing
            grown = (rss_kib(broker.pid) - before) // 1024
            assert grown < 2 * LIMIT_MIB, f"grew by {grown} MiB with a limit of {LIMIT_MIB} MiB"
        reset(ch.c)
        other = connect(port=broker.port).channel()
        for i in range(QUEUES):
            other.send("queue.delete", queue=f"f{i}", nowait=True)
        other.rpc("channel.flow", active=True)
        works(broker.port)
        other.c.end()


main()
