# SPDX-License-Identifier: Apache-2.0
"""What rude clients do: write without reading, vanish with a reset."""
import select
import socket
import struct

from wire import PATIENCE


def push(c, raw, limit, patience=1.0):
    """Writes raw again and again without reading, until the broker stops taking it for `patience` seconds or `limit`
    octets; returns how many went."""
    c.sock.setblocking(False)
    view, sent = memoryview(raw), 0
    while sent < limit and select.select([], [c.sock], [], patience)[1]:
        at = sent % len(raw)
        try:
            sent += c.sock.send(view[at : at + limit - sent])
        except BlockingIOError:
            pass
    c.sock.settimeout(PATIENCE)
    return sent


def reset(c):
    """Ends the connection by RST: the broker's next look at the socket fails, whatever it was about to read or write."""
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
