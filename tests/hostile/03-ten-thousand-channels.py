# SPDX-License-Identifier: Apache-2.0
# 10,000 channels at once are refused at the negotiated limit; 10,000 one after the other are nothing special.
from guard import Unharmed
from harness import *


@check
def at_once():
    with Unharmed():
        c = connect()
        try:
            c.write(b"".join(codec.method_frame(n, "channel.open") for n in range(1, 10001)))
        except OSError:
            pass  # closed before all was sent
        c.closes(530, "NOT_ALLOWED - number of channels opened (2047) has reached the negotiated channel_max (2047)")


@check
def one_after_the_other():
    with Unharmed():
        c = connect()
        rounds = 10000 if TOKKI else 1000
        pair = [
            codec.method_frame(n, "channel.open") + codec.method_frame(n, "channel.close", reply_code=200)
            for n in range(1, 11)
        ]
        for _ in range(rounds // 10):
            c.write(b"".join(pair))
            for n in range(1, 11):
                c.wait(n, "channel.open-ok")
                c.wait(n, "channel.close-ok")
        c.end()


@check
def full_connections():
    """20 connections with 2047 channels each."""
    with Unharmed(grow_mib=160):
        opened = []
        for _ in range(20 if TOKKI else 2):
            c = connect()
            c.write(b"".join(codec.method_frame(n, "channel.open") for n in range(1, 2048)))
            opened.append(c)
        for c in opened:
            for n in range(1, 2048):
                c.wait(n, "channel.open-ok")
        for c in opened:
            c.close()


main()
