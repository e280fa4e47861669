# SPDX-License-Identifier: Apache-2.0
# connection.update-secret: accepted for the user who logged in with a password; the connection goes on.
from harness import *


@check
def update_secret(ch):
    ch.c.rpc("connection.update-secret", new_secret="guest", reason="rotated")
    ch.c.rpc("connection.update-secret", new_secret="whatever", reason="")
    ch.queue()


@check
def not_from_a_channel(ch):
    ch.kills(503, "COMMAND_INVALID - unimplemented method", "connection.update-secret", new_secret="guest")


main()
