# SPDX-License-Identifier: Apache-2.0
# Out of file descriptors the broker stops accepting, serves those it has, does not spin, and accepts again. timeout: 90
from broker import TokkiMQ
from guard import works
from harness import *

if not TOKKI:
    skip("starts a TokkiMQ with few descriptors")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@check
def pause_and_resume():
    with TokkiMQ(wrapper=["prlimit", "--nofile=80:80"]) as broker:
        ch = connect(port=broker.port).channel()
        queue = ch.queue()
        crowd = [Socket(port=broker.port) for _ in range(100)]  # the kernel's backlog takes those that are not accepted
        before, started = cpu_seconds(broker.pid), time.monotonic()
        while time.monotonic() - started < 2:
            ch.publish("", queue, "x")
            until(lambda: ch.get(queue))
            threading.Event().wait(0.05)
        used = cpu_seconds(broker.pid) - before
        assert used < 1, f"{used} s of CPU in 2 s of nothing"
        for s in crowd:
            s.close()
        works(broker.port)


main()
