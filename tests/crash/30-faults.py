# SPDX-License-Identifier: Apache-2.0
# A disk that fails or is full, or cannot do all that others can: no false confirm, a clear word, an orderly end or a wait. timeout: 150
import inspect
import signal
import time

import codec
from crash import *
from durable import PERSISTENT, Node, Publisher, Stream, account, bodies
from harness import *
from mount import Mount

SEED = int(os.environ.get("TOKKI_SEED", random.randrange(10**9)))
ROUNDS = int(os.environ.get("TOKKI_CRASH_ROUNDS", "12"))
OPTIONS = ["--shards", "2", "--log-segment-size", "1MiB", "--disk-free-limit", "1kB"]  # the file systems here are tiny
dice = random.Random(SEED)
print("seed", SEED)

with open(os.environ["TOKKI_BIN"], "rb") as binary:
    HAS_FAULTS = b"TOKKI_FAULTY_DISK" in binary.read()


class FaultyNode(Node):
    """A broker whose disk can be made to fail: by rules (src/storage/disk_faulty.h), or as that of a mount."""

    def __init__(self, mount=None):
        self.broker, self.mount = Broker(OPTIONS), mount
        self.way, self.connections = "kill", []
        open(self.broker.log_path, "wb").close()
        if mount:
            self.broker.data = os.path.join(mount.path, "data")

    def start(self, faults=None):
        """With rules it also forgets what was not synced. False: it has ended before it was started."""
        if faults and not HAS_FAULTS:
            skip("needs a test build (TOKKI_FAULTS)")
        self.broker.wrapper = self.mount.wrapper if self.mount else []
        if faults:
            self.broker.wrapper = ["env", f"TOKKI_FAULTY_DISK={faults}", f"TOKKI_LOSSY_DISK={dice.randrange(2**31)}"]
        self.seen = len(self.broker.log())
        self.broker.start(wait=False)
        until(lambda: not self.broker.alive() or "node started" in self.said(), "a start or an end")
        return "node started" in self.said()

    def said(self):
        """What this start has logged so far."""
        return self.broker.log()[self.seen :].decode(errors="replace")

    def up(self):
        assert self.start(), self.said()
        return self.channel()

    def __exit__(self, kind, *_):
        self.forget()
        complaints = self.broker.halt() if self.broker.alive() else []
        if self.mount and self.broker.process.returncode == 1 and "No space left on device" in self.said()[-3000:]:
            complaints = [c for c in complaints if "sanitizer" in c]  # it was full again: then a stop is no clean one
        self.broker.remove()
        assert kind or not complaints, "; ".join(complaints)

    def has_failed(self, *words):
        """It ended by itself, as failed, and said why."""
        code = self.broker.process.wait(broker.SLOW)
        assert code == 1, self.broker.obituary()
        assert not broker.SANITIZER.search(self.broker.log()), self.broker.obituary()
        for word in words:
            assert word in self.said(), f"no {word!r} in {self.said()}"


def streams_of(node, label, n=3, **options):
    ch = node.channel()
    queues = [ch.queue(f"{label}-{k}", exclusive=False, durable=True) for k in range(2 * n)]
    return [Stream(node, f"{label}/{k}", queues[2 * k : 2 * k + 2], **options) for k in range(n)]


def ended(streams):
    for s in streams:
        s.end()


# -- errors that end the log


def fails_under_load(rule, *words):
    """Publishers at full speed, and somebody who only listens, until the fault comes."""
    with FaultyNode() as node:
        node.up()
        node.kill()
        node.start(rule)
        listener = node.connect()
        streams = streams_of(node, "load")
        close = listener.wait(0, "connection.close")
        eq((close.reply_code, close.reply_text[:17]), (320, "CONNECTION_FORCED"))
        listener.send("connection.close-ok")
        ended(streams)
        node.has_failed("the log has failed", "file=segment-", "offset=", "the node stops", *words)
        assert any(s.confirmed for s in streams), "nothing was confirmed before"
        assert any(s.open for s in streams), "all was confirmed"
        node.forget()
        account(node.up(), streams)


