# SPDX-License-Identifier: Apache-2.0
# connection.open: the vhost must exist; both are told with 530.
from harness import *


def opening(vhost):
    c = Connection()
    c.start()
    c.start_ok()
    c.tune_ok(c.wait(0, "connection.tune"))
    c.send("connection.open", virtual_host=vhost)
    return c


@check
def default_vhost():
    c = opening("/")
    eq(c.wait(0, "connection.open-ok").known_hosts, "")
    c.end()


@check
def unknown_vhost():
    opening("nope").closes(530, "NOT_ALLOWED - vhost nope not found", "connection.open")
    opening("").closes(530, "NOT_ALLOWED - vhost  not found", "connection.open")
    opening("//").closes(530, "NOT_ALLOWED - vhost // not found", "connection.open")


@check
def vhost_of_255_octets():
    opening("v" * 255).closes(530, re.compile("^NOT_ALLOWED - vhost v{200,}"), "connection.open")


main()
