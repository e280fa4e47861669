# SPDX-License-Identifier: Apache-2.0
# Peers that connect and stop before connection.open are cut after the handshake timeout (10 s). timeout: 60
from guard import Unharmed
from harness import *


def stalled():
    """Connections that stop at each step of the handshake."""
    yield "nothing", Connection()
    c = Connection()
    c.write(b"AMQP")
    yield "half a header", c
    c = Connection()
    c.start()
    yield "no start-ok", c
    c = Connection()
    c.start()
    c.write(
        codec.method_frame(0, "connection.start-ok", mechanism="PLAIN", response="\0guest\0guest", locale="en_US")[:20]
    )
    yield "half a start-ok", c
    c = Connection()
    c.start()
    c.start_ok()
    c.wait(0, "connection.tune")
    yield "no tune-ok", c
    c = Connection()
    c.start()
    c.start_ok()
    c.tune_ok(c.wait(0, "connection.tune"))
    yield "no open", c


@check
def cut_after_the_handshake_timeout():
    with Unharmed():
        started = time.monotonic()
        peers = [peer for _ in range(20 if TOKKI else 1) for peer in stalled()]
        for what, c in peers:
            c.read_to_end(started + 18 - time.monotonic())
            took = time.monotonic() - started
            assert took > 8, f"{what}: cut after {took:.1f} s already"
            c.close()


@check
def open_connections_are_not_cut(c):
    waiting = Connection()
    waiting.read_to_end(18)
    c.channel()


main()
