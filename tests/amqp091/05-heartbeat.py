# SPDX-License-Identifier: Apache-2.0
# Heartbeats: the broker sends them at half the agreed time, and drops a client that sends nothing for two checks.
from harness import *


@check
def broker_sends_heartbeats():
    c = connect(heartbeat=2)
    started, seen = time.monotonic(), 0
    while c.heartbeats < 2:
        c.take_frame(*c.read_frame(time.monotonic() + 4))
        if c.heartbeats > seen:
            seen = c.heartbeats
            c.write(codec.frame(codec.HEARTBEAT, 0, b""))
    assert time.monotonic() - started < 4.5, "two heartbeats take about 2 s"
    c.end()


@check
def silent_client_is_dropped_without_a_close_frame():
    c = connect(heartbeat=1)
    started = time.monotonic()
    try:
        while True:
            eq(c.read_frame(started + 8)[0], codec.HEARTBEAT)
    except Closed:
        assert 1.5 < time.monotonic() - started < 5, time.monotonic() - started
    c.close()


@check
def any_octet_counts():
    c = connect(heartbeat=1)
    ch = c.channel()
    started = time.monotonic()
    while time.monotonic() - started < 4:
        ch.rpc("channel.flow", active=True)
        threading.Event().wait(0.4)
    c.end()


@check
def no_heartbeat_when_off():
    c = connect(heartbeat=0)
    try:
        c.read_frame(time.monotonic() + 2.5)
        raise AssertionError("a frame without being asked")
    except TimeoutError:
        c.end()


@check
def heartbeat_with_payload(c):
    c.write(codec.frame(codec.HEARTBEAT, 0, b"xyz"))
    c.closes(501, 'FRAME_ERROR - type 8, all octets = <<"xyz">>: unknown_frame')


@check
def heartbeat_on_another_channel(ch):
    ch.c.write(codec.frame(codec.HEARTBEAT, 1, b""))
    ch.c.closes(505, "UNEXPECTED_FRAME - type 8, all octets = <<>>")


main()