@check
def a_failed_sync():
    fails_under_load(f"sync:EIO:{dice.randrange(20, 150)}:segment-", "what='sync'", "error='Input/output error'")


@check
def a_failed_write():
    fails_under_load(f"write:EIO:{dice.randrange(30, 150)}:segment-", "what='write'", "error='Input/output error'")


@check
def no_room_in_a_reserved_file():
    """That promise was the file system's."""
    fails_under_load(f"write:ENOSPC:{dice.randrange(30, 150)}-:segment-", "error='No space left on device'")


@check
def the_next_segment_cannot_begin():
    fails_under_load("sync_dir:EIO:8-", "what='begin a segment'")


@check
def operations_that_wait():
    """Each is either done for good or not answered with ok."""
    with FaultyNode() as node:
        node.up()
        node.kill()
        node.start(f"sync:EIO:{dice.randrange(10, 60)}:segment-")
        ch, done = node.channel(), []
        try:
            while True:
                done.append(ch.queue(f"q{len(done)}", exclusive=False, durable=True))
        except wire.Closed as closed:
            assert closed.how is None or closed.how.reply_code in (320, 541), closed
        node.has_failed("the log has failed")
        node.forget()
        ch = node.up()
        eq([name for name in done if not exists(ch, name)], [], "told and gone:")
        assert done, "nothing was told"


@check
def any_call_at_any_time():
    """Whatever fails, once or from then on: refused at the start, over in order, or nothing that matters."""
    counts = dict.fromkeys(("refused", "failed", "went on"), 0)
    for number in range(ROUNDS):
        with FaultyNode() as node:
            at = int(10 ** dice.uniform(0, 2.5))
            call = dice.choice(("any", "any", "write", "sync", "rename", "sync_dir", "reserve", "open", "read"))
            rule = f"{call}:EIO:{at}{dice.choice(('', '-'))}"
            if dice.random() < 0.5:  # into a directory with something in it
                node.up()
                Publisher(node).ch.queue("before", exclusive=False, durable=True)
                node.kill()
            streams = []
            if not node.start(rule):
                node.has_failed("tokkimq: ", "Input/output error")
                counts["refused"] += 1
            else:
                streams = one_life(node, rule, counts)
            node.forget()
            ch = node.up()
            account(ch, [s for s in streams if exists(ch, s.queues[-1])])
            eq([s.label for s in streams if s.confirmed and not exists(ch, s.queues[-1])], [], rule)
    print(counts)


def one_life(node, rule, counts):
    streams = []
    try:
        streams = streams_of(node, "life", 2)
    except (wire.Closed, ConnectionError):
        pass
    node.forget()  # it would wait for an answer to its close
    enough = time.monotonic() + 0.7
    until(lambda: not node.broker.alive() or time.monotonic() > enough, "an end")
    if "the log has failed" in node.said():
        node.has_failed("Input/output error")
        counts["failed"] += 1
    else:
        assert node.broker.alive(), f"{rule}: {node.broker.obituary()}"
        node.broker.kill()
        counts["went on"] += 1
    ended(streams)
    return streams


@check
def it_cannot_be_read():
    """A read error is not the end of the log, and nothing is changed."""
    with FaultyNode() as node:
        node.up()
        p = Publisher(node)
        p.ch.queue("kept", exclusive=False, durable=True)
        p.put("kept", *map(str, range(50)))
        node.kill()
        for rule in "read:EIO:1:tokkimq.format", "read:EIO:1:segment-", "read:EIO:2:segment-", "open:EIO:1:segment-":
            assert not node.start(rule), f"{rule}: it starts"
            node.has_failed("Input/output error", f"file {rule.split(':')[3]}")
        eq(bodies(node.up(), "kept"), [*map(str, range(50))])


# -- errors that can be lived with


