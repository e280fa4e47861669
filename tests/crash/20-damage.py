# SPDX-License-Identifier: Apache-2.0
# A damaged data directory: everything, or a refusal that names the place and changes nothing; --recover keeps the readable. timeout: 150
import contextlib
import hashlib
import re
import shutil

from crash import *
from durable import Node, Publisher, bodies
from harness import *

# Damaged places per kind of file. TOKKI_CRASH_PLACES makes a long run of it.
PLACES = int(os.environ.get("TOKKI_CRASH_PLACES", "25"))
SEED = int(os.environ.get("TOKKI_SEED", random.randrange(10**9)))
OPTIONS = ["--shards", "2", "--log-segment-size", "1MiB"]
REPORT = "recover-report.txt"
dice = random.Random(SEED)
print("seed", SEED)


def digest(folder):
    """Content of every file, as sums by name; not of the lock, which names its last owner, and of what is half-made."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name not in ("tokkimq.lock", "transient") and not name.endswith(".new"):
            with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, name), "rb") as file:
                found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def changed(before, after):
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def used(data):
    """Octets before the zeros at the end."""
    return len(data.rstrip(b"\0"))


class Original:
    """A data directory of a real run that ended by kill -9, and copies of it to be damaged."""

    def __init__(self, sizes, lives=1):
        self.node = Node(OPTIONS)
        self.published, self.expected = {}, {}
        self.broker = self.node.broker
        for life in range(lives):
            self.fill(life, sizes)
            self.node.kill()
            if life + 1 < lives:
                self.broker.start()
        self.saved = self.broker.data + ".saved"
        shutil.copytree(self.broker.data, self.saved)

    def fill(self, life, sizes):
        p = Publisher(self.node)
        for q in range(3):
            name = f"queue-{life}-{q}"
            p.ch.queue(name, exclusive=False, durable=True)
            texts = [f"{name}/{i}/" + "x" * size for i, size in enumerate(sizes)]
            p.put(name, *texts)
            for _ in range(len(texts) // 4):
                p.ch.get(name)
            p.put(name, "end")
            self.published[name] = [*texts, "end"]
            self.expected[name] = self.published[name][len(texts) // 4 :]
        # Idle for a while: then the log is sealed, and all before the seal is known to have been whole.
        before, deadline = self.written(), time.monotonic() + 5
        while self.written() == before:
            assert time.monotonic() < deadline, "no seal was written"
            time.sleep(0.05)

    def written(self):
        return {name: h for name, h in digest(self.broker.data).items() if name.startswith("segment-")}

    def names(self, prefix):
        return [name for name in sorted(os.listdir(self.saved)) if name.startswith(prefix)]

    def read(self, name):
        with open(os.path.join(self.saved, name), "rb") as file:
            return file.read()

    def restore(self):
        shutil.rmtree(self.broker.data)
        shutil.copytree(self.saved, self.broker.data)

    def damage(self, name, data):
        """A fresh copy with another content of one file; None: without it."""
        self.restore()
        path = os.path.join(self.broker.data, name)
        if data is None:
            os.unlink(path)
        else:
            with open(path, "wb") as file:
                file.write(data)

    def held(self):
        """What a started broker holds: texts by queue; a queue that is not there is left out."""
        ch = self.node.channel()
        return {name: bodies(ch, name) for name in self.expected if exists(ch, name)}

    def stopped_by_name(self):
        """Bodies are read when they are delivered: a broker that finds one damaged says which, and ends."""
        self.node.forget()
        self.broker.process.wait(broker.SLOW)
        self.said = self.broker.log().decode(errors="replace").split("node started")[-1]
        assert not broker.SANITIZER.search(self.said.encode()), self.said
        named = re.search(r"cannot be read back.* file=(\S+) offset=\d+ error=", self.said)
        assert named and self.broker.process.returncode == 1, self.said
        return named

    def start(self, *options):
        """True: it listens. Else it must have ended with a code and a text, which is kept."""
        self.broker.options = [*OPTIONS, *options]
        size, self.said = len(self.broker.log()), ""
        self.broker.start(wait=False)
        deadline = time.monotonic() + broker.SLOW
        while "node started" not in self.said:  # it listens before that
            ended = not self.broker.alive()
            self.said = self.broker.log()[size:].decode(errors="replace")
            if ended:
                assert not broker.SANITIZER.search(self.said.encode()), self.said
                eq(self.broker.process.returncode, 1, self.said)
                return False
            assert time.monotonic() < deadline, "neither starts nor ends"
            time.sleep(0.003)  # a process that starts tells nobody; this is the poll of a condition
        return True

    def stop(self):
        self.node.forget()
        eq(self.broker.halt(), [])

    def must_hold_all(self, what):
        held = self.held()
        for name, texts in self.expected.items():
            assert name in held, f"{what}: started without {name}"
            assert held[name] == texts, f"{what}: {name} has {len(held[name])} of {len(texts)}: {held[name][-1:]}"

    def must_hold_some(self, what, lost):
        """Messages may be missing, `lost` at most, and acknowledged ones may be back; what is there is whole and in order."""
        held = self.held()
        missing = sum(len(set(texts) - set(held.get(name, []))) for name, texts in self.expected.items())
        assert missing <= lost, f"{what}: {missing} messages are gone"
        for name, texts in held.items():
            foreign = [text[:60] for text in texts if text not in self.published[name]]
            assert not foreign, f"{what}: {name} holds {foreign[:3]}"
            numbers = [self.published[name].index(text) for text in texts]
            assert numbers == sorted(set(numbers)), f"{what}: {name} is out of order: {numbers}"

    def end_recovered(self, checkpoint):
        """--recover is needed once, however the broker ends: it writes a checkpoint at once."""
        self.node.forget()
        if dice.random() < 0.5:
            return self.stop()
        until(lambda: self.checkpoint() != checkpoint, "a checkpoint after --recover")
        self.broker.kill()

    def checkpoint(self):
        return [name for name in os.listdir(self.broker.data) if name.startswith("checkpoint-")]

    def probe(self, name, data, what, lost=10**9):
        """Everything, or a refusal. Returns whether it was refused."""
        self.damage(name, data)
        before = digest(self.broker.data)
        if self.start():
            try:
                self.must_hold_all(what)
                self.stop()
                return False
            except wire.Closed:
                assert self.stopped_by_name()
                self.damage(name, data)  # what was delivered before it ended is gone from there
        else:
            eq(changed(before, digest(self.broker.data)), [], f"{what}: a refused start changed files;")
            named = re.search(r"file (\S+?)(, offset \d+)?: \S", self.said)
            assert named, f"{what}: no file and reason in {self.said!r}"
        checkpoint = self.checkpoint()
        assert self.start("--recover"), f"{what}: --recover did not start: {self.said}"
        assert os.path.exists(os.path.join(self.broker.data, REPORT)), f"{what}: no report; {self.said}"
        self.end_recovered(checkpoint)
        assert self.start(), f"{what}: refused after --recover: {self.said}"
        self.must_hold_some(what, lost)
        self.stop()
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.broker.remove()


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def places(data, n):
    """Most of them in the last records, some anywhere in what is used, and the first octets."""
    end = used(data)
    found = {0, 9, 15, 33, end - 1}
    while len(found) < min(n, end):
        found.add(dice.randrange(max(0, end - 3000), end) if dice.random() < 0.7 else dice.randrange(end))
    return sorted(found)


def damage_everywhere(original, name, n, lost=10**9):
    """One bit flipped, or the file cut, at n places."""
    data, refused, tried = original.read(name), 0, 0
    for at in places(data, n):
        tried += 1
        if at % 3:
            refused += original.probe(name, flipped(data, at), f"{name}, a bit at {at}", lost)
        else:
            refused += original.probe(name, data[:at], f"{name}, cut at {at}", lost)
    print(f"{name}: {refused} of {tried} refused")
    assert refused, f"no damage of {name} was noticed"


@check
def the_last_segment():
    with Original([10, 100, 1000, 10, 10, 10, 3000, 10]) as original:
        damage_everywhere(original, original.names("segment-")[-1], PLACES)


@check
def any_of_many_segments():
    with Original([50000] * 30, lives=2) as original:
        names = original.names("segment-")
        assert len(names) > 3, names
        for name in dice.sample(names[:-1], 2):
            damage_everywhere(original, name, PLACES // 3, 25)  # 21 such messages fill a segment


@check
def what_lies_behind_damage():
    """One damaged batch costs what was in it, and no more."""
    with Original([10]) as original:
        original.restore()
        assert original.start()
        p = Publisher(original.node)
        p.ch.queue("many", exclusive=False, durable=True)
        texts = [str(i) for i in range(100)]
        for text in texts:
            p.put("many", text)  # a batch for each
        original.node.kill()
        path = os.path.join(original.broker.data, original.names("segment-")[-1])
        with open(path, "r+b") as file:
            data = file.read()
            middle = (used(data) - 50 * 4096) // 4096 * 4096
            file.seek(0)
            file.write(flipped(data, middle + 100))
        assert not original.start() and f"offset {middle}: a batch is damaged" in original.said, original.said
        assert original.start("--recover"), original.said
        got = bodies(original.node.channel(), "many")
        assert len(got) >= len(texts) - 2 and got == sorted(set(got), key=int), f"{len(got)} are left: {got}"
        original.must_hold_all("before the damage")
        original.stop()


@check
def the_checkpoint():
    with Original([50000] * 40, lives=2) as original:
        names = original.names("checkpoint-")
        eq(len(names), 1)
        damage_everywhere(original, names[0], PLACES // 2)
        original.probe(names[0], None, "without its checkpoint")  # fine when no segment was recycled


@check
def a_missing_segment():
    with Original([50000] * 20) as original:
        # Without the last it looks like a crash before that was begun.
        for name in original.names("segment-")[:-1]:
            eq(original.probe(name, None, f"without {name}"), True)


@check
def no_damage():
    """The copy itself is fine, and so is one without what had only been prepared."""
    with Original([50000] * 20) as original:
        eq(original.probe("notes.txt", b"not ours", "a foreign file"), False)
        for name in original.names("spare-"):
            eq(original.probe(name, None, f"without {name}"), False)


@check
def another_segment_size():
    """Files of the old size are not taken for new segments, and are no damage."""
    with Original([10]) as original:
        for life, size in enumerate(("3MiB", "1MiB", "4MiB")):
            original.broker.options = ["--shards", "2", "--log-segment-size", size]
            original.broker.start()
            p = Publisher(original.node)
            p.ch.queue("large", exclusive=False, durable=True)
            for _ in range(8):  # checkpoints and recycling on the way
                p.put("large", *["x" * 100_000] * 20)
                p.ch.rpc("queue.purge", queue="large")
            p.put("large", *map(str, range(life)))
            original.node.kill()
            original.broker.start()
            eq(bodies(original.node.channel(), "large"), [*map(str, range(life))])
            original.node.kill()
        assert original.start(), original.said
        original.must_hold_all("after other segment sizes")
        original.stop()


@check
def the_first_record():
    """The vhost's: all names are in it."""
    with Original([10, 20]) as original:
        data = bytearray(original.read("segment-0000000000000001"))
        data[4096 + 70] ^= 1
        original.damage("segment-0000000000000001", bytes(data))
        assert not original.start()
        assert original.start("--recover"), original.said
        with open(os.path.join(original.broker.data, REPORT)) as report:
            assert "vhost" in report.read()
        original.must_hold_all("without the vhost's record")
        original.stop()


