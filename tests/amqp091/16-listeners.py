# SPDX-License-Identifier: Apache-2.0
# The broker listens on IPv4 and IPv6; guest may log in only over loopback.
import socket

from harness import *

if not TOKKI:
    skip("the oracle listens on 127.0.0.1 only")


def outside_address():
    """An address of this machine that is not loopback, or None. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            address = s.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


@check
def ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        skip("no IPv6 here")
    connect(host="::1").end()


@check
def guest_from_outside():
    address = outside_address()
    if address is None:
        return
    c = Connection(host=address)
    c.start()
    c.start_ok()
    c.closes(
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.",
    )


main()
