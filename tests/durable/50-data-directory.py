# SPDX-License-Identifier: Apache-2.0
# The data directory: one broker at a time, no newer format, no unwritable place, no damage unsaid; clear texts. timeout: 120
import shutil
import struct

from broker import TokkiMQ, free_port
from durable import *
from guard import works
from harness import *

if not TOKKI:
    skip("starts TokkiMQ on directories that it must refuse")

SEGMENT_MAGIC = b"TOKKISEG"  # FORMAT.md: a segment begins with it, and the version follows (u32, big-endian)

# Where the header of a segment stands in it.
HEADERS = 0, 3584


def filled():
    """A broker with a queue of three messages."""
    node = Node()
    p = Publisher(node)
    queue = p.ch.queue(unique(), exclusive=False, durable=True)
    p.put(queue, "1", "2", "3")
    return node, queue


def segments(directory):
    """Paths of the log's files."""
    found = []
    for folder, _, files in os.walk(directory):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                if file.read(8) == SEGMENT_MAGIC:
                    found.append(os.path.join(folder, name))
    return sorted(found)


@check
def in_use():
    node, queue = filled()
    with node:
        second = TokkiMQ.__new__(TokkiMQ)
        second.__dict__.update(node.broker.__dict__, port=free_port())
        text = second.refused()
        assert node.broker.data in text, text
        assert "in use" in text or "lock" in text, text
        works(node.broker.port)
        ch = node.again()
        eq(bodies(ch, queue), ["1", "2", "3"])


@check
def in_use_no_longer_after_kill():
    node, queue = filled()
    with node:
        node.way = "kill"
        for _ in range(3):
            ch = node.again()
        eq(bodies(ch, queue), ["1", "2", "3"])


@check
def newer_format():
    node, queue = filled()
    with node:
        node.halt()
        files = segments(node.broker.data)
        assert files, f"no segment in {os.listdir(node.broker.data)}"
        kept = {}
        for path in files:
            with open(path, "r+b") as file:
                kept[path] = file.read(12)[8:]
                (version,) = struct.unpack(">I", kept[path])
                for header in HEADERS:
                    file.seek(header + 8)
                    file.write(struct.pack(">I", version + 1))
        text = node.broker.refused()
        assert "version" in text or "newer" in text, text
        assert node.broker.data in text or any(os.path.basename(path) in text for path in files), text
        for path in files:  # nothing was changed: the right binary can go on
            with open(path, "r+b") as file:
                for header in HEADERS:
                    file.seek(header + 8)
                    file.write(kept[path])
        eq(bodies(node.up(), queue), ["1", "2", "3"])


@check
def not_a_directory():
    node, queue = filled()
    with node:
        node.halt()
        data = node.broker.data
        node.broker.data = os.path.join(node.broker.directory, "file")
        with open(node.broker.data, "w") as file:
            file.write("I was here first")
        text = node.broker.refused()
        assert node.broker.data in text, text
        with open(node.broker.data) as file:
            eq(file.read(), "I was here first")
        node.broker.data = "/proc/tokkimq-cannot-be-here"
        assert node.broker.data in node.broker.refused()
        node.broker.data = data
        eq(bodies(node.up(), queue), ["1", "2", "3"])


@check
def not_writable():
    node, queue = filled()
    with node:
        node.halt()
        if os.geteuid() == 0:  # root writes everywhere, unless it has put that down
            if not shutil.which("setpriv"):
                return
            node.broker.wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
        os.chmod(node.broker.data, 0o500)
        for folder, _, files in os.walk(node.broker.data):
            for name in files:
                os.chmod(os.path.join(folder, name), 0o400)
        try:
            text = node.broker.refused()
        finally:
            for folder, _, files in os.walk(node.broker.data):
                for name in files:
                    os.chmod(os.path.join(folder, name), 0o600)
            os.chmod(node.broker.data, 0o700)
        assert node.broker.data in text and "ermission denied" in text, text
        eq(bodies(node.up(), queue), ["1", "2", "3"])


@check
def foreign_files_stay():
    """What is not ours in the directory is left alone."""
    node, queue = filled()
    with node:
        path = os.path.join(node.broker.data, "notes.txt")
        with open(path, "w") as file:
            file.write("mine")
        ch = node.again()
        eq(bodies(ch, queue), ["1", "2", "3"])
        with open(path) as file:
            eq(file.read(), "mine")


@check
def a_moved_directory():
    """A copy made while nobody runs is the node as well; its path is nowhere in it."""
    node, queue = filled()
    with node:
        node.halt()
        copy = os.path.join(node.broker.directory, "elsewhere")
        shutil.copytree(node.broker.data, copy)
        shutil.rmtree(node.broker.data)
        node.broker.data = copy
        eq(bodies(node.up(), queue), ["1", "2", "3"])


@check
def a_directory_that_is_not_there_yet():
    with Node() as node:
        assert os.path.isdir(node.broker.data)
        works(node.broker.port)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        octet = file.read(1)[0]
        file.seek(at)
        file.write(bytes([octet ^ 1]))


@check
def damage_is_named():
    """A segment's header is never half written when anything follows it: no start without --recover. It stands twice."""
    node, queue = filled()
    with node:
        node.kill()
        path = segments(node.broker.data)[0]
        for header in HEADERS:
            flip(path, header + 24)
        text = node.broker.refused()
        assert os.path.basename(path) in text, text
        flip(path, HEADERS[1] + 24)
        eq(bodies(node.up(), queue), ["1", "2", "3"])


main()