@check
def checkpoints_cannot_be_written():
    with FaultyNode() as node:
        node.up()
        node.kill()
        node.start("write:EIO:1-:checkpoint.new")
        streams = streams_of(node, "load")
        until(lambda: node.said().count("cannot write a checkpoint") >= 2, "a word about it")
        node.kill()
        ended(streams)
        account(node.up(), streams)


def blocked(ch, publish):
    """Publishes until it is told that it must not: who is silent is not told."""

    def is_told():
        publish()
        try:
            eq(ch.c.wait(0, "connection.blocked", patience=0.02).reason, "low on disk")
            return True
        except TimeoutError:
            return False

    until(is_told, "connection.blocked")


@check
def no_room_for_a_while():
    with FaultyNode() as node:
        node.up()
        node.kill()
        node.start("reserve:ENOSPC:1-4:spare.new")
        p = Publisher(node)
        p.ch.queue("q", exclusive=False, durable=True)
        texts = []

        def publish():
            texts.append(f"{len(texts)}/" + "x" * 20_000)
            p.send("q", texts[-1])

        blocked(p.ch, publish)
        p.ch.c.wait(0, "connection.unblocked")
        p.confirm()
        for words in "cannot prepare the next segment", "publishers are blocked", "No space left", "prepared again":
            assert words in node.said(), f"no {words!r} in {node.said()}"
        node.kill()
        eq(bodies(node.up(), "q") == texts, True)


class Full:
    """A node on a real file system without room, publishers that wait for confirms, and what came before."""

    def __init__(self, node, mount):
        self.node, self.mount = node, mount
        ch = node.up()
        self.other = node.channel()
        self.taker = node.channel()
        self.taker.queue("kept", exclusive=False, durable=True)
        p = Publisher(node)
        p.put("kept", *map(str, range(20)))
        mount.fill(1 << 20)
        self.streams = streams_of(node, "full", window=2000)
        blocked(self.other, lambda: self.other.publish(key="nowhere"))
        for words in "cannot prepare the next segment", "publishers are blocked", "No space left on device":
            assert words in node.said(), f"no {words!r} in {node.said()}"
        self.come_to_rest()

    def come_to_rest(self):
        """Until the log waits for room: nothing is confirmed any more."""
        before = None
        while before != self.confirmed():
            before = self.confirmed()
            time.sleep(1)

    def confirmed(self):
        return sum(len(s.confirmed) for s in self.streams)

    def end(self):
        ended(self.streams)
        account(self.node.up(), self.streams)
        return bodies(self.node.channel(), "kept")


def on_full_disk(function):
    def run():
        with Mount("tmpfs", "size=8m") as mount, FaultyNode(mount) as node:
            function(node, mount, Full(node, mount))

    run.__name__ = function.__name__
    run.__signature__ = inspect.Signature()
    return check(run)


@on_full_disk
def room_comes_back(node, mount, full):
    """Deliveries go on meanwhile; confirms come when there is room."""
    eq([full.taker.get("kept").body for _ in range(5)], [b"%d" % i for i in range(5)])
    stopped_at = full.confirmed()
    mount.give_back()
    full.other.c.wait(0, "connection.unblocked")
    until(lambda: full.confirmed() > stopped_at, "confirms")
    node.kill()
    left = full.end()
    eq(left, [*map(str, range(20 - len(left), 20))])


@check
def taking_makes_room():
    """Nobody gives room back but the clients themselves."""
    with Mount("tmpfs", "size=8m") as mount, FaultyNode(mount) as node:
        other, p = node.up(), Publisher(node)
        for name in "kept", "large":
            other.queue(name, exclusive=False, durable=True)
        p.put("kept", *map(str, range(20)))
        stream = Stream(node, "s", ["large"], window=1)
        until(lambda: "cannot prepare the next segment" in node.said(), "no room")
        other.rpc("queue.purge", queue="large")
        before = len(stream.confirmed)
        until(lambda: len(stream.confirmed) > before + 20, "confirms after a purge")
        node.kill()
        stream.end()
        eq(bodies(node.up(), "kept"), [*map(str, range(20))])