def crc32c(data):
    """As storage/format.c has it: not inverted at the end."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc


@check
def the_format_file():
    with Original([10, 20]) as original:
        text = original.read("tokkimq.format")
        assert b"\nformat 1\n" in text, text
        newer = text[: text.index(b"crc ")].replace(b"format 1", b"format 2")
        original.damage("tokkimq.format", newer + b"crc %08x\n" % crc32c(newer))
        before = digest(original.broker.data)
        assert not original.start() and not original.start("--recover")
        assert "newer" in original.said and "tokkimq.format" in original.said, original.said
        eq(changed(before, digest(original.broker.data)), [])
        for data in b"", b"nonsense", text.replace(b"id ", b"ip "), text.replace(b"format 1", b"format 3"), None:
            original.damage("tokkimq.format", data)
            before = digest(original.broker.data)
            assert not original.start(), f"starts with the format file {data}"
            assert "tokkimq.format" in original.said, original.said
            eq(changed(before, digest(original.broker.data)), [], f"format file {data}: a refused start changed files;")
            assert original.start("--recover"), f"format file {data}: {original.said}"
            original.stop()
            assert original.start(), original.said
            original.must_hold_all(f"format file {data}")
            original.stop()


@check
def in_use():
    with Original([10]) as original:
        assert original.start()
        first = original.broker.process
        original.broker.port, port = broker.free_port(), original.broker.port
        try:
            before = digest(original.broker.data)
            assert not original.start()
            assert "another broker" in original.said, original.said
            assert not original.start("--recover")
            eq(changed(before, digest(original.broker.data)), [])
        finally:
            original.broker.process, original.broker.port = first, port
        original.must_hold_all("after the second broker")
        original.stop()


main()