@on_full_disk
def killed_while_full(node, mount, full):
    node.kill()
    if node.start():  # full it may start or not; nothing is lost by it
        node.kill()
    mount.give_back()
    eq(full.end(), [*map(str, range(20))])


@on_full_disk
def stopped_while_full(node, mount, full):
    """It ends in time although it cannot keep what it has; what was confirmed stays."""
    node.broker.process.send_signal(signal.SIGTERM)
    node.broker.process.wait(broker.SLOW)
    assert not broker.SANITIZER.search(node.broker.log()), node.broker.obituary()
    node.forget()
    mount.give_back()
    eq(full.end(), [*map(str, range(20))])


@check
def neither_direct_nor_reserved():
    """A file system without O_DIRECT and fallocate."""
    with Mount("ramfs") as mount, FaultyNode(mount) as node:
        node.up()
        streams = streams_of(node, "one")
        until(lambda: sum(len(s.confirmed) for s in streams) >= 1500, "confirms")
        node.kill()
        ended(streams)
        account(node.up(), streams)
        p = Publisher(node)
        p.put("one-0", "again")
        node.halt()
        eq(bodies(node.up(), "one-0"), ["again"])


# -- a slow disk


def told_together(node, ch, request, answer, exchange, key):
    """A persistent publish that `request` has made homeless is not confirmed before that is durable."""
    publisher = node.channel()
    publisher.rpc("confirm.select")
    ch.send(request[0], **request[1])
    time.sleep(0.1)  # it is on its way to a disk that takes a second; the publish comes second
    raw = codec.method_frame(1, "basic.publish", exchange=exchange, routing_key=key)
    publisher.c.write(raw + codec.content_frames(1, b"late", PERSISTENT))
    publisher.confirms(1)
    confirmed = time.monotonic()
    ch.wait(answer)
    early = time.monotonic() - confirmed
    assert early < 0.5, f"confirmed {early:.2f} s before {answer}"


@check
def x_expires_counts_from_the_end_of_recovery():
    with FaultyNode() as node:
        assert node.start(), node.said()
        p = Publisher(node)
        p.ch.queue("kept", exclusive=False, durable=True)
        p.put("kept", *["x" * 300000] * 12)  # four segments to be read, a second each
        p.ch.queue("idle", exclusive=False, durable=True, arguments={"x-expires": 2000})
        node.kill()
        assert node.start("read:SLOW:1-:segment-"), node.said()
        assert exists(node.channel(), "idle")
        until(lambda: not exists(node.channel(), "idle"), "its end")


@check
def what_is_not_kept_waits_for_nothing():
    with FaultyNode() as node:
        assert node.start("sync:SLOW:1-:segment-"), node.said()
        one, two = node.channel(), node.channel()
        one.send("queue.declare", queue="kept", durable=True)
        time.sleep(0.1)
        begun = time.monotonic()
        queue, name = two.queue("transient", exclusive=False), two.exchange("transient", "fanout")
        two.bind(queue, name)
        two.rpc("queue.delete", queue=queue)
        two.rpc("exchange.delete", exchange=name)
        taken = time.monotonic() - begun
        assert taken < 0.6, f"{taken:.2f} s"
        one.wait("queue.declare-ok")


@check
def confirms_wait_for_what_goes():
    with FaultyNode() as node:
        assert node.start("sync:SLOW:1-:segment-"), node.said()
        ch = node.channel()
        for i in range(3):
            queue, name = f"going-{i}", f"kept-{i}"
            ch.queue(queue, exclusive=False, durable=True)
            ch.exchange(name, durable=True)
            ch.bind(queue, name, "k")
            unbind = dict(queue=queue, exchange=name, routing_key="k")
            told_together(node, ch, ("queue.unbind", unbind), "queue.unbind-ok", name, "k")
            ch.bind(queue, name, "k")
            told_together(node, ch, ("queue.delete", dict(queue=queue)), "queue.delete-ok", name if i == 1 else "", "k" if i == 1 else queue)


main()
